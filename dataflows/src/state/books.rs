//! One who keeps books: changes its part of the manifest, beside others who change theirs.
//!
//! A change is made to the manifest as it was last seen, and written if that is still the one in the store. If it is
//! not, but its part still is the same run's, somebody has changed another part: the change is made anew, to theirs.

use super::StateFailure;
use super::manifest::{Manifest, Part, Tally};
use super::retry::{Broken, Retry};
use crest_connectors::state::{StateError, StateStore, Version};

/// See the module.
pub(super) struct Books {
    store: StateStore,
    part: Part,
    epoch: u64,
    writer: String,
    manifest: Manifest,
    version: Version,
}

impl Books {
    /// Of the run that has just claimed the part in this manifest.
    pub(super) fn new(store: &StateStore, part: Part, manifest: Manifest, version: Version) -> Self {
        let (epoch, writer) =
            manifest.tally(&part).map(|tally| (tally.epoch, tally.writer.clone())).unwrap_or_default();
        Books { store: store.clone(), part, epoch, writer, manifest, version }
    }

    /// As last seen.
    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whose they are.
    pub(super) fn part(&self) -> &Part {
        &self.part
    }

    /// The run that keeps them.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Writes the manifest with a change, which is made again where somebody else has changed another part meanwhile;
    /// also where the change had been written and only the answer was lost. The bytes written.
    pub(super) fn change(
        &mut self,
        retry: &mut Retry,
        mut change: impl FnMut(&mut Manifest),
    ) -> Result<u64, Broken> {
        loop {
            let mut next = self.manifest.clone();
            change(&mut next);
            let (bytes, store, version) = (next.encode(), &self.store, &self.version);
            debug_assert_eq!(Manifest::decode(&bytes).err(), None, "nobody could read it");
            match retry.call(|| store.replace_manifest(bytes.clone(), Some(version))) {
                Ok(version) => {
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

    /// Looks whether the part is still this run's, and takes in what others have changed. A store that cannot be read
    /// now says nothing.
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
    use super::super::manifest::tests::{levels, spec};
    use super::*;
    use crate::state::identity::Identity;
    use crate::status::JobView;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn claim(store: &StateStore, part: Part) -> Books {
        let found = store.manifest().unwrap();
        let new = || Manifest::new(&Identity::of(&spec(), "kafka:events"), &levels());
        let mut manifest = found.as_ref().map_or_else(new, |found| Manifest::decode(&found.bytes).unwrap());
        manifest.claim(&part, 1, &levels());
        let version = store.replace_manifest(manifest.encode(), found.as_ref().map(|found| &found.version));
        Books::new(store, part, manifest, version.unwrap())
    }

    #[test]
    fn several_keep_their_parts_and_who_takes_a_part_over_fences_off_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::open(folder.path().to_str().unwrap(), &BTreeMap::new()).unwrap();
        let mut retry = Retry::new(Arc::new(JobView::new(1, 1)));
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
        let (ours, theirs) = (&live.manifest().live, live.manifest().tally(backfill.part()));
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
        assert_eq!((next.manifest().live.durable, next.manifest().backfills.len()), (19, 0));
    }
}
