//! One process's view of the cluster while it comes together, from the first call to the last message.

use super::error::{Cause, ClusterError};
use super::hello::{Hello, Run};
use super::link::Link;
use super::meet::{Host, Met, Step};
use super::wire::{self, Message, Pulse};
use crate::settings::ClusterShape;
use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Between two looks at whether the others are still there.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Between two lines that say who is missing.
const SAY_AGAIN: Duration = Duration::from_secs(10);
/// The same, where all are there and stand by.
const SAY_AGAIN_STANDBY: Duration = Duration::from_secs(3600);
/// The first line is said only when the others are not there at once.
const SAY_FIRST: Duration = Duration::from_millis(1500);
/// A process that gives up stays for so long, to say why to those that have not come yet.
const LINGER: Duration = Duration::from_secs(3);
/// One that is stopped, only for those that it is just meeting.
const LINGER_STOPPED: Duration = Duration::from_millis(500);
/// A process that has said its last word waits for so long with a stop: the job that begins is what stops then.
const BEGUN_GRACE: Duration = Duration::from_secs(2);
/// A joined process sends and takes a few bytes at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// A process that belongs.
struct Peer {
    link: Link,
    address: String,
    /// Whether it has said that it is ready, which only process 0 is told.
    ready: bool,
    /// It has said its last word: what comes next is timely's.
    begun: bool,
}

/// A complete cluster.
#[derive(Debug)]
pub struct Joined {
    /// The connection to each process; `None` at the own index.
    pub sockets: Vec<Option<Link>>,
    /// What process 0 knows of the run.
    pub run: Run,
}

/// Starts a thread that meets other processes.
///
/// # Errors
/// The operating system's.
pub fn spawn(run: impl FnOnce() + Send + 'static) -> Result<std::thread::JoinHandle<()>, ClusterError> {
    std::thread::Builder::new()
        .name("cluster-start".into())
        .spawn(run)
        .map_err(ClusterError::system("cannot start a thread to meet the other processes"))
}

/// The cluster so far.
pub struct Gathering {
    shape: ClusterShape,
    host: Host,
    events: Receiver<Met>,
    peers: Vec<Option<Peer>>,
    /// Where the job begins, as process 0 said last.
    run: Option<Run>,
    /// Whether this process has opened what it needs.
    open: bool,
    /// Whether this process has said that it is ready.
    sent_ready: bool,
    /// Whether process 0 has said to go.
    go: bool,
    /// Whether this process has said that it begins.
    sent_begun: bool,
    /// The processes that know why this one gives up.
    informed: BTreeSet<usize>,
}

impl Gathering {
    /// The view of a process that has met nobody.
    pub fn new(shape: ClusterShape, host: Host, events: Receiver<Met>) -> Self {
        let peers = (0..shape.processes).map(|_| None).collect();
        Gathering {
            shape,
            host,
            events,
            peers,
            run: None,
            open: false,
            sent_ready: false,
            go: false,
            sent_begun: false,
            informed: BTreeSet::new(),
        }
    }

