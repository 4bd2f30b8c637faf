//! What a service manager is told (sd_notify(3)), by a socket that stands for it: systemd's `Type=notify` rests on it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::program::{Crest, path};
use common::servers::Kafka;
use common::web::Web;
use common::{eventually, free_port, new_folder};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// A service manager.
struct Manager {
    dir: PathBuf,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Manager {
        let dir = new_folder("service");
        let socket = UnixDatagram::bind(dir.join("notify")).unwrap();
        Manager { dir, socket }
    }

    /// Starts the program as its service; `more` are further variables of its environment.
    fn start(&self, more: &[&str], arguments: &[&str]) -> Crest {
        let socket = format!("NOTIFY_SOCKET={}", path(&self.dir.join("notify")));
        let by: Vec<String> = ["env", &socket].iter().chain(more).map(|word| (*word).to_owned()).collect();
        Crest::spawn_by(&by, arguments)
    }

    /// The lines of the next message, if one comes in time.
    fn next(&self, timeout: Duration) -> Option<Vec<String>> {
        self.socket.set_read_timeout(Some(timeout)).unwrap();
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).ok()?;
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        Some(text.lines().map(str::to_owned).collect())
    }

    /// The next message that has this line; those before it are passed over.
    fn hears(&self, line: &str) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let message = self.next(left).filter(|_| Instant::now() < deadline);
            let message = message.unwrap_or_else(|| panic!("{line} never came"));
            if message.iter().any(|said| said == line) {
                return message;
            }
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn status(web: &Web) -> u16 {
    web.get("/readyz").0
}

#[test]
fn a_job_says_when_it_does_its_work_and_when_it_stops() {
    let manager = Manager::new();
    let mut crest = manager.start(&[], &["--demo", "--http", "127.0.0.1:0"]);
    let web = Web::of(&mut crest);
    let message = manager.hears("READY=1");
    assert_eq!(message, ["READY=1", "STATUS=counting"]);
    assert_eq!(status(&web), 200);
    assert_eq!(manager.next(Duration::from_millis(300)), None, "it is said once");
    crest.sigterm();
    assert_eq!(manager.hears("STOPPING=1"), ["STOPPING=1", "STATUS=stopping"]);
    assert!(crest.wait(PATIENCE).success());
}

#[test]
fn a_process_of_a_cluster_is_ready_once_all_are() {
    let (manager, other) = (Manager::new(), Manager::new());
    let hosts = manager.dir.join("hosts.txt");
    std::fs::write(&hosts, format!("127.0.0.1:{}\n127.0.0.1:{}\n", free_port(), free_port())).unwrap();
    let place = |process: &'static str| {
        ["-n", "2", "-p", process, "--hostfile", path(&hosts), "--http", "off", "--demo"]
    };
    let mut first = manager.start(&[], &place("0"));
    first.until_logged("waiting for process 1");
    assert_eq!(manager.next(Duration::from_millis(100)), None);
    let mut second = other.start(&[], &place("1"));
    manager.hears("READY=1");
    other.hears("READY=1");
    second.sigterm();
    for (manager, crest) in [(&manager, &mut first), (&other, &mut second)] {
        manager.hears("STOPPING=1");
        assert!(crest.wait(PATIENCE).success());
    }
}

/// A standby waits for months: it has started all the same, and whoever is ordered after it must not wait.
#[test]
fn a_standby_has_started_when_it_stands_by() {
    let kafka = Kafka::start(1);
    kafka.create_topic("events", 1);
    let manager = Manager::new();
    let (state, source) = (manager.dir.join("state"), format!("kafka://{}/events", kafka.address()));
    let arguments = ["--source", &source, "--state", path(&state), "--standby", "--http", "127.0.0.1:0"];
    let mut crest = manager.start(&[], &arguments);
    assert_eq!(manager.hears("READY=1"), ["READY=1", "STATUS=standing by"]);
    let web = Web::of(&mut crest);
    // There is no job yet, so it begins some seconds later.
    assert_eq!(manager.hears("STATUS=counting"), ["READY=1", "STATUS=counting"]);
    eventually("it is ready", || status(&web) == 200);
}

#[test]
fn who_asks_for_signs_of_life_is_given_them() {
    let manager = Manager::new();
    let mut crest = manager.start(&["WATCHDOG_USEC=200000"], &["--demo", "--http", "off"]);
    for _ in 0..5 {
        manager.hears("WATCHDOG=1");
    }
    crest.signal("STOP");
    while manager.next(Duration::from_secs(1)).is_some() {}
    crest.signal("CONT");
    manager.hears("WATCHDOG=1");
    crest.kill();
}

#[test]
fn an_api_node_says_that_it_serves() {
    let manager = Manager::new();
    let state = manager.dir.join("state");
    let input = manager.dir.join("events.ndjson");
    std::fs::write(&input, "{\"item_id\":\"a\",\"timestamp\":1711670400}\n").unwrap();
    let source = format!("file:{}", path(&input));
    Crest::spawn(["--source", &source, "--state", path(&state)]).finals();
    let arguments = ["serve", "--state", path(&state), "--http", "127.0.0.1:0"];
    let mut crest = manager.start(&["WATCHDOG_USEC=200000"], &arguments);
    assert_eq!(manager.hears("READY=1"), ["READY=1", "STATUS=serving"]);
    manager.hears("WATCHDOG=1");
    assert_eq!(status(&Web::of(&mut crest)), 200);
}
