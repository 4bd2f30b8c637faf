//! The fuzzer's bytes as what the other end of a cluster's handshake says: before the proof, and after it.
//!
//! The first byte chooses what is asked to read them. Before the proof they prove nothing, and are told two frames at most.
//! After it they are a message that is written and read again, or refused. The memory is bounded by the fuzzer.
#![no_main]
#![allow(dead_code)] // the program uses the rest

#[path = "../../src/cluster/error.rs"]
mod error;
#[path = "../../src/cluster/hello.rs"]
mod hello;
#[path = "../../src/cluster/proof.rs"]
mod proof;
#[path = "../../src/cluster/timed.rs"]
mod timed;
#[path = "../../src/cluster/wire.rs"]
mod wire;

use std::io::{self, Read, Write};

const SECRET: &[u8] = b"what the fuzzer does not know";
const FRAME_BYTES: usize = 49;

/// The other end, which says these bytes whatever it is told.
struct Reciter<'a> {
    says: &'a [u8],
    heard: usize,
}

impl Read for Reciter<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.says.read(buffer)
    }
}

impl Write for Reciter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.heard += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let mut reciter = Reciter { says: bytes, heard: 0 };
    match choice % 3 {
        0 => assert!(proof::call(&mut reciter, SECRET, 1, [7; 32]).is_err()),
        1 => assert!(proof::answer(&mut reciter, SECRET, 0, [7; 32]).is_err()),
        _ => {
            if let Ok(message) = wire::read(&mut reciter.says) {
                let again = serde_json::to_vec(&message).unwrap();
                assert_eq!(serde_json::from_slice::<wire::Message>(&again).unwrap(), message);
            }
        }
    }
    assert!(reciter.heard <= 2 * FRAME_BYTES);
});
