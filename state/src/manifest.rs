//! The manifest: the one record of what is durable and where to read on. It is small, JSON, and replaced whole.
//!
//! Each manifest has one encoding, which includes its checksum: bytes that do not encode again to themselves are
//! refused. The live job and each backfill have a [`Tally`] in it, which says which run counts, how far it is, and
//! where it reads on. Several processes may change the manifest at a time, each its own part (see
//! [`crate::manifest_writer`]).

use crate::block_index::BlockIndex;
use crate::identity::Identity;
use crate::lease::Heartbeat;
use crate::levels::Levels;
use crate::missing::Missing;
use crate::pane::{END, Pane};
use crate::replay::{Replay, Resume};
use crate::spans::Spans;
use crest_host::draw;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_64;

/// The version that is written. Version 5 lacks [`Manifest::id`] and [`Manifest::missing`]; version 4 lacks what is known of boards that came in or changed: [`Manifest::uncounted`],
/// [`Manifest::begun`] and [`Manifest::fingerprint`]. Version 3 also lacks [`Replay::newest`], without which a job has no window of the whole input,
/// and has no partitions of several topics, whose numbers have more than 32 bits;
/// version 2 also lacks [`Replay::since`], which says where a partition came in.
const VERSION: u32 = 6;
/// The oldest version that is read. It is written back as the newest.
const OLDEST: u32 = 2;

/// The durable record of one state: what was counted, where it is stored, and where to read on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    version: u32,
    /// A random number, drawn when the state is begun, which tells it from any other, but for one that was begun by version 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    /// What the newest run counts.
    pub(super) job: Identity,
    /// The fingerprint in the headers of all objects, where the job is not the one that began the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fingerprint: Option<u64>,
    /// The progress of the job itself.
    pub(super) live: Tally,
    /// All final snapshots of windows that end at or before this pane were delivered.
    pub(super) published: Pane,
    /// A bounded log was counted to its end, and all of its final snapshots were delivered.
    pub(super) finished: bool,
    /// The blocks that have an object, written by the job or by a backfill that has ended.
    pub(super) held: BlockIndex,
    /// The panes that the job or a backfill has counted. One without an object had no event, or has expired.
    pub(super) counted: Spans,
    /// Panes that a backfill has counted again. The job may still push rollups over them, which would hold the old
    /// counts.
    pub(super) recounted: Spans,
    /// For boards that were added or reset, by name, the panes that were counted without them. What objects have of such a
    /// board in these panes is of another board of that name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) uncounted: BTreeMap<String, Spans>,
    /// For boards of a job that merges the states of regions, by name, the panes without the events of a region.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) missing: BTreeMap<String, Missing>,
    /// The first pane with an event of a board that is there no more, or was reset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) begun: Option<Pane>,
    /// Whether the job lives, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) heartbeat: Option<Heartbeat>,
    /// Backfills that are under way, or were killed and can go on.
    pub(super) backfills: Vec<Backfill>,
    /// The XXH3-64 of the manifest with this field empty, in hexadecimal.
    checksum: String,
}

/// How far the job or a backfill is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tally {
    /// The epoch of the run that claimed it last. Each claim takes a greater one.
    pub(super) epoch: u64,
    /// A random number, drawn by each run, so that two runs that claim the same epoch at once write different bytes.
    pub(super) writer: String,
    /// The id of the Kafka topic or the embedded log, which tells it from another of the same name, where it has one.
    pub(super) log: Option<String>,
    /// For each board, in the order of the job, the first pane with an event.
    pub(super) first: Vec<Option<Pane>>,
    /// The durable frontier: all panes before it are closed and in the store.
    pub(super) durable: Pane,
    pub(super) partitions: BTreeMap<u64, Replay>,
    /// A bounded log was counted to its end.
    pub(super) ended: bool,
}

/// A backfill: a run of panes that is counted apart from the job. Once complete, its blocks replace those of the job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Backfill {
    pub(super) range: Range<Pane>,
    /// The only board that is counted, if not all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) board: Option<String>,
    pub(super) tally: Tally,
    pub(super) held: BlockIndex,
}

/// A part of the manifest that one run owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The job's.
    Live,
    /// The part of the backfill of these panes.
    Backfill(Range<Pane>),
}

