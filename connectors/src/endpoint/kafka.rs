//! The brokers and the one topic of `kafka://host:port[,host:port]/topic`, to which events are written.

use super::error::EndpointError;
use super::url::parts;
use std::fmt;
use std::str::FromStr;

/// The port of a broker that names none.
const DEFAULT_PORT: u16 = 9092;
/// Characters of a topic's name at most, as Kafka has it.
const MAX_TOPIC_CHARS: usize = 249;

/// A topic of Kafka and its brokers. It holds no credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaUrl {
    text: String,
    /// `bootstrap.servers`.
    pub(crate) servers: String,
    pub(crate) topic: String,
}

impl KafkaUrl {
    fn parse(url: &str) -> Result<Self, String> {
        let (servers, topic) = servers(url, "expected kafka://host:port[,host:port]/topic")?;
        if topic.starts_with('^') || topic.contains(',') {
            return Err(format!("{topic:?} is more than one topic, and events are written to one"));
        }
        check_topic(topic)?;
        Ok(KafkaUrl::new(url, &servers, topic))
    }

    /// The topic of a URL whose parts are known to make sense.
    pub(super) fn new(text: &str, servers: &str, topic: &str) -> Self {
        KafkaUrl { text: text.to_owned(), servers: servers.to_owned(), topic: topic.to_owned() }
    }
}

/// The brokers of a URL, and its path. `form` says how it is written.
///
/// # Errors
/// What is wrong, without secrets.
pub(super) fn servers<'a>(url: &'a str, form: &str) -> Result<(String, &'a str), String> {
    let parts = parts(url).filter(|parts| parts.scheme == "kafka").ok_or(form)?;
    if parts.user.is_some() {
        let properties = "credentials belong in librdkafka's properties (sasl.username, sasl.password, …)";
        return Err(properties.to_owned());
    }
    let path = parts.path.filter(|path| !path.is_empty()).ok_or(form)?;
    let servers: Option<Vec<String>> = parts.hosts.iter().map(|host| server(host)).collect();
    let servers = servers.ok_or_else(|| format!("{form}, not {:?}", parts.hosts.join(",")))?.join(",");
    Ok((servers, path))
}

/// Refuses what cannot be the name of a topic.
pub(super) fn check_topic(topic: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let sized = (1..=MAX_TOPIC_CHARS).contains(&topic.len());
    if topic.chars().all(legal) && sized && ![".", ".."].contains(&topic) {
        return Ok(());
    }
    Err(format!("{topic:?} is no topic: letters, digits, ., _ and - are allowed, {MAX_TOPIC_CHARS} at most"))
}

impl FromStr for KafkaUrl {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        KafkaUrl::parse(text).map_err(|reason| EndpointError::invalid(text, reason))
    }
}

impl fmt::Display for KafkaUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The broker's address with its port.
fn server(host: &str) -> Option<String> {
    let (name, port) = match host.rsplit_once(':') {
        // An IPv6 address stands in brackets.
        Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok().filter(|port| *port > 0)?),
        _ => (host, DEFAULT_PORT),
    };
    let plain = |name: &str| !name.is_empty() && !name.contains([':', ' ', '[', ']', '?', '#']);
    let bracketed = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let legal =
        bracketed.map_or_else(|| plain(name), |address| address.parse::<std::net::Ipv6Addr>().is_ok());
    legal.then(|| format!("{name}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_brokers_and_topic_apart() {
        for (url, servers, topic) in [
            ("kafka://h:9093/t", "h:9093", "t"),
            ("kafka://h/t.a-b_c", "h:9092", "t.a-b_c"),
            ("kafka://a:1,b,10.0.0.1:3/t", "a:1,b:9092,10.0.0.1:3", "t"),
            ("kafka://[::1]:9092,[::1]/t", "[::1]:9092,[::1]:9092", "t"),
        ] {
            let found = KafkaUrl::parse(url).unwrap();
            assert_eq!((found.servers.as_str(), found.topic.as_str()), (servers, topic));
            assert_eq!(found.to_string(), url);
        }
    }

    #[test]
    fn refuses_the_rest_without_telling_secrets() {
        for url in [
            "kafka:h/t",
            "kafka://h",
            "kafka://h/",
            "kafka://h:0/t",
            "kafka://h:x/t",
            "kafka:///t",
            "kafka://h,/t",
            "kafka://h/a/b",
            "kafka://h/a b",
            "kafka://::1/t",
            "http://h/t",
        ] {
            assert!(KafkaUrl::parse(url).is_err(), "{url}");
        }
        for url in ["kafka://h/a,b", "kafka://h/^a"] {
            assert!(KafkaUrl::parse(url).unwrap_err().contains("events are written to one"), "{url}");
        }
        let error = KafkaUrl::parse("kafka://user:secret@h/t").unwrap_err();
        assert!(error.contains("sasl.username") && !error.contains("secret"));
    }
}
