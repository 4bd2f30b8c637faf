//! Reads the manifest of a store, checks that it belongs to a job, and claims a part of it for a new run.

use crate::changes::{Difference, Fate, fates, other_boards};
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

/// Reads the manifest of a store, for who does not run the job; `None` if there is none yet. It must be of a job with
/// the boards of this identity, and with the seed that the configuration names, if it names one.
pub(super) fn read_job(
    store: &StateStore,
    identity: &Identity,
    named_seed: Option<u64>,
) -> Result<Option<(Manifest, Version)>, StateRefusal> {
    let Some(found) = read_manifest(store)? else { return Ok(None) };
    let job = &found.0.job;
    match other_boards(job, &identity.with_seed_of(job)) {
        Some(difference) => Err(refused(store, difference)),
        None => with_seed(store, found, named_seed).map(Some),
    }
}

/// Reads the manifest of a store, for a new run of the job, with the fate of each of the run's boards; `None` if there is
/// none yet. The boards named in `reset` may have changed.
pub(super) fn read_for_run(
    store: &StateStore,
    identity: &Identity,
    named_seed: Option<u64>,
    reset: &[String],
) -> Result<Option<(Manifest, Version, Vec<Fate>)>, StateRefusal> {
    let Some(found) = read_manifest(store)? else { return Ok(None) };
    let (manifest, version) = with_seed(store, found, named_seed)?;
    let job = &manifest.job;
    let fates = fates(job, &identity.with_seed_of(job), reset).map_err(|found| refused(store, found))?;
    Ok(Some((manifest, version, fates)))
}

fn refused(store: &StateStore, difference: Difference) -> StateRefusal {
    let Difference { board, field, was, is } = difference;
    let url = store.url().to_owned();
    match board {
        Some(board) => StateRefusal::OtherBoard { url, board, field, was, is },
        None => StateRefusal::OtherJob { url, field, was, is },
    }
}

/// Checks the seed of a manifest.
fn with_seed(
    store: &StateStore,
    found: (Manifest, Version),
    named_seed: Option<u64>,
) -> Result<(Manifest, Version), StateRefusal> {
    let url = || store.url().to_owned();
    match found.0.job.seed() {
        None => {
            let error = ManifestError::Inconsistent("the seed of the item hash");
            Err(StateRefusal::Manifest { url: url(), error })
        }
        seed if named_seed.is_some_and(|named| seed != Some(named)) => {
            Err(StateRefusal::OtherSeed { url: url() })
        }
        _ => Ok(found),
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
