//! Endpoints, each parsed once from the text that a user gives: where events come from ([`SourceUrl`]), and where
//! rankings go ([`SinkUrl`]). Whatever depends on the kind of an endpoint asks its type. The place of the state is parsed
//! by `StateStore`, which is the only one to ask what kind it is.
//!
//! What to touch for a new source or sink is in `ARCHITECTURE.md`.

mod demo;
mod error;
mod kafka;
mod log;
mod redis;
mod secrets;
mod states;
mod topics;
mod url;
mod webhook;

pub use demo::DemoUrl;
pub use error::EndpointError;
pub use kafka::KafkaUrl;
pub use log::LogUrl;
pub(crate) use log::MAX_PARTITIONS;
pub use redis::RedisUrl;
pub(crate) use redis::Topology;
pub use secrets::{is_secret, without_secrets};
pub use states::{RegionUrl, StatesUrl};
pub use topics::KafkaSourceUrl;
pub(crate) use topics::Topics;
pub use webhook::WebhookUrl;

use std::fmt;
use std::str::FromStr;

/// Where events come from.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceUrl {
    /// `kafka://host:port[,host:port]/topic`, several topics or a pattern.
    Kafka(KafkaSourceUrl),
    /// `log:FOLDER?…`, the embedded log.
    Log(LogUrl),
    /// `file:GLOB`; here is the glob.
    Files(String),
    /// `-`, standard input.
    Stdin,
    /// `demo:?…`, synthetic traffic.
    Demo(DemoUrl),
    /// `archive:URL`, what a log has delivered; here is the URL of the store.
    Archive(String),
    /// `state:URL,URL…`, the closed panes of jobs elsewhere.
    States(StatesUrl),
}

impl SourceUrl {
    /// The topics, where they are of Kafka.
    pub fn kafka(&self) -> Option<&KafkaSourceUrl> {
        if let SourceUrl::Kafka(topics) = self { Some(topics) } else { None }
    }

    /// The embedded log, where it is one.
    pub fn embedded(&self) -> Option<&LogUrl> {
        if let SourceUrl::Log(log) = self { Some(log) } else { None }
    }

    /// The store of the archive, where it is one.
    pub fn archive(&self) -> Option<&str> {
        if let SourceUrl::Archive(url) = self { Some(url) } else { None }
    }

    /// The states of the regions, where their panes are merged.
    pub fn states(&self) -> Option<&StatesUrl> {
        if let SourceUrl::States(states) = self { Some(states) } else { None }
    }

    /// Whether it is read by one process after another, from wherever they run, and goes on for good: so that another process
    /// can stand by for the job.
    pub fn is_shared(&self) -> bool {
        matches!(self, SourceUrl::Kafka(_) | SourceUrl::States(_))
    }

    /// Whether it has the offsets of a log to begin and to end at, and may have gaps.
    pub fn is_log(&self) -> bool {
        matches!(self, SourceUrl::Kafka(_) | SourceUrl::Log(_) | SourceUrl::Archive(_))
    }

    /// Whether events are appended while it is read.
    pub fn is_live_log(&self) -> bool {
        matches!(self, SourceUrl::Kafka(_) | SourceUrl::Log(_))
    }

    /// Whether it ends wherever it is read from. Live logs end where they are told to, and synthetic traffic counts as
    /// endless.
    pub fn is_bounded(&self) -> bool {
        self.is_stream() || matches!(self, SourceUrl::Archive(_))
    }

    /// Whether it is a stream of bytes that has to be cut into records.
    pub fn is_stream(&self) -> bool {
        matches!(self, SourceUrl::Files(_) | SourceUrl::Stdin)
    }

    /// What it is, where it cannot be read a second time.
    pub fn read_once(&self) -> Option<&'static str> {
        match self {
            SourceUrl::Stdin => Some("standard input"),
            SourceUrl::Demo(_) => Some("synthetic traffic"),
            SourceUrl::Kafka(_)
            | SourceUrl::Log(_)
            | SourceUrl::Files(_)
            | SourceUrl::Archive(_)
            | SourceUrl::States(_) => None,
        }
    }

    /// What a state is said to be of: the topics wherever their brokers are, the log wherever its folder is, the
    /// states of regions, or the files.
    pub fn identity(&self) -> String {
        match self {
            SourceUrl::Kafka(url) => format!("kafka:{}", url.topics),
            SourceUrl::Log(_) => "log".to_owned(),
            SourceUrl::States(_) => StatesUrl::IDENTITY.to_owned(),
            other => other.to_string(),
        }
    }
}

impl FromStr for SourceUrl {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let allowed = "must be kafka://host:port/topic, log:FOLDER, archive:URL, state:URL,URL, file:GLOB, or - for standard input";
        match text.split_once(':') {
            Some(("kafka", rest)) if rest.starts_with("//") => text.parse().map(SourceUrl::Kafka),
            Some(("log", _)) => text.parse().map(SourceUrl::Log),
            Some(("file", pattern)) => Ok(SourceUrl::Files(pattern.to_owned())),
            Some(("archive", place)) if place.trim().is_empty() => {
                let reason = "expected archive: and a folder, s3://bucket/prefix, gs:// or az://".to_owned();
                Err(EndpointError::invalid(text, reason))
            }
            Some(("archive", place)) => Ok(SourceUrl::Archive(place.to_owned())),
            Some(("state", _)) => text.parse().map(SourceUrl::States),
            Some(("demo", _)) => text.parse().map(SourceUrl::Demo),
            None if text == "-" => Ok(SourceUrl::Stdin),
            _ => Err(EndpointError::Unknown { url: without_secrets(text), allowed }),
        }
    }
}

