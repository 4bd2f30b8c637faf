//! What is read and written, resolved: the source, the state and where snapshots go.

use super::cluster_access::Secret;
use crest_connectors::changes::Watch;
use crest_connectors::endpoint::{ReceiverUrl, RedisUrl, SinkUrl, SourceUrl};
use crest_connectors::registry::RegistryOptions;
use crest_connectors::selection::Selection;
use crest_connectors::{Compression, Framing, OnGap, Start};
use crest_state::retention::Retention;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The synthetic source.
pub const DEMO_URL: &str = "demo:";

/// Where events come from.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceSettings {
    /// The source.
    pub url: SourceUrl,
    /// Whether nobody chose it: a bare `crest`.
    pub by_default: bool,
    /// Where to begin in a log.
    pub start: Option<Start>,
    /// What to do where records are gone that were to be read.
    pub on_gap: OnGap,
    /// How files and standard input are cut into records.
    pub framing: Framing,
    /// How files and standard input are compressed.
    pub compression: Compression,
    /// The consumer group to which positions are committed, for lag tools.
    pub group_id: Option<String>,
    /// Any librdkafka property.
    pub kafka: BTreeMap<String, String>,
    /// The options of the store of an archive that is read.
    pub archive: BTreeMap<String, String>,
    /// The options of the stores of regions whose states are merged, by the regions' names.
    pub regions: BTreeMap<String, BTreeMap<String, String>>,
    /// The file of the schema of Avro or Protobuf. What is in it is in the job's format.
    pub schema: Option<PathBuf>,
    /// The registry that has the schemas of the records, or that has put a frame before JSON.
    pub registry: Option<RegistryOptions>,
}

/// Where the state is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct StateSettings {
    /// A folder, or `s3://…` and its kin.
    pub url: String,
    /// The options of a cloud's store, by the names of the `object_store` crate.
    pub options: BTreeMap<String, String>,
    /// How long panes and rollups are kept.
    pub retention: Retention,
    /// Boards that may count something else than before.
    pub reset: Vec<String>,
}

/// Where what a log delivers is archived.
#[derive(Clone, Debug, PartialEq)]
pub struct ArchiveSettings {
    /// A folder, or `s3://…` and its kin.
    pub url: String,
    /// The options of a cloud's store, by the names of the `object_store` crate.
    pub options: BTreeMap<String, String>,
    /// How long blocks are kept; for ever where it is not said.
    pub retention: Option<Duration>,
    /// How long a record waits at most until its block is written.
    pub interval: Duration,
}

/// Where snapshots go.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotSettings {
    /// What is given all rankings; at least one, if there is no shard.
    pub urls: Vec<SinkUrl>,
    /// What is given a part of them.
    pub shards: Vec<Shard>,
    /// Before every Redis key.
    pub key_prefix: String,
    /// How long a key stays in Redis after it was last written; where it is not said, rankings stay for good and
    /// the past buckets of tumbling windows for a day.
    pub ttl: Option<Duration>,
    /// Any librdkafka property of those that write to topics.
    pub kafka: BTreeMap<String, String>,
    /// Who is told what changes in them.
    pub changes: Vec<ChangesSettings>,
}

/// Who is told what changes in the rankings of a window.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangesSettings {
    /// What is told.
    pub watch: Watch,
    /// Where.
    pub to: ReceiverUrl,
    /// What a webhook is signed with; only webhooks have one.
    pub secret: Option<Secret>,
}

/// A Redis server that is given a part of the rankings.
#[derive(Clone, Debug, PartialEq)]
pub struct Shard {
    /// The server.
    pub url: RedisUrl,
    /// What it is given.
    pub selection: Selection,
}

impl SourceSettings {
    /// A source that is read from its beginning, with no settings of its own.
    pub fn new(url: SourceUrl) -> Self {
        SourceSettings {
            url,
            by_default: false,
            start: None,
            on_gap: OnGap::Fail,
            framing: Framing::Auto,
            compression: Compression::Auto,
            group_id: None,
            kafka: BTreeMap::new(),
            archive: BTreeMap::new(),
            regions: BTreeMap::new(),
            schema: None,
            registry: None,
        }
    }

    /// What a state knows the source by; of an archive, its archived log is asked for instead. Offsets in files are numbers of records, so that what was said of their framing
    /// is a part of it.
    pub fn identity(&self) -> String {
        let url = self.url.identity();
        match self.framing {
            Framing::Auto => url,
            Framing::Csv { delimiter, quote, header } => {
                let mark = |mark: u8| char::from(mark).to_string();
                let quote = quote.map_or("none".into(), mark);
                format!("{url} (csv, delimiter {}, quote {quote}, header {header})", mark(delimiter))
            }
            framing => format!("{url} ({framing})"),
        }
    }
}
