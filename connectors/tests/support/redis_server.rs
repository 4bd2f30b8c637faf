//! A real redis-server on a free port of loopback, with its data in a folder that goes with it. It is stopped
//! when it is dropped, also when the test fails. Tests of other crates may take this file in by its path.

// Each test takes what it needs, and a failed step of the harness is a failed test.
#![allow(dead_code, clippy::expect_used)]

use std::ffi::OsString;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ports that were free and then taken by another are given up for others so many times.
const ATTEMPTS: usize = 5;

/// The server. It may be stopped and started again on the same port and data.
pub struct RedisServer {
    process: Option<Child>,
    port: u16,
    folder: tempfile::TempDir,
    arguments: Vec<String>,
}

impl RedisServer {
    /// Starts a server, and waits until it answers.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with a configuration file and further arguments.
    pub fn start_with_file(configuration: &Path, arguments: &[&str]) -> Self {
        let first = configuration.display().to_string();
        Self::start_from(std::iter::once(first).chain(arguments.iter().map(|a| a.to_string())).collect())
    }

    /// Starts a server with further arguments, such as `--requirepass secret`.
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_from(arguments.iter().map(|argument| argument.to_string()).collect())
    }

    /// With these arguments before all others, where a configuration file must stand.
    fn start_from(arguments: Vec<String>) -> Self {
        for _ in 0..ATTEMPTS {
            let mut server = RedisServer {
                process: None,
                port: free_port(),
                folder: tempfile::tempdir().expect("a folder for Redis"),
                arguments: arguments.clone(),
            };
            if server.run() {
                return server;
            }
        }
        panic!("redis-server did not start (Debian: apt-get install redis-server)");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://127.0.0.1:port/0`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// The folder of its data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A connection to look at what it holds.
    pub fn connect(&self) -> redis::Connection {
        redis::Client::open(self.url()).and_then(|client| client.get_connection()).expect("Redis answers")
    }

    /// Kills it; what it held is gone unless it was saved.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("redis-server was running");
            process.wait().expect("redis-server was running");
        }
    }

    /// Starts it again on the same port.
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.run(), "redis-server did not start again on port {}", self.port);
    }

    /// Its process, for signals.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().map(Child::id).expect("redis-server is running")
    }

    fn run(&mut self) -> bool {
        let process = Command::new(program())
            .args(&self.arguments)
            .args([
                "--port",
                &self.port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--daemonize",
                "no",
            ])
            .args(["--dir", &self.folder.path().display().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = process.expect("redis-server can be run (Debian: apt-get install redis-server)");
        watch(process.id());
        self.process = Some(process);
        self.answers()
    }

    /// Waits until it answers; false where it has ended. One whose cluster bus finds its port taken accepts connections, and
    /// ends.
    fn answers(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if self.ping().is_ok() {
                return true;
            }
            if self.process.as_mut().is_none_or(|process| matches!(process.try_wait(), Ok(Some(_)))) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// Asks it something, and waits for the first byte of an answer, whatever it says.
    fn ping(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"PING\r\n")?;
        stream.read_exact(&mut [0])
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was free a moment ago, below those that outgoing connections are given: a client that dials a
/// server which is down may otherwise be given its port, be connected to itself, and keep the server away.
/// The server's program: another one that speaks the protocol can be tried in its place.
fn program() -> OsString {
    std::env::var_os("REDIS_SERVER").unwrap_or_else(|| "redis-server".into())
}

fn free_port() -> u16 {
    loop {
        let random = RandomState::new().build_hasher().finish();
        let port = 20_000 + (random % 12_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Ends the server when this process has ended in a way that runs no `drop`.
fn watch(server: u32) {
    let watcher = "while kill -0 $0 && kill -0 $1; do sleep 0.5; done; kill -9 $1";
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("({watcher}) &"), &std::process::id().to_string(), &server.to_string()]);
    let started = shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(started.is_ok_and(|status| status.success()), "no shell");
}
