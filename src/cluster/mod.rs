//! How the processes of a cluster find each other: every two of them are joined by one connection, over which
//! both have said who they are, before either opens anything else.
//!
//! - Process 0 tells the others where the job begins; each says when it has opened what it needs; process 0 tells all
//!   to go once all have; and each tells each that it does, or the job begins nowhere.
//! - A process that is stopped, fails or does not belong (another build, configuration or shape, or an index that is
//!   taken) says so to the others, which end with it. One that is silent is named at the deadline.
//! - A process that dies before the start is waited for again. A stranger on the port harms nobody.
//! - The connections, silent from then on, are handed to timely, which has no handshake of its own.

mod gather;
mod hello;
mod meet;
mod wire;

pub use hello::{Hello, Run};

use crate::settings::Shape;
use gather::Gathering;
use meet::{Host, Met, Step};
use serde::{Deserialize, Serialize};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// How long a process waits for the others to be started and to open what they need.
pub const START_DEADLINE: Duration = Duration::from_secs(60);

/// What kind of reason there is not to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// The processes can never work together as they were started.
    Mismatch,
    /// Something went wrong that may go right another time.
    Failure,
    /// A process was asked to stop, and so all do.
    Stop,
}

/// Why the job does not begin. See [`cause`](Self::cause).
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // each message says what its fields are
pub enum ClusterError {
    #[error("process {process} cannot listen on {address} for the others: {error}")]
    Listen { process: usize, address: String, error: std::io::Error },
    #[error("{what}: {error}")]
    System { what: String, error: std::io::Error },
    #[error(
        "{peer} is another build: {theirs:016x} there, {ours:016x} here; run one binary in the whole cluster"
    )]
    Build { peer: String, ours: u64, theirs: u64 },
    #[error(
        "the process at {peer} is another build: version {theirs} of the handshake; run one binary in the whole cluster"
    )]
    Version { peer: String, theirs: u32 },
    #[error("{peer} has another configuration: {key} is {theirs} there, {ours} here")]
    Configuration { peer: String, key: String, ours: String, theirs: String },
    #[error("{peer} has another cluster shape: {what} is {theirs} there, {ours} here")]
    Shape { peer: String, what: &'static str, ours: usize, theirs: usize },
    #[error(
        "cluster shape: the index {index} is taken twice, by the process at {first} and by the one at {second}"
    )]
    IndexTaken { index: usize, first: String, second: String },
    #[error("cluster shape: {address} was to be process {expected}, but process {found} answers there")]
    WrongProcess { address: String, expected: usize, found: usize },
    #[error("cluster shape: process {caller} takes process {own} for another one; compare their hostfiles")]
    TakenForAnother { caller: usize, own: usize },
    #[error("process {by} gave up: {reason}")]
    GaveUp { by: usize, reason: String, cause: Cause },
    #[error("process {index} at {address} went away just as the job began")]
    Lost { index: usize, address: String },
    #[error("process 0 at {address} was started again, and goes on from elsewhere: so must this one be")]
    Elsewhere { address: String },
    #[error("the cluster is not complete after {} s: waited for {missing}", after.as_secs())]
    Deadline { after: Duration, missing: String },
    #[error("stopped by a signal before the job began")]
    Stopped,
    #[error("{reason}")]
    Own { reason: String, cause: Cause },
}

impl ClusterError {
    /// What kind of reason it is.
    pub fn cause(&self) -> Cause {
        match self {
            ClusterError::Listen { .. } | ClusterError::System { .. } => Cause::Failure,
            ClusterError::Deadline { .. } | ClusterError::Lost { .. } => Cause::Failure,
            ClusterError::Elsewhere { .. } => Cause::Failure,
            ClusterError::Stopped => Cause::Stop,
            ClusterError::GaveUp { cause, .. } | ClusterError::Own { cause, .. } => *cause,
            _ => Cause::Mismatch,
        }
    }
}

/// A complete cluster.
#[derive(Debug)]
pub struct Joined {
    /// The connection to each process; `None` at the own index.
    pub sockets: Vec<Option<TcpStream>>,
    /// That of process 0.
    pub run: Run,
}

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
    /// The own address is taken, or a thread cannot be started.
    pub fn begin(
        shape: &Shape,
        ours: Hello,
        deadline: Duration,
        stopped: impl Fn() -> bool + Send + 'static,
        over: impl FnOnce(&ClusterError) + Send + 'static,
    ) -> Result<Meeting, ClusterError> {
        let address = &shape.addresses[shape.process];
        let listen = |error| ClusterError::Listen { process: shape.process, address: address.clone(), error };
        let listener = TcpListener::bind(address).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let ((steps, found), (tell, news)) = (channel(), channel());
        let host =
            Host { ours: Arc::new(ours), found: steps.clone(), over: Arc::new(AtomicBool::new(false)) };
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
            // Who has given up hears nothing more.
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

fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> ClusterError {
    let what = what.into();
    move |error| ClusterError::System { what, error }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> Result<std::thread::JoinHandle<()>, ClusterError> {
    std::thread::Builder::new()
        .name("cluster-start".into())
        .spawn(run)
        .map_err(system("cannot start a thread to meet the other processes"))
}

#[cfg(test)]
mod tests;
