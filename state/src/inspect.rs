//! Inspects a state from outside: reports what it holds, and verifies its objects. Nothing is written or claimed, so
//! that a job may run and commit meanwhile.

use crate::blocks::Blocks;
use crate::claim::{read_counted, read_manifest};
use crate::error::{StateFailure, StateRefusal};
use crate::identity::Counted;
use crate::levels::{Block, Levels};
use crate::manifest::Manifest;
use crate::object::Pick;
use crate::pane::Pane;
use crate::replay::Replay;
use crest_connectors::state::{ObjectInfo, StateStore};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A state, as it was when its manifest was read.
pub struct Inspection {
    blocks: Blocks,
    /// The objects of the store. They are listed before the manifest is read, so that an object that is named meanwhile
    /// is not reported as unnamed.
    found: Vec<ObjectInfo>,
    manifest: Manifest,
    counted: Counted,
}

/// What a state holds. Times are milliseconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateReport {
    /// The store, without secrets.
    pub url: String,
    /// The epoch of the newest run.
    pub epoch: u64,
    /// The topic or files from which the job counts.
    pub source: String,
    /// The boards' names, in the order of the job.
    pub boards: Vec<String>,
    /// From when on each board was counted, of those that came in later than the state was begun.
    pub since_ms: BTreeMap<String, i64>,
    /// The width of a pane, in milliseconds.
    pub pane_ms: u64,
    /// The durable frontier: all panes before it are closed and in the store. `None` before the first commit.
    pub durable_ms: Option<i64>,
    /// All final snapshots of windows that end at or before this time were delivered; `None` where there was none yet.
    pub published_ms: Option<i64>,
    /// Whether a bounded log was counted to its end.
    pub ended: bool,
    /// Whether all final snapshots of a bounded log were delivered.
    pub finished: bool,
    /// The id of the Kafka topic or the embedded log, which tells it from another of the same name, where it has one.
    pub log: Option<String>,
    /// Where each partition is read on.
    pub partitions: BTreeMap<u64, Replay>,
    /// The intervals that the job or a backfill has counted, in order.
    pub counted: Vec<Range>,
    /// The stored blocks of each level: panes, and the rollups over them.
    pub levels: Vec<LevelReport>,
    /// Backfills that are under way, or were killed and can go on.
    pub backfills: Vec<BackfillReport>,
    /// How many objects the store has, without the manifest.
    pub objects: u64,
    /// The size of these objects, in bytes.
    pub bytes: u64,
    /// The objects that the manifest does not name. They are of a commit under way, or of a run that was killed.
    pub unnamed: Vec<String>,
}

/// An interval of event time, in milliseconds since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The begin, inclusive.
    pub from_ms: i64,
    /// The end, exclusive.
    pub to_ms: i64,
}

/// The stored blocks of a level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LevelReport {
    /// `pane`, `1m`, `10m`, `1h` or `1d`.
    pub level: String,
    /// The width of a block, in milliseconds.
    pub width_ms: u64,
    /// The blocks before this time have expired; `None` where none has.
    pub kept_from_ms: Option<i64>,
    /// How many blocks have an object.
    pub blocks: u64,
    /// The size of these objects, in bytes.
    pub bytes: u64,
    /// The intervals whose blocks have an object, in order.
    pub held: Vec<Range>,
}

/// A backfill that has not ended yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BackfillReport {
    /// The interval that it counts.
    #[serde(flatten)]
    pub range: Range,
    /// All of its panes before this time are in the store.
    pub durable_ms: i64,
    /// The epoch of its newest run.
    pub epoch: u64,
}

/// How many objects were found whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Objects that are whole, of the right block and of this job.
    pub objects: u64,
    /// The size of these objects, in bytes.
    pub bytes: u64,
}

impl Inspection {
    /// Lists the store and reads its manifest.
    ///
    /// # Errors
    /// The store cannot be read, or it has no manifest, or a damaged one.
    pub fn open(store: StateStore) -> Result<Self, StateRefusal> {
        let found = store.list("")?;
        let (manifest, counted) = read_counted(&store)?;
        let blocks = Blocks::of(store, &manifest, &counted);
        Ok(Inspection { blocks, found, manifest, counted })
    }

