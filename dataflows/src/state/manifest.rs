//! The manifest: the one record of what is durable and where to read on. It is small, JSON, and replaced whole.
//!
//! Its bytes have one form, which holds their checksum: what cannot be encoded again to the same bytes is refused.

use super::identity::Identity;
use super::pane_object::object_name;
use super::{Replay, Resume};
use crate::event_time::Pane;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use xxhash_rust::xxh3::xxh3_64;

const VERSION: u32 = 1;

/// What is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    version: u32,
    /// The run that wrote it.
    pub(super) epoch: u64,
    /// Drawn anew by each run, so that two that claim an epoch at once write different bytes.
    writer: String,
    pub(super) job: Identity,
    /// The first pane of each board with an event, in the order of the boards.
    pub(super) first: Vec<Option<Pane>>,
    /// All panes before it are closed, and in the store.
    pub(super) durable: Pane,
    /// All final snapshots of windows that end at or before it were delivered.
    pub(super) published: Pane,
    /// The panes that have an object, in order.
    pub(super) panes: Vec<Run>,
    pub(super) partitions: BTreeMap<u32, Replay>,
    /// A bounded log was counted to its end.
    pub(super) ended: bool,
    /// … and everything was published.
    pub(super) finished: bool,
    /// Of all that is above, in hexadecimal.
    checksum: String,
}

/// The panes `first..end`, whose objects were written in the run `epoch`. An older job that is slow to notice
/// that it was fenced off may still write, but never over another run's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Run {
    pub(super) first: Pane,
    pub(super) end: Pane,
    pub(super) epoch: u64,
}

/// Why bytes are no manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Something else, cut short, or of another version of this program.
    #[error("manifest.json is damaged, or no manifest: {0}")]
    Form(String),
    /// It was changed since it was written.
    #[error("manifest.json is damaged: its checksum is {computed}, and it says {stated}")]
    Checksum {
        /// What it says.
        stated: String,
        /// What its bytes have.
        computed: String,
    },
    /// Of a later version.
    #[error("manifest.json is of version {0}, and this program reads version {VERSION}")]
    Version(u64),
    /// It contradicts itself.
    #[error("manifest.json contradicts itself: {0}")]
    Inconsistent(&'static str),
}

impl Manifest {
    pub(super) fn new(job: &Identity) -> Self {
        Manifest {
            version: VERSION,
            epoch: 0,
            writer: String::new(),
            job: job.clone(),
            first: Vec::new(),
            durable: 0,
            published: 0,
            panes: Vec::new(),
            partitions: BTreeMap::new(),
            ended: false,
            finished: false,
            checksum: String::new(),
        }
    }

    /// Makes it that of a new run.
    pub(super) fn claim(&mut self, now_ms: u64) {
        self.epoch = now_ms.max(self.epoch.saturating_add(1));
        self.writer = format!("{:016x}", RandomState::new().build_hasher().finish());
    }

    /// Where the run goes on; `None` when nothing was committed yet.
    pub(super) fn resume(&self) -> Option<Resume> {
        let durable = if self.ended { Pane::MAX } else { self.durable };
        (durable > 0).then(|| Resume { durable, partitions: self.partitions.clone() })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let sealed = Manifest { checksum: self.sum(), ..self.clone() };
        serde_json::to_vec(&sealed).unwrap_or_default()
    }

    fn sum(&self) -> String {
        let unsealed = Manifest { checksum: String::new(), ..self.clone() };
        format!("{:016x}", xxh3_64(&serde_json::to_vec(&unsealed).unwrap_or_default()))
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let form = |error: serde_json::Error| ManifestError::Form(error.to_string());
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(|error| {
            // What a later version holds is not known, but that it is one.
            let version = serde_json::from_slice::<serde_json::Value>(bytes).ok();
            match version.and_then(|value| value.get("version")?.as_u64()) {
                Some(version) if version > u64::from(VERSION) => ManifestError::Version(version),
                _ => form(error),
            }
        })?;
        if manifest.version != VERSION {
            return Err(ManifestError::Version(manifest.version.into()));
        }
        let (stated, computed) = (manifest.checksum.clone(), manifest.sum());
        if stated != computed {
            return Err(ManifestError::Checksum { stated, computed });
        }
        if manifest.encode() != bytes {
            return Err(ManifestError::Form("it is not in the form that it was written in".into()));
        }
        manifest.check()
    }

