//! How the clients of librdkafka are set up.

use crate::endpoint::{KafkaUrl, is_secret};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use std::collections::BTreeMap;

/// Memory for messages that were fetched and not yet read, over all partitions.
const QUEUED_BYTES: usize = 64 << 20;
/// What a queued message takes in memory beside its bytes, and a hundred bytes of its own.
const QUEUED_MESSAGE_BYTES: usize = 512;
/// A partition may always queue as much as this, however many there are.
const MIN_QUEUED_BYTES: usize = 1 << 20;

/// Properties that the reader relies on. A user cannot change them.
const FIXED: [(&str, &str); 5] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("enable.partition.eof", "true"),
    ("statistics.interval.ms", "1000"),
];

/// Defaults of a fast reader that delays little. A user can change them.
const DEFAULTS: [(&str, &str); 9] = [
    ("client.id", "crest"),
    // A partition whose queue was full is looked at again after this; librdkafka's second would cap it.
    ("fetch.queue.backoff.ms", "10"),
    // Fresh messages come at once whatever this says; but while a broker waits with an answer for the quiet
    // partitions, a busy one whose queue was full when it was asked has to wait as well.
    ("fetch.wait.max.ms", "50"),
    // Of one partition in one answer, as it was compressed: it comes on top of what is queued.
    ("fetch.message.max.bytes", "262144"),
    ("fetch.error.backoff.ms", "100"),
    ("reconnect.backoff.ms", "100"),
    ("reconnect.backoff.max.ms", "1000"),
    // A broker that has not answered for so long is dialled anew.
    ("socket.timeout.ms", "10000"),
    ("socket.keepalive.enable", "true"),
];

/// What says which roots of trust there are.
const ROOTS: [&str; 2] = ["ssl.ca.location", "ssl.ca.pem"];

/// The group of a reader that commits nothing; librdkafka wants a name, and nothing joins it.
const UNUSED_GROUP: &str = "crest";

/// Properties as people give them.
pub(crate) type Properties = BTreeMap<String, String>;

/// The set-up of a worker's reader of so many partitions, those that are still to come included.
///
/// # Errors
/// The property that is wrong, and why.
pub(crate) fn reader_config(
    servers: &str,
    properties: &Properties,
    group_id: Option<&str>,
    partitions: usize,
) -> Result<ClientConfig, String> {
    let mut config = plain_config(servers, properties, &DEFAULTS)?;
    let bytes = (QUEUED_BYTES / partitions.max(1)).max(MIN_QUEUED_BYTES);
    for (key, value) in
        [("queued.max.messages.kbytes", bytes >> 10), ("queued.min.messages", bytes / QUEUED_MESSAGE_BYTES)]
    {
        if !properties.contains_key(key) {
            config.set(key, value.to_string());
        }
    }
    for (key, value) in FIXED {
        config.set(key, value);
    }
    config.set("group.id", group_id.unwrap_or(UNUSED_GROUP));
    // It says in its log alone, and there for those who look for a fault, that a topic was made anew; see `Health`.
    let debug = properties.get("debug").map_or_else(String::new, |theirs| format!("{theirs},"));
    config.set("debug", debug + "metadata").set_log_level(RDKafkaLogLevel::Debug);
    check(&config)?;
    Ok(config)
}

/// The set-up of a client that only asks about topics.
///
/// # Errors
/// As [`reader_config`].
pub(crate) fn lookup_config(servers: &str, properties: &Properties) -> Result<ClientConfig, String> {
    let config = plain_config(servers, properties, &DEFAULTS)?;
    check(&config)?;
    Ok(config)
}