    /// Reports what the state holds.
    pub fn report(&self) -> StateReport {
        let (manifest, counted, form) = (&self.manifest, &self.counted, &self.blocks.form);
        let width = form.levels.pane();
        let time = |pane: Pane| (pane > 0).then(|| width.start(pane));
        let range = |span: &std::ops::Range<Pane>| Range::of(&form.levels, span);
        // Other files in the folder, such as an embedded log, do not belong to the state.
        let found = || self.found.iter().filter(|object| form.is_in_a_folder(&object.name));
        let sizes: HashMap<&str, u64> = found().map(|object| (object.name.as_str(), object.bytes)).collect();
        let level = |level| {
            let names =
                manifest.held.blocks(level, 0..Pane::MAX).map(|(block, epoch)| form.name(block, epoch));
            let bytes: Vec<u64> = names.map(|name| sizes.get(name.as_str()).copied().unwrap_or(0)).collect();
            LevelReport {
                level: form.levels.name(level).into(),
                width_ms: width.start(form.levels.width(level)) as u64,
                kept_from_ms: time(manifest.held.from(level)),
                blocks: bytes.len() as u64,
                bytes: bytes.iter().sum(),
                held: manifest.held.ranges(level).iter().map(range).collect(),
            }
        };
        let named: HashSet<String> = self.named(manifest).into_iter().map(|(_, name)| name).collect();
        let names = found().map(|object| object.name.clone());
        StateReport {
            url: self.blocks.store.url().to_owned(),
            epoch: manifest.live.epoch,
            source: counted.source.clone(),
            boards: counted.boards.iter().map(|board| board.name.to_string()).collect(),
            since_ms: manifest.since(&form.levels),
            pane_ms: counted.pane.as_millis() as u64,
            durable_ms: time(manifest.live.durable),
            published_ms: time(manifest.published),
            ended: manifest.live.ended,
            finished: manifest.finished,
            log: manifest.live.log.clone(),
            partitions: manifest.live.partitions.clone(),
            counted: manifest.counted.iter().map(range).collect(),
            levels: (0..form.levels.count()).map(level).collect(),
            backfills: manifest
                .backfills
                .iter()
                .map(|backfill| BackfillReport {
                    range: range(&backfill.range),
                    durable_ms: width.start(backfill.tally.durable),
                    epoch: backfill.tally.epoch,
                })
                .collect(),
            objects: found().count() as u64,
            bytes: found().map(|object| object.bytes).sum(),
            unnamed: names.filter(|name| !named.contains(name)).collect(),
        }
    }

    /// The objects that a manifest names.
    fn named(&self, manifest: &Manifest) -> Vec<(Block, String)> {
        let backfills = manifest.backfills.iter().flat_map(|backfill| backfill.held.all());
        let all = manifest.held.all().chain(backfills);
        all.map(|(block, epoch)| (block, self.blocks.form.name(block, epoch))).collect()
    }

    /// Reads every object that the manifest names, a few at a time, and calls `each` for every object that is missing,
    /// damaged, another block, or of another job.
    ///
    /// # Errors
    /// The store cannot be read any further.
    pub fn verify(&self, mut each: impl FnMut(StateFailure)) -> Result<Verified, StateRefusal> {
        let (blocks, names): (Vec<Block>, Vec<String>) = self.named(&self.manifest).into_iter().unzip();
        let (held, reader, mut blocks) = (&self.manifest.held, &self.blocks, blocks.into_iter());
        let (mut verified, mut missing) = (Verified::default(), Vec::new());
        reader.store.get_all(&names, |name, found| {
            let Some(block) = blocks.next() else { return Ok(()) };
            let Some(bytes) = found else {
                missing.push((block, name.to_owned()));
                return Ok(());
            };
            match reader.form.decode(name, &bytes, block, Pick::All) {
                Ok(_) => {
                    verified.objects += 1;
                    verified.bytes += bytes.len() as u64;
                }
                Err(error) => each(reader.damaged(held, block, error)),
            }
            Ok::<(), StateRefusal>(())
        })?;
        for (block, name) in self.still_named(missing)? {
            each(reader.missing(held, block, name));
        }
        Ok(verified)
    }

    /// Leaves out the missing objects that the manifest no longer names, since a running job has deleted them.
    fn still_named(&self, mut missing: Vec<(Block, String)>) -> Result<Vec<(Block, String)>, StateRefusal> {
        if !missing.is_empty()
            && let Some((manifest, _)) = read_manifest(&self.blocks.store)?
        {
            let named: HashSet<String> = self.named(&manifest).into_iter().map(|(_, name)| name).collect();
            missing.retain(|(_, name)| named.contains(name));
        }
        Ok(missing)
    }
}

