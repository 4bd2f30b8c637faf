//! SIGINT and SIGTERM: the first one asks the job to stop, a further one ends the process at once.

use super::last_words::die;
use crest_dataflows::status::JobView;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::{Arc, OnceLock};

/// Where the signals find the job, once there is one. Before, a signal ends the process at once: nothing was
/// begun that would have to be ended well.
#[derive(Clone, Default)]
pub struct Stop(Arc<OnceLock<Arc<JobView>>>);

impl Stop {
    /// Listens for signals from now on.
    ///
    /// # Errors
    /// The operating system's.
    pub fn listen() -> std::io::Result<Self> {
        let stop = Stop::default();
        let theirs = stop.clone();
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                theirs.take(signal);
            }
        })?;
        Ok(stop)
    }

    /// From now on the first signal stops this job.
    pub fn applies_to(&self, view: Arc<JobView>) {
        self.0.get_or_init(|| view);
    }

    fn take(&self, signal: i32) {
        let name = signal_hook::low_level::signal_name(signal).unwrap_or("signal");
        match self.0.get() {
            Some(view) if !view.stopping() => {
                tracing::info!("{name}: the job will stop; a second one ends it at once");
                view.request_stop();
            }
            Some(_) => die(128 + signal, &format!("{name} while stopping: ended at once")),
            None => die(128 + signal, &format!("{name} before the job began")),
        }
    }
}
