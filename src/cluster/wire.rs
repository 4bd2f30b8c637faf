//! Messages of the handshake, once both ends have proved that they belong: a magic number, a version, a length, and JSON.
//! Nothing here trusts the other end for all that: whatever the bytes are, they are read within a bound of memory.

use super::error::Cause;
use super::hello::{Hello, Run};
use super::timed::{Patient, Timed};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::time::Duration;

const MAGIC: [u8; 8] = *b"crest-hs";
/// The version of the messages. A process with another one is of another build.
const VERSION: u32 = 4;
/// A configuration of 256 boards fits many times, and so do the offsets of 10,000 partitions.
const MAX_BYTES: usize = 4 << 20;
const HEADER_BYTES: usize = MAGIC.len() + 4 + 4;
/// Memory is taken as bytes come, in pieces of this size, and not as they are announced.
const PIECE_BYTES: usize = 64 << 10;

/// What processes say to each other before the job begins.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// Who is there; the first message of both ends, the caller's first.
    Hello(Hello),
    /// From process 0: where the job begins.
    Run(Run),
    /// To process 0: all connections of the sender stand, and what it needs is open.
    Ready,
    /// From process 0: all are ready.
    Go,
    /// To all, the last message: the sender was told to go, and gives up no more.
    Begun,
    /// The sender will not begin.
    GiveUp {
        /// Why, for people.
        reason: String,
        /// For programs.
        cause: Cause,
    },
}

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The connection failed, was closed, or nothing came in time.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Not a message of this protocol.
    #[error("what answers is no process of a Crest cluster")]
    Stranger,
    /// The message is of another version of this protocol.
    #[error("version {0} of the handshake")]
    Version(u32),
}

/// Sends a message; it must leave within `patience`.
pub fn send(connection: &impl Patient, message: &Message, patience: Duration) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let mut frame = Vec::with_capacity(HEADER_BYTES + body.len());
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(&VERSION.to_be_bytes());
    frame.extend_from_slice(&(body.len() as u32).to_be_bytes());
    frame.extend_from_slice(&body);
    Timed::new(connection, patience).write_all(&frame)
}

/// Receives one message, and not a byte of what follows it; it must be whole within `patience`.
pub fn receive(connection: &impl Patient, patience: Duration) -> Result<Message, WireError> {
    read(&mut Timed::new(connection, patience))
}

/// Reads one message, and not a byte of what follows it.
pub fn read(from: &mut impl Read) -> Result<Message, WireError> {
    let mut header = [0; HEADER_BYTES];
    from.read_exact(&mut header[..MAGIC.len()])?;
    if header[..MAGIC.len()] != MAGIC {
        return Err(WireError::Stranger);
    }
    from.read_exact(&mut header[MAGIC.len()..])?;
    let number = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (version, bytes) = (number(8), number(12) as usize);
    if version != VERSION {
        return Err(WireError::Version(version));
    }
    if bytes > MAX_BYTES {
        return Err(WireError::Stranger);
    }
    let mut body = Vec::new();
    while body.len() < bytes {
        let read = body.len();
        body.resize(bytes.min(read + PIECE_BYTES), 0);
        from.read_exact(&mut body[read..])?;
    }
    serde_json::from_slice(&body).map_err(|_| WireError::Stranger)
}

/// What a connection holds that nobody has read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulse {
    /// No whole beginning of a message; the other end is there, as far as is known.
    Quiet,
    /// A message of the handshake.
    Talking,
    /// The other end has closed.
    Gone,
}

/// Looks without waiting and without reading. Nothing but messages comes before the sender's last one.
pub fn pulse(connection: &impl Patient) -> Pulse {
    let mut seen = [0; MAGIC.len()];
    match connection.peek_now(&mut seen) {
        Ok(0) => Pulse::Gone,
        Ok(_) if seen == MAGIC => Pulse::Talking,
        Ok(_) => Pulse::Quiet,
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Pulse::Quiet
        }
        Err(_) => Pulse::Gone,
    }
}
