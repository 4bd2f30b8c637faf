//! A look at a state from outside: what it holds, and whether that is whole. Nothing is written or claimed, so it
//! may be taken beside a live job, whose commits go on meanwhile.

use super::identity::Counted;
use super::manifest::{Manifest, ManifestError};
use super::{Replay, StateFailure, StateRefusal, pane_object, read_manifest};
use crate::event_time::{Clock, Pane};
use crate::spec::TimeSpec;
use crest_connectors::state::{ObjectInfo, StateStore};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// A state as its manifest had it at one moment.
pub struct Inspection {
    store: StateStore,
    /// What was there just before the manifest was read, so that what is named later is not taken for unnamed.
    found: Vec<ObjectInfo>,
    manifest: Manifest,
    counted: Counted,
}

/// What a state holds. Times are milliseconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateReport {
    /// The store, without secrets.
    pub url: String,
    /// The run that has it, or had it last.
    pub epoch: u64,
    /// The topic or files that were counted.
    pub source: String,
    /// The boards' names, in the order of the job.
    pub boards: Vec<String>,
    /// The width of a pane.
    pub pane_ms: u64,
    /// All panes before it are closed, and in the store; `None` before the first commit.
    pub durable_ms: Option<i64>,
    /// All final snapshots of windows that end at or before it were delivered; `None` where there was none yet.
    pub published_ms: Option<i64>,
    /// Whether a bounded log was counted to its end …
    pub ended: bool,
    /// … and everything was published.
    pub finished: bool,
    /// Where each partition is read on.
    pub partitions: BTreeMap<u32, Replay>,
    /// How many panes are held.
    pub panes: u64,
    /// When they are, in order; between them are panes without an event.
    pub held: Vec<HeldRange>,
    /// How many objects the store has, the manifest aside …
    pub objects: u64,
    /// … and their bytes.
    pub bytes: u64,
    /// Those of them that the manifest does not name: of a commit under way, or left by a run that was killed.
    pub unnamed: Vec<String>,
}

/// Held panes without a gap between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HeldRange {
    /// Where the first begins.
    pub from_ms: i64,
    /// Where the last ends.
    pub to_ms: i64,
    /// How many they are.
    pub panes: u64,
}

/// What was found whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Objects that are whole, of the right pane and of this job …
    pub objects: u64,
    /// … and their bytes.
    pub bytes: u64,
}

impl Inspection {
    /// Lists the store and reads its manifest.
    ///
    /// # Errors
    /// The store cannot be read, has no manifest, or a damaged one.
    pub fn open(store: StateStore) -> Result<Self, StateRefusal> {
        let found = store.list("")?;
        let url = || store.url().to_owned();
        let Some((manifest, _)) = read_manifest(&store)? else {
            return Err(StateRefusal::NoManifest { url: url() });
        };
        let Some(counted) = manifest.job.counted() else {
            let error = ManifestError::Inconsistent("what the job counts");
            return Err(StateRefusal::Manifest { url: url(), error });
        };
        Ok(Inspection { store, found, manifest, counted })
    }

    /// What the state holds.
    pub fn report(&self) -> StateReport {
        let (manifest, counted) = (&self.manifest, &self.counted);
        let named: HashSet<String> = manifest.objects(0).map(|(_, name)| name).collect();
        let clock = Clock::new(&TimeSpec { pane: counted.pane, ..TimeSpec::default() }, false);
        let time = |pane: Pane| (pane > 0).then(|| clock.start(pane));
        StateReport {
            url: self.store.url().to_owned(),
            epoch: manifest.epoch,
            source: counted.source.clone(),
            boards: counted.boards.clone(),
            pane_ms: counted.pane.as_millis() as u64,
            durable_ms: time(manifest.durable),
            published_ms: time(manifest.published),
            ended: manifest.ended,
            finished: manifest.finished,
            partitions: manifest.partitions.clone(),
            panes: named.len() as u64,
            held: held(manifest, &clock),
            objects: self.found.len() as u64,
            bytes: self.found.iter().map(|object| object.bytes).sum(),
            unnamed: self
                .found
                .iter()
                .map(|object| object.name.clone())
                .filter(|name| !named.contains(name))
                .collect(),
        }
    }

    /// Reads every object that the manifest names, a few at a time, and tells `each` what is wrong with one: it is
    /// missing, damaged, of another pane or of another job.
    ///
    /// # Errors
    /// The store cannot be read any further.
    pub fn verify(&self, mut each: impl FnMut(StateFailure)) -> Result<Verified, StateRefusal> {
        let (panes, names): (Vec<Pane>, Vec<String>) = self.manifest.objects(0).unzip();
        let (job, mut panes) = (self.manifest.job.fingerprint(), panes.into_iter());
        let url = || self.store.url().to_owned();
        let (mut verified, mut missing) = (Verified::default(), Vec::new());
        self.store.get_all(&names, |name, found| {
            let pane = panes.next().unwrap_or(Pane::MAX);
            let Some(bytes) = found else {
                missing.push(name.to_owned());
                return Ok(());
            };
            match pane_object::decode(name, &bytes, pane, job, self.counted.seed) {
                Ok(_) => {
                    verified.objects += 1;
                    verified.bytes += bytes.len() as u64;
                }
                Err(error) => each(StateFailure::Object { url: url(), error: Box::new(error) }),
            }
            Ok::<(), StateRefusal>(())
        })?;
        for name in self.still_named(missing)? {
            each(StateFailure::Missing { url: url(), name });
        }
        Ok(verified)
    }