/// Why bytes are not a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// They are something else, cut short, or not as this program writes them.
    #[error("manifest.json is damaged, or no manifest: {0}")]
    Form(String),
    /// The bytes were changed since they were written.
    #[error("manifest.json is damaged: its checksum is {computed}, and it says {stated}")]
    Checksum {
        /// The checksum in the manifest.
        stated: String,
        /// The checksum of its bytes.
        computed: String,
    },
    /// The manifest is of a version that this program does not read.
    #[error("manifest.json is of version {0}, and this program reads versions {OLDEST} to {VERSION}")]
    Version(u64),
    /// The manifest cannot be written as JSON.
    #[error("manifest.json cannot be written: {0}")]
    Encoding(String),
    /// The fields of the manifest contradict each other.
    #[error("manifest.json contradicts itself: {0}")]
    Inconsistent(&'static str),
}

impl Tally {
    /// The tally of a part that begins at a pane and that no run has claimed yet.
    pub(super) fn from(pane: Pane) -> Self {
        Tally {
            epoch: 0,
            writer: String::new(),
            log: None,
            first: Vec::new(),
            durable: pane,
            partitions: BTreeMap::new(),
            ended: false,
        }
    }

    fn claim(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.writer = format!("{:016x}", draw::random());
    }

    /// Where the next run goes on.
    pub(super) fn resume(&self) -> Resume {
        let durable = if self.ended { END } else { self.durable };
        Resume { durable, partitions: self.partitions.clone(), log: self.log.clone(), since: Vec::new() }
    }

    fn is_sound(&self) -> bool {
        let is_pane = |pane: Pane| pane <= i64::MAX as u64;
        let read = |at: &Replay| {
            0 <= at.replay && at.replay <= at.next && [at.since, at.newest].into_iter().flatten().all(is_pane)
        };
        is_pane(self.durable) && self.partitions.values().all(read)
    }
}

impl Manifest {
    /// The manifest of a job that has counted nothing yet.
    pub(super) fn new(job: &Identity, levels: &Levels) -> Self {
        Manifest {
            version: VERSION,
            id: Some(format!("{:016x}", draw::random())),
            job: job.clone(),
            live: Tally::from(0),
            published: 0,
            finished: false,
            held: BlockIndex::new(levels),
            counted: Spans::default(),
            recounted: Spans::default(),
            uncounted: BTreeMap::new(),
            missing: BTreeMap::new(),
            begun: None,
            fingerprint: None,
            heartbeat: None,
            backfills: Vec::new(),
            checksum: String::new(),
        }
    }

    /// Claims a part for a new run and returns its epoch, which is greater than any earlier one on this state and at
    /// least `now_ms`. A backfill that is not there yet begins; others that count some of the same panes are given up.
    pub(super) fn claim(&mut self, part: &Part, now_ms: u64, levels: &Levels) -> u64 {
        let epoch = now_ms.max(self.last_epoch().saturating_add(1));
        if let Part::Backfill(range) = part
            && self.tally(part).is_none()
        {
            self.begin_backfill(range, None, levels);
        }
        if let Some((tally, _)) = self.part_mut(part) {
            tally.claim(epoch);
        }
        epoch
    }

    /// Lets the heartbeat of the job go on, if it has one.
    pub(super) fn beat(&mut self) {
        if let Some(heartbeat) = &mut self.heartbeat {
            *heartbeat = Heartbeat::after(Some(heartbeat), false);
        }
    }

    /// The greatest epoch of a run or of an object that the manifest knows of.
    pub(super) fn last_epoch(&self) -> u64 {
        let epochs =
            self.backfills.iter().flat_map(|backfill| [backfill.tally.epoch, backfill.held.newest_epoch()]);
        epochs.chain([self.live.epoch, self.held.newest_epoch()]).max().unwrap_or(0)
    }

