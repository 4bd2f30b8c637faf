//! How the processes of a cluster find each other: every two of them are joined by one connection, over which
//! both have proved that they know the cluster's secret and have said who they are, before either opens anything else.
//!
//! - Process 0 tells the others where the job begins; each says when it has opened what it needs; process 0 tells all
//!   to go once all have; and each tells each that it does, or the job begins nowhere.
//! - A process that is stopped, fails or does not belong (another build, configuration or shape, or an index that is
//!   taken) says so to the others, which end with it. One that is silent is named at the deadline.
//! - A process that dies before the start is waited for again.
//! - A stranger on the port harms nobody. Who has not proved to belong is told nothing of the job, and whatever it sends
//!   ends nothing: also a process with another secret is only logged, and named at the deadline.
//! - Where certificates are set, all of this goes over TLS, whose two ends know each other by their certificates before.
//! - The connections, silent from then on, are handed to timely, which has no handshake and no TLS of its own.

mod admission;
mod certificates;
mod distrust;
mod error;
mod gather;
mod hello;
mod link;
mod meet;
mod proof;
mod refusals;
mod secured;
mod timed;
mod wire;

pub use error::{Cause, ClusterError};
pub use gather::Joined;
pub use hello::{Hello, Run};

use crate::settings::ClusterShape;
use gather::{Gathering, spawn};
use meet::{Host, Met, Step};
use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// How long a process waits for the others to be started and to open what they need.
pub const START_DEADLINE: Duration = Duration::from_secs(60);

/// What the thread that meets the others has to say.
enum News {
    Run(Run),
    Joined(Joined),
    Over(ClusterError),
}

/// This process's meeting with the others, which goes on beside what it opens meanwhile.
pub struct Meeting {
    steps: Sender<Met>,
    news: Receiver<News>,
}

impl Meeting {
    /// Begins to meet the cluster of `shape` as the process that `ours` describes, which must be complete within
    /// `deadline`, unless `stopped` says that it is not to be any more. `over` is told why it will not be, after the
    /// others: at any moment, on a thread of its own.
    ///
    /// # Errors
    /// The own address is taken, a certificate cannot be used, or a thread cannot be started.
    pub fn begin(
        shape: &ClusterShape,
        ours: Hello,
        deadline: Duration,
        stopped: impl Fn() -> bool + Send + 'static,
        over: impl FnOnce(&ClusterError) + Send + 'static,
    ) -> Result<Meeting, ClusterError> {
        let ((steps, found), (tell, news)) = (channel(), channel());
        let host = Host::new(shape, ours, steps.clone())?;
        let address = &shape.addresses[shape.process];
        let listen = |error| ClusterError::Listen { process: shape.process, address: address.clone(), error };
        let listener = TcpListener::bind(address).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let (answering, ended) = (host.clone(), host.over.clone());
        let answering = spawn(move || answering.answer(listener))?;
        let mut gathering = Gathering::new(shape.clone(), host, found);
        spawn(move || {
            let run_known = |run: &Run| drop(tell.send(News::Run(run.clone())));
            let result = gathering.run(deadline, stopped, run_known);
            if let Err(error) = &result {
                gathering.give_up(error);
            }
            ended.store(true, Ordering::Release);
            // The port is free when this ends, for the next start.
            let _ = answering.join();
            let last = match result {
                Ok(joined) => News::Joined(joined),
                Err(error) => {
                    over(&error);
                    News::Over(error)
                }
            };
            // After `give_up` nobody receives it.
            let _ = tell.send(last);
        })?;
        Ok(Meeting { steps, news })
    }

    /// Process 0 tells where the job begins.
    pub fn tell(&self, run: Run) {
        self.step(Step::Knows(run));
    }

    /// Waits until process 0 has told where the job begins.
    ///
    /// # Errors
    /// The job will not begin.
    pub fn run(&self) -> Result<Run, ClusterError> {
        match self.news.recv() {
            Ok(News::Run(run)) => Ok(run),
            other => Err(unexpected(other.ok())),
        }
    }

    /// Says that all is open that this process needs, and waits until the job begins everywhere.
    ///
    /// # Errors
    /// It will not.
    pub fn ready(self) -> Result<Joined, ClusterError> {
        self.step(Step::Open);
        loop {
            match self.news.recv() {
                Ok(News::Joined(joined)) => return Ok(joined),
                Ok(News::Run(_)) => {}
                other => return Err(unexpected(other.ok())),
            }
        }
    }

    /// Tells the others why this process does not begin.
    pub fn give_up(self, reason: String, cause: Cause) {
        self.step(Step::Failed(reason, cause));
        while let Ok(News::Run(_) | News::Joined(_)) = self.news.recv() {}
    }

    /// A meeting that is over has said why.
    fn step(&self, step: Step) {
        let _ = self.steps.send(Met::Own(step));
    }
}

fn unexpected(news: Option<News>) -> ClusterError {
    match news {
        Some(News::Over(error)) => error,
        _ => {
            ClusterError::Own { reason: "the meeting of the cluster has ended".into(), cause: Cause::Failure }
        }
    }
}

#[cfg(test)]
mod tests;
