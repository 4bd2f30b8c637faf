//! SIGINT and SIGTERM: the first one asks the job to stop, a further one that comes later ends the process at once.
//! A stop that was asked for is no failure, also before there is a job.

use super::exit::die;
use crate::failure::Failure;
use crest_dataflows::status::JobView;
use parking_lot::Mutex;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Signals so close together are one wish: `timeout` sends two, and Ctrl-C reaches a process of a local cluster that
/// another has just asked to stop.
const ONE_WISH: Duration = Duration::from_millis(500);

/// Where the signals find the job, once there is one.
#[derive(Clone, Default)]
pub struct Stop {
    stage: Arc<Mutex<Stage>>,
    first: Arc<OnceLock<Instant>>,
    /// Whether this is a command with an end of its own, which a signal keeps it from.
    task: bool,
}

#[derive(Default)]
enum Stage {
    /// Nothing was begun that would have to be ended well: a signal ends the process at once.
    #[default]
    Alone,
    /// Other processes wait for this one, and are to hear of it.
    Joining { wished: bool },
    /// The job runs.
    Running(Arc<JobView>),
}

impl Stop {
    /// Listens for signals from now on, for what runs until it is stopped.
    ///
    /// # Errors
    /// The operating system's.
    pub fn of_service() -> Result<Self, Failure> {
        Stop::default().listen()
    }

    /// Listens for signals, for a command that is to be done once.
    ///
    /// # Errors
    /// The operating system's.
    pub fn of_task() -> Result<Self, Failure> {
        Stop { task: true, ..Stop::default() }.listen()
    }

    fn listen(self) -> Result<Self, Failure> {
        let failed = |error| Failure::Failed(format!("cannot listen for signals: {error}"));
        let theirs = self.clone();
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
        let listen = move || signals.forever().for_each(|signal| theirs.take(signal));
        std::thread::Builder::new().name("signals".into()).spawn(listen).map_err(failed)?;
        Ok(self)
    }

    /// Notes the first signal, as [`wished`](Self::wished), until there is a job: the other processes must be told.
    pub fn joining(&self) {
        *self.stage.lock() = Stage::Joining { wished: false };
    }

    /// Whether a signal came while joining the cluster.
    pub fn wished(&self) -> bool {
        matches!(*self.stage.lock(), Stage::Joining { wished: true })
    }

    /// From now on the first signal stops this job, which one that was noted before does now.
    pub fn applies_to(&self, view: Arc<JobView>) {
        let mut stage = self.stage.lock();
        if matches!(*stage, Stage::Joining { wished: true }) {
            view.request_stop();
        }
        *stage = Stage::Running(view);
    }

    fn take(&self, signal: i32) {
        let name = signal_hook::low_level::signal_name(signal).unwrap_or("signal");
        let insists = self.first.get_or_init(Instant::now).elapsed() >= ONE_WISH;
        match &mut *self.stage.lock() {
            Stage::Alone if self.task => die(128 + signal, &format!("{name} before the job began")),
            Stage::Alone => die(0, &format!("stopped by {name}")),
            _ if insists => die(128 + signal, &format!("{name} while stopping: ended at once")),
            Stage::Running(view) if !view.stopping() => {
                tracing::info!("{name}: the job will stop; a second one ends it at once");
                view.request_stop();
            }
            Stage::Joining { wished } => *wished = true,
            Stage::Running(_) => {}
        }
    }
}