    /// Without those that a live job has let go of since the manifest was read.
    fn still_named(&self, mut missing: Vec<String>) -> Result<Vec<String>, StateRefusal> {
        if !missing.is_empty()
            && let Some((manifest, _)) = read_manifest(&self.store)?
        {
            let named: HashSet<String> = manifest.objects(0).map(|(_, name)| name).collect();
            missing.retain(|name| named.contains(name));
        }
        Ok(missing)
    }
}

/// The held panes, whichever runs wrote them.
fn held(manifest: &Manifest, clock: &Clock) -> Vec<HeldRange> {
    let mut ranges: Vec<HeldRange> = Vec::new();
    for run in &manifest.panes {
        let (from_ms, to_ms) = (clock.start(run.first), clock.start(run.end));
        let panes = run.end - run.first;
        match ranges.last_mut() {
            Some(last) if last.to_ms == from_ms => (last.to_ms, last.panes) = (to_ms, last.panes + panes),
            _ => ranges.push(HeldRange { from_ms, to_ms, panes }),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::super::identity::Identity;
    use super::super::pane_object::{Boards, PaneObjectError, encode, object_name};
    use super::*;
    use crate::spec::{BoardSpec, JobSpec, SchemaSpec, SketchSpec};
    use crest_connectors::state::Version;

    const PANES: [Pane; 5] = [3, 4, 7, 8, 9];

    struct Held {
        store: StateStore,
        manifest: Manifest,
        version: Version,
        _folder: tempfile::TempDir,
    }

    /// A state of two runs with an object for each of `PANES`.
    fn state() -> Held {
        let spec = JobSpec {
            boards: vec![BoardSpec::default()],
            time: TimeSpec::default(),
            sketch: SketchSpec::default(),
            schema: SchemaSpec::default(),
        };
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::open(folder.path().to_str().unwrap(), &BTreeMap::new()).unwrap();
        let mut manifest = Manifest::new(&Identity::of(&spec, "kafka:events"));
        (manifest.durable, manifest.published) = (10, 9);
        for (pane, epoch) in PANES.into_iter().zip([1000, 1000, 1000, 2000, 2000]) {
            manifest.epoch = epoch;
            manifest.add_pane(pane);
            let bytes = encode(pane, manifest.job.fingerprint(), &Boards::new()).unwrap();
            store.put(&object_name(pane, epoch), bytes).unwrap();
        }
        let version = store.replace_manifest(manifest.encode(), None).unwrap();
        Held { store, manifest, version, _folder: folder }
    }

    #[test]
    fn panes_of_several_runs_are_ranges_of_time_and_what_is_not_named_is_told() {
        let held = state();
        held.store.put(&object_name(10, 2000), vec![1; 7]).unwrap();
        let report = Inspection::open(held.store).unwrap().report();
        let ranges: Vec<_> =
            report.held.iter().map(|range| (range.from_ms, range.to_ms, range.panes)).collect();
        assert_eq!(ranges, [(30_000, 50_000, 2), (70_000, 100_000, 3)]);
        assert_eq!((report.panes, report.objects, report.pane_ms), (5, 6, 10_000));
        assert_eq!((report.durable_ms, report.published_ms), (Some(100_000), Some(90_000)));
        assert_eq!(report.unnamed, [object_name(10, 2000)]);
        assert_eq!(
            (report.source.as_str(), report.boards.as_slice()),
            ("kafka:events", &["default".into()][..])
        );
    }

    #[test]
    fn an_object_in_the_place_of_another_is_found_out() {
        let held = state();
        let other = held.store.get(&object_name(4, 1000)).unwrap().unwrap();
        held.store.put(&object_name(3, 1000), other).unwrap();
        let mut faults = Vec::new();
        let verified = Inspection::open(held.store).unwrap().verify(|fault| faults.push(fault)).unwrap();
        assert_eq!(verified.objects, 4);
        let [StateFailure::Object { error, .. }] = faults.as_slice() else { panic!("{faults:?}") };
        assert!(matches!(**error, PaneObjectError::Other { pane: 4, .. }), "{error}");
    }

    #[test]
    fn what_a_live_job_lets_go_of_meanwhile_is_not_missing() {
        let mut held = state();
        let inspection = Inspection::open(held.store.clone()).unwrap();
        let gone = held.manifest.drop_before(8);
        held.store.replace_manifest(held.manifest.encode(), Some(&held.version)).unwrap();
        held.store.delete(&gone).unwrap();
        held.store.delete(&[object_name(9, 2000)]).unwrap();
        let mut faults = Vec::new();
        let verified = inspection.verify(|fault| faults.push(fault.to_string())).unwrap();
        assert_eq!((verified.objects, faults.len()), (1, 1));
        assert!(faults[0].contains(&object_name(9, 2000)), "{faults:?}");
    }

    #[test]
    fn a_store_without_a_manifest_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::open_to_read(folder.path().to_str().unwrap(), &BTreeMap::new()).unwrap();
        assert!(matches!(Inspection::open(store), Err(StateRefusal::NoManifest { .. })));
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing is written");
    }
}
