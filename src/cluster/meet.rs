//! How two processes come to know each other: the one with the higher index calls, the other one answers, and both prove that
//! they know the cluster's secret before they say who they are.
//! Threads do the waiting, so that a silent stranger holds up nobody; what they find goes to one channel.

use super::admission::{Admission, Place};
use super::certificates::Certificates;
use super::distrust::Distrust;
use super::error::{Cause, ClusterError};
use super::hello::{Hello, Run};
use super::link::Link;
use super::proof::{self, ProofError};
use super::refusals::{Refusals, Why};
use super::timed::Timed;
use super::wire::{self, Message, WireError};
use crate::settings::{ClusterShape, Secret};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

/// A process that is there proves at once that it belongs, and says hello.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two calls, and between two looks for a caller.
const PAUSE: Duration = Duration::from_millis(50);
/// Callers that may be in a handshake at one time, beside one for each process of the cluster.
const MAX_STRANGERS: usize = 64;
/// A handshake needs little.
const STACK_BYTES: usize = 512 << 10;

/// What the threads find.
pub enum Met {
    /// A process that said hello.
    Process {
        /// The connection, which holds no unread byte of the handshake.
        link: Link,
        /// Where it is.
        address: String,
        /// What it said.
        hello: Hello,
        /// The index that was called; `None` where it called.
        called: Option<usize>,
    },
    /// A process of another version.
    OtherVersion {
        /// Where it is.
        address: String,
        /// Its version of the handshake.
        version: u32,
    },
    /// This process itself, as it gets ready.
    Own(Step),
}

/// How far this process is.
pub enum Step {
    /// Process 0 knows where the job begins.
    Knows(Run),
    /// All that the job needs is open.
    Open,
    /// Something cannot be opened.
    Failed(String, Cause),
}

