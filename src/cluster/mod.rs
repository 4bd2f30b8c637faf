//! How the processes of a cluster find each other: every two of them are joined by one connection, over which
//! both have said who they are, and the job begins when process 0 knows that all are joined.
//!
//! - Processes that do not belong together (another build, configuration or shape, or an index that is taken)
//!   say so and give up, all of them, within seconds.
//! - A process that dies before the start is waited for again. A stranger on the port harms nobody.
//! - The connections, silent from then on, are handed to timely, which has no handshake of its own.

mod hello;
mod meet;
mod wire;

pub use hello::{Hello, Run};

use crate::settings::Shape;
use meet::{Host, Met};
use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use wire::{Message, Pulse};

/// How long a process waits for the others to be started.
pub const START_DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks at whether the others are still there.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Between two lines that say who is missing.
const SAY_AGAIN: Duration = Duration::from_secs(10);
/// The first line is said only when the others are not there at once.
const SAY_FIRST: Duration = Duration::from_millis(1500);
/// A process that gives up stays for so long, to say why to those that have not come yet.
const LINGER: Duration = Duration::from_secs(3);
/// One that is stopped, only for those that it is just meeting.
const LINGER_STOPPED: Duration = Duration::from_millis(250);
/// A process that is ready waits for so long with a stop.
const READY_GRACE: Duration = Duration::from_millis(500);
/// A joined process sends and takes a few bytes at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the cluster cannot start. See [`is_mismatch`](Self::is_mismatch).
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
    GaveUp { by: usize, reason: String, mismatch: bool },
    #[error("the cluster is not complete after {} s: waited for {missing}", after.as_secs())]
    Deadline { after: Duration, missing: String },
    #[error("stopped by a signal before the job began")]
    Stopped,
}