impl fmt::Display for SourceUrl {
    /// As it was given; it holds no secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceUrl::Kafka(topics) => topics.fmt(f),
            SourceUrl::Log(log) => log.fmt(f),
            SourceUrl::Files(pattern) => write!(f, "file:{pattern}"),
            SourceUrl::Stdin => f.write_str("-"),
            SourceUrl::Demo(demo) => demo.fmt(f),
            SourceUrl::States(states) => states.fmt(f),
            SourceUrl::Archive(place) => write!(f, "archive:{}", without_secrets(place)),
        }
    }
}

/// Where rankings go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkUrl {
    /// `redis://…` and its kin.
    Redis(RedisUrl),
    /// `kafka://host:port[,host:port]/topic`, final rankings as records.
    Kafka(KafkaUrl),
    /// `-`, lines of JSON on standard output.
    Stdout,
    /// `memory`, for the API of this process alone.
    Memory,
}

impl SinkUrl {
    /// The server, where it is Redis.
    pub fn redis(&self) -> Option<&RedisUrl> {
        if let SinkUrl::Redis(url) = self { Some(url) } else { None }
    }

    /// The topic, where it is one of Kafka.
    pub fn kafka(&self) -> Option<&KafkaUrl> {
        if let SinkUrl::Kafka(url) = self { Some(url) } else { None }
    }
}

impl FromStr for SinkUrl {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let allowed =
            "must be redis://host:port/db, kafka://host:port/topic, - for standard output, or memory";
        match text {
            "-" => Ok(SinkUrl::Stdout),
            "memory" => Ok(SinkUrl::Memory),
            _ if text.starts_with("redis") => text.parse().map(SinkUrl::Redis),
            _ if text.starts_with("kafka://") => text.parse().map(SinkUrl::Kafka),
            _ => Err(EndpointError::Unknown { url: without_secrets(text), allowed }),
        }
    }
}

impl fmt::Display for SinkUrl {
    /// As it was given, without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SinkUrl::Redis(url) => url.fmt(f),
            SinkUrl::Kafka(url) => url.fmt(f),
            SinkUrl::Stdout => f.write_str("-"),
            SinkUrl::Memory => f.write_str("memory"),
        }
    }
}

/// Where changes are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiverUrl {
    /// `https://…`, a webhook.
    Webhook(WebhookUrl),
    /// `kafka://host:port[,host:port]/topic`.
    Kafka(KafkaUrl),
}

impl FromStr for ReceiverUrl {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let allowed = "must be https://host/path or kafka://host:port/topic";
        match text.split_once("://") {
            Some(("https" | "http", _)) => text.parse().map(ReceiverUrl::Webhook),
            Some(("kafka", _)) => text.parse().map(ReceiverUrl::Kafka),
            _ => Err(EndpointError::Unknown { url: without_secrets(text), allowed }),
        }
    }
}

impl fmt::Display for ReceiverUrl {
    /// Without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReceiverUrl::Webhook(url) => url.fmt(f),
            ReceiverUrl::Kafka(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_says_what_can_be_done_with_it() {
        for (text, log, bounded, read_once, identity) in [
            ("kafka://a:1,b/t", true, false, None, "kafka:t"),
            ("kafka://a:1/u,t", true, false, None, "kafka:t,u"),
            (r"kafka://a/^t\.", true, false, None, r"kafka:^t\."),
            ("log:here?partitions=2", true, false, None, "log"),
            ("file:logs/*.ndjson", false, true, None, "file:logs/*.ndjson"),
            ("-", false, true, Some("standard input"), "-"),
            ("demo:?events=9", false, false, Some("synthetic traffic"), "demo:?events=9"),
            ("archive:s3://b/a", true, true, None, "archive:s3://b/a"),
            ("state:eu=s3://b/a,us=there", false, false, None, "states"),
        ] {
            let url: SourceUrl = text.parse().unwrap();
            assert_eq!(
                (url.is_log(), url.is_bounded(), url.read_once()),
                (log, bounded, read_once),
                "{text}"
            );
            assert_eq!((url.to_string().as_str(), url.identity().as_str()), (text, identity));
            assert_eq!(url.kafka().is_some() || url.embedded().is_some(), url.is_live_log());
            assert_eq!(url.archive().is_some() || url.is_live_log(), log);
        }
    }

    #[test]
    fn a_sink_is_shown_without_its_password() {
        for (text, shown) in [
            ("-", "-"),
            ("memory", "memory"),
            ("kafka://h:1/t", "kafka://h:1/t"),
            ("redis://u:p@h:1/0", "redis://u:***@h:1/0"),
        ] {
            let url: SinkUrl = text.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.redis().is_some()), (shown, text.contains("redis")));
        }
        assert!("kafka://h/a,b".parse::<SinkUrl>().is_err(), "rankings go to one topic");
    }

    #[test]
    fn a_text_of_no_kind_is_told_from_one_that_makes_no_sense() {
        for text in ["http://u:secret@h/t", "kafka:h/t", "--", ""] {
            let error = text.parse::<SourceUrl>().unwrap_err();
            assert!(matches!(error, EndpointError::Unknown { .. }), "{text}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(matches!("http://h".parse::<SinkUrl>(), Err(EndpointError::Unknown { .. })));
        for text in ["kafka://u:secret@h/t", "log:", "demo:?rate=0"] {
            let error = text.parse::<SourceUrl>().unwrap_err();
            assert!(matches!(error, EndpointError::Invalid { .. }), "{text}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(matches!("redis://h/x".parse::<SinkUrl>(), Err(EndpointError::Invalid { .. })));
    }
}
