//! Changes one part of the manifest, while other processes may change other parts.
//!
//! A change is applied to the manifest as it was last seen, and replaces the stored one if that has not changed since.
//! If it has, but this part still belongs to this run, another part was changed: the change is applied again, to the
//! newer manifest. If this part belongs to another run by now, this one was superseded.

use crate::error::StateFailure;
use crate::lease::Lease;
use crate::manifest::{Manifest, Part, Tally};
use crate::retry::{Broken, Retry};
use crest_connectors::state::{StateError, StateStore, Version};
use crest_host::clock;
use std::sync::Arc;

/// The manifest as last seen, and the part of it that this run owns.
pub(super) struct ManifestWriter {
    store: StateStore,
    part: Part,
    epoch: u64,
    writer: String,
    manifest: Manifest,
    version: Version,
    /// Renewed with every manifest that is written.
    lease: Arc<Lease>,
}

impl ManifestWriter {
    /// The writer of the run that has just claimed `part` in this manifest.
    pub(super) fn new(
        store: &StateStore,
        part: Part,
        (manifest, version): (Manifest, Version),
        lease: Arc<Lease>,
    ) -> Self {
        let (epoch, writer) =
            manifest.tally(&part).map(|tally| (tally.epoch, tally.writer.clone())).unwrap_or_default();
        ManifestWriter { store: store.clone(), part, epoch, writer, manifest, version, lease }
    }

    /// The manifest as last seen.
    pub(super) fn current(&self) -> &Manifest {
        &self.manifest
    }

    /// The part that this run owns.
    pub(super) fn part(&self) -> &Part {
        &self.part
    }

    /// The epoch of this run.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Writes the manifest with a change and returns the bytes written. `change` is called again where another part was
    /// changed meanwhile, and where it was written but the store's answer was lost: so it must be idempotent.
    pub(super) fn change(
        &mut self,
        retry: &mut Retry,
        mut change: impl FnMut(&mut Manifest),
    ) -> Result<u64, Broken> {
        loop {
            let mut next = self.manifest.clone();
            change(&mut next);
            if self.part == Part::Live {
                next.beat();
            }
            let (store, version) = (&self.store, &self.version);
            let bytes = next.encode().map_err(|error| {
                let url = store.url().to_owned();
                StateFailure::Manifest { url, error }
            })?;
            debug_assert_eq!(Manifest::decode(&bytes).err(), None, "the manifest could not be read back");
            let mut began = clock::now();
            let write = || {
                began = clock::now();
                store.replace_manifest(bytes.clone(), Some(version))
            };
            match retry.call(write) {
                Ok(version) => {
                    self.lease.renew(began);
                    (self.manifest, self.version) = (next, version);
                    return Ok(bytes.len() as u64);
                }
                Err(Broken::Failed(StateFailure::Store(StateError::Superseded { .. }))) => {
                    let store = &self.store;
                    let found = retry.call(|| store.manifest())?;
                    self.take(found)?;
                }
                Err(broken) => return Err(broken),
            }
        }
    }

    /// Tries once to write the manifest with a change, and returns whether it was written. A store that fails, and another
    /// part that was changed meanwhile, are no errors.
    ///
    /// # Errors
    /// The part belongs to another run.
    pub(super) fn try_change(&mut self, change: impl FnOnce(&mut Manifest)) -> Result<bool, StateFailure> {
        let (mut next, began) = (self.manifest.clone(), clock::now());
        change(&mut next);
        let bytes = next.encode().map_err(|error| {
            let url = self.store.url().to_owned();
            StateFailure::Manifest { url, error }
        })?;
        match self.store.replace_manifest(bytes, Some(&self.version)) {
            Ok(version) => {
                self.lease.renew(began);
                (self.manifest, self.version) = (next, version);
                Ok(true)
            }
            Err(StateError::Superseded { .. }) => self.look().map(|()| false),
            Err(_) => Ok(false),
        }
    }

