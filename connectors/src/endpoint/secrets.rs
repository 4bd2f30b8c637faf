//! What people may not see: the passwords in URLs, and the values of options that hold a secret.

use url::form_urlencoded;

/// The value of an option or a property is a secret where one of these is in its name. Of librdkafka's properties these
/// cover all that it calls sensitive but for names of users and paths of files, and those whose text may hold a secret
/// besides: the command of Kerberos, and the settings of a token.
const TELLING: [&str; 12] = [
    "password",
    "passphrase",
    "passwd",
    "secret",
    "token",
    "jaas",
    "pem",
    "ssl_key",
    "oauthbearer.config",
    "oauthbearer.extensions",
    "kinit.cmd",
    "credential",
];
/// So it is in a URL where the name has this in it.
const TELLING_IN_URLS: &str = "key";
/// What comes after these is a path, in which `@` and `:` mean nothing.
const PATHS: [&str; 2] = ["file", "log"];

/// Stands for a secret.
const HIDDEN: &str = "***";

/// Whether the value of a property of this name is, or may hold, a secret.
///
/// ```
/// assert!(crest_connectors::is_secret("ssl.key.password"));
/// assert!(!crest_connectors::is_secret("client.id"));
/// ```
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLING.iter().any(|word| name.contains(word))
}

/// The URL with its password, and with the values of options such as `?password=`, replaced by `***`: fit for errors, logs
/// and pages. What is no URL, but looks as if it held a password before an `@`, is treated likewise.
///
/// ```
/// assert_eq!(crest_connectors::without_secrets("redis://u:pa@ss@h:6379/0"), "redis://u:***@h:6379/0");
/// assert_eq!(crest_connectors::without_secrets("redis://h:6379/0"), "redis://h:6379/0");
/// ```
pub fn without_secrets(url: &str) -> String {
    let Some((place, options)) = url.split_once('?') else { return without_password(url) };
    let is_path = scheme(place).is_none_or(|(scheme, _)| PATHS.contains(&scheme)) && !place.contains("://");
    let Some(at) = options.rfind('@').filter(|_| !is_path) else {
        return format!("{}?{}", without_password(place), without_values(options));
    };
    // Where no option begins before it, the `@` ends a password that has a question mark in it.
    if !options[..at].rsplit('&').next().is_some_and(|option| option.contains('=')) {
        let end = url.len() - options.len() + at;
        let rest = &url[end + 1..];
        let rest = match rest.split_once('?') {
            Some((place, options)) => format!("{place}?{}", without_values(options)),
            None => rest.to_owned(),
        };
        return without_password(&format!("{}@", &url[..end])) + &rest;
    }
    // It may be either: then what would be a password by one reading is hidden, as are all values that hold an `@`.
    let place = match place.contains('@') {
        true => without_password(place),
        false => without_port_that_is_none(place),
    };
    let option = |option: &str| match option.split_once('=') {
        Some((name, value)) if value.contains('@') => format!("{name}={HIDDEN}"),
        _ => without_value(option),
    };
    format!("{place}?{}", options.split('&').map(option).collect::<Vec<_>>().join("&"))
}

fn without_values(options: &str) -> String {
    options.split('&').map(without_value).collect::<Vec<_>>().join("&")
}

/// An option of a URL. Names are compared as they are meant: letters may be encoded.
fn without_value(option: &str) -> String {
    let Some((name, value)) = option.split_once('=') else { return option.to_owned() };
    let meant = form_urlencoded::parse(name.as_bytes())
        .next()
        .map_or_else(String::new, |(name, _)| name.into_owned());
    if is_secret(&meant) || meant.to_ascii_lowercase().contains(TELLING_IN_URLS) {
        return format!("{name}={HIDDEN}");
    }
    format!("{name}={}", without_password(value))
}

/// The scheme of a text that has one, and what follows its colon.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let good = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(good))
        .then_some((scheme, rest))
}

fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = scheme(url) else { return without_user(url) };
    let place = rest.trim_start_matches('/');
    let slashes = &rest[..rest.len() - place.len()];
    if PATHS.contains(&scheme) && slashes.len() != 2 {
        return url.to_owned();
    }
    // A password may hold any character, `/` and `@` too where it was not encoded: the last `@` ends it.
    let Some((user, hosts)) = place.rsplit_once('@') else { return url.to_owned() };
    let shown = match user.split_once(':') {
        // Without a slash it is not certain that the first word is a scheme, nor that the next is a name.
        _ if slashes.is_empty() => HIDDEN.to_owned(),
        Some((name, _)) => format!("{name}:{HIDDEN}"),
        // A token may be all that stands there.
        None if matches!(scheme, "http" | "https") && !user.is_empty() => HIDDEN.to_owned(),
        None => user.to_owned(),
    };
    format!("{scheme}:{slashes}{shown}@{hosts}")
}

