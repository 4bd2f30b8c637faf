//! Opens a source by its URL, or only looks at what it holds.

use crate::file::FileFactory;
use crate::generator::GeneratorFactory;
use crate::kafka::{self, KafkaFactory, KafkaOptions};
use crate::log::Log;
use crate::range::{OnGap, Probed, Until};
use crate::source::{Partition, SourceError, SourceFactory};
use crate::start::Start;
use crate::stdin::ReaderFactory;
use crate::url::without_secrets;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What can be said about a source beside its URL. What tells a part of it is for Kafka and the embedded log, and offsets
/// for files too; the rest is Kafka's.
#[derive(Clone, Default)]
pub struct SourceOptions {
    /// Where to begin; the earliest where it is not said.
    pub start: Option<Start>,
    /// Up to where an earlier reader came, exclusive: a partition that ends before is another one, and refused.
    pub reached: BTreeMap<Partition, i64>,
    /// Up to where to read; for ever where it is not said. Files end by themselves, and take [`Until::Now`] only.
    pub until: Option<Until>,
    /// What to do where records are gone that were to be read.
    pub on_gap: OnGap,
    /// The consumer group to which positions are committed, for lag tools; none where it is not said.
    pub group_id: Option<String>,
    /// Properties for librdkafka.
    pub kafka: BTreeMap<String, String>,
    /// The embedded log where this process has opened it already, which nobody can do twice; it is used for any `log:`
    /// URL, and opened by its URL where it is not given.
    pub log: Option<Arc<Log>>,
}

impl fmt::Debug for SourceOptions {
    /// Without the properties' values, some of which are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceOptions")
            .field("start", &self.start)
            .field("reached", &self.reached)
            .field("until", &self.until)
            .field("on_gap", &self.on_gap)
            .field("group_id", &self.group_id)
            .field("kafka", &self.kafka.keys())
            .field("log", &self.log)
            .finish()
    }
}

/// Opens `kafka://host:port[,host:port]/topic`, `log:PATH?…` (see [`Log`]), `file:GLOB`, `-` (standard input) or
/// `demo:?rate=2000&seed=7…` (see [`GeneratorFactory`]).
///
/// # Errors
/// [`SourceError::Invalid`] where the URL or an option makes no sense for it, and what opening that source
/// may meet.
pub fn open_source(url: &str, options: &SourceOptions) -> Result<Arc<dyn SourceFactory>, SourceError> {
    if url.starts_with("kafka:") {
        return Ok(Arc::new(KafkaFactory::new(kafka_options(url, options))?));
    }
    if url.starts_with("log:") {
        refuse_kafkas_own(url, options)?;
        let SourceOptions { start, reached, until, on_gap, .. } = options.clone();
        return opened_log(url, options)?.source(start, reached, until, on_gap);
    }
    let invalid = |reason: &str| invalid(url, reason);
    let ends = url.starts_with("file:");
    if options.until.as_ref().is_some_and(|until| !(ends && *until == Until::Now)) {
        return Err(invalid("only Kafka and the embedded log can be read up to where it is told"));
    }
    let mut start = options.start.clone();
    let factory: Arc<dyn SourceFactory> = if let Some(pattern) = url.strip_prefix("file:") {
        let offsets = match start.take() {
            Some(Start::Offsets(offsets)) => offsets,
            other => {
                start = other;
                BTreeMap::new()
            }
        };
        Arc::new(FileFactory::new(pattern)?.begin_at(offsets, options.reached.clone())?)
    } else if url == "-" {
        Arc::new(ReaderFactory::stdin())
    } else if url.starts_with("demo:") {
        Arc::new(GeneratorFactory::new(url)?)
    } else {
        return Err(invalid("expected kafka://host:port/topic, log:PATH, file:PATH, - or demo:"));
    };
    if start.is_some_and(|start| start != Start::Earliest) {
        return Err(invalid("only Kafka and the embedded log can start anywhere but at their beginning"));
    }
    if options.on_gap == OnGap::Skip {
        return Err(invalid("only Kafka and the embedded log can have gaps to be skipped"));
    }
    refuse_kafkas_own(url, options)?;
    Ok(factory)
}

