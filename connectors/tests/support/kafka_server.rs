//! A real Apache Kafka broker, started by `scripts/kafka`. It ends when its value is dropped or, at the latest,
//! with the test process.

// Each test takes what it needs, and a failed step of the harness is a failed test.
#![allow(dead_code, clippy::expect_used)]

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// Ports that were free and then taken by another are given up for others so many times.
const ATTEMPTS: usize = 5;

/// The broker. It may be stopped and started again on the same port and data.
pub struct KafkaServer {
    port: u16,
    folder: tempfile::TempDir,
}

impl KafkaServer {
    /// Starts a broker, and waits until it answers.
    pub fn start() -> Self {
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            let folder = tempfile::tempdir().expect("a folder for Kafka");
            let server = KafkaServer { port: free_port(), folder };
            match server.run("start") {
                Ok(()) => return server,
                Err(error) => last = error,
            }
        }
        panic!("scripts/kafka: {last}");
    }

    /// A topic's URL.
    pub fn url(&self, topic: &str) -> String {
        format!("kafka://{}/{topic}", self.address())
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// SIGTERM.
    pub fn stop(&self) {
        self.run("stop").expect("the broker stops");
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.run("kill").expect("the broker is killed");
    }

    /// Starts it again on the same port and data.
    pub fn start_again(&self) {
        self.run("start").expect("the broker starts again");
    }

    fn run(&self, command: &str) -> Result<(), String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/kafka");
        let mut script = Command::new(script);
        script.arg(command).arg("--dir").arg(self.folder.path());
        if command == "start" {
            script.args(["--port", &self.port.to_string(), "--owner", &std::process::id().to_string()]);
        }
        let output = script.output().expect("scripts/kafka can be run");
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

impl Drop for KafkaServer {
    fn drop(&mut self) {
        let _ = self.run("kill");
    }
}

/// A port that was free a moment ago, below those that outgoing connections are given: a client that dials a
/// server which is down may otherwise be given its port, be connected to itself, and keep the server away.
fn free_port() -> u16 {
    loop {
        let random = RandomState::new().build_hasher().finish();
        let port = 20_000 + (random % 12_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
