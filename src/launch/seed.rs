//! The seed of the item hash, where nobody named one: drawn from the system's randomness for what goes on without end and
//! counts what others send, since who knows it can make ids that are taken for one. Runs that end keep the fixed one, so
//! that two over the same files agree. A state keeps that with which it was made, and process 0 tells the others.

use crate::cluster::Run;
use crate::failure::Failure;
use crate::settings::Settings;

/// Draws the seed of a live run, of which a state that is there may know better.
///
/// # Errors
/// The system has no randomness.
pub fn settle(settings: &mut Settings) -> Result<(), Failure> {
    if !settings.spec.sketch.seed_named && !settings.source.url.is_bounded() {
        settings.spec.sketch.seed = drawn()?;
    }
    Ok(())
}

/// Whether process 0 counts with the seed that this one's configuration names, if it names one.
///
/// # Errors
/// It does not.
pub fn check(settings: &Settings, run: &Run) -> Result<(), Failure> {
    match settings.spec.sketch.named_seed() {
        Some(named) if run.seed != Some(named) => Err(Failure::Usage(
            "sketch.seed is another one in the configuration of process 0, and both are secrets".into(),
        )),
        _ => Ok(()),
    }
}

/// A seed that nobody knows.
///
/// # Errors
/// The system has no randomness.
pub fn drawn() -> Result<u64, Failure> {
    getrandom::u64()
        .map_err(|error| Failure::Failed(format!("cannot draw the seed of the item hash: {error}")))
}