    /// Meets all others, until each has said that it begins. `run_known` is called once, when it is known where.
    ///
    /// # Errors
    /// Why the job does not begin.
    pub fn run(
        &mut self,
        patience: Duration,
        stopped: impl Fn() -> bool,
        run_known: impl Fn(&Run),
    ) -> Result<Joined, ClusterError> {
        for index in 0..self.shape.process {
            self.call(index)?;
        }
        let mut start = Instant::now();
        let mut say_at = start + SAY_FIRST;
        let (mut asked_to_stop, mut run_passed_on) = (None, false);
        while !self.complete() {
            match self.events.recv_timeout(LOOK_AGAIN) {
                Ok(met) => self.take(met)?,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            self.look_around()?;
            if let Some(run) = self.run.as_ref().filter(|_| !run_passed_on) {
                run_known(run);
                run_passed_on = true;
            }
            if stopped() {
                let asked = *asked_to_stop.get_or_insert_with(Instant::now);
                if !self.sent_begun || asked.elapsed() > BEGUN_GRACE {
                    return Err(ClusterError::Stopped);
                }
            }
            if self.shape.standby && self.run.is_none() {
                // However long the job lives that is stood by for.
                start = Instant::now();
            }
            if start.elapsed() > patience {
                return Err(ClusterError::Deadline { after: patience, missing: self.missing() });
            }
            if Instant::now() > say_at {
                tracing::info!("waiting for {}", self.missing());
                let stands_by =
                    self.shape.standby && self.peers.iter().flatten().count() + 1 == self.peers.len();
                say_at += if stands_by { SAY_AGAIN_STANDBY } else { SAY_AGAIN };
            }
        }
        self.hand_over()
    }

    fn call(&self, index: usize) -> Result<(), ClusterError> {
        let (host, address) = (self.host.clone(), self.shape.addresses[index].clone());
        spawn(move || host.call(index, address)).map(drop)
    }

    fn take(&mut self, met: Met) -> Result<(), ClusterError> {
        match met {
            Met::Process { link, address, hello, called } => {
                let peer = Peer { link, address, ready: false, begun: false };
                self.place(&hello, peer, called)
            }
            Met::OtherVersion { address, version } => {
                Err(ClusterError::Version { peer: address, theirs: version })
            }
            Met::Own(Step::Knows(run)) => {
                self.send_to_all(&Message::Run(run.clone()));
                self.run = Some(run);
                Ok(())
            }
            Met::Own(Step::Open) => {
                self.open = true;
                Ok(())
            }
            Met::Own(Step::Failed(reason, cause)) => Err(ClusterError::Own { reason, cause }),
        }
    }

    /// Takes a process in, if it belongs and its place is free.
    fn place(&mut self, hello: &Hello, peer: Peer, called: Option<usize>) -> Result<(), ClusterError> {
        let index = hello.process;
        if let Err(error) = self.check(hello, &peer, called) {
            send_reason(&peer.link, &error);
            self.informed.insert(index);
            return Err(error);
        }
        tracing::debug!("met process {index} at {}", peer.address);
        if let Some(run) = self.run.as_ref().filter(|_| self.shape.process == 0) {
            send(&peer, &Message::Run(run.clone()));
        }
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
            Some(first) if wire::pulse(&first.link) != Pulse::Gone => taken(&first.address),
            _ => Ok(()),
        }
    }

    /// Notes who went away and what was said.
    fn look_around(&mut self) -> Result<(), ClusterError> {
        for index in 0..self.peers.len() {
            // One message after the other, as they come.
            while let Some(peer) = self.peers[index].as_mut().filter(|peer| !peer.begun) {
                match wire::pulse(&peer.link) {
                    Pulse::Quiet => break,
                    Pulse::Gone => self.lose(index)?,
                    Pulse::Talking => match wire::receive(&peer.link, PATIENCE) {
                        Ok(Message::Ready) => peer.ready = true,
                        Ok(Message::Go) => self.go = true,
                        Ok(Message::Begun) => peer.begun = true,
                        Ok(Message::Run(run)) => self.take_run(run, index)?,
                        Ok(Message::GiveUp { reason, cause }) => {
                            return Err(ClusterError::GaveUp { by: index, reason, cause });
                        }
                        Ok(Message::Hello(_)) | Err(_) => self.lose(index)?,
                    },
                }
            }
        }
        Ok(())
    }

    /// Where the job begins. By the word of an earlier process 0 this one may have opened its source already.
    fn take_run(&mut self, run: Run, index: usize) -> Result<(), ClusterError> {
        match &self.run {
            Some(before) if before.resume != run.resume => {
                Err(ClusterError::Elsewhere { address: self.shape.addresses[index].clone() })
            }
            _ => {
                self.run = Some(run);
                Ok(())
            }
        }
    }

    /// Forgets a process that went away, and waits for its next start, which comes too late when others begin.
    fn lose(&mut self, index: usize) -> Result<(), ClusterError> {
        let Some(lost) = self.peers[index].take() else { return Ok(()) };
        if self.go || self.peers.iter().flatten().any(|peer| peer.begun) {
            return Err(ClusterError::Lost { index, address: lost.address });
        }
        tracing::warn!("process {index} went away before the start; waiting for it again");
        if index == 0 {
            self.sent_ready = false;
        }
        if index < self.shape.process { self.call(index) } else { Ok(()) }
    }

    /// Whether the job begins, here and everywhere; says what is to be said for it.
    fn complete(&mut self) -> bool {
        let all_met = self.peers.iter().flatten().count() + 1 == self.peers.len();
        if !(all_met && self.open && self.run.is_some()) {
            return false;
        }
        match &self.peers[0] {
            Some(first) if !self.sent_ready => self.sent_ready = send(first, &Message::Ready),
            None if !self.go && self.peers.iter().flatten().all(|peer| peer.ready) => {
                self.send_to_all(&Message::Go);
                self.go = true;
            }
            _ => {}
        }
        if self.go && !self.sent_begun {
            self.send_to_all(&Message::Begun);
            self.sent_begun = true;
        }
        self.sent_begun && self.peers.iter().flatten().all(|peer| peer.begun)
    }

