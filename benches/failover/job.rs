//! The jobs that take turns, and what they leave in Redis.

use crate::sender::{Sent, TOPIC};
use crate::servers::Servers;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
/// The end of a stream is not closed: the last windows are not compared.
const LAST_SECONDS: i64 = 10;

/// A job that stands by until the one before it is gone.
pub struct Job {
    child: Child,
    lines: Receiver<String>,
}

impl Drop for Job {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The configuration of all jobs, and of the reader.
pub fn config(dir: &Path) -> PathBuf {
    let file = dir.join("crest.toml");
    let windows = "{ name = \"seconds\", size = \"1s\", slide = \"1s\" }, { name = \"last_10s\", size = \"10s\", slide = \"1s\" }";
    let times = "pane = \"1s\"\nout_of_orderness = \"1s\"\nrefresh = \"200ms\"";
    let text = format!("[time]\n{times}\n[[board]]\nname = \"default\"\nk = 10\nwindows = [ {windows} ]\n");
    std::fs::write(&file, text).unwrap();
    file
}

pub fn redis_url(servers: &Servers) -> String {
    format!("redis://127.0.0.1:{}/0", servers.redis_port)
}

impl Job {
    pub fn start(servers: &Servers, dir: &Path) -> Job {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crest"));
        command.arg("--config").arg(config(dir)).arg("--state").arg(dir.join("state"));
        command.args([
            "--source",
            &servers.url(TOPIC),
            "--snapshots",
            &redis_url(servers),
            "--http",
            "off",
            "--standby",
        ]);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)))
        });
        Job { child, lines }
    }

    /// Waits until it has seen the job that it stands by for.
    pub fn until_it_stands_by(&mut self) {
        while !self.lines.recv_timeout(PATIENCE).expect("it stands by").contains("standing by for") {}
    }

    /// Waits for the first ranking.
    pub fn until_it_publishes(&mut self, servers: &Servers) {
        let deadline = Instant::now() + PATIENCE;
        while epoch(servers) == 0 {
            assert!(Instant::now() < deadline, "nothing is published");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    /// Waits until it has ended by itself.
    pub fn wait_for_end(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it goes on beside the one that took over");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn meta(redis: &mut redis::Connection, key: &str) -> HashMap<String, String> {
    redis::cmd("HGETALL").arg(format!("{{{key}}}:meta")).query(redis).unwrap()
}

fn connect(servers: &Servers) -> redis::Connection {
    redis::Client::open(redis_url(servers)).unwrap().get_connection().unwrap()
}

/// The epoch of the job that wrote last; 0 before the first.
pub fn epoch(servers: &Servers) -> u64 {
    let meta = meta(&mut connect(servers), "topk:last_10s");
    meta.get("epoch").map_or(0, |epoch| epoch.parse().unwrap())
}

/// How many buckets of a second Redis has, and how many of them have another total than was sent.
pub fn compare(servers: &Servers, sent: &Sent) -> (usize, usize) {
    let mut redis = connect(servers);
    let last = sent.keys().next_back().copied().unwrap_or_default() - LAST_SECONDS;
    let (mut windows, mut wrong) = (0, 0);
    for (second, count) in sent.range(..last).skip(1) {
        let start = chrono::DateTime::from_timestamp(*second, 0).unwrap();
        let rows: Vec<(String, f64)> = redis::cmd("ZREVRANGE")
            .arg(format!("topk:{}", start.format("%Y-%m-%dT%H:%M:%S")))
            .arg(0)
            .arg(-1)
            .arg("WITHSCORES")
            .query(&mut redis)
            .unwrap();
        let meta = meta(&mut redis, &format!("topk:{}", start.format("%Y-%m-%dT%H:%M:%S")));
        let total: u64 = meta.get("total").map_or(0, |total| total.parse().unwrap());
        windows += usize::from(!rows.is_empty());
        if total != *count {
            wrong += 1;
            println!("the second {}: {count} were sent, and Redis has {total}", start.to_rfc3339());
        }
    }
    (windows, wrong)
}
