//! Any bytes at all as frames and messages of the handshake: they are refused within a bound of memory, and prove nothing.

use super::*;
use crate::cluster::proof::{Nonce, ProofError};
use crate::cluster::wire::WireError;
use proptest::prelude::*;
use std::io::{self, Cursor};
use std::os::unix::net::UnixStream;

/// What is read of bytes that end somewhere, and how much was asked for at one time.
struct Measured {
    bytes: Cursor<Vec<u8>>,
    asked: usize,
}

impl Measured {
    fn of(bytes: Vec<u8>) -> Self {
        Measured { bytes: Cursor::new(bytes), asked: 0 }
    }
}

impl Read for Measured {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.asked = self.asked.max(buffer.len());
        self.bytes.read(buffer)
    }
}

/// The other end of a handshake, which says these bytes whatever it is told.
struct Reciter {
    says: Cursor<Vec<u8>>,
    heard: Vec<u8>,
}

impl Read for Reciter {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.says.read(buffer)
    }
}

impl Write for Reciter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.heard.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says back whatever it is told.
#[derive(Default)]
struct Echo(std::collections::VecDeque<u8>);

impl Read for Echo {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Echo {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An end of a connection on which one bit of what comes is another.
struct Damaged {
    stream: UnixStream,
    read: usize,
    bit: usize,
}

impl Read for Damaged {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.stream.read(buffer)?;
        if let Some(byte) = (self.bit / 8).checked_sub(self.read).and_then(|at| buffer[..bytes].get_mut(at)) {
            *byte ^= 1 << (self.bit % 8);
        }
        self.read += bytes;
        Ok(bytes)
    }
}

impl Write for Damaged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Ends = (Result<usize, ProofError>, Result<usize, ProofError>);

/// What a caller, process 5, and an answerer, process 2, have proved to each other, with one bit damaged on the way to either.
fn prove(caller: &[u8], answerer: &[u8], nonces: (Nonce, Nonce), damaged: (usize, usize)) -> Ends {
    let (here, there) = UnixStream::pair().unwrap();
    let end = |stream, bit| Damaged { stream, read: 0, bit };
    std::thread::scope(|scope| {
        let called = scope.spawn(|| proof::call(end(here, damaged.0), caller, 5, nonces.0));
        let answered = proof::answer(end(there, damaged.1), answerer, 2, nonces.1);
        (called.join().unwrap(), answered)
    })
}

const NOWHERE: usize = usize::MAX;

/// Bytes as they may come: any, or such as begin as a frame does.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let rest = || prop::collection::vec(any::<u8>(), 0..300);
    let frame = |kind: u8| {
        (rest(), any::<[u8; 36]>())
            .prop_map(move |(rest, value)| [b"crest-hs\0\0\0\x04", &[kind][..], &value, &rest].concat())
    };
    let message = (any::<u32>(), rest())
        .prop_map(|(length, body)| [b"crest-hs\0\0\0\x04", &length.to_be_bytes()[..], &body].concat());
    let text = "[\\[\\]{}\":,0-9a-zA-Z]{0,200}".prop_map(|text: String| {
        [b"crest-hs\0\0\0\x04", &(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat()
    });
    prop_oneof![rest(), frame(1), frame(2), frame(3), message, text]
}

proptest! {
    #[test]
    fn any_bytes_are_read_as_a_message_or_refused_within_a_bound(bytes in any_bytes()) {
        let mut measured = Measured::of(bytes.clone());
        let result = wire::read(&mut measured);
        prop_assert!(measured.asked <= 64 << 10, "{} bytes were taken at once", measured.asked);
        if let Ok(message) = result {
            let again = serde_json::to_vec(&message).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Message>(&again).unwrap(), message);
        }
    }

    #[test]
    fn any_bytes_prove_nothing_and_are_told_little(first in any_bytes(), second in any_bytes(), nonce: Nonce) {
        let bytes = [first, second].concat();
        let mut reciters = [(); 2].map(|()| Reciter { says: Cursor::new(bytes.clone()), heard: Vec::new() });
        prop_assert!(proof::call(&mut reciters[0], b"the secret of the cluster", 1, nonce).is_err());
        prop_assert!(proof::answer(&mut reciters[1], b"the secret of the cluster", 1, nonce).is_err());
        prop_assert!(reciters.iter().all(|reciter| reciter.heard.len() <= 2 * 49));
    }

    #[test]
    fn an_echo_proves_nothing(nonce: Nonce) {
        let error = proof::call(&mut Echo::default(), b"the secret of the cluster", 1, nonce).unwrap_err();
        prop_assert!(matches!(error, ProofError::Secret(1)), "{error}");
    }

    #[test]
    fn two_ends_prove_to_each_other_that_they_know_one_secret(
        ours in "[ab]{0,3}", theirs in "[ab]{0,3}", nonces: (Nonce, Nonce),
    ) {
        let ends = prove(ours.as_bytes(), theirs.as_bytes(), nonces, (NOWHERE, NOWHERE));
        if ours == theirs {
            prop_assert!(matches!(ends, (Ok(2), Ok(5))), "{ends:?}");
        } else {
            prop_assert!(matches!(ends, (Err(ProofError::Refused), Err(ProofError::Secret(5)))), "{ends:?}");
        }
    }

    #[test]
    fn no_bit_of_a_proof_may_be_another(nonces: (Nonce, Nonce), bit in 0..2 * 49 * 8_usize, to_caller: bool) {
        let damaged = if to_caller { (bit, NOWHERE) } else { (NOWHERE, bit) };
        let (called, answered) = prove(b"secret", b"secret", nonces, damaged);
        prop_assert!(called.is_err() && (to_caller || answered.is_err()));
    }
}

#[test]
fn what_is_announced_and_never_comes_takes_no_memory() {
    let header = |bytes: u32| [b"crest-hs\0\0\0\x04", &bytes.to_be_bytes()[..]].concat();
    for (bytes, expected) in [(4 << 20, "Io"), ((4 << 20) + 1, "Stranger"), (u32::MAX, "Stranger")] {
        let mut measured = Measured::of(header(bytes));
        let error: WireError = wire::read(&mut measured).unwrap_err();
        assert!(format!("{error:?}").starts_with(expected), "{error:?}");
        assert!(measured.asked <= 64 << 10, "{} bytes were taken at once", measured.asked);
    }
}
