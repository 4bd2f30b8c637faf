//! All that takes part in a chaos run, and its rounds: faults begin, end, and what was published is held against the recount.

use super::common::events::now;
use super::common::new_folder;
use super::common::program::path;
use super::common::rules::{Board, Rules, Window};
use super::common::servers::{Kafka, Redis};
use super::faults::Fault;
use super::gauges::Sample;
use super::job::{Job, MOST_PROCESSES, Place};
use super::namespaces;
use super::net::Net;
use super::oracle::Oracle;
use super::stream::{self, PARTITIONS, Stream, TOPIC};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread::sleep;
use std::time::{Duration, Instant};

const SECOND: i64 = 1000;
/// Whatever does not come about in this time stands still, also on a machine that is busy with other things. Without these
/// it is a minute: a supervisor may pause for 30 s, and a handshake gives up after 60 s.
pub const LIMIT: Duration = Duration::from_secs(600);
/// Sketches that overflow, a state that lets go, and buckets that Redis lets go of.
const SMALL: &str = "\n[sketch]\nrows = 32\n[state.retention]\npane = \"1m\"\n1m = \"5m\"\n10m = \"20m\"\n\
    1h = \"1h\"\n1d = \"1h\"\n[snapshots]\nttl = \"2m\"\n";
/// The boards whose panes overflow.
const OVERFLOWING: [&str; 2] = ["default", "regions"];
/// How often the job is killed in a round that does nothing else.
const KILLS_A_ROUND: usize = 20;

/// All parts.
pub struct World {
    pub random: StdRng,
    pub place: Place,
    pub kills: usize,
    pub paused: Vec<u32>,
    pub limited: Vec<(u32, u64)>,
    pub connections: Vec<TcpStream>,
    pub clocks: Vec<PathBuf>,
    pub broker_away: bool,
    pub redis_away: bool,
    /// When the last faults ended, in ms since 1970.
    pub healed: i64,
    pub oracle: Oracle,
    pub job: Job,
    stream: Stream,
    pub net: Net,
    pub redis: Redis,
    pub kafka: Kafka,
    pub state: PathBuf,
    pub dir: PathBuf,
    faults: Vec<Fault>,
    /// Those that were not drawn yet in this turn.
    deck: Vec<Fault>,
}

/// Boards of all kinds: sketched over more items than rows, counted exactly, grouped.
fn rules() -> Rules {
    let windows = vec![
        Window { name: "last_5s", size: 5 * SECOND, slide: SECOND },
        Window { name: "twos", size: 2 * SECOND, slide: 2 * SECOND },
    ];
    let board = |name, engine| Board { name, engine, k: 20, windows: windows.clone(), ..Board::default() };
    let regions = Board {
        filter: vec![("event_type", vec!["view", "buy"])],
        by: vec!["region"],
        k: 5,
        weights: vec![("buy", 3)],
        ..board("regions", "sketch")
    };
    let kinds = Board { item: Some("kind"), by: vec!["region"], ..board("kinds", "sketch") };
    Rules::live(vec![board("default", "sketch"), board("counted", "exact"), regions, kinds])
}

