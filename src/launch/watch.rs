//! The watchdog: a thread that ends the process when a worker here, or another process of the cluster, goes
//! silent, and when a stop takes too long. Timely itself waits for ever in each of these cases.

use super::exit::{STATUS_BROKEN, STATUS_FAILED, die};
use super::notify;
use crate::failure::Failure;
use crest_dataflows::status::JobView;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// A worker of this process that does not come round for so long is stuck.
pub const WORKER_SILENCE: Duration = Duration::from_secs(30);
/// A worker tells of itself a few times a second, so the process of one that was not heard for so long is
/// stuck, dead or cut off. One that was never heard gets as long.
pub const PEER_SILENCE: Duration = Duration::from_secs(10);
/// How long all workers may take to end after the wish to stop.
pub const STOP_DEADLINE: Duration = Duration::from_millis(1800);
/// The same where another process has not begun yet, and so cannot know.
const EARLY_STOP_DEADLINE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What the watchdog watches.
pub struct Watch {
    view: Arc<JobView>,
    /// How many each process has.
    workers: usize,
    cluster: bool,
    began: Instant,
    stop_wished: OnceLock<Instant>,
    workers_ended: OnceLock<Instant>,
    over: AtomicBool,
}

impl Watch {
    /// Watches the workers of `view`, which begin now; `workers` are in each of the processes.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(view: Arc<JobView>, workers: usize, cluster: bool) -> Result<Arc<Self>, Failure> {
        let watch = Arc::new(Watch {
            view,
            workers,
            cluster,
            began: Instant::now(),
            stop_wished: OnceLock::new(),
            workers_ended: OnceLock::new(),
            over: AtomicBool::new(false),
        });
        let theirs = watch.clone();
        let look = move || {
            while !theirs.over.load(Ordering::Acquire) {
                if let Err((status, reason)) = theirs.look() {
                    die(status, &reason);
                }
                std::thread::sleep(LOOK_AGAIN);
            }
        };
        let thread = std::thread::Builder::new().name("watchdog".into());
        thread.spawn(look).map_err(Failure::thread("watches the workers"))?;
        Ok(watch)
    }

    /// A worker of this process has ended; the others, here and elsewhere, end as well.
    pub fn worker_ended(&self) {
        self.workers_ended.get_or_init(Instant::now);
    }

    /// All workers have ended: there is nothing left to watch. When the wish to stop was first seen, if it was.
    pub fn over(&self) -> Option<Instant> {
        self.over.store(true, Ordering::Release);
        self.note_wish();
        self.stop_wished.get().copied()
    }

    /// The wish may come from a signal here, from another process, or from who reads the output.
    fn note_wish(&self) {
        if self.view.stopping() && self.stop_wished.set(Instant::now()).is_ok() {
            tracing::info!("stopping");
            notify::stopping();
        }
    }

    fn look(&self) -> Result<(), (i32, String)> {
        self.note_wish();
        match (self.stop_wished.get(), self.workers_ended.get()) {
            (Some(at), _) if at.elapsed() > STOP_DEADLINE => self.end_stop(at.elapsed()),
            (None, Some(at)) if at.elapsed() > PEER_SILENCE => Err((
                STATUS_BROKEN,
                format!("the job has ended here, and not elsewhere within {} s", PEER_SILENCE.as_secs()),
            )),
            (None, None) => self.look_for_silence(),
            _ => Ok(()),
        }
    }

    /// A stop takes too long. Where the job had not begun everywhere, nothing of it is lost.
    fn end_stop(&self, took: Duration) -> Result<(), (i32, String)> {
        let unheard = self.view.with_workers(|workers| workers.iter().position(Option::is_none));
        match unheard.filter(|_| self.cluster) {
            None => Err((
                STATUS_FAILED,
                format!("not stopped after {} ms; ended as it was", STOP_DEADLINE.as_millis()),
            )),
            Some(_) if took <= EARLY_STOP_DEADLINE => Ok(()),
            Some(worker) => {
                Err((0, format!("stopped before process {} of the cluster had begun", worker / self.workers)))
            }
        }
    }

    fn look_for_silence(&self) -> Result<(), (i32, String)> {
        if self.view.longest_silence() > WORKER_SILENCE {
            return Err((
                STATUS_BROKEN,
                format!("a worker thread is stuck: silent for {} s", WORKER_SILENCE.as_secs()),
            ));
        }
        if !self.cluster {
            return Ok(());
        }
        let silent = |heard: Instant| heard.elapsed() > PEER_SILENCE;
        let quiet = self.view.with_workers(|workers| {
            workers.iter().position(|heard| silent(heard.as_ref().map_or(self.began, |(at, _)| *at)))
        });
        match quiet {
            Some(worker) => Err((
                STATUS_BROKEN,
                format!(
                    "process {} of the cluster is silent: worker {worker} was not heard for {} s",
                    worker / self.workers,
                    PEER_SILENCE.as_secs()
                ),
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_dataflows::status::WorkerStatus;

    fn watch(cluster: bool) -> Watch {
        let ago = |time| Instant::now().checked_sub(time).unwrap();
        Watch {
            view: Arc::new(JobView::new(1, 2)),
            workers: 1,
            cluster,
            began: ago(PEER_SILENCE * 2),
            stop_wished: OnceLock::new(),
            workers_ended: OnceLock::new(),
            over: AtomicBool::new(false),
        }
    }

    fn long_ago() -> OnceLock<Instant> {
        let lock = OnceLock::new();
        lock.get_or_init(|| Instant::now().checked_sub(Duration::from_secs(3600)).unwrap());
        lock
    }

    #[test]
    fn a_process_that_was_never_heard_is_named() {
        let watch = watch(true);
        watch.view.note(WorkerStatus { worker: 0, ..WorkerStatus::default() });
        let (status, reason) = watch.look().unwrap_err();
        assert_eq!(status, STATUS_BROKEN);
        assert_eq!(reason, "process 1 of the cluster is silent: worker 1 was not heard for 10 s");
        watch.view.note(WorkerStatus { worker: 1, ..WorkerStatus::default() });
        assert_eq!(watch.look(), Ok(()));
    }

    #[test]
    fn a_process_alone_hears_of_nobody() {
        assert_eq!(watch(false).look(), Ok(()));
    }

    #[test]
    fn a_stop_that_hangs_is_ended() {
        let watch = Watch { stop_wished: long_ago(), ..watch(true) };
        for worker in [0, 1] {
            watch.view.note(WorkerStatus { worker, ..WorkerStatus::default() });
        }
        assert_eq!(watch.look(), Err((STATUS_FAILED, "not stopped after 1800 ms; ended as it was".into())));
    }

    #[test]
    fn a_stop_before_the_others_began_waits_for_them_a_little_and_is_no_failure() {
        let wished = |ago: Duration| OnceLock::from(Instant::now().checked_sub(ago).unwrap());
        let watch = |ago| Watch { stop_wished: wished(ago), ..watch(true) };
        let early = watch(STOP_DEADLINE + LOOK_AGAIN);
        assert_eq!(early.look(), Ok(()));
        let late = watch(EARLY_STOP_DEADLINE + LOOK_AGAIN);
        assert_eq!(late.look(), Err((0, "stopped before process 0 of the cluster had begun".into())));
    }

    #[test]
    fn an_end_that_others_do_not_reach_is_ended() {
        let watch = Watch { workers_ended: long_ago(), ..watch(true) };
        assert_eq!(watch.look().unwrap_err().0, STATUS_BROKEN);
    }
}
