//! `crest serve`, asked all the while: whether it answers, and whether what it says ever goes back.

use crate::job::{config, redis_url};
use crate::servers::Servers;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(20);

/// What a reader has seen.
#[derive(Default)]
pub struct Seen {
    asked: u64,
    failed: u64,
    backward: u64,
    stale: u64,
    /// The greatest age of a ranking, in seconds, and of one that was not called stale.
    oldest: f64,
    oldest_fresh: f64,
}

impl Seen {
    pub fn print(&self) {
        println!(
            "crest serve: {} answers, {} failed, {} went back; at most {:.1} s old; {} were called stale, others at most {:.1} s old",
            self.asked, self.failed, self.backward, self.oldest, self.stale, self.oldest_fresh
        );
    }
}

/// A node, and a thread that asks it.
pub struct Reader {
    node: Child,
    over: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

impl Reader {
    pub fn start(servers: &Servers, dir: &Path) -> Reader {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crest"));
        command.arg("serve").arg("--config").arg(config(dir)).args(["--http", "127.0.0.1:0"]);
        command.args(["--snapshots", &redis_url(servers), "--ingest", "off"]);
        let mut node = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(node.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.split_once("http://")?.1.trim().to_owned())).unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let over = Arc::new(AtomicBool::new(false));
        let theirs = over.clone();
        let thread =
            std::thread::spawn(move || ask(&format!("http://{address}/top-k?window=last_10s"), &theirs));
        Reader { node, over, thread }
    }

    /// Ends it; what was seen.
    pub fn stop(mut self) -> Seen {
        self.over.store(true, Ordering::Release);
        let seen = self.thread.join().unwrap();
        let _ = self.node.kill();
        let _ = self.node.wait();
        seen
    }
}

fn ask(url: &str, over: &AtomicBool) -> Seen {
    let (mut seen, mut end) = (Seen::default(), 0);
    while !over.load(Ordering::Acquire) {
        seen.asked += 1;
        match ureq::get(url).call().ok().and_then(|mut answer| answer.body_mut().read_to_string().ok()) {
            None => seen.failed += 1,
            Some(text) => {
                let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
                let now = answer["window_end"].as_i64().unwrap();
                seen.backward += u64::from(now < end);
                end = now;
                let age = answer["snapshot_age_seconds"].as_f64().unwrap();
                seen.oldest = seen.oldest.max(age);
                if answer["stale"] == true {
                    seen.stale += 1;
                } else {
                    seen.oldest_fresh = seen.oldest_fresh.max(age);
                }
            }
        }
        std::thread::sleep(PAUSE);
    }
    seen
}