/// Why two processes have not met.
#[derive(Debug, thiserror::Error)]
enum Unmet {
    /// Nobody was reached.
    #[error(transparent)]
    Unreached(io::Error),
    /// TLS does not begin.
    #[error(transparent)]
    Unsecured(io::Error),
    /// The caller knows the secret, and has the certificate of another process than this one.
    #[error("calls itself process {0}, and has a certificate for another host")]
    Misnamed(usize, Distrust),
    /// The other end has not proved that it belongs.
    #[error(transparent)]
    Unproved(#[from] ProofError),
    /// It has, and then said no hello.
    #[error(transparent)]
    Unheard(#[from] WireError),
}

/// What the threads of one meeting share.
#[derive(Clone)]
pub struct Host {
    /// What this process says.
    pub ours: Arc<Hello>,
    /// Who was not let in.
    pub refusals: Arc<Refusals>,
    /// Where to tell of what was found.
    pub found: Sender<Met>,
    /// Set when nothing more is looked for.
    pub over: Arc<AtomicBool>,
    /// Without one, everybody belongs who speaks the protocol.
    secret: Option<Secret>,
    /// Without them the connections are plain.
    certificates: Option<Arc<Certificates>>,
    admission: Arc<Admission>,
}

impl Host {
    /// A process of the cluster of `shape` that says `ours`, and tells `found` of what it finds.
    ///
    /// # Errors
    /// Certificates that cannot be used.
    pub fn new(shape: &ClusterShape, ours: Hello, found: Sender<Met>) -> Result<Self, ClusterError> {
        let tls = shape.access.tls.as_ref();
        let certificates = tls.map(|tls| Certificates::new(tls, &shape.addresses)).transpose()?;
        Ok(Host {
            ours: Arc::new(ours),
            refusals: Arc::new(Refusals::new(shape.processes)),
            found,
            over: Arc::new(AtomicBool::new(false)),
            secret: shape.access.secret.clone(),
            certificates: certificates.map(Arc::new),
            admission: Arc::new(Admission::new(MAX_STRANGERS + shape.processes)),
        })
    }

    /// Answers callers until the meeting is over; then the port is free.
    pub fn answer(self, listener: TcpListener) {
        while !self.over.load(Ordering::Acquire) {
            match listener.accept() {
                Ok((stream, address)) => {
                    if let Err(error) = self.answer_apart(stream, address) {
                        // Who belongs calls again.
                        tracing::debug!("{address} cannot be answered: {error}");
                    }
                }
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
        self.admission.close();
    }

    fn answer_apart(&self, stream: TcpStream, address: SocketAddr) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        let (host, place) = (self.clone(), self.admission.admit(&stream)?);
        let thread = std::thread::Builder::new().name("cluster-answer".into()).stack_size(STACK_BYTES);
        thread.spawn(move || host.answer_one(stream, &address.to_string(), place)).map(drop)
    }

    fn answer_one(&self, stream: TcpStream, address: &str, place: Place) {
        let heard = self.hear(stream, address);
        match (heard, place.leave()) {
            (Ok((link, hello)), false) => {
                self.tell(Met::Process { link, address: address.to_owned(), hello, called: None });
            }
            (_, true) if self.over.load(Ordering::Acquire) => {}
            (_, true) => self.refusals.caller(address, None, Why::Crowded),
            (Err(Unmet::Unproved(error)), false) => {
                let claimed = match error {
                    ProofError::Secret(index) => Some(index),
                    _ => None,
                };
                self.refusals.caller(address, claimed, Why::of(&error));
            }
            (Err(Unmet::Unsecured(error)), false) => {
                self.refusals.caller(address, None, Why::of_io(&error));
            }
            (Err(Unmet::Misnamed(index, wrong)), false) => {
                self.refusals.caller(address, Some(index), Why::Distrust(wrong));
            }
            (Err(error), false) => tracing::debug!("the process at {address} went away: {error}"),
        }
    }

    /// Says nothing to a caller before it has proved that it belongs.
    fn hear(&self, stream: TcpStream, address: &str) -> Result<(Link, Hello), Unmet> {
        let link = match &self.certificates {
            Some(certificates) => certificates.answer(stream, PATIENCE).map_err(Unmet::Unsecured)?,
            None => Link::plain(stream),
        };
        let nonce = proof::nonce().map_err(ProofError::Io)?;
        let index = proof::answer(Timed::new(&link, PATIENCE), self.secret(), self.ours.process, nonce)?;
        if let Some(wrong) = self.certificates.as_ref().and_then(|all| all.wrong(&link, index)) {
            return Err(Unmet::Misnamed(index, wrong));
        }
        let hello = self.expect_hello(&link, address, index)?;
        self.say_hello(&link)?;
        Ok((link, hello))
    }

    /// Calls process `index` until it answers or the meeting is over.
    pub fn call(self, index: usize, address: String) {
        let mut warned = false;
        while !self.over.load(Ordering::Acquire) {
            match self.call_once(index, &address) {
                Ok(()) | Err(Unmet::Unheard(WireError::Version(_))) => return,
                Err(Unmet::Unproved(ProofError::Io(error))) if absent(&error) => {}
                // As above; but if it goes on until the deadline, it may be that this end alone speaks TLS.
                Err(Unmet::Unsecured(error)) if absent(&error) => self.refusals.hung_up(index),
                Err(Unmet::Unsecured(error)) => self.refusals.called(index, &address, Why::of_io(&error)),
                Err(Unmet::Unproved(error)) => self.refusals.called(index, &address, Why::of(&error)),
                // One that is not there yet, or went away, is what the meeting waits for anyway.
                Err(Unmet::Unreached(error)) => {
                    self.refusals.not_there(index);
                    if !warned && !absent(&error) && !late(&error) {
                        tracing::warn!(
                            "process {index} cannot be called at {address}: {error}; trying again"
                        );
                        warned = true;
                    }
                }
                Err(_) => {}
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn call_once(&self, index: usize, address: &str) -> Result<(), Unmet> {
        let stream = connect(address).map_err(Unmet::Unreached)?;
        let link = match &self.certificates {
            Some(certificates) => certificates.call(stream, index, PATIENCE).map_err(Unmet::Unsecured)?,
            None => Link::plain(stream),
        };
        let nonce = proof::nonce().map_err(ProofError::Io)?;
        let own = self.ours.process;
        let theirs = proof::call(Timed::new(&link, PATIENCE), self.secret(), own, nonce)?;
        self.say_hello(&link)?;
        let hello = self.expect_hello(&link, address, theirs)?;
        self.tell(Met::Process { link, address: address.to_owned(), hello, called: Some(index) });
        Ok(())
    }

    fn secret(&self) -> &[u8] {
        self.secret.as_ref().map_or(&[], Secret::bytes)
    }

    fn say_hello(&self, link: &Link) -> Result<(), WireError> {
        Ok(wire::send(link, &Message::Hello(Hello::clone(&self.ours)), PATIENCE)?)
    }

    /// The hello of the process that has proved to be the one with this index.
    fn expect_hello(&self, link: &Link, address: &str, index: usize) -> Result<Hello, WireError> {
        match wire::receive(link, PATIENCE) {
            Ok(Message::Hello(hello)) if hello.process == index => Ok(hello),
            Ok(_) => Err(WireError::Stranger),
            Err(error) => {
                if let WireError::Version(version) = error {
                    self.tell(Met::OtherVersion { address: address.to_owned(), version });
                }
                Err(error)
            }
        }
    }

    /// When nobody listens any more, the meeting is over.
    fn tell(&self, met: Met) {
        let _ = self.found.send(met);
    }
}

fn absent(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionRefused | Kind::ConnectionReset | Kind::BrokenPipe | Kind::UnexpectedEof
    )
}

fn late(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut failure = io::ErrorKind::NotFound.into();
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            // While nobody listens on a port, the system may join a caller that it gave this port to itself.
            Ok(stream) if stream.local_addr()? == address => {}
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