/// The options that another source than Kafka cannot have.
fn refuse_kafkas_own(url: &str, options: &SourceOptions) -> Result<(), SourceError> {
    match options {
        SourceOptions { group_id: Some(_), .. } => Err(invalid(url, "only a Kafka source has a group_id")),
        SourceOptions { kafka, .. } if !kafka.is_empty() => {
            Err(invalid(url, "only a Kafka source takes properties of librdkafka"))
        }
        _ => Ok(()),
    }
}

fn invalid(url: &str, reason: &str) -> SourceError {
    SourceError::Invalid { url: without_secrets(url), reason: reason.to_owned() }
}

fn opened_log(url: &str, options: &SourceOptions) -> Result<Arc<Log>, SourceError> {
    options.log.clone().map_or_else(|| Log::open(url), Ok)
}

/// Of each partition of a Kafka topic or of the embedded log, the offsets that are kept, and, where `offsets` names it,
/// the broker's time stamp of the first record at or after that offset. Of the options only those count that tell how
/// to reach it.
///
/// # Errors
/// [`SourceError::Invalid`] where `url` is of neither or `offsets` names a partition that it does not have, and as
/// [`open_source`].
pub fn probe(
    url: &str,
    options: &SourceOptions,
    offsets: &BTreeMap<Partition, i64>,
) -> Result<BTreeMap<Partition, Probed>, SourceError> {
    if url.starts_with("log:") {
        return opened_log(url, options)?.probe(offsets);
    }
    if !url.starts_with("kafka:") {
        return Err(invalid(url, "only Kafka and the embedded log can be asked for their offsets"));
    }
    kafka::probe(kafka_options(url, options), offsets)
}

fn kafka_options(url: &str, options: &SourceOptions) -> KafkaOptions {
    KafkaOptions {
        start: options.start.clone().unwrap_or_default(),
        reached: options.reached.clone(),
        until: options.until.clone(),
        on_gap: options.on_gap,
        group_id: options.group_id.clone(),
        properties: options.kafka.clone(),
        ..KafkaOptions::new(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str, options: &SourceOptions) -> String {
        open_source(url, options).err().expect("it must be refused").to_string()
    }

    #[test]
    fn opens_what_needs_no_broker() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let url = format!("file:{}", file.path().display());
        assert!(open_source(&url, &SourceOptions::default()).unwrap().bounded());
        let now = SourceOptions { until: Some(Until::Now), ..SourceOptions::default() };
        assert!(open_source(&url, &now).unwrap().bounded(), "it ends anyway");
        assert!(!open_source("demo:", &SourceOptions::default()).unwrap().bounded());
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        let none = SourceOptions::default();
        assert!(refusal("http://h/t", &none).contains("expected kafka://"));
        assert!(refusal("amqp://u:secret@h/t", &none).contains("u:***@h"));
        assert!(refusal("kafka://u:secret@h/t", &none).contains("u:***@h"));
        let start = SourceOptions { start: Some(Start::Latest), ..SourceOptions::default() };
        assert!(refusal("demo:", &start).contains("only Kafka and the embedded log can start"));
        for (url, until) in
            [("demo:", Until::Now), ("-", Until::Now), ("file:x", Until::Offsets(BTreeMap::new()))]
        {
            let options = SourceOptions { until: Some(until), ..SourceOptions::default() };
            assert!(
                refusal(url, &options).contains("only Kafka and the embedded log can be read up to"),
                "{url}"
            );
        }
        let skip = SourceOptions { on_gap: OnGap::Skip, ..SourceOptions::default() };
        assert!(refusal("demo:", &skip).contains("only Kafka and the embedded log can have gaps"));
        let probed = probe("file:x", &none, &BTreeMap::new()).unwrap_err().to_string();
        assert!(probed.contains("only Kafka and the embedded log can be asked"), "{probed}");
        let kafka = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let kafka = SourceOptions { kafka, ..none };
        for url in ["demo:", "log:never-made"] {
            assert!(refusal(url, &kafka).contains("properties of librdkafka"), "{url}");
        }
    }
}