    fn send_to_all(&self, message: &Message) {
        for peer in self.peers.iter().flatten() {
            send(peer, message);
        }
    }

    fn hand_over(&mut self) -> Result<Joined, ClusterError> {
        let mut sockets = Vec::with_capacity(self.peers.len());
        for (index, peer) in self.peers.drain(..).enumerate() {
            if let Some(peer) = &peer {
                let failed = ClusterError::system(format!("the connection to process {index}"));
                peer.link.settle().map_err(failed)?;
            }
            sockets.push(peer.map(|peer| peer.link));
        }
        let unknown = || ClusterError::Own {
            reason: "process 0 has not said where the job begins".into(),
            cause: Cause::Failure,
        };
        Ok(Joined { sockets, run: self.run.take().ok_or_else(unknown)? })
    }

    /// What is waited for, for people.
    fn missing(&self) -> String {
        let own = self.shape.process;
        let named = |missing: &dyn Fn(Option<&Peer>) -> bool| {
            let others = self.peers.iter().enumerate().filter(|(index, _)| *index != own);
            let missing = others.filter(|(_, peer)| missing(peer.as_ref()));
            let names = missing.map(|(index, peer)| {
                let instead = self.host.refusals.met_instead_of(index).filter(|_| peer.is_none());
                let instead = instead.map(|why| format!(" (what was met in its place {why})"));
                format!("process {index} at {}{}", self.shape.addresses[index], instead.unwrap_or_default())
            });
            Some(names.collect::<Vec<_>>().join(", ")).filter(|names| !names.is_empty())
        };
        if let Some(absent) = named(&|peer| peer.is_none()) {
            return absent + &self.unnamed_caller().unwrap_or_default();
        }
        if self.sent_begun {
            return named(&|peer| peer.is_some_and(|peer| !peer.begun)).unwrap_or_default() + " to begin";
        }
        let first = format!("process 0 at {}", self.shape.addresses[0]);
        match (&self.run, self.open, own) {
            (_, false, 0) => "what this process itself is to open".into(),
            (None, _, _) => format!("{first} to say where the job begins"),
            (Some(_), false, _) => "what this process itself is to open".into(),
            (Some(_), true, 0) => {
                named(&|peer| peer.is_some_and(|peer| !peer.ready)).unwrap_or_default() + " to be ready"
            }
            (Some(_), true, _) => format!("{first} to say that all are ready"),
        }
    }

    /// Who was not let in before it could say which process it is, where that may be one that calls.
    fn unnamed_caller(&self) -> Option<String> {
        let mut callers = self.peers.iter().skip(self.shape.process + 1);
        let (address, why) =
            self.host.refusals.unnamed().filter(|_| callers.any(|caller| caller.is_none()))?;
        Some(format!(" (a caller at {address} {why})"))
    }

    /// Says why to all others, so that nobody waits for this process: at once to those that were met, and for a
    /// while to those that are still on their way.
    pub fn give_up(&mut self, error: &ClusterError) {
        for (index, peer) in self.peers.iter().enumerate() {
            let Some(peer) = peer else { continue };
            // To those that may have begun, whatever comes is timely's: they see the connection end.
            if !(self.sent_begun && peer.begun) {
                send_reason(&peer.link, error);
            }
            self.informed.insert(index);
        }
        self.informed.insert(self.shape.process);
        let linger = match (error, error.cause()) {
            (ClusterError::Stopped, _) => LINGER_STOPPED,
            (ClusterError::Own { .. }, _) | (_, Cause::Mismatch) => LINGER,
            _ => Duration::ZERO,
        };
        let until = Instant::now() + linger;
        while self.informed.len() < self.peers.len() {
            match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Met::Process { link, hello, .. }) => {
                    send_reason(&link, error);
                    self.informed.insert(hello.process);
                }
                Ok(Met::OtherVersion { .. } | Met::Own(_)) => {}
                Err(_) => return,
            }
        }
    }
}

/// Whether it was sent. Who is gone is noticed when it is looked at next.
fn send(peer: &Peer, message: &Message) -> bool {
    wire::send(&peer.link, message, PATIENCE).is_ok()
}

fn send_reason(link: &Link, error: &ClusterError) {
    let why = Message::GiveUp { reason: error.to_string(), cause: error.cause() };
    // The connection may be gone, and then there is nobody to tell.
    let _ = wire::send(link, &why, PATIENCE);
}
