//! From a URL and its options to the kind of store that they mean.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};
use url::Url;

use super::error::StateError;
use crate::endpoint::without_secrets;

const FORMS: &str = "expected a folder's path, file:///path, s3://bucket/prefix, gs://bucket/prefix or \
                     az://container/prefix";

/// A request is not tried again once it has taken so long. What waits longer is up to the caller, who can say
/// meanwhile what it waits for.
const PATIENCE: Duration = Duration::from_secs(10);

const MAX_RETRIES: usize = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What a URL means.
pub(super) enum Target {
    /// A local folder.
    Folder(PathBuf),
    /// A bucket, and what all keys in it begin with.
    Cloud { store: Arc<dyn ObjectStore>, prefix: Path },
}

impl Target {
    /// # Errors
    /// [`StateError::Invalid`]: what is wrong, and what is allowed.
    pub(super) fn parse(url: &str, options: &BTreeMap<String, String>) -> Result<Self, StateError> {
        Self::understand(url, options)
            .map_err(|reason| StateError::Invalid { url: without_secrets(url), reason })
    }

    fn understand(url: &str, options: &BTreeMap<String, String>) -> Result<Self, String> {
        if url.is_empty() {
            return Err(FORMS.to_owned());
        }
        if !url.contains("://") {
            return Ok(Target::Folder(folder(url.into(), options)?));
        }
        let parsed = Url::parse(url).map_err(|error| format!("{error}; {FORMS}"))?;
        if parsed.password().is_some() {
            return Err("credentials are given as options or environment variables, not in the URL".into());
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(format!("`?` and `#` mean nothing here; {FORMS}"));
        }
        let store = match parsed.scheme() {
            "file" => {
                let path =
                    parsed.to_file_path().map_err(|()| "file:// needs an absolute path without a host")?;
                return Ok(Target::Folder(folder(path, options)?));
            }
            "s3" | "s3a" => s3(url, options)?,
            "gs" => google(url, options)?,
            "az" | "abfs" | "abfss" => azure(url, options)?,
            scheme => return Err(format!("{scheme}:// is not known; {FORMS}")),
        };
        let prefix = Path::from_url_path(parsed.path()).map_err(|error| error.to_string())?;
        Ok(Target::Cloud { store, prefix })
    }
}

fn folder(path: PathBuf, options: &BTreeMap<String, String>) -> Result<PathBuf, String> {
    match options.keys().next() {
        Some(option) => Err(format!("option `{option}`: a folder has no options")),
        None => Ok(path),
    }
}

fn s3(url: &str, options: &BTreeMap<String, String>) -> Result<Arc<dyn ObjectStore>, String> {
    choose_cryptography();
    let mut builder = AmazonS3Builder::from_env().with_url(url).with_retry(retries());
    for (name, value) in options {
        builder = builder.with_config(key::<AmazonS3ConfigKey>(name)?, value);
    }
    Ok(Arc::new(builder.build().map_err(|error| error.to_string())?))
}

fn google(url: &str, options: &BTreeMap<String, String>) -> Result<Arc<dyn ObjectStore>, String> {
    choose_cryptography();
    let mut builder = GoogleCloudStorageBuilder::from_env().with_url(url).with_retry(retries());
    for (name, value) in options {
        builder = builder.with_config(key::<GoogleConfigKey>(name)?, value);
    }
    Ok(Arc::new(builder.build().map_err(|error| error.to_string())?))
}

fn azure(url: &str, options: &BTreeMap<String, String>) -> Result<Arc<dyn ObjectStore>, String> {
    choose_cryptography();
    let mut builder = MicrosoftAzureBuilder::from_env().with_url(url).with_retry(retries());
    for (name, value) in options {
        builder = builder.with_config(key::<AzureConfigKey>(name)?, value);
    }
    Ok(Arc::new(builder.build().map_err(|error| error.to_string())?))
}

fn key<K: FromStr>(name: &str) -> Result<K, String> {
    name.to_ascii_lowercase().parse().map_err(|_| format!("option `{name}` is not known for this store"))
}

/// The HTTP client wants to be told which cryptography to use, once for the process; where something else has
/// chosen, that is fine.
fn choose_cryptography() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig { init_backoff: FIRST_PAUSE, max_backoff: LONGEST_PAUSE, base: 2.0 },
        max_retries: MAX_RETRIES,
        retry_timeout: PATIENCE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str, options: &[(&str, &str)]) -> Result<Target, StateError> {
        let own = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
        Target::parse(url, &options.iter().map(own).collect())
    }

    fn refusal(url: &str, options: &[(&str, &str)]) -> String {
        match parse(url, options) {
            Ok(_) => panic!("{url} was accepted"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn paths_and_file_urls_are_folders() {
        for (url, path) in [
            ("./crest-data", "./crest-data"),
            ("/var/lib/crest", "/var/lib/crest"),
            ("file:///var/lib/crest%20data", "/var/lib/crest data"),
            ("file://localhost/data", "/data"),
        ] {
            match parse(url, &[]) {
                Ok(Target::Folder(found)) => assert_eq!(found, PathBuf::from(path)),
                _ => panic!("{url} is a folder"),
            }
        }
    }

    #[test]
    fn clouds_take_their_options_and_a_prefix() {
        let keys = [("region", "eu-1"), ("access_key_id", "k"), ("secret_access_key", "s")];
        for (url, options, expected) in [
            ("s3://bucket/a/b", &keys[..], "a/b"),
            ("s3://bucket/a/", &keys[..], "a"),
            ("s3://bucket", &[], ""),
            ("az://container/a", &[("account_name", "n"), ("access_key", "a2V5")], "a"),
            ("gs://bucket/a/b", &[("skip_signature", "true")], "a/b"),
        ] {
            match parse(url, options) {
                Ok(Target::Cloud { prefix, .. }) => assert_eq!(prefix.as_ref(), expected, "{url}"),
                Ok(Target::Folder(_)) => panic!("{url} is no folder"),
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (url, options, named) in [
            ("", &[][..], "expected a folder"),
            ("ftp://host/a", &[], "ftp://"),
            ("file://host/a", &[], "absolute path"),
            ("s3:///a", &[], "s3"),
            ("s3://bucket/a?b=c", &[], "`?`"),
            ("s3://bucket", &[("color", "red")], "`color`"),
            ("s3://bucket", &[("allow_http", "perhaps")], "perhaps"),
            ("./data", &[("region", "eu-1")], "`region`"),
        ] {
            let refused = refusal(url, options);
            assert!(refused.contains(named) && refused.contains(url), "{refused}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let refused = refusal("s3://key:hidden@bucket/a", &[]);
        assert!(refused.contains("options or environment") && !refused.contains("hidden"), "{refused}");
    }
}