impl World {
    /// Starts all parts.
    pub fn start(seed: u64, rate: usize, faults: Vec<Fault>) -> World {
        let net = Net::new(MOST_PROCESSES);
        let (kafka, redis) = (Kafka::start_at(net.hub(), PARTITIONS as u32), Redis::start_at(net.hub()));
        // The broker's own stamps, so that what counts depends on the log alone; and no more of it than is needed.
        let settings = [
            ("message.timestamp.type", "LogAppendTime"),
            ("retention.ms", "1800000"),
            ("segment.bytes", "67108864"),
        ];
        kafka.create_topic_with(TOPIC, PARTITIONS as u32, &settings);
        let dir = new_folder("chaos");
        let state = dir.join("state");
        std::fs::create_dir(&state).unwrap();
        if namespaces::inside() {
            let mount = ["-t", "tmpfs", "-o", "size=64m", "none", path(&state)];
            assert!(Command::new("mount").args(mount).status().unwrap().success(), "a disk of its own");
        }
        let rules = rules();
        let config = rules.write(&dir);
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text + SMALL).unwrap();
        let (source, url) = (kafka.url(TOPIC), redis.url());
        let arguments =
            ["--config", path(&config), "--source", &source, "--state", path(&state), "--ingest", "off"];
        let ends = ["--idle-timeout", "1d", "--refresh", "500ms", "--snapshots", "-", "--snapshots", &url];
        let arguments = arguments.iter().chain(&ends).map(|text| (*text).to_owned()).collect();
        let (lines, published) = channel();
        let job = Job::new(&dir, &net, arguments, lines);
        let oracle = Oracle::new(&rules, &OVERFLOWING, PARTITIONS, stream::read(&kafka), published);
        let stream = Stream::start(&kafka, seed, rate);
        let mut world = World {
            random: StdRng::seed_from_u64(seed),
            place: (1, 1),
            kills: 0,
            paused: Vec::new(),
            limited: Vec::new(),
            connections: Vec::new(),
            clocks: Vec::new(),
            broker_away: false,
            redis_away: false,
            healed: now(),
            oracle,
            job,
            stream,
            net,
            redis,
            kafka,
            state,
            dir,
            faults,
            deck: Vec::new(),
        };
        world.place = world.draw_place();
        world.job.start(world.place);
        world.settle();
        world
    }

    /// The file that fills the disk of the state.
    pub fn filler(&self) -> PathBuf {
        self.state.join("filler")
    }

    /// The next fault: each comes up before any comes again.
    fn draw(&mut self) -> Fault {
        if self.deck.is_empty() {
            self.deck = self.faults.clone();
            self.deck.shuffle(&mut self.random);
        }
        self.deck.pop().expect("a fault to try")
    }

    /// One to three faults at a time. What they were.
    pub fn round_of_faults(&mut self) -> String {
        let count = self.random.random_range(1..=3);
        let (mut told, mut lasts) = (Vec::new(), Duration::ZERO);
        for _ in 0..count {
            sleep(Duration::from_millis(self.random.random_range(0..1500)));
            let fault = self.draw();
            lasts = lasts.max(fault.least());
            told.push(self.begin(fault));
        }
        sleep(lasts + Duration::from_millis(self.random.random_range(500..7000)));
        self.heal();
        told.join("; ")
    }

    /// Kills and nothing else, each at any instant, also of a start or of another recovery; and then another size.
    pub fn round_of_kills(&mut self, most: usize) -> String {
        let until = self.kills + most.min(KILLS_A_ROUND);
        while self.kills < until {
            self.let_run();
            let _ = if self.random.random_bool(0.5) { self.kill_one() } else { self.kill_all() };
        }
        let (workers, processes) = self.place;
        let told = format!("{} kills so far, of {processes} × {workers} workers", self.kills);
        self.healed = now();
        self.resize();
        told
    }

    /// Lets a run go on until the instant of its kill: any since its start, or one soon after it has published, when it is
    /// in the midst of making the next panes durable.
    fn let_run(&mut self) {
        until("a process is started", || !self.job.processes().is_empty());
        if self.random.random_bool(0.4) {
            return sleep(Duration::from_millis(self.random.random_range(0..1500)));
        }
        let (enough, deadline) = (
            self.oracle.published() + self.random.random_range(1..60),
            Instant::now() + Duration::from_secs(4),
        );
        while self.oracle.published() < enough && Instant::now() < deadline {
            sleep(Duration::from_millis(3));
        }
        sleep(Duration::from_millis(self.random.random_range(0..60)));
    }

    /// Waits until the job has published all that has ended since the faults have, and judges it; how long that took, and
    /// what is measured then.
    pub fn settle(&mut self) -> (Duration, Sample) {
        let began = Instant::now();
        self.oracle.settle(self.healed, LIMIT);
        let took = began.elapsed();
        self.job.assert_supervised();
        until("the job is ready", || self.job.ready());
        self.oracle.settle(now() + 2 * SECOND, LIMIT);
        self.assert_in_redis();
        (took, Sample::take(self))
    }

    /// Redis has the last bucket of each board as it was published.
    fn assert_in_redis(&self) {
        for board in rules().boards {
            let Some(newest) = self.oracle.newest(board.name, "twos") else { continue };
            let start = newest["window_start"].as_i64().unwrap();
            let start = chrono::DateTime::from_timestamp_millis(start).unwrap().format("%Y-%m-%dT%H:%M:%S");
            let key = match board.name {
                "default" => format!("topk:{start}"),
                name => format!("topk:{name}:{start}"),
            };
            let rows: Vec<(String, u64)> = newest["items"].as_array().unwrap().iter().map(row).collect();
            until(&format!("{key} is in Redis as it was published"), || self.redis.ranking(&key) == rows);
        }
    }

    /// Sends no more, and judges all that has ended by then.
    pub fn finish(&mut self) {
        self.stream.finish();
        self.oracle.is_over = true;
        let until = now() - 4 * SECOND;
        self.oracle.settle(until, LIMIT);
        self.job.stop();
        self.oracle.take();
    }
}

impl Drop for World {
    /// Where something went wrong, says how things stand.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("\nprocesses: {:?}; {}", self.job.processes(), self.oracle.stand());
            eprintln!("/status: {}", self.job.status());
            let log = std::fs::read_to_string(self.job.log()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!(
                "the end of {}:\n{}",
                self.job.log().display(),
                lines[lines.len().saturating_sub(30)..].join("\n")
            );
        }
    }
}

/// Asks until the answer is yes.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "STALLED, waiting for: {what}");
        sleep(Duration::from_millis(10));
    }
}

fn row(item: &Value) -> (String, u64) {
    (item["item_id"].as_str().unwrap().to_owned(), item["count"].as_u64().unwrap())
}
