//! The telemetry of the job, where any is wished for: begun before its workers, and finished after its last rankings.

use super::exit::before_failing;
use crate::failure::Failure;
use crate::http::Measured;
use crate::settings::Settings;
use crate::telemetry::{Tally, Telemetry};
use crest_dataflows::job::Job;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// For the last of it to be sent after a stop, which is to be short, …
const AFTER_STOP: Duration = Duration::from_secs(1);
/// … and after the end of the input.
const AFTER_END: Duration = Duration::from_secs(5);

/// The counts of what is sent, where anything is.
pub fn tally(settings: &Settings) -> Option<Arc<Tally>> {
    settings.telemetry.as_ref().map(|_| Arc::default())
}

/// Begins to send. Where the process dies of a failure, the last of it is sent before.
///
/// # Errors
/// A thread cannot be started.
pub fn start(
    settings: &Settings,
    job: &Job,
    tally: Option<Arc<Tally>>,
    measured: Measured,
) -> Result<Running, Failure> {
    let (Some(options), Some(tally)) = (&settings.telemetry, tally) else { return Ok(Running::default()) };
    let url = &options.url;
    tracing::info!("telemetry: metrics{} go to {url}", if options.traces { " and traces" } else { "" });
    let figures = move || measured.figures();
    let telemetry = Telemetry::start(options, settings.shape.process, job, tally, figures)?;
    let running = Running(Arc::new(Mutex::new(Some(telemetry))));
    let failing = running.0.clone();
    before_failing(move || drop(failing.lock().take()));
    Ok(running)
}

/// What is under way, if any is wished for.
#[derive(Default)]
pub struct Running(Arc<Mutex<Option<Telemetry>>>);

impl Running {
    /// Has the last of it sent.
    pub fn finish(self, stopped: bool) {
        let telemetry = self.0.lock().take();
        if let Some(telemetry) = telemetry {
            telemetry.finish(if stopped { AFTER_STOP } else { AFTER_END });
        }
    }
}
