//! How two processes come to know each other: the one with the higher index calls, the other one answers.
//! Threads do the waiting, so that a silent stranger holds up nobody; what they find goes to one channel.

use super::error::Cause;
use super::hello::{Hello, Run};
use super::wire::{self, Message, WireError};
use std::io;
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

/// A process that is there says hello at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two calls, and between two looks for a caller.
const PAUSE: Duration = Duration::from_millis(50);
/// Callers that may be making up their minds at one time; further ones are dropped.
const MAX_STRANGERS: usize = 64;

/// What the threads find.
pub enum Met {
    /// A process that said hello.
    Process {
        /// The connection, which holds no unread byte of the handshake.
        stream: TcpStream,
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

/// What the threads of one meeting share.
#[derive(Clone)]
pub struct Host {
    /// What this process says.
    pub ours: Arc<Hello>,
    /// Where to tell of what was found.
    pub found: Sender<Met>,
    /// Set when nothing more is looked for.
    pub over: Arc<AtomicBool>,
}

impl Host {
    /// Answers callers until the meeting is over; then the port is free.
    pub fn answer(self, listener: TcpListener) {
        let strangers = Arc::new(AtomicUsize::new(0));
        while !self.over.load(Ordering::Acquire) {
            match listener.accept() {
                Ok((stream, address)) if strangers.load(Ordering::Acquire) < MAX_STRANGERS => {
                    let host = self.clone();
                    strangers.fetch_add(1, Ordering::AcqRel);
                    let counted = strangers.clone();
                    let answer = move || {
                        if let Err(error) = host.answer_one(stream, address.to_string()) {
                            tracing::debug!(%address, %error, "dropped a caller that is no process of this cluster");
                        }
                        counted.fetch_sub(1, Ordering::AcqRel);
                    };
                    let thread = std::thread::Builder::new().name("cluster-answer".into());
                    if let Err(error) = thread.spawn(answer) {
                        // Who belongs calls again.
                        tracing::warn!("no thread can be started to answer {address}: {error}");
                        strangers.fetch_sub(1, Ordering::AcqRel);
                    }
                }
                Ok(_) => {}
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
    }

    /// Says nothing to a caller before it has shown that it speaks the protocol.
    fn answer_one(&self, stream: TcpStream, address: String) -> Result<(), WireError> {
        stream.set_nonblocking(false)?;
        let hello = self.expect_hello(&stream, &address)?;
        wire::send(&stream, &Message::Hello(Hello::clone(&self.ours)), PATIENCE)?;
        self.tell(Met::Process { stream, address, hello, called: None });
        Ok(())
    }

    /// Calls process `index` until it answers or the meeting is over.
    pub fn call(self, index: usize, address: String) {
        let mut warned = false;
        while !self.over.load(Ordering::Acquire) {
            match self.call_once(index, &address) {
                Ok(()) | Err(WireError::Version(_)) => return,
                Err(WireError::Stranger) if !warned => {
                    tracing::warn!(
                        "{address} was to be process {index}, but what answers there is no process of a Crest cluster"
                    );
                    warned = true;
                }
                // One that is not there yet, or went away, is what the meeting waits for anyway.
                Err(WireError::Io(error)) if !warned && !absent(&error) => {
                    tracing::warn!("process {index} cannot be called at {address}: {error}; trying again");
                    warned = true;
                }
                Err(_) => {}
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn call_once(&self, index: usize, address: &str) -> Result<(), WireError> {
        let stream = connect(address)?;
        wire::send(&stream, &Message::Hello(Hello::clone(&self.ours)), PATIENCE)?;
        let hello = self.expect_hello(&stream, address)?;
        self.tell(Met::Process { stream, address: address.to_owned(), hello, called: Some(index) });
        Ok(())
    }

    fn expect_hello(&self, stream: &TcpStream, address: &str) -> Result<Hello, WireError> {
        match wire::receive(stream, PATIENCE) {
            Ok(Message::Hello(hello)) => Ok(hello),
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
        Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::BrokenPipe
            | Kind::TimedOut
            | Kind::UnexpectedEof
    )
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
