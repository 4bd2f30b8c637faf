//! Opens a source by its URL, or only looks at what it holds.

use crate::archive::{Archive, ArchiveFactory};
use crate::endpoint::{KafkaSourceUrl, LogUrl, SourceUrl};
use crate::file::FileFactory;
use crate::framing::Framing;
use crate::generator::GeneratorFactory;
use crate::kafka::{self, KafkaFactory, KafkaOptions};
use crate::log::Log;
use crate::range::{OnGap, Probed, Until};
use crate::source::{Partition, SourceError, SourceFactory};
use crate::start::Start;
use crate::stdin::ReaderFactory;
use crate::unpack::Compression;
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
    /// How files and standard input are cut into records.
    pub framing: Framing,
    /// How files and standard input are compressed.
    pub compression: Compression,
    /// The options of the store of an archive.
    pub archive: BTreeMap<String, String>,
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
            .field("framing", &self.framing)
            .field("compression", &self.compression)
            .field("archive", &self.archive.keys())
            .field("log", &self.log)
            .finish()
    }
}

/// Opens a source.
///
/// # Errors
/// [`SourceError::Invalid`] where an option makes no sense for it, and what opening that source may meet.
pub fn open_source(url: &SourceUrl, options: &SourceOptions) -> Result<Arc<dyn SourceFactory>, SourceError> {
    check(url, options)?;
    let SourceOptions { start, reached, until, on_gap, framing, compression, .. } = options.clone();
    Ok(match url {
        SourceUrl::Kafka(topics) => Arc::new(KafkaFactory::new(kafka_options(topics, options))?),
        SourceUrl::Log(log) => opened_log(log, options)?.source(start, reached, until, on_gap)?,
        SourceUrl::Files(pattern) => {
            let offsets = if let Some(Start::Offsets(offsets)) = start { offsets } else { BTreeMap::new() };
            Arc::new(FileFactory::new(pattern)?.with(framing, compression).begin_at(offsets, reached)?)
        }
        SourceUrl::Stdin => Arc::new(ReaderFactory::stdin().with(framing, compression)),
        SourceUrl::Demo(settings) => Arc::new(GeneratorFactory::new(settings.clone())),
        SourceUrl::Archive(place) => {
            let archive = Archive::open(place, &options.archive)?;
            Arc::new(ArchiveFactory::new(archive, start, &reached, until, on_gap)?)
        }
        SourceUrl::States(_) => return Err(invalid(url, "the states of regions have no records, but panes")),
    })
}

/// Refuses the options that the source cannot have.
fn check(url: &SourceUrl, options: &SourceOptions) -> Result<(), SourceError> {
    let SourceOptions { start, until, on_gap, group_id, kafka, .. } = options;
    let files = matches!(url, SourceUrl::Files(_));
    let stream = url.is_stream();
    let ends = until.as_ref().is_none_or(|until| files && *until == Until::Now);
    let begins = match start {
        None | Some(Start::Earliest) => true,
        Some(Start::Offsets(_)) => files,
        Some(Start::Latest | Start::Time(_) | Start::TopicOffsets(_)) => false,
    };
    let reason = if !url.is_log() && !ends {
        "only Kafka and the embedded log can be read up to where it is told"
    } else if !url.is_log() && !begins {
        "only Kafka and the embedded log can start anywhere but at their beginning"
    } else if !url.is_log() && *on_gap == OnGap::Skip {
        "only Kafka and the embedded log can have gaps to be skipped"
    } else if url.kafka().is_none() && matches!(start, Some(Start::TopicOffsets(_))) {
        "only a Kafka source has topics whose partitions can be named"
    } else if url.kafka().is_none() && group_id.is_some() {
        "only a Kafka source has a group_id"
    } else if url.kafka().is_none() && !kafka.is_empty() {
        "only a Kafka source takes properties of librdkafka"
    } else if !stream && options.framing != Framing::Auto {
        "only files and standard input have a framing"
    } else if !stream && options.compression != Compression::Auto {
        "only files and standard input have a compression"
    } else {
        return Ok(());
    };
    Err(invalid(url, reason))
}