/// The set-up of any client: the defaults, and over them the properties.
///
/// # Errors
/// As [`reader_config`].
pub(crate) fn plain_config(
    servers: &str,
    properties: &Properties,
    defaults: &[(&str, &str)],
) -> Result<ClientConfig, String> {
    let mut config = ClientConfig::new();
    // What librdkafka logs at all; see `log` for what becomes of it.
    config.set_log_level(if properties.contains_key("debug") {
        RDKafkaLogLevel::Debug
    } else {
        RDKafkaLogLevel::Info
    });
    for (key, value) in defaults {
        config.set(*key, *value);
    }
    for (key, value) in properties {
        if let Some((_, fixed)) = FIXED.iter().find(|(fixed, _)| fixed == key) {
            return Err(format!("property {key} is always {fixed}"));
        }
        match key.as_str() {
            "bootstrap.servers" | "metadata.broker.list" => {
                return Err(format!("property {key}: the brokers are those of the URL"));
            }
            "group.id" => return Err("property group.id: use group_id".to_owned()),
            _ => config.set(key, value),
        };
    }
    config.set("bootstrap.servers", servers);
    trust_the_system(&mut config);
    Ok(config)
}

/// Where to look for the roots of trust, for clients that speak TLS and were not told: in the file of `SSL_CERT_FILE`, and
/// otherwise where systems keep them. The OpenSSL that is linked was not made for this system, and would look elsewhere.
fn trust_the_system(config: &mut ClientConfig) {
    let speaks_tls = config
        .get("security.protocol")
        .is_some_and(|protocol| ["ssl", "sasl_ssl"].iter().any(|tls| protocol.eq_ignore_ascii_case(tls)));
    let is_told = ROOTS.iter().any(|key| config.get(key).is_some());
    if speaks_tls && !is_told {
        let file = std::env::var("SSL_CERT_FILE").ok().filter(|file| !file.is_empty());
        config.set(ROOTS[0], file.as_deref().unwrap_or("probe"));
    }
}

/// Has librdkafka check the properties.
pub(crate) fn check(config: &ClientConfig) -> Result<(), String> {
    config.create_native_config().map(drop).map_err(|error| describe(&error))
}

/// Why a record was not taken, and where it was to go.
pub(crate) fn undelivered(error: &KafkaError, record: &BorrowedMessage<'_>, target: &KafkaUrl) -> String {
    let KafkaUrl { servers, topic, .. } = target;
    let place = match record.partition() {
        partition @ 0.. => format!("{topic}/{partition}"),
        _ => format!("topic {topic:?}"),
    };
    let why = match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::MessageTimedOut) => {
            "no broker has acknowledged it within message.timeout.ms".to_owned()
        }
        _ => describe(error),
    };
    format!("a record for {place} was not taken by {servers}: {why}")
}

/// The error in words. A property's value may be a secret, and is left out.
pub(crate) fn describe(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, why, key, value) => {
            let why =
                if is_secret(key) && !value.is_empty() { why.replace(value, "***") } else { why.clone() };
            format!("property {key}: {why}")
        }
        KafkaError::ClientCreation(why) => without_quoted(why).to_owned(),
        _ => match error.rdkafka_error_code() {
            Some(code) => code.to_string(),
            None => error.to_string(),
        },
    }
}

/// What librdkafka says, without the part of `sasl.oauthbearer.config` that it quotes where it does not understand it.
pub(crate) fn without_quoted(reason: &str) -> &str {
    const QUOTES: &str = "beginning at:";
    match reason.find(QUOTES) {
        Some(at) if reason.contains("sasl.oauthbearer") => &reason[..at + QUOTES.len()],
        _ => reason,
    }
}

/// What every client does with librdkafka's own log: its lines are many and are repeated, so they are for
/// those who look for a fault. What a user needs to know is said once, by whoever knows what it means.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    tracing::debug!(target: "librdkafka", ?level, facility, "{}", without_quoted(message));
}

/// The context of a client whose last error is kept for its user, and not logged.
#[derive(Default)]
pub(crate) struct LastError(parking_lot::Mutex<Option<String>>);

impl LastError {
    /// What went wrong last, in librdkafka's words.
    pub(crate) fn take(&self) -> Option<String> {
        self.0.lock().take()
    }

