//! The faults of a chaos run: which there are, how each begins, and how all of them end.

use super::common::events::now;
use super::job::{MOST_PROCESSES, Place, signal};
use super::net::End;
use super::world::World;
use rand::RngExt;
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// SIGKILL to one process.
    KillOne,
    /// SIGKILL to all.
    KillAll,
    /// SIGSTOP of one process, for less than the watchdog of the others waits.
    Pause,
    /// … for longer.
    LongPause,
    /// A link that lets nothing through.
    Cut,
    /// … one way.
    OneWay,
    /// A narrow link.
    Slow,
    /// A link that loses packets.
    Lossy,
    /// No room for the state.
    DiskFull,
    /// No file can be opened, and no connection taken.
    Descriptors,
    /// The wall clock of one process is an hour off, and jumps.
    Clock,
    /// SIGKILL to the broker.
    BrokerKilled,
    /// SIGTERM to the broker.
    BrokerStopped,
    /// SIGSTOP of the broker.
    BrokerPaused,
    /// SIGKILL to Redis, which forgets all.
    RedisKilled,
    /// SIGSTOP of Redis.
    RedisPaused,
    /// FLUSHALL.
    RedisEmptied,
    /// A cluster of another size.
    Resize,
}

use Fault::*;

impl Fault {
    pub const ALL: [(&'static str, Fault); 18] = [
        ("kill-one", KillOne),
        ("kill-all", KillAll),
        ("pause", Pause),
        ("long-pause", LongPause),
        ("cut", Cut),
        ("one-way", OneWay),
        ("slow", Slow),
        ("lossy", Lossy),
        ("disk-full", DiskFull),
        ("descriptors", Descriptors),
        ("clock", Clock),
        ("broker-killed", BrokerKilled),
        ("broker-stopped", BrokerStopped),
        ("broker-paused", BrokerPaused),
        ("redis-killed", RedisKilled),
        ("redis-emptied", RedisEmptied),
        ("redis-paused", RedisPaused),
        ("resize", Resize),
    ];

    pub fn named(name: &str) -> Fault {
        let known = Fault::ALL.iter().find(|(known, _)| *known == name);
        let names = || Fault::ALL.map(|(name, _)| name).join(", ");
        known.unwrap_or_else(|| panic!("{name}: no such fault; there are {}", names())).1
    }

    /// Whether it needs links.
    pub fn is_of_links(self) -> bool {
        matches!(self, Cut | OneWay | Slow | Lossy)
    }

    /// How long it lasts at least: a pause that is longer than the patience of the others must be.
    pub fn least(self) -> Duration {
        Duration::from_secs(if self == LongPause { 13 } else { 0 })
    }
}

impl World {
    /// Lets a fault begin. What became of it, for the round's line.
    pub fn begin(&mut self, fault: Fault) -> String {
        match fault {
            KillOne => self.kill_one(),
            KillAll => self.kill_all(),
            Pause | LongPause => self.pause(),
            Cut | OneWay | Slow | Lossy => self.harm_link(fault),
            DiskFull => self.fill_disk(),
            Descriptors => self.take_descriptors(),
            Clock => self.move_clock(),
            BrokerKilled | BrokerStopped | BrokerPaused if self.lacks_broker() => "the broker is away".into(),
            BrokerKilled => {
                self.kafka.kill();
                self.broker_away = true;
                "broker killed".into()
            }
            BrokerStopped => {
                self.kafka.stop();
                self.broker_away = true;
                "broker stopped".into()
            }
            RedisKilled | RedisEmptied | RedisPaused if self.lacks_redis() => "Redis is away".into(),
            RedisKilled => {
                self.redis.kill();
                self.redis_away = true;
                "Redis killed".into()
            }
            BrokerPaused => self.pause_server("broker", self.kafka.process()),
            RedisPaused => self.pause_server("Redis", self.redis.process()),
            RedisEmptied => {
                let _: () = redis::cmd("FLUSHALL").query(&mut self.redis.connect()).unwrap();
                "Redis emptied".into()
            }
            Resize => self.resize(),
        }
    }

    /// One that runs, drawn; `None` while there is none.
    fn victim(&mut self) -> Option<(usize, u32)> {
        let running = self.job.processes();
        (!running.is_empty()).then(|| running[self.random.random_range(0..running.len())])
    }

    pub fn kill_one(&mut self) -> String {
        match self.victim().filter(|(_, id)| signal("KILL", *id)) {
            Some((number, _)) => {
                self.kills += 1;
                format!("process {number} killed")
            }
            None => "nothing to kill".into(),
        }
    }

    pub fn kill_all(&mut self) -> String {
        let killed = self.job.kill();
        self.kills += usize::from(killed > 0);
        format!("all {killed} killed")
    }

    fn pause(&mut self) -> String {
        match self.victim().filter(|(_, id)| signal("STOP", *id)) {
            Some((number, id)) => {
                self.paused.push(id);
                format!("process {number} stopped by SIGSTOP")
            }
            None => "nothing to stop".into(),
        }
    }