    /// Checks that the part is still this run's, and takes over the changes of others. A store that cannot be read now
    /// is not an error.
    pub(super) fn look(&mut self) -> Result<(), StateFailure> {
        match self.store.manifest() {
            Ok(found) => self.take(found),
            Err(_) => Ok(()),
        }
    }

    fn take(&mut self, found: Option<crest_connectors::state::Manifest>) -> Result<(), StateFailure> {
        let superseded =
            |theirs| StateFailure::Superseded { url: self.store.url().to_owned(), ours: self.epoch, theirs };
        let Some(found) = found else { return Err(superseded(0)) };
        if found.version == self.version {
            return Ok(());
        }
        let Ok(manifest) = Manifest::decode(&found.bytes) else { return Err(superseded(0)) };
        let ours = |tally: &&Tally| tally.epoch == self.epoch && tally.writer == self.writer;
        let tally = manifest.tally(&self.part);
        if tally.filter(ours).is_none() {
            return Err(superseded(tally.map_or(manifest.live.epoch, |tally| tally.epoch)));
        }
        (self.manifest, self.version) = (manifest, found.version);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::manifest::tests::{levels, spec};
    use crate::monitor::{Monitor, StateCounts, WorkersProgress};
    use std::collections::BTreeMap;

    /// The monitor of a job that is not asked to stop.
    struct Going;

    impl Monitor for Going {
        fn stopping(&self) -> bool {
            false
        }

        fn progress(&self, _: crate::pane::Pane) -> Option<WorkersProgress> {
            None
        }

        fn update(&self, _: &mut dyn FnMut(&mut StateCounts)) {}
    }

    fn claim(store: &StateStore, part: Part) -> ManifestWriter {
        let found = store.manifest().unwrap();
        let new = || Manifest::new(&Identity::of(&spec(), "kafka:events"), &levels());
        let mut manifest = found.as_ref().map_or_else(new, |found| Manifest::decode(&found.bytes).unwrap());
        manifest.claim(&part, 1, &levels());
        let version =
            store.replace_manifest(manifest.encode().unwrap(), found.as_ref().map(|found| &found.version));
        ManifestWriter::new(store, part, (manifest, version.unwrap()), Arc::default())
    }

    #[test]
    fn several_keep_their_parts_and_who_takes_a_part_over_fences_off_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::open(folder.path().to_str().unwrap(), &BTreeMap::new()).unwrap();
        let mut retry = Retry::new(Arc::new(Going));
        let mut live = claim(&store, Part::Live);
        let mut backfill = claim(&store, Part::Backfill(5..9));
        for durable in 1..20 {
            live.change(&mut retry, |manifest| manifest.live.durable = durable).ok().unwrap();
            let theirs = |manifest: &mut Manifest| {
                if let Some((tally, _)) = manifest.part_mut(&Part::Backfill(5..9)) {
                    tally.durable = durable;
                }
            };
            backfill.change(&mut retry, theirs).ok().unwrap();
        }
        live.look().unwrap();
        let (ours, theirs) = (&live.current().live, live.current().tally(backfill.part()));
        assert_eq!((ours.durable, theirs.map(|tally| tally.durable)), (19, Some(19)));

        let mut next = claim(&store, Part::Live);
        let Err(Broken::Failed(StateFailure::Superseded { ours, theirs, .. })) =
            live.change(&mut retry, |manifest| manifest.live.durable = 30)
        else {
            panic!("it was taken over")
        };
        assert_eq!((ours, theirs), (live.epoch(), next.epoch()));
        backfill.change(&mut retry, |manifest| manifest.backfills.clear()).ok().unwrap();
        next.change(&mut retry, |manifest| manifest.published = 1).ok().unwrap();
        assert!(backfill.look().is_err(), "there is no such backfill any more");
        assert_eq!((next.current().live.durable, next.current().backfills.len()), (19, 0));
    }
}