/// A text without a scheme. What stands before its last `@` is hidden if it could hold a password, and it is no path.
fn without_user(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((user, hosts)) if user.contains(':') && !text.starts_with(['/', '.', '~']) => {
            format!("{HIDDEN}@{hosts}")
        }
        _ => text.to_owned(),
    }
}

/// A place without an `@`, whose colon is followed by a port, or else by the begin of a password.
fn without_port_that_is_none(place: &str) -> String {
    let Some((scheme, rest)) = scheme(place) else { return place.to_owned() };
    let hosts = rest.trim_start_matches('/');
    let hosts_only = hosts.split('/').next().unwrap_or_default();
    let is_port = |host: &str| {
        let port = host.rsplit_once(']').map_or(host, |(_, port)| port).split_once(':');
        port.is_none_or(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if hosts_only.split(',').all(is_port) {
        return place.to_owned();
    }
    let name = hosts.split(':').next().unwrap_or_default();
    format!("{scheme}:{}{name}:{HIDDEN}", &rest[..rest.len() - hosts.len()])
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
            ("file:/tmp/a:b@c", "file:/tmp/a:b@c"),
            ("./a:b@c", "./a:b@c"),
            ("kafka://u:p@h:1/t?sasl.password=secret&x=1", "kafka://u:***@h:1/t?sasl.password=***&x=1"),
            ("redis://:a?b@h:1", "redis://:***@h:1"),
            ("redis://:a?b@h:1?token=secret", "redis://:***@h:1?token=***"),
            ("log:data?token=secret&keep=1h", "log:data?token=***&keep=1h"),
            ("log:a@b?keep=1h", "log:a@b?keep=1h"),
            ("kafka://[::1]:9092/t?client.id=a@b", "kafka://[::1]:9092/t?client.id=***"),
            ("-", "-"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }

    #[test]
    fn hides_passwords_of_what_is_not_quite_a_url() {
        for (url, shown) in [
            ("redis:/user:secret@h", "redis:/user:***@h"),
            ("redis:///user:secret@h", "redis:///user:***@h"),
            ("redis:user:secret@h", "redis:***@h"),
            ("user:secret@h:6379", "user:***@h:6379"),
            ("https://secret@h", "https://***@h"),
            ("\"redis://:secret@h\"", "***@h\""),
            (" redis://u:secret@h", "***@h"),
            ("redis_cluster://u:secret@h", "***@h"),
            ("my_user:secret@h:6379", "***@h:6379"),
            (":secret@h", "***@h"),
            ("/data/a:b@c", "/data/a:b@c"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }

    #[test]
    fn hides_secrets_in_options_whatever_they_are_written_like() {
        for url in [
            "redis://h:1/0?password=se@secret",
            "redis://h:1/0?x=1&password=secret@&y=2",
            "kafka://h/t?sasl.oauthbearer.client.secret=secret",
            "kafka://h/t?ssl.key.pem=secret",
            "kafka://h/t?sasl.pass%77ord=secret",
            "kafka://h/t?ssl%2Ekey%2Epassword=secret",
            "kafka://h/t?proxy=http://u:secret@p",
            "kafka://h/t?proxy=http:/u:secret@p&x=1",
            "redis://u:secret?a=b@h",
            "s3://bucket?access_key_id=secret",
        ] {
            let shown = without_secrets(url);
            assert!(!shown.contains("secret") || shown.contains("client.secret=***"), "{url}: {shown}");
            assert!(shown.contains("***"), "{url}: {shown}");
        }
    }

    /// What librdkafka itself calls sensitive (`_RK_SENSITIVE` in its rdkafka_conf.c), names of users and paths aside.
    #[test]
    fn knows_the_properties_that_hold_a_secret() {
        for secret in [
            "sasl.password",
            "sasl.oauthbearer.config",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.client.credentials.client.secret",
            "sasl.oauthbearer.assertion.private.key.passphrase",
            "sasl.oauthbearer.assertion.private.key.pem",
            "sasl.oauthbearer.extensions",
            "sasl.kerberos.kinit.cmd",
            "ssl.key.password",
            "ssl.key.pem",
            "ssl.keystore.password",
            "ssl.certificate.pem",
            "ssl_key",
            "SSL.Key.Password",
        ] {
            assert!(is_secret(secret), "{secret}");
        }
        for other in ["client.id", "sasl.username", "ssl.key.location", "group.id", "partitioner"] {
            assert!(!is_secret(other), "{other}");
        }
    }
}
