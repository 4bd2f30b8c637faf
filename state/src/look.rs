//! Looks whether a job could go on with a state, without claiming it: nothing is written.

use crate::claim::read_for_run;
use crate::error::StateRefusal;
use crate::identity::Identity;
use crate::replay::Resume;
use crate::spec::JobSpec;
use crest_connectors::state::StateStore;

/// What a job would find.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Of the newest run.
    pub epoch: u64,
    /// From where a job would go on; `None` where nothing is durable yet.
    pub resume: Option<Resume>,
}

/// What a run of this job on the source of this identity would find; `None` where the state is new. The boards in `reset` may
/// have changed.
///
/// # Errors
/// Why a run would be refused: the store fails, or the manifest is damaged or another job's.
pub fn look(
    store: &StateStore,
    spec: &JobSpec,
    source: &str,
    reset: &[String],
) -> Result<Option<Found>, StateRefusal> {
    let found = read_for_run(store, &Identity::of(spec, source), spec.sketch.named_seed(), reset)?;
    Ok(found.map(|(manifest, ..)| {
        let begun = manifest.live.durable > 0 || !manifest.live.partitions.is_empty();
        Found { epoch: manifest.live.epoch, resume: begun.then(|| manifest.live.resume()) }
    }))
}