    fn check(self) -> Result<Self, ManifestError> {
        let refuse = |what| Err(ManifestError::Inconsistent(what));
        if self.durable > i64::MAX as u64 || self.published > self.durable {
            return refuse("durable and published");
        }
        let mut end = 0;
        for run in &self.panes {
            if run.first < end || run.end <= run.first || run.end > self.durable {
                return refuse("panes");
            }
            end = run.end;
        }
        match self.partitions.values().all(|at| 0 <= at.replay && at.replay <= at.next) {
            true => Ok(self),
            false => refuse("partitions"),
        }
    }

    /// Notes that a pane, later than all, has its object.
    pub(super) fn add_pane(&mut self, pane: Pane) {
        match self.panes.last_mut() {
            Some(run) if run.end == pane && run.epoch == self.epoch => run.end = pane + 1,
            _ => self.panes.push(Run { first: pane, end: pane + 1, epoch: self.epoch }),
        }
    }

    /// Lets the panes before `keep` go: the names of their objects.
    pub(super) fn drop_before(&mut self, keep: Pane) -> Vec<String> {
        let mut names = Vec::new();
        for run in &mut self.panes {
            let gone = run.first..run.end.min(keep).max(run.first);
            run.first = gone.end;
            names.extend(gone.map(|pane| object_name(pane, run.epoch)));
        }
        self.panes.retain(|run| run.first < run.end);
        names
    }

    /// The objects of the panes from `from` on, in order.
    pub(super) fn objects(&self, from: Pane) -> impl Iterator<Item = (Pane, String)> {
        let panes = self.panes.iter().flat_map(move |run| {
            (run.first.max(from)..run.end).map(|pane| (pane, object_name(pane, run.epoch)))
        });
        panes.collect::<Vec<_>>().into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{BoardSpec, JobSpec, SchemaSpec, SketchSpec, TimeSpec};

    fn manifest() -> Manifest {
        let spec = JobSpec {
            boards: vec![BoardSpec::default()],
            time: TimeSpec::default(),
            sketch: SketchSpec::default(),
            schema: SchemaSpec::default(),
        };
        let mut manifest = Manifest::new(&Identity::of(&spec, "kafka:events"));
        manifest.claim(1000);
        manifest.first = vec![Some(3)];
        (manifest.durable, manifest.published) = (9, 7);
        [3, 4, 7, 8].into_iter().for_each(|pane| manifest.add_pane(pane));
        manifest.partitions.insert(0, Replay { name: "events/0".into(), replay: 5, next: 9 });
        manifest
    }

    #[test]
    fn it_is_read_back_as_it_was_written() {
        let manifest = manifest();
        let back = Manifest::decode(&manifest.encode()).unwrap();
        assert_eq!(back.encode(), manifest.encode());
        assert_eq!(back.panes, manifest.panes);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let bytes = manifest().encode();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                let error = Manifest::decode(&damaged).unwrap_err();
                assert!(error.to_string().starts_with("manifest.json"), "{error}");
            }
            assert!(Manifest::decode(&bytes[..at]).is_err());
        }
    }

    #[test]
    fn a_later_version_and_a_contradiction_are_refused() {
        let text = String::from_utf8(manifest().encode()).unwrap();
        let later = text.replace("\"version\":1", "\"version\":2,\"new\":1");
        assert_eq!(Manifest::decode(later.as_bytes()), Err(ManifestError::Version(2)));
        let wrong = Manifest { published: 10, ..manifest() };
        assert_eq!(
            Manifest::decode(&wrong.encode()),
            Err(ManifestError::Inconsistent("durable and published"))
        );
        let mut wrong = manifest();
        wrong.panes.reverse();
        assert_eq!(Manifest::decode(&wrong.encode()), Err(ManifestError::Inconsistent("panes")));
    }

    #[test]
    fn panes_are_kept_in_runs_of_one_epoch_and_dropped_from_the_front() {
        let mut manifest = manifest();
        manifest.claim(2000);
        manifest.durable = 11;
        manifest.add_pane(9);
        let runs: Vec<_> = manifest.panes.iter().map(|run| (run.first, run.end, run.epoch)).collect();
        assert_eq!(runs, [(3, 5, 1000), (7, 9, 1000), (9, 10, 2000)]);
        assert_eq!(manifest.drop_before(8).len(), 3);
        let left: Vec<_> = manifest.objects(0).map(|(pane, _)| pane).collect();
        assert_eq!(left, [8, 9]);
        let from: Vec<_> = manifest.objects(9).collect();
        assert_eq!(from, [(9, object_name(9, 2000))]);
    }

    #[test]
    fn a_claim_is_of_a_later_epoch_whatever_the_clock_says() {
        let mut manifest = manifest();
        let writer = manifest.writer.clone();
        manifest.claim(7);
        assert_eq!(manifest.epoch, 1001);
        assert_ne!(manifest.writer, writer);
    }
}
