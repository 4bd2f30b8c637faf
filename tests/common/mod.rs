//! What the end-to-end tests share: the real servers, the real program, events, and an exact recount of them
//! that knows nothing of the program's code.

// Each test binary uses its part, and a failed step of the harness is a failed test.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod authority;
pub mod collector;
pub mod events;
pub mod http_receiver;
pub mod live;
pub mod program;
pub mod receiver;
pub mod records;
pub mod recount;
pub mod rules;
pub mod sender;
pub mod servers;
pub mod trial;
pub mod web;

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
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

/// The seed of a random test: that of `CREST_TEST_SEED`, or one that was drawn. It is printed when the test fails.
pub fn seed(test: &str) -> u64 {
    let given = std::env::var("CREST_TEST_SEED").ok().map(|text| text.parse().expect("a whole number"));
    let seed = given.unwrap_or_else(rand::random);
    eprintln!("{test}: CREST_TEST_SEED={seed}");
    seed
}

/// Says that this machine cannot do what a test needs, past the capture of a test's output, so that it is seen though
/// the test is green. Where `CREST_TEST_ALL` is set, such a test fails.
pub fn skip(test: &str, why: &str) {
    assert!(
        std::env::var_os("CREST_TEST_ALL").is_none(),
        "CREST_TEST_ALL is set, and {test} needs more: {why}"
    );
    let _ = writeln!(std::io::stderr(), "\nSKIPPED {test}: {why}");
}
