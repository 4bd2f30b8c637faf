//! URLs as people may see them: without the password.

/// The value of an option of a URL is a secret where one of these is in the option's name.
const TELLING: [&str; 4] = ["password", "secret", "token", "key"];

/// The URL with its password, and with the values of options such as `?password=`, replaced by `***`: fit for errors, logs
/// and pages.
///
/// ```
/// assert_eq!(crest_connectors::without_secrets("redis://u:pa@ss@h:6379/0"), "redis://u:***@h:6379/0");
/// assert_eq!(crest_connectors::without_secrets("redis://h:6379/0"), "redis://h:6379/0");
/// ```
pub fn without_secrets(url: &str) -> String {
    match url.split_once('?') {
        Some((place, options)) if !place.contains("://") || !options.contains('@') => {
            format!(
                "{}?{}",
                without_password(place),
                options.split('&').map(without_value).collect::<Vec<_>>().join("&")
            )
        }
        _ => without_password(url),
    }
}

fn without_value(option: &str) -> String {
    match option.split_once('=') {
        Some((name, _)) if TELLING.iter().any(|word| name.to_ascii_lowercase().contains(word)) => {
            format!("{name}=***")
        }
        _ => option.to_owned(),
    }
}

fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    // A password may hold any character, `/` and `@` too where it was not encoded: the last `@` ends it.
    let Some((user, hosts)) = rest.rsplit_once('@') else { return url.to_owned() };
    let name = user.split_once(':').map_or(user, |(name, _)| name);
    let secret = if user.contains(':') { ":***" } else { "" };
    format!("{scheme}://{name}{secret}@{hosts}")
}

/// What a URL like `scheme://[user[:password]@]hosts/path` holds, still encoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    /// Before `://`.
    pub(super) scheme: &'a str,
    /// Before the `@`, where there is one.
    pub(super) user: Option<&'a str>,
    /// Between the `@` and the first `/`.
    pub(super) hosts: Vec<&'a str>,
    /// After the first `/`, where there is one.
    pub(super) path: Option<&'a str>,
}

/// Takes a URL with several hosts apart, which the `url` crate refuses. `None` where it has no `://`.
pub(super) fn parts(url: &str) -> Option<Parts<'_>> {
    let (scheme, rest) = url.split_once("://")?;
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, rest),
    };
    let (hosts, path) = match rest.split_once('/') {
        Some((hosts, path)) => (hosts, Some(path)),
        None => (rest, None),
    };
    Some(Parts { scheme, user, hosts: hosts.split(',').collect(), path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_passwords_and_nothing_else() {
        for (url, shown) in [
            ("redis://:secret@h:1/0", "redis://:***@h:1/0"),
            ("rediss://user:secret@h:1", "rediss://user:***@h:1"),
            ("redis://user@h", "redis://user@h"),
            ("redis+cluster://u:a/b:c@h:1,h:2", "redis+cluster://u:***@h:1,h:2"),
            ("kafka://a:1,b:2/t", "kafka://a:1,b:2/t"),
            ("file:/tmp/a@b:c", "file:/tmp/a@b:c"),
            ("kafka://u:p@h:1/t?sasl.password=secret&x=1", "kafka://u:***@h:1/t?sasl.password=***&x=1"),
            ("redis://:a?b@h:1", "redis://:***@h:1"),
            ("log:data?token=secret&keep=1h", "log:data?token=***&keep=1h"),
            ("-", "-"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }

    #[test]
    fn takes_urls_of_several_hosts_apart() {
        let found = parts("redis+sentinel://u:p@a:1,b:2/main/3").unwrap();
        assert_eq!(found.scheme, "redis+sentinel");
        assert_eq!(found.user, Some("u:p"));
        assert_eq!(found.hosts, ["a:1", "b:2"]);
        assert_eq!(found.path, Some("main/3"));
        assert_eq!(parts("nothing"), None);
    }
}
