//! Which settings are secrets, and how they are shown.

use crate::file::{File, OneOrMore, Property, Switch};
use crest_connectors::endpoint::ReceiverUrl;
use crest_connectors::{is_secret, without_secrets};
use std::collections::BTreeMap;

/// An option of a state store with one of these in its name holds a secret, too: `secret_access_key`, `account_key`,
/// `sas_token`, `service_account_key`, `encryption_customer_key`. Names without any are known to hold none: `region`,
/// `endpoint`.
const TELLING_OF_STORES: [&str; 2] = ["key", "sas"];

/// Hides the secrets among properties; a URL that is shown has no password.
fn hide(properties: &mut BTreeMap<String, Property>, telling: &[&str]) {
    for (name, value) in properties {
        let lower = name.to_ascii_lowercase();
        if is_secret(name) || telling.iter().any(|word| lower.contains(word)) {
            *value = secret();
        } else if let Property::Text(text) = value {
            *text = without_secrets(text);
        }
    }
}

fn secret() -> Property {
    Property::Text("***".to_owned())
}

/// A file with `***` for each of its secrets.
pub fn without_secrets_of(mut file: File) -> File {
    let mask = |text: &mut Option<String>| *text = text.as_deref().map(without_secrets);
    [&mut file.source.url, &mut file.source.registry, &mut file.state.url, &mut file.archive.url]
        .into_iter()
        .for_each(mask);
    file.board.iter_mut().for_each(|board| mask(&mut board.blocklist));
    let urls = file.snapshots.url.take().map(OneOrMore::into_vec);
    file.snapshots.url =
        urls.map(|urls| urls.iter().map(|url| without_secrets(url)).collect::<Vec<_>>().into());
    hide(&mut file.source.kafka, &[]);
    hide(&mut file.snapshots.kafka, &[]);
    hide(&mut file.state.options, &TELLING_OF_STORES);
    file.source.regions.values_mut().for_each(|options| hide(options, &TELLING_OF_STORES));
    hide(&mut file.archive.options, &TELLING_OF_STORES);
    for changes in &mut file.changes {
        let to: Result<ReceiverUrl, _> = changes.to.parse();
        changes.to = to.map_or_else(|_| without_secrets(&changes.to), |to| to.to_string());
        changes.secret = changes.secret.take().map(|_| "***".to_owned());
    }
    if let Some(Switch::To(url)) = &mut file.http.ingest {
        *url = without_secrets(url);
    }
    if let Some(auth) = &mut file.source.registry_auth {
        [&mut auth.password, &mut auth.token].into_iter().flatten().for_each(|value| *value = secret());
    }
    let tokens = &mut file.http.tokens;
    let masked = |tokens: &mut OneOrMore| {
        *tokens = vec!["***".to_owned(); tokens.clone().into_vec().len()].into();
    };
    [&mut tokens.ingest, &mut tokens.read].into_iter().flatten().for_each(masked);
    file.telemetry.otlp = file.telemetry.otlp.take().map(|url| without_secrets(&url));
    file.telemetry.headers.values_mut().for_each(|value| *value = "***".to_owned());
    file.cluster.secret = file.cluster.secret.take().map(|_| "***".to_owned());
    file.sketch.seed = file.sketch.seed.take().map(|_| secret());
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_file_has_none_of_its_secrets_left() {
        let text = r#"
            [source]
            url = "kafka://me:hidden@h/t"
            registry = "http://me:hidden@h"
            registry_auth = { user = "me", password = "hidden", token = "hidden" }
            [source.kafka]
            "sasl.password" = "hidden"
            "ssl.key.pem" = "hidden"
            "ssl.keystore.password" = "hidden"
            "sasl.kerberos.kinit.cmd" = "kinit -t hidden"
            "sasl.oauthbearer.assertion.private.key.passphrase" = "hidden"
            "https.proxy" = "http://me:hidden@h"
            "client.id" = "shown"
            [state]
            url = "s3://me:hidden@bucket"
            options = { secret_access_key = "hidden", region = "shown" }
            [archive]
            url = "s3://me:hidden@bucket"
            options = { secret_access_key = "hidden" }
            [snapshots]
            url = ["redis://:hidden@h", "-"]
            kafka = { "sasl.password" = "hidden" }
            [http]
            ingest = "kafka://me:hidden@h/t"
            tokens = { ingest = "hidden", read = ["hidden", "hidden"] }
            [sketch]
            seed = "hidden"
            [cluster]
            secret = "hidden"
            [[changes]]
            to = "https://h/hidden"
            secret = "hidden"
            [telemetry]
            otlp = "http://me:hidden@h"
            headers = { authorization = "hidden", x-scope = "hidden" }
        "#;
        let file = without_secrets_of(File::parse(Path::new("crest.toml"), text).unwrap());
        let shown = toml::to_string(&file).unwrap();
        assert!(!shown.contains("hidden") && shown.matches("shown").count() == 2, "{shown}");
        assert_eq!(shown.matches("***").count(), text.matches("hidden").count(), "{shown}");
    }
}