impl ClusterError {
    /// Whether the processes were started so that they can never work together.
    pub fn is_mismatch(&self) -> bool {
        match self {
            ClusterError::Listen { .. } | ClusterError::System { .. } => false,
            ClusterError::Deadline { .. } | ClusterError::Stopped => false,
            ClusterError::GaveUp { mismatch, .. } => *mismatch,
            _ => true,
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

/// Joins the cluster of `shape` as the process that `ours` describes, within `deadline`, unless `stopped` says that
/// it is not to be any more.
///
/// # Errors
/// The own address is taken; a process does not belong; not all came in time; this one or another was stopped.
pub fn join(
    shape: &Shape,
    ours: Hello,
    deadline: Duration,
    stopped: impl Fn() -> bool,
) -> Result<Joined, ClusterError> {
    let address = &shape.addresses[shape.process];
    let listen = |error| ClusterError::Listen { process: shape.process, address: address.clone(), error };
    let listener = TcpListener::bind(address).map_err(listen)?;
    listener.set_nonblocking(true).map_err(listen)?;
    let (found, events) = channel();
    let host = Host { ours: Arc::new(ours), found, over: Arc::new(AtomicBool::new(false)) };
    let answering = host.clone();
    let answering = spawn(move || answering.answer(listener))?;
    let peers = (0..shape.processes).map(|_| None).collect();
    let mut meeting =
        Meeting { shape, host, events, peers, told_ready: false, told_go: false, told_why: BTreeSet::new() };
    let result = meeting.run(deadline, stopped);
    if let Err(error) = &result {
        meeting.give_up(error);
    }
    meeting.host.over.store(true, Ordering::Release);
    // The port is free when this returns, for the next start.
    let _ = answering.join();
    result
}

fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> ClusterError {
    let what = what.into();
    move |error| ClusterError::System { what, error }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> Result<std::thread::JoinHandle<()>, ClusterError> {
    std::thread::Builder::new()
        .name("cluster-start".into())
        .spawn(run)
        .map_err(system("cannot start a thread"))
}

/// A process that belongs.
struct Peer {
    stream: TcpStream,
    address: String,
    run: Run,
    /// Process 0 notes here who said so.
    ready: bool,
}

/// One process's view of the cluster while it comes together.
struct Meeting<'a> {
    shape: &'a Shape,
    host: Host,
    events: Receiver<Met>,
    peers: Vec<Option<Peer>>,
    told_ready: bool,
    told_go: bool,
    told_why: BTreeSet<usize>,
}

impl Meeting<'_> {
    fn run(&mut self, patience: Duration, stopped: impl Fn() -> bool) -> Result<Joined, ClusterError> {
        for index in 0..self.shape.process {
            self.call(index)?;
        }
        let start = Instant::now();
        let mut say_at = start + SAY_FIRST;
        let mut asked_to_stop = None;
        while !self.complete() {
            match self.events.recv_timeout(LOOK_AGAIN) {
                Ok(met) => self.place(met)?,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            self.look_around()?;
            if stopped() {
                // Whoever has said that it is ready is told to go at any moment: then it is the job that stops.
                let asked = *asked_to_stop.get_or_insert_with(Instant::now);
                if !self.told_ready || asked.elapsed() > READY_GRACE {
                    return Err(ClusterError::Stopped);
                }
            }
            if start.elapsed() > patience {
                return Err(ClusterError::Deadline { after: patience, missing: self.missing() });
            }
            if Instant::now() > say_at {
                tracing::info!("waiting for {}", self.missing());
                say_at += SAY_AGAIN;
            }
        }
        self.hand_over()
    }

    fn call(&self, index: usize) -> Result<(), ClusterError> {
        let (host, address) = (self.host.clone(), self.shape.addresses[index].clone());
        spawn(move || host.call(index, address)).map(drop)
    }

    /// Takes a process in, if it belongs and its place is free.
    fn place(&mut self, met: Met) -> Result<(), ClusterError> {
        let (stream, address, hello, called) = match met {
            Met::Process { stream, address, hello, called } => (stream, address, hello, called),
            Met::OtherVersion { address, version } => {
                return Err(ClusterError::Version { peer: address, theirs: version });
            }
        };
        let index = hello.process;
        let peer = Peer { stream, address, run: hello.run.clone(), ready: false };
        let checked = self.check(&hello, &peer, called);
        if let Err(error) = checked {
            say_why(&peer.stream, &error);
            self.told_why.insert(index);
            return Err(error);
        }
        tracing::debug!("met process {index} at {}", peer.address);
        self.peers[index] = Some(peer);
        Ok(())
    }

    fn check(&self, hello: &Hello, peer: &Peer, called: Option<usize>) -> Result<(), ClusterError> {
        self.host.ours.check(hello, &peer.address)?;
        let (own, index) = (self.shape.process, hello.process);
        let taken = |first: &str| {
            Err(ClusterError::IndexTaken { index, first: first.to_owned(), second: peer.address.clone() })
        };
        match called {
            Some(expected) if expected != index => {
                let address = peer.address.clone();
                return Err(ClusterError::WrongProcess { address, expected, found: index });
            }
            None if index == own => return taken(&self.shape.addresses[own]),
            // Only higher ones call.
            None if index < own || index >= self.shape.processes => {
                return Err(ClusterError::TakenForAnother { caller: index, own });
            }
            _ => {}
        }
        match self.peers[index].as_ref() {
            Some(first) if wire::pulse(&first.stream) != Pulse::Gone => taken(&first.address),
            _ => Ok(()),
        }
    }

    /// Notes who went away and what was said.
    fn look_around(&mut self) -> Result<(), ClusterError> {
        for index in 0..self.peers.len() {
            let Some(peer) = &mut self.peers[index] else { continue };
            match wire::pulse(&peer.stream) {
                Pulse::Quiet => {}
                Pulse::Gone => self.lose(index)?,
                Pulse::Talking => match wire::receive(&peer.stream, PATIENCE) {
                    Ok(Message::Ready) => peer.ready = true,
                    Ok(Message::Go) => self.told_go = true,
                    Ok(Message::GiveUp { reason, mismatch }) => {
                        return Err(ClusterError::GaveUp { by: index, reason, mismatch });
                    }
                    Ok(Message::Hello(_)) | Err(_) => self.lose(index)?,
                },
            }
        }
        Ok(())
    }

    /// Forgets a process that went away, and waits for its next start.
    fn lose(&mut self, index: usize) -> Result<(), ClusterError> {
        tracing::warn!("process {index} went away before the start; waiting for it again");
        self.peers[index] = None;
        if index == 0 {
            (self.told_ready, self.told_go) = (false, false);
        }
        if index < self.shape.process { self.call(index) } else { Ok(()) }
    }

    /// Whether the job may begin, here and everywhere.
    fn complete(&mut self) -> bool {
        let Some(first) = &self.peers[0] else { return self.shape.process == 0 && self.send_off() };
        let all_met = self.peers.iter().flatten().count() + 1 == self.peers.len();
        if all_met && !self.told_ready {
            self.told_ready = wire::send(&first.stream, &Message::Ready, PATIENCE).is_ok();
        }
        self.told_go
    }

    /// Process 0 tells all to go once all are ready.
    fn send_off(&self) -> bool {
        let ready = self.peers.iter().skip(1).all(|peer| peer.as_ref().is_some_and(|peer| peer.ready));
        for peer in self.peers.iter().flatten().filter(|_| ready) {
            // Whoever is gone by now is noticed by all as soon as the job runs.
            let _ = wire::send(&peer.stream, &Message::Go, PATIENCE);
        }
        ready
    }

    fn hand_over(&mut self) -> Result<Joined, ClusterError> {
        let run = self.peers[0].as_ref().map_or(&self.host.ours.run, |first| &first.run).clone();
        let mut sockets = Vec::with_capacity(self.peers.len());
        for (index, peer) in self.peers.drain(..).enumerate() {
            let settle = |stream: &TcpStream| {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(None)?;
                stream.set_write_timeout(None)
            };
            if let Some(peer) = &peer {
                settle(&peer.stream).map_err(system(format!("the connection to process {index}")))?;
            }
            sockets.push(peer.map(|peer| peer.stream));
        }
        Ok(Joined { sockets, run })
    }

    fn missing(&self) -> String {
        let own = self.shape.process;
        let away = |index: &usize| *index != own && self.peers[*index].is_none();
        let not_ready =
            |index: &usize| *index != own && !self.peers[*index].as_ref().is_some_and(|p| p.ready);
        let named = |indexes: Vec<usize>| {
            let names = indexes.iter().map(|i| format!("process {i} at {}", self.shape.addresses[*i]));
            names.collect::<Vec<_>>().join(", ")
        };
        let missing: Vec<usize> = (0..self.peers.len()).filter(away).collect();
        match (missing.is_empty(), own) {
            (false, _) => named(missing),
            (true, 0) => {
                format!("{} to meet the others", named((0..self.peers.len()).filter(not_ready).collect()))
            }
            (true, _) => "the others to meet".into(),
        }
    }

    /// Says why to all others, so that nobody waits for this process: at once to those that were met, and for a
    /// while to those that are still on their way.
    fn give_up(&mut self, error: &ClusterError) {
        for (index, peer) in self.peers.iter().enumerate() {
            if let Some(peer) = peer {
                say_why(&peer.stream, error);
                self.told_why.insert(index);
            }
        }
        self.told_why.insert(self.shape.process);
        let linger = match error {
            ClusterError::Stopped => LINGER_STOPPED,
            error if error.is_mismatch() => LINGER,
            _ => Duration::ZERO,
        };
        let until = Instant::now() + linger;
        while self.told_why.len() < self.peers.len() {
            match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Met::Process { stream, hello, .. }) => {
                    say_why(&stream, error);
                    self.told_why.insert(hello.process);
                }
                Ok(Met::OtherVersion { .. }) => {}
                Err(_) => return,
            }
        }
    }
}

fn say_why(stream: &TcpStream, error: &ClusterError) {
    let why = Message::GiveUp { reason: error.to_string(), mismatch: error.is_mismatch() };
    // The connection may be gone, and then there is nobody to tell.
    let _ = wire::send(stream, &why, PATIENCE);
}

#[cfg(test)]
mod tests;
