//! Reads the manifest of a store, checks that it belongs to a job, and claims a part of it for a new run.

use crate::error::StateRefusal;
use crate::identity::{Counted, Identity};
use crate::levels::Levels;
use crate::manifest::{Manifest, ManifestError, Part};
use crate::orphans;
use crest_connectors::state::{StateError, StateStore, Version};

/// Reads the manifest of a store; `None` if there is none yet. A store that has blocks but no manifest is refused.
pub(super) fn read_manifest(store: &StateStore) -> Result<Option<(Manifest, Version)>, StateRefusal> {
    let mut found = store.manifest()?;
    if found.is_none()
        && let Some(orphaned) = orphans::find(store)?
    {
        // Another job may have written its first manifest since the first read.
        found = Some(store.manifest()?.ok_or(orphaned)?);
    }
    let Some(found) = found else { return Ok(None) };
    match Manifest::decode(&found.bytes) {
        Ok(manifest) => Ok(Some((manifest, found.version))),
        Err(error) => Err(StateRefusal::Manifest { url: store.url().to_owned(), error }),
    }
}

/// Reads the manifest of a store, and what it says about its job.
pub(super) fn read_counted(store: &StateStore) -> Result<(Manifest, Counted), StateRefusal> {
    let url = || store.url().to_owned();
    let Some((manifest, _)) = read_manifest(store)? else {
        return Err(StateRefusal::NoManifest { url: url() });
    };
    let Some(counted) = manifest.job.counted() else {
        let error = ManifestError::Inconsistent("what the job counts");
        return Err(StateRefusal::Manifest { url: url(), error });
    };
    Ok((manifest, counted))
}

/// Reads the manifest of a store; `None` if there is none yet. It must have this identity, and the seed that the
/// configuration names, if it names one.
pub(super) fn read_job(
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

/// Reads the manifest with `read`, claims a part of it for a new run, and writes it. Where another process has changed
/// another part at the same moment, this is done again; where it has changed this part, the claim fails.
pub(super) fn claim(
    store: &StateStore,
    part: &Part,
    levels: &Levels,
    now_ms: u64,
    read: impl Fn() -> Result<(Manifest, Option<Version>), StateRefusal>,
) -> Result<(Manifest, Version), StateRefusal> {
    let owner = |manifest: &Manifest| manifest.tally(part).map(|tally| (tally.epoch, tally.writer.clone()));
    let (mut manifest, mut version) = read()?;
    let refused = |error| StateRefusal::Manifest { url: store.url().to_owned(), error };
    loop {
        let before = owner(&manifest);
        manifest.claim(part, now_ms, levels);
        match store.replace_manifest(manifest.encode().map_err(refused)?, version.as_ref()) {
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