    /// The fingerprint that all objects have in their headers: that of the job that began the state.
    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint.unwrap_or_else(|| self.job.fingerprint())
    }

    /// Begins a backfill, of one board or of all, unless it has begun. Others that count some of the same panes are given
    /// up.
    pub(super) fn begin_backfill(&mut self, range: &Range<Pane>, board: Option<&str>, levels: &Levels) {
        let same = |other: &&Backfill| other.range == *range && other.board.as_deref() == board;
        if !self.backfills.iter().any(|other| same(&other)) {
            // No later run may take the epoch of one that is given up.
            let tally = Tally { epoch: self.last_epoch(), ..Tally::from(range.start) };
            self.backfills.retain(|other| other.range.end <= range.start || range.end <= other.range.start);
            let held = BlockIndex::new(levels);
            self.backfills.push(Backfill {
                range: range.clone(),
                board: board.map(str::to_owned),
                tally,
                held,
            });
        }
    }

    /// The only board that a part counts; `None` where it counts all.
    pub(super) fn only_board(&self, part: &Part) -> Option<&str> {
        let Part::Backfill(range) = part else { return None };
        self.backfills.iter().find(|backfill| backfill.range == *range)?.board.as_deref()
    }

    /// A part's tally and block index; `None` where there is no such backfill.
    fn part(&self, part: &Part) -> Option<(&Tally, &BlockIndex)> {
        match part {
            Part::Live => Some((&self.live, &self.held)),
            Part::Backfill(range) => {
                let backfill = self.backfills.iter().find(|backfill| backfill.range == *range)?;
                Some((&backfill.tally, &backfill.held))
            }
        }
    }

    /// The tally of a part; `None` where there is no such backfill.
    pub(super) fn tally(&self, part: &Part) -> Option<&Tally> {
        self.part(part).map(|(tally, _)| tally)
    }

    /// The block index of a part; `None` where there is no such backfill.
    pub(super) fn held_by(&self, part: &Part) -> Option<&BlockIndex> {
        self.part(part).map(|(_, held)| held)
    }

    /// A part's tally and block index, to be changed by the run that owns it.
    pub(super) fn part_mut(&mut self, part: &Part) -> Option<(&mut Tally, &mut BlockIndex)> {
        match part {
            Part::Live => Some((&mut self.live, &mut self.held)),
            Part::Backfill(range) => {
                let backfill = self.backfills.iter_mut().find(|backfill| backfill.range == *range)?;
                Some((&mut backfill.tally, &mut backfill.held))
            }
        }
    }

    /// The newest epochs of the job and of each backfill. Their objects may be in the store before the manifest names
    /// them.
    pub(super) fn epochs_at_work(&self) -> impl Iterator<Item = u64> + '_ {
        self.backfills.iter().map(|backfill| backfill.tally.epoch).chain([self.live.epoch])
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, ManifestError> {
        self.with_checksum(self.sum()?)
    }

    fn sum(&self) -> Result<String, ManifestError> {
        Ok(format!("{:016x}", xxh3_64(&self.with_checksum(String::new())?)))
    }

    fn with_checksum(&self, checksum: String) -> Result<Vec<u8>, ManifestError> {
        serde_json::to_vec(&Manifest { checksum, ..self.clone() })
            .map_err(|error| ManifestError::Encoding(error.to_string()))
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let form = |error: serde_json::Error| ManifestError::Form(error.to_string());
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(|error| {
            // Another version may have other fields, but it does have a version number.
            let version = serde_json::from_slice::<serde_json::Value>(bytes).ok();
            match version.and_then(|value| value.get("version")?.as_u64()) {
                Some(version) if !is_known(version) => ManifestError::Version(version),
                _ => form(error),
            }
        })?;
        if !is_known(manifest.version.into()) {
            return Err(ManifestError::Version(manifest.version.into()));
        }
        let (stated, computed) = (manifest.checksum.clone(), manifest.sum()?);
        if stated != computed {
            return Err(ManifestError::Checksum { stated, computed });
        }
        if manifest.encode()? != bytes {
            return Err(ManifestError::Form("it is not in the form that it was written in".into()));
        }
        Manifest { version: VERSION, ..manifest }.check()
    }

    fn check(self) -> Result<Self, ManifestError> {
        let refuse = |what| Err(ManifestError::Inconsistent(what));
        let Some(counted) = self.job.counted() else { return refuse("what the job counts") };
        let levels = Levels::new(counted.pane);
        if self.published > self.live.durable {
            return refuse("durable and published");
        }
        let tallies = self.backfills.iter().map(|backfill| &backfill.tally).chain([&self.live]);
        if !tallies.into_iter().all(Tally::is_sound) {
            return refuse("partitions");
        }
        let end = self.counted.iter().last().map_or(0, |span| span.end);
        let of_backfill = |backfill: &Backfill| backfill.held.is_sound(&levels, backfill.range.end);
        if !self.held.is_sound(&levels, end) || !self.backfills.iter().all(of_backfill) {
            return refuse("held");
        }
        let uncounted = self.uncounted.values().all(|spans| spans.is_sound() && !spans.is_empty());
        let missing = self.missing.values().all(|missing| missing.is_sound() && !missing.is_empty());
        if self.counted.is_sound() && self.recounted.is_sound() && uncounted && missing {
            Ok(self)
        } else {
            refuse("counted")
        }
    }
}