    fn keep(&self, error: &KafkaError, reason: &str) {
        // That all brokers are down follows on the error which says why.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.0.lock() = Some(without_quoted(reason).to_owned());
        }
    }
}

impl ClientContext for LastError {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        self.keep(&error, reason);
    }
}

impl rdkafka::consumer::ConsumerContext for LastError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(properties: &[(&str, &str)]) -> Result<ClientConfig, String> {
        let properties = properties.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        reader_config("h:1", &properties, None, 4)
    }

    #[test]
    fn no_error_quotes_a_secret() {
        let error = KafkaError::ClientConfig(
            rdkafka::types::RDKafkaConfRes::RD_KAFKA_CONF_INVALID,
            "Invalid value \"hidden\" for configuration property \"sasl.oauthbearer.config\"".into(),
            "sasl.oauthbearer.config".into(),
            "hidden".into(),
        );
        assert!(!describe(&error).contains("hidden"), "{}", describe(&error));
        let reason = "Unrecognized sasl.oauthbearer.config beginning at: hidden";
        assert_eq!(without_quoted(reason), "Unrecognized sasl.oauthbearer.config beginning at:");
        assert_eq!(without_quoted("no broker"), "no broker");
    }

    #[test]
    fn properties_override_defaults() {
        let plain = config(&[]).unwrap();
        assert_eq!(plain.get("fetch.queue.backoff.ms"), Some("10"));
        assert_eq!(plain.get("queued.max.messages.kbytes"), Some("16384"));
        let given =
            config(&[("fetch.queue.backoff.ms", "20"), ("queued.max.messages.kbytes", "77")]).unwrap();
        assert_eq!(given.get("fetch.queue.backoff.ms"), Some("20"));
        assert_eq!(given.get("queued.max.messages.kbytes"), Some("77"));
        assert_eq!(given.get("bootstrap.servers"), Some("h:1"));
        assert_eq!(given.get("debug"), Some("metadata"));
        assert_eq!(config(&[("debug", "fetch")]).unwrap().get("debug"), Some("fetch,metadata"));
    }

    #[test]
    fn who_speaks_tls_trusts_the_system_unless_told_otherwise() {
        let roots = |properties: &[(&str, &str)]| {
            let properties = properties.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            let config = plain_config("h:1", &properties, &[]).unwrap();
            config.get("ssl.ca.location").map(str::to_owned)
        };
        let system = std::env::var("SSL_CERT_FILE").unwrap_or_else(|_| "probe".into());
        assert_eq!(roots(&[("security.protocol", "SASL_SSL")]), Some(system.clone()));
        assert_eq!(roots(&[("security.protocol", "ssl")]), Some(system));
        assert_eq!(roots(&[("security.protocol", "sasl_plaintext")]), None);
        assert_eq!(roots(&[]), None);
        let told = roots(&[("security.protocol", "ssl"), ("ssl.ca.location", "ca.pem")]);
        assert_eq!(told.as_deref(), Some("ca.pem"));
        assert_eq!(roots(&[("security.protocol", "ssl"), ("ssl.ca.pem", "…")]), None);
    }

    #[test]
    fn what_librdkafka_does_not_know_is_refused_by_name() {
        assert!(config(&[("fetch.wait.ms", "5")]).unwrap_err().contains("property fetch.wait.ms"));
        assert!(config(&[("fetch.wait.max.ms", "soon")]).unwrap_err().contains("property fetch.wait.max.ms"));
        assert!(config(&[("enable.auto.commit", "true")]).unwrap_err().contains("always false"));
        assert!(config(&[("bootstrap.servers", "x")]).unwrap_err().contains("of the URL"));
        assert!(config(&[("group.id", "x")]).unwrap_err().contains("use group_id"));
        let secret = config(&[("ssl.key.passwort", "hunter2")]).unwrap_err();
        assert!(!secret.contains("hunter2"), "{secret}");
    }
}