    /// Whether it has ended or is held.
    fn lacks_broker(&self) -> bool {
        self.broker_away || self.paused.contains(&self.kafka.process())
    }

    fn lacks_redis(&self) -> bool {
        self.redis_away || self.paused.contains(&self.redis.process())
    }

    fn pause_server(&mut self, name: &str, process: u32) -> String {
        assert!(signal("STOP", process), "{name} runs");
        self.paused.push(process);
        format!("{name} stopped by SIGSTOP")
    }

    /// Between a process and another one, Kafka or Redis.
    fn harm_link(&mut self, fault: Fault) -> String {
        let (_, processes) = self.place;
        let near = self.random.random_range(0..processes);
        let others = (0..processes).filter(|other| *other != near).map(End::Process);
        let servers = [End::Server("Kafka", self.kafka.port()), End::Server("Redis", self.redis.port())];
        let far: Vec<End> = others.chain(servers).collect();
        let (mut from, mut to) = (End::Process(near), far[self.random.random_range(0..far.len())]);
        if self.random.random_bool(0.5) {
            (from, to) = (to, from);
        }
        match fault {
            OneWay => {
                self.net.lose(from, to, 1.0);
                format!("nothing from {from} to {to}")
            }
            Slow => {
                let kbit = self.random.random_range(64..512);
                self.net.slow(from, to, kbit);
                self.net.slow(to, from, kbit);
                format!("{kbit} kbit/s between {from} and {to}")
            }
            _ => {
                let part = if fault == Cut { 1.0 } else { self.random.random_range(0.1..0.4) };
                self.net.lose(from, to, part);
                self.net.lose(to, from, part);
                format!("{:.0} % lost between {from} and {to}", part * 100.0)
            }
        }
    }

    fn fill_disk(&mut self) -> String {
        let mut file = std::fs::File::create(self.filler()).unwrap();
        let block = vec![7; 1 << 16];
        let mut length = block.len();
        // To the last byte.
        while length > 0 {
            if file.write_all(&block[..length]).is_err() {
                length /= 2;
            }
        }
        "disk full".into()
    }

    /// Lowers the limit of a process to what it has open, and connects to process 0, again and again.
    fn take_descriptors(&mut self) -> String {
        let Some((number, id)) = self.victim() else { return "nothing to limit".into() };
        let Some((open, limit)) = open_files(id).zip(limit(id)) else { return "nothing to limit".into() };
        let spare = self.random.random_range(0..4);
        set_limit(id, open as u64 + spare);
        self.limited.push((id, limit));
        let address = self.job.http().parse().unwrap();
        let connections =
            (0..50).map_while(|_| TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok());
        self.connections.extend(connections);
        format!("process {number} has {spare} more descriptors")
    }

    /// Starts the job with a clock that can be moved, and moves it.
    fn move_clock(&mut self) -> String {
        let process = self.random.random_range(0..self.place.1);
        let off = if self.random.random_bool(0.5) { "-3600" } else { "+3600" };
        let (first, then) = if self.random.random_bool(0.5) { ("+0", off) } else { (off, "+0") };
        let clock = self.job.clock(process);
        std::fs::write(&clock, first).unwrap();
        self.clocks.push(clock.clone());
        self.job.kill();
        sleep(Duration::from_millis(self.random.random_range(2000..6000)));
        std::fs::write(clock, then).unwrap();
        format!("clock of process {process} at {first} s, then at {then} s")
    }

    pub fn resize(&mut self) -> String {
        self.release();
        self.job.stop();
        self.place = self.draw_place();
        self.job.start(self.place);
        let (workers, processes) = self.place;
        format!("now {processes} × {workers} workers")
    }

    pub fn draw_place(&mut self) -> Place {
        (self.random.random_range(1..=3), self.random.random_range(1..=MOST_PROCESSES))
    }

    /// Lets go of the processes that are held.
    fn release(&mut self) {
        for id in self.paused.drain(..) {
            signal("CONT", id);
        }
        self.connections.clear();
        self.limited.drain(..).for_each(|(id, limit)| set_limit(id, limit));
    }

    /// Ends all faults.
    pub fn heal(&mut self) {
        self.release();
        self.net.heal();
        let _ = std::fs::remove_file(self.filler());
        if std::mem::take(&mut self.broker_away) {
            self.kafka.start_again();
        }
        if std::mem::take(&mut self.redis_away) {
            self.redis.start_again();
        }
        if !self.clocks.is_empty() {
            self.clocks.drain(..).for_each(|clock| std::fs::remove_file(clock).unwrap());
            self.job.kill();
        }
        self.healed = now();
    }
}

/// How many files a process has open.
pub fn open_files(id: u32) -> Option<usize> {
    Some(std::fs::read_dir(format!("/proc/{id}/fd")).ok()?.count())
}

/// The soft limit of open files.
fn limit(id: u32) -> Option<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{id}/limits")).ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

fn set_limit(id: u32, limit: u64) {
    // A process that has ended meanwhile needs none.
    let _ = Command::new("prlimit").args(["--pid", &id.to_string(), &format!("--nofile={limit}:")]).output();
}