fn is_known(version: u64) -> bool {
    (u64::from(OLDEST)..=u64::from(VERSION)).contains(&version)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::levels::Block;
    use crate::spec::{JobSpec, TimeSpec};

    /// The spec of a job with the default board.
    pub(crate) fn spec() -> JobSpec {
        JobSpec::default()
    }

    pub(crate) fn levels() -> Levels {
        Levels::new(TimeSpec::default().pane)
    }

    fn manifest() -> Manifest {
        let mut manifest = Manifest::new(&Identity::of(&spec(), "kafka:events"), &levels());
        manifest.claim(&Part::Live, 1000, &levels());
        manifest.live.first = vec![Some(3)];
        (manifest.live.durable, manifest.published) = (9, 7);
        manifest.counted.add(3..9);
        for start in [3, 4, 7, 8] {
            manifest.held.set(Block { level: 0, start }, 1000);
        }
        let at = |name: &str, since| Replay {
            name: name.into(),
            replay: 5,
            next: 9,
            stamped: None,
            newest: since,
            since,
        };
        manifest.live.partitions.extend([(0, at("events/0", None)), (1, at("events/1", Some(8)))]);
        manifest.claim(&Part::Backfill(100..200), 7, &levels());
        manifest
    }

    #[test]
    fn it_is_read_back_as_it_was_written() {
        let manifest = manifest();
        let back = Manifest::decode(&manifest.encode().unwrap()).unwrap();
        assert_eq!(back.encode(), manifest.encode());
        assert_eq!(back.held, manifest.held);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let bytes = manifest().encode().unwrap();
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
    fn another_version_and_a_contradiction_are_refused() {
        let text = String::from_utf8(manifest().encode().unwrap()).unwrap();
        for version in [1, 7] {
            let other = text.replace("\"version\":6", &format!("\"version\":{version},\"new\":1"));
            let error = Manifest::decode(other.as_bytes()).unwrap_err();
            assert_eq!(error, ManifestError::Version(version));
            assert!(
                error
                    .to_string()
                    .contains(&format!("version {version}, and this program reads versions 2 to 6"))
            );
        }
        let refused = |change: fn(&mut Manifest)| {
            let mut wrong = manifest();
            change(&mut wrong);
            Manifest::decode(&wrong.encode().unwrap()).unwrap_err()
        };
        let wrong = refused(|manifest| manifest.published = 10);
        assert_eq!(wrong, ManifestError::Inconsistent("durable and published"));
        let wrong = refused(|manifest| manifest.held.set(Block { level: 0, start: 9 }, 1000));
        assert_eq!(wrong, ManifestError::Inconsistent("held"));
    }

    #[test]
    fn one_of_the_version_before_is_read_and_written_as_the_newest() {
        // Version 2, as an earlier build wrote it at the end of a file of 130 lines.
        let old = include_bytes!("manifest_v2.json").trim_ascii_end();
        let read = Manifest::decode(old).unwrap();
        assert_eq!((read.version, read.live.durable, read.finished), (VERSION, 171_167_053, true));
        let at = Replay {
            name: "a.ndjson".into(),
            replay: 131,
            next: 131,
            stamped: None,
            newest: None,
            since: None,
        };
        assert_eq!(read.live.partitions, BTreeMap::from([(0, at)]));
        assert_eq!(Manifest::decode(&read.encode().unwrap()).unwrap().encode(), read.encode());
        let damaged = String::from_utf8(old.to_vec()).unwrap().replace("\"next\":131", "\"next\":132");
        assert!(matches!(Manifest::decode(damaged.as_bytes()), Err(ManifestError::Checksum { .. })));
    }

    #[test]
    fn a_claim_is_of_a_later_epoch_than_all_whatever_the_clock_says() {
        let mut manifest = manifest();
        let (writer, backfill) = (manifest.live.writer.clone(), Part::Backfill(100..200));
        assert_eq!(manifest.tally(&backfill).map(|tally| (tally.epoch, tally.durable)), Some((1001, 100)));
        assert_eq!(manifest.claim(&Part::Live, 7, &levels()), 1002);
        assert_ne!(manifest.live.writer, writer);
        assert_eq!(manifest.claim(&backfill, 7, &levels()), 1003);
        assert_eq!(manifest.backfills.len(), 1, "the same goes on");
        assert_eq!(manifest.epochs_at_work().collect::<Vec<_>>(), [1003, 1002]);
        manifest.claim(&Part::Backfill(200..300), 7, &levels());
        manifest.claim(&Part::Backfill(199..201), 7, &levels());
        assert_eq!(manifest.backfills.len(), 1, "those that count some of the same panes are given up");
    }
}
