//! What the service manager that started this process is told, as sd_notify(3) has it: that the process does its work, what it
//! is about, that it lives, and that it stops. Where nobody asks to be told (no `NOTIFY_SOCKET`), nothing is said.

use crate::failure::Failure;
use crest_dataflows::status::JobView;
use parking_lot::Mutex;
use sd_notify::NotifyState;
use std::sync::Arc;
use std::time::Duration;

/// Whether somebody is told.
pub fn is_heard() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// Says that what was started is there, and what it is about now.
pub fn ready(about: &str) {
    say(&[NotifyState::Ready, NotifyState::Status(about)]);
}

/// Says that the process stops.
pub fn stopping() {
    say(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// Nothing here depends on whether it is heard.
fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("NOTIFY_SOCKET: the service manager cannot be told: {error}");
    }
}

/// Signs of life, for a service manager that asks for them (`WatchdogSec=`): it ends a process that gives none.
#[derive(Default)]
pub struct Pulse(Arc<Mutex<Option<Watched>>>);

/// A job, and for how long a worker of it may be silent.
type Watched = (Arc<JobView>, Duration);

impl Pulse {
    /// Gives them from now on, twice in the time that the service manager waits for one.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start() -> Result<Self, Failure> {
        let pulse = Pulse::default();
        let Some(patience) = sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero()) else {
            return Ok(pulse);
        };
        let (period, theirs) = (patience / 2, pulse.0.clone());
        let beat = move || {
            loop {
                if theirs.lock().as_ref().is_none_or(|(view, most)| view.longest_silence() <= *most) {
                    say(&[NotifyState::Watchdog]);
                }
                std::thread::sleep(period.max(Duration::from_millis(1)));
            }
        };
        let thread = std::thread::Builder::new().name("pulse".into());
        thread.spawn(beat).map_err(Failure::thread("gives signs of life"))?;
        Ok(pulse)
    }

    /// From now on only while no worker of this job is silent for longer than `most`.
    pub fn of(&self, view: Arc<JobView>, most: Duration) {
        *self.0.lock() = Some((view, most));
    }
}