fn invalid(url: &SourceUrl, reason: &str) -> SourceError {
    SourceError::Invalid { url: url.to_string(), reason: reason.to_owned() }
}

fn opened_log(url: &LogUrl, options: &SourceOptions) -> Result<Arc<Log>, SourceError> {
    options.log.clone().map_or_else(|| Log::open(url), Ok)
}

/// The offsets that each partition of Kafka topics or of the embedded log keeps, and, for one that `offsets` names,
/// the broker's time stamp of the first record at or after that offset. Of the options only those count that tell how
/// to reach it.
///
/// # Errors
/// [`SourceError::Invalid`] where `url` is of neither or `offsets` names a partition that it does not have, and as
/// [`open_source`].
pub fn probe(
    url: &SourceUrl,
    options: &SourceOptions,
    offsets: &BTreeMap<Partition, i64>,
) -> Result<BTreeMap<Partition, Probed>, SourceError> {
    match url {
        SourceUrl::Kafka(topics) => kafka::probe(kafka_options(topics, options), offsets),
        SourceUrl::Log(log) => opened_log(log, options)?.probe(offsets),
        SourceUrl::Archive(place) => Archive::open(place, &options.archive)?.probe(offsets),
        _ => Err(invalid(url, "only Kafka and the embedded log can be asked for their offsets")),
    }
}

fn kafka_options(url: &KafkaSourceUrl, options: &SourceOptions) -> KafkaOptions {
    KafkaOptions {
        start: options.start.clone().unwrap_or_default(),
        reached: options.reached.clone(),
        until: options.until.clone(),
        on_gap: options.on_gap,
        group_id: options.group_id.clone(),
        properties: options.kafka.clone(),
        ..KafkaOptions::new(url.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str, options: &SourceOptions) -> String {
        let opened = url.parse().map_err(SourceError::from).and_then(|url| open_source(&url, options));
        opened.err().expect("it must be refused").to_string()
    }

    #[test]
    fn opens_what_needs_no_broker() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let url = SourceUrl::Files(file.path().display().to_string());
        assert!(open_source(&url, &SourceOptions::default()).unwrap().bounded());
        let now = SourceOptions { until: Some(Until::Now), ..SourceOptions::default() };
        assert!(open_source(&url, &now).unwrap().bounded(), "it ends anyway");
        assert!(!open_source(&"demo:".parse().unwrap(), &SourceOptions::default()).unwrap().bounded());
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        let none = SourceOptions::default();
        assert!(refusal("http://h/t", &none).contains("must be kafka://"));
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
        let start = SourceOptions { start: Some("a:0=1".parse().unwrap()), ..SourceOptions::default() };
        assert!(refusal("log:never-made", &start).contains("only a Kafka source has topics"));
        let skip = SourceOptions { on_gap: OnGap::Skip, ..SourceOptions::default() };
        assert!(refusal("demo:", &skip).contains("only Kafka and the embedded log can have gaps"));
        let probed = probe(&"file:x".parse().unwrap(), &none, &BTreeMap::new()).unwrap_err().to_string();
        assert!(probed.contains("only Kafka and the embedded log can be asked"), "{probed}");
        for url in ["kafka://h/t", "log:never-made", "demo:"] {
            let framing = SourceOptions { framing: Framing::Array, ..SourceOptions::default() };
            assert!(refusal(url, &framing).contains("have a framing"), "{url}");
            let compression = SourceOptions { compression: Compression::Gzip, ..SourceOptions::default() };
            assert!(refusal(url, &compression).contains("have a compression"), "{url}");
        }
        let kafka = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let kafka = SourceOptions { kafka, ..none };
        for url in ["demo:", "log:never-made"] {
            assert!(refusal(url, &kafka).contains("properties of librdkafka"), "{url}");
        }
    }
}
