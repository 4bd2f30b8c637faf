//! The brokers and the topic of a URL.

use crate::url;

/// The port of a broker that names none.
const DEFAULT_PORT: u16 = 9092;
/// Characters of a topic's name at most, as Kafka has it.
const MAX_TOPIC_CHARS: usize = 249;

/// What `kafka://host:port[,host:port]/topic` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// `bootstrap.servers`.
    pub(crate) servers: String,
    pub(crate) topic: String,
}

impl Target {
    /// Takes the URL apart.
    ///
    /// # Errors
    /// What is wrong and what is allowed, without secrets.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let form = "expected kafka://host:port[,host:port]/topic";
        let parts = url::parts(url).filter(|parts| parts.scheme == "kafka").ok_or(form)?;
        if parts.user.is_some() {
            let properties =
                "credentials belong in librdkafka's properties (sasl.username, sasl.password, …)";
            return Err(properties.to_owned());
        }
        let topic = parts.path.filter(|topic| !topic.is_empty()).ok_or(form)?;
        let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !topic.chars().all(legal) || topic.len() > MAX_TOPIC_CHARS || [".", ".."].contains(&topic) {
            return Err(format!(
                "{topic:?} is no topic: letters, digits, ., _ and - are allowed, {MAX_TOPIC_CHARS} at most"
            ));
        }
        let servers: Option<Vec<String>> = parts.hosts.iter().map(|host| server(host)).collect();
        let servers = servers.ok_or_else(|| format!("{form}, not {:?}", parts.hosts.join(",")))?.join(",");
        Ok(Target { servers, topic: topic.to_owned() })
    }

    /// The partition's name for people.
    pub(crate) fn partition_name(&self, partition: u32) -> String {
        format!("{}/{partition}", self.topic)
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
            let expected = Target { servers: servers.to_owned(), topic: topic.to_owned() };
            assert_eq!(Target::parse(url).unwrap(), expected);
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
            assert!(Target::parse(url).is_err(), "{url}");
        }
        let error = Target::parse("kafka://user:secret@h/t").unwrap_err();
        assert!(error.contains("sasl.username") && !error.contains("secret"));
    }
}