impl Range {
    pub(super) fn of(levels: &Levels, panes: &std::ops::Range<Pane>) -> Self {
        Range { from_ms: levels.pane().start(panes.start), to_ms: levels.pane().start(panes.end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::manifest::Part;
    use crate::manifest::tests::{levels, spec};
    use crate::object::{Boards, Fault, Form};
    use crest_connectors::state::Version;

    const PANES: [Pane; 5] = [3, 4, 7, 8, 9];

    struct Fixture {
        store: StateStore,
        manifest: Manifest,
        version: Version,
        form: Form,
        _folder: tempfile::TempDir,
    }

    /// A state of two runs with an object for each of `PANES`.
    fn state() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::open(folder.path().to_str().unwrap(), &BTreeMap::new()).unwrap();
        let mut manifest = Manifest::new(&Identity::of(&spec(), "kafka:events"), &levels());
        manifest.claim(&Part::Live, 2000, &levels());
        (manifest.live.durable, manifest.published) = (10, 9);
        manifest.counted.add(3..10);
        let form = Form { levels: levels(), job: manifest.fingerprint(), seed: spec().sketch.seed };
        let mut put = |block, epoch| {
            manifest.held.set(block, epoch);
            store.put(&form.name(block, epoch), form.encode(block, &Boards::new()).unwrap()).unwrap();
        };
        PANES.into_iter().zip([1000, 1000, 1000, 2000, 2000]).for_each(|(pane, epoch)| put(at(pane), epoch));
        put(Block { level: 1, start: 0 }, 2000);
        let version = store.replace_manifest(manifest.encode().unwrap(), None).unwrap();
        Fixture { store, manifest, version, form, _folder: folder }
    }

    fn at(start: Pane) -> Block {
        Block { level: 0, start }
    }

    #[test]
    fn panes_of_several_runs_are_ranges_of_time_and_unnamed_objects_are_reported() {
        let held = state();
        held.store.put(&held.form.name(at(10), 2000), vec![1; 7]).unwrap();
        // An embedded log may be in the same folder.
        held.store.put("log/events.redb", vec![1; 9]).unwrap();
        let report = Inspection::open(held.store).unwrap().report();
        let [panes, minutes, ..] = report.levels.as_slice() else { panic!("{report:?}") };
        let ranges: Vec<_> = panes.held.iter().map(|range| (range.from_ms, range.to_ms)).collect();
        assert_eq!(ranges, [(30_000, 50_000), (70_000, 100_000)]);
        assert_eq!((panes.blocks, minutes.blocks, report.objects, report.pane_ms), (5, 1, 7, 10_000));
        assert_eq!(report.counted, [Range { from_ms: 30_000, to_ms: 100_000 }]);
        assert_eq!(panes.bytes + minutes.bytes + 7, report.bytes);
        assert_eq!((report.durable_ms, report.published_ms), (Some(100_000), Some(90_000)));
        assert_eq!(report.unnamed, [held.form.name(at(10), 2000)]);
        assert_eq!(
            (report.source.as_str(), report.boards.as_slice()),
            ("kafka:events", &["default".into()][..])
        );
    }

    #[test]
    fn an_object_in_the_place_of_another_is_found_out() {
        let held = state();
        let other = held.store.get(&held.form.name(at(4), 1000)).unwrap().unwrap();
        held.store.put(&held.form.name(at(3), 1000), other).unwrap();
        let mut faults = Vec::new();
        let verified = Inspection::open(held.store).unwrap().verify(|fault| faults.push(fault)).unwrap();
        assert_eq!(verified.objects, 5);
        let [StateFailure::Object { error, .. }] = faults.as_slice() else { panic!("{faults:?}") };
        assert!(matches!(error.fault, Fault::Other { pane: 4, .. }), "{error}");
    }

    #[test]
    fn a_block_that_expires_meanwhile_is_not_missing() {
        let mut held = state();
        let inspection = Inspection::open(held.store.clone()).unwrap();
        let gone = held.manifest.held.drop_before(0, 8);
        let gone: Vec<String> = gone.into_iter().map(|(block, epoch)| held.form.name(block, epoch)).collect();
        held.store.replace_manifest(held.manifest.encode().unwrap(), Some(&held.version)).unwrap();
        held.store.delete(&gone).unwrap();
        held.store.delete(&[held.form.name(at(9), 2000)]).unwrap();
        let mut faults = Vec::new();
        let verified = inspection.verify(|fault| faults.push(fault.to_string())).unwrap();
        assert_eq!((verified.objects, faults.len()), (2, 1));
        assert!(faults[0].contains(&held.form.name(at(9), 2000)), "{faults:?}");
    }

    #[test]
    fn a_store_without_a_manifest_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::open_to_read(folder.path().to_str().unwrap(), &BTreeMap::new()).unwrap();
        assert!(matches!(Inspection::open(store), Err(StateRefusal::NoManifest { .. })));
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing is written");
    }
}
