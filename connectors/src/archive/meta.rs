//! `archive.json`: of which log an archive is, and how it is written.

use crate::endpoint::KafkaSourceUrl;
use crate::source::{Partition, TopicPartition, join_identities};
use crate::state::{StateError, StateStore};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Its name in the store.
const NAME: &str = "archive.json";
/// How blocks are written by this build.
const VERSION: u32 = 1;

/// What an archive says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Meta {
    version: u32,
    /// The log, as a state names it: `kafka:orders`, or `log`.
    pub source: String,
    /// What tells the log from another of the same name, where it has such an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// By the name of each partition, the first offset that is archived of it.
    #[serde(default)]
    pub(super) begins: BTreeMap<String, i64>,
    /// The build that made it, for people.
    written_by: String,
}

/// The first offset of a partition to be archived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begin {
    /// In a new archive.
    pub(crate) new: i64,
    /// In one that is there, and that the partition has come to since.
    pub(crate) known: i64,
}

/// The part of `archive.json` that every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// Why an archive cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The store.
    #[error("archive {}", words(.0))]
    Store(#[from] StateError),
    /// Nobody has archived anything there.
    #[error("archive {url}: there is no archive.json, so nothing was archived there")]
    Missing {
        /// Where.
        url: String,
    },
    /// A later version wrote it.
    #[error("archive {url}: it is of version {found}, and this build of crest reads version {VERSION}")]
    Version {
        /// Where.
        url: String,
        /// Its version.
        found: u32,
    },
    /// Its description, or a block, is not what it should be.
    #[error("archive {url}: {reason}")]
    Damaged {
        /// Where.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// It is of another log.
    #[error("archive {url}: it is of {archived}, and the source is {source_name}; give another --archive")]
    OtherSource {
        /// Where.
        url: String,
        /// What it is of.
        archived: String,
        /// What is read now.
        source_name: String,
    },
}

/// What a store says, which takes itself for that of a state.
fn words(error: &StateError) -> String {
    let text = error.to_string();
    text.strip_prefix("state ").map(str::to_owned).unwrap_or(text)
}

impl Meta {
    /// Of a log.
    fn new(source: &str, log: Option<String>) -> Self {
        let written_by = format!("crest {}", env!("CARGO_PKG_VERSION"));
        Meta { version: VERSION, source: source.to_owned(), log, begins: BTreeMap::new(), written_by }
    }

    /// What a store says; `None` where there is no archive.
    pub(super) fn read(store: &StateStore) -> Result<Option<Meta>, ArchiveError> {
        let Some(bytes) = store.get(NAME)? else { return Ok(None) };
        let damaged = |error: serde_json::Error| ArchiveError::Damaged {
            url: store.url().to_owned(),
            reason: format!("{NAME} cannot be read: {error}"),
        };
        let Versioned { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
        if version != VERSION {
            return Err(ArchiveError::Version { url: store.url().to_owned(), found: version });
        }
        serde_json::from_slice(&bytes).map(Some).map_err(damaged)
    }

    /// What a store says, which must have an archive.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub(super) fn of(store: &StateStore) -> Result<Meta, ArchiveError> {
        Meta::read(store)?.ok_or_else(|| ArchiveError::Missing { url: store.url().to_owned() })
    }

    /// What an archive of this log says of itself from now on, after what it said before, if there is one. `partitions`: by
    /// their names, where the archive of each begins that it does not know yet: in a new archive and in one that is there.
    ///
    /// # Errors
    /// The archive is of another log, or the store fails.
    pub(crate) fn claim(
        store: &StateStore,
        source: &str,
        log: Option<String>,
        partitions: BTreeMap<String, Begin>,
    ) -> Result<(), ArchiveError> {
        let (found, mut meta) = (Meta::read(store)?, Meta::new(source, log));
        if let Some(found) = &found {
            found.check(&meta, store.url())?;
            let log = join_identities(found.log.clone(), meta.log);
            meta = Meta { log, ..found.clone() };
        }
        for (name, Begin { new, known }) in partitions {
            meta.begins.entry(name).or_insert(if found.is_some() { known } else { new });
        }
        if found.as_ref() == Some(&meta) {
            return Ok(());
        }
        let bytes = serde_json::to_vec_pretty(&meta).map_err(|error| ArchiveError::Damaged {
            url: store.url().to_owned(),
            reason: error.to_string(),
        })?;
        Ok(store.put(NAME, bytes)?)
    }

    /// Refuses another log, or one of the same name that was made anew.
    fn check(&self, ours: &Meta, url: &str) -> Result<(), ArchiveError> {
        let differ = |archived: String, source_name: String| {
            Err(ArchiveError::OtherSource { url: url.to_owned(), archived, source_name })
        };
        if self.source != ours.source {
            return differ(self.source.clone(), ours.source.clone());
        }
        let (Some(archived), Some(now)) = (&self.log, &ours.log) else { return Ok(()) };
        let (archived, now) = (ids(archived), ids(now));
        let other = archived.iter().find_map(|(topic, id)| {
            let now = *now.get(topic).filter(|now| *now != id)?;
            Some((*id, now))
        });
        match other {
            None => Ok(()),
            Some((id, now)) => {
                differ(format!("{} of id {id}", self.source), format!("{} of id {now}", ours.source))
            }
        }
    }

    /// The number that a partition has in a job on the archived log; `None` where it is none of the log.
    pub(crate) fn number(&self, topic: &str, number: u32) -> Option<Partition> {
        match self.source.strip_prefix("kafka:") {
            // The topics of a URL; where their brokers are does not matter.
            Some(topics) => {
                let url: KafkaSourceUrl = format!("kafka://archived/{topics}").parse().ok()?;
                url.number(&TopicPartition { topic: topic.into(), number })
            }
            None => (topic == "log").then_some(number.into()),
        }
    }
}

/// The ids in a log's identity: each with its topic, or the only one.
fn ids(identity: &str) -> BTreeMap<&str, &str> {
    identity.split(',').map(|id| id.split_once('=').unwrap_or(("", id))).collect()
}
