//! Finds the manifest of a store, checks that it is of a job, and claims a part of it for a new run.

use crate::error::StateRefusal;
use crate::identity::Identity;
use crate::levels::Levels;
use crate::manifest::{Manifest, ManifestError, Part};
use crate::orphans;
use crest_connectors::state::{StateError, StateStore, Version};

/// The manifest of a store, if there is one yet. Where there is none, no block may be there either.
pub(crate) fn read_manifest(store: &StateStore) -> Result<Option<(Manifest, Version)>, StateRefusal> {
    let mut found = store.manifest()?;
    if found.is_none()
        && let Some(orphaned) = orphans::find(store)?
    {
        // Another job may have begun here since the first look.
        found = Some(store.manifest()?.ok_or(orphaned)?);
    }
    let Some(found) = found else { return Ok(None) };
    match Manifest::decode(&found.bytes) {
        Ok(manifest) => Ok(Some((manifest, found.version))),
        Err(error) => Err(StateRefusal::Manifest { url: store.url().to_owned(), error }),
    }
}

/// The manifest of a store, if there is one yet, which must be of this job, and of the seed that is named, if any.
pub(crate) fn read_job(
    store: &StateStore,
    identity: &Identity,
    named_seed: Option<u64>,
) -> Result<Option<(Manifest, Version)>, StateRefusal> {
    let url = || store.url().to_owned();
    let Some(found) = read_manifest(store)? else { return Ok(None) };
    let job = &found.0.job;
    if let Some((field, was, is)) = job.difference(&identity.with_seed_of(job)) {
        return Err(StateRefusal::OtherJob { url: url(), field, was, is });
    }
    match job.seed() {
        None => {
            let error = ManifestError::Inconsistent("the seed of the item hash");
            Err(StateRefusal::Manifest { url: url(), error })
        }
        seed if named_seed.is_some_and(|named| seed != Some(named)) => {
            Err(StateRefusal::OtherSeed { url: url() })
        }
        _ => Ok(Some(found)),
    }
}

/// Makes a part of the manifest that `read` finds that of a new run; again where somebody else has changed another part
/// at the same moment.
pub(crate) fn claim(
    store: &StateStore,
    part: &Part,
    levels: &Levels,
    now_ms: u64,
    read: impl Fn() -> Result<(Manifest, Option<Version>), StateRefusal>,
) -> Result<(Manifest, Version), StateRefusal> {
    let owner = |manifest: &Manifest| manifest.tally(part).map(|tally| (tally.epoch, tally.writer.clone()));
    let (mut manifest, mut version) = read()?;
    loop {
        let before = owner(&manifest);
        manifest.claim(part, now_ms, levels);
        match store.replace_manifest(manifest.encode(), version.as_ref()) {
            Ok(version) => return Ok((manifest, version)),
            Err(superseded @ StateError::Superseded { .. }) => {
                (manifest, version) = read()?;
                if version.is_none() || owner(&manifest) != before {
                    return Err(superseded.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}
