//! What the end-to-end tests share: the real servers, the real program, events, and an exact recount of them
//! that knows nothing of the program's code.

// Each test binary uses its part, and a failed step of the harness is a failed test.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod events;
pub mod program;
pub mod recount;
pub mod rules;
pub mod sender;
pub mod servers;
pub mod trial;
pub mod web;

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A loopback port that nobody listens on, each time another one. It is below the ports that outgoing
/// connections are given: otherwise a client that connects again and again to a server that is down may
/// get that server's port, be connected to itself, and keep the server from coming back.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    loop {
        let random = RandomState::new().build_hasher().finish();
        let port = 20_000 + (random % 12_000) as u16;
        let new = GIVEN.lock().unwrap().get_or_insert_default().insert(port);
        if new && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Asks until the answer is yes; panics after a time that no working machine takes.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "still waiting after 60 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A new folder under the system's folder for temporary files. Its test removes it in the end; one that fails
/// leaves it, to be looked at.
pub fn new_folder(purpose: &str) -> PathBuf {
    let prefix = format!("crest-{purpose}-");
    tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary folder").keep()
}
