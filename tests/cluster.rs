//! Clusters of real processes: one signal stops all of them cleanly, one that dies or hangs ends all, and those
//! that do not belong together refuse each other.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a step that fails is a failed test

#[path = "cluster/tls.rs"]
mod cluster_tls;
mod common;

use common::events::{Event, Traffic, write_files};
use common::program::{Cluster, Crest, parse_finals, path};
use common::recount::{Recount, assert_same};
use common::rules::{Board, Rules, Window};
use common::sender::Sender;
use common::servers::Kafka;
use common::web::Web;
use common::{eventually, free_port, new_folder, root};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SECOND: i64 = 1000;
/// Far more than the program's own deadlines, which end it first.
const PATIENCE: Duration = Duration::from_secs(40);

/// Addresses for so many processes, in a file.
fn hostfile(processes: usize) -> PathBuf {
    let file = new_folder("hosts").join("hosts.txt");
    let hosts: String = (0..processes).map(|_| format!("127.0.0.1:{}\n", free_port())).collect();
    std::fs::write(&file, hosts).unwrap();
    file
}

fn address(hosts: &Path, process: usize) -> String {
    std::fs::read_to_string(hosts).unwrap().lines().nth(process).unwrap().to_owned()
}

fn process(hosts: &Path, processes: usize, index: usize, arguments: &[&str]) -> Crest {
    let (n, p) = (processes.to_string(), index.to_string());
    Crest::spawn(["-n", &n, "-p", &p, "--hostfile", path(hosts)].iter().chain(arguments))
}

/// A cluster under synthetic traffic, once its rankings are there.
fn demo(processes: usize, arguments: &[&str]) -> Cluster {
    let demo = ["--demo", "--http", "127.0.0.1:0"];
    let mut cluster = Cluster::spawn(processes, &[&demo, arguments].concat());
    let web = Web::of(&mut cluster.processes[0]);
    eventually("the first ranking", || web.get("/top-k").0 == 200);
    cluster
}

/// Waits for the end of all and says how long that took.
fn end_of_all(cluster: &mut Cluster, began: Instant) -> Duration {
    for crest in &mut cluster.processes {
        let status = crest.wait(PATIENCE);
        assert!(status.success(), "{status}: {}", crest.describe());
    }
    began.elapsed()
}

fn note(what: &str, took: Duration) {
    eprintln!("{what}: {} ms", took.as_millis());
}

#[test]
fn a_signal_to_any_process_stops_all_and_publishes_nothing_half_filled() {
    let kafka = Kafka::shared();
    let window = Window { name: "twos", size: 2 * SECOND, slide: 2 * SECOND };
    let rules = Rules::live(vec![Board { windows: vec![window], ..Board::default() }]);
    let traffic = Traffic { events: 4000, span: 11 * SECOND, disorder: SECOND, ..Traffic::default() };
    let logs = traffic.logs(4);
    kafka.create_topic("stops", 4);
    kafka.load("stops", &logs);
    // Event time stands still where the topic ends: whatever the watermarks have not passed stays open.
    let passed = |log: &Vec<Event>| {
        log.iter().map(|event| event.time - 2 * SECOND).max().unwrap().div_euclid(SECOND) * SECOND
    };
    let frontier = logs.iter().map(passed).min().unwrap();
    let mut expected = Recount::new(&rules, &logs).finals();
    let all = expected.len();
    expected.retain(|snapshot| snapshot["window_end"].as_i64().unwrap() <= frontier);
    assert!(!expected.is_empty() && expected.len() < all, "some windows are complete, and some are not");
    let (dir, source) = (new_folder("stops"), kafka.url("stops"));
    let config = rules.write(&dir);
    let job = ["-w", "2", "--config", path(&config), "--source", &source, "--start", "earliest"];
    let ends = ["--idle-timeout", "10m", "--snapshots", "-", "--http", "off"];
    for (signal, to) in [("TERM", 0), ("TERM", 1), ("INT", 0), ("INT", 1)] {
        let mut cluster = Cluster::spawn(2, &[job.as_slice(), &ends].concat());
        let complete = |crest: &Crest| (crest.stdout().len() == expected.len()).then_some(());
        cluster.processes[0].until("the complete windows", complete);
        let began = Instant::now();
        cluster.processes[to].signal(signal);
        note(&format!("SIG{signal} to process {to} of 2"), end_of_all(&mut cluster, began));
        assert_same(&parse_finals(&cluster.processes[0].stdout()), &expected);
        assert!(cluster.processes[1].stdout().is_empty(), "only process 0 publishes");
    }
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn a_stop_in_the_midst_of_traffic_publishes_nothing_half_filled() {
    let kafka = Kafka::shared();
    let window = Window { name: "seconds", size: SECOND, slide: SECOND };
    let rules = Rules {
        pane: SECOND / 2,
        out_of_orderness: SECOND,
        max_future_skew: Some(60 * SECOND),
        boards: vec![Board { windows: vec![window], ..Board::default() }],
        ..Rules::default()
    };
    kafka.create_topic("midst", 4);
    let sender = Sender::start(kafka, "midst", 4);
    let (dir, source) = (new_folder("midst"), kafka.url("midst"));
    let config = rules.write(&dir);
    let job = ["-w", "2", "--config", path(&config), "--source", &source, "--start", "earliest"];
    let ends = ["--idle-timeout", "10m", "--snapshots", "-", "--http", "off"];
    let mut published = Vec::new();
    for to in [0, 1, 0, 1] {
        let mut cluster = Cluster::spawn(2, &[job.as_slice(), &ends].concat());
        let some = |crest: &Crest| {
            (crest.stdout().len() > published.iter().map(Vec::len).max().unwrap_or(2)).then_some(())
        };
        cluster.processes[0].until("some windows", some);
        cluster.processes[to].sigterm();
        end_of_all(&mut cluster, Instant::now());
        published.push(parse_finals(&cluster.processes[0].stdout()));
    }
    let recount = Recount::new(&rules, &sender.finish());
    assert_eq!(recount.late, 0);
    let complete = recount.finals();
    for finals in published {
        assert_same(&finals, &complete[..finals.len()]);
    }
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn four_processes_of_eight_workers_stop_together() {
    let mut cluster = demo(4, &["-w", "8"]);
    let began = Instant::now();
    cluster.processes[3].sigterm();
    note("SIGTERM to process 3 of 4, 8 workers each", end_of_all(&mut cluster, began));
}

#[test]
fn when_a_process_is_killed_the_others_end_with_a_message() {
    for victim in [0, 2] {
        let mut cluster = demo(3, &["-w", "2"]);
        let began = Instant::now();
        cluster.processes[victim].kill();
        cluster.processes.remove(victim);
        for crest in cluster.processes.drain(..) {
            let message = crest.failure();
            assert!(message.contains("crest: lost the connection to"), "{message}");
            assert_eq!(message.matches("crest: ").count(), 1, "one line says why: {message}");
        }
        note(&format!("the others, after SIGKILL of process {victim} of 3"), began.elapsed());
    }
}

#[test]
fn when_a_process_hangs_the_others_end_with_a_message() {
    let mut cluster = demo(3, &[]);
    let began = Instant::now();
    cluster.processes[1].signal("STOP");
    let mut hanging = cluster.processes.remove(1);
    let messages: Vec<String> = cluster.processes.drain(..).map(Crest::failure).collect();
    note("the others, after SIGSTOP of process 1 of 3", began.elapsed());
    let silent = "crest: process 1 of the cluster is silent: worker 1 was not heard for 10 s";
    assert!(messages.iter().any(|message| message.contains(silent)), "{messages:?}");
    // The one that sees it a moment later may lose the first one meanwhile.
    let reasons =
        |message: &String| message.contains(silent) || message.contains("crest: lost the connection to");
    assert!(messages.iter().all(reasons), "{messages:?}");
    hanging.signal("CONT");
    assert!(!hanging.wait(PATIENCE).success(), "it ends when it goes on: {}", hanging.describe());
}

#[test]
fn processes_that_do_not_belong_together_refuse_each_other_by_name() {
    let case = |n, ours: &[&str], theirs: &[&str], named: &str| {
        let hosts = hostfile(3);
        let processes = [process(&hosts, n, 0, ours), process(&hosts, 2, 1, theirs)];
        for crest in processes {
            let message = crest.failure();
            let reason = message.lines().find(|line| line.starts_with("crest: "));
            let reason = reason.unwrap_or_else(|| panic!("no reason: {message}"));
            assert!(reason.contains(named), "{named:?} is not in {reason:?}");
        }
        let _ = std::fs::remove_dir_all(hosts.parent().unwrap());
    };
    let demo = ["--demo", "--http", "off"];
    case(2, &[&demo[..], &["-k", "5"]].concat(), &[&demo[..], &["-k", "6"]].concat(), "board.0.k is");
    case(2, &[&demo[..], &["--pane", "5s"]].concat(), &demo, "time.pane is");
    case(2, &[&demo[..], &["-w", "2"]].concat(), &demo, "the number of workers in each process is");
    case(3, &demo, &demo, "the number of processes is");
    case(2, &["--source", "-", "--http", "off"], &demo, "source.url is");
}

#[test]
fn a_missing_process_is_named_and_waited_for_and_a_stranger_harms_nobody() {
    let (dir, hosts) = (new_folder("waiting"), hostfile(2));
    let logs = Traffic { events: 2000, ..Traffic::default() }.logs(2);
    let source = write_files(&dir, &logs);
    let job = ["--source", source.as_str()];
    let mut first = process(&hosts, 2, 0, &job);
    let line = first.until_logged("waiting for");
    assert!(line.ends_with(&format!("waiting for process 1 at {}", address(&hosts, 1))), "{line}");
    // The handshake of another version may be a stranger's, too.
    let another = |version: u8| [b"crest-hs\0\0\0", &[version, 0, 0, 0, 0][..]].concat();
    let web = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
    for garbage in [web, vec![0xff; 1 << 16], another(3), another(99), Vec::new()] {
        let mut stranger = TcpStream::connect(address(&hosts, 0)).unwrap();
        // The program may hang up before it has heard all.
        let _ = stranger.write_all(&garbage);
        stranger.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut answer = Vec::new();
        let _ = stranger.read_to_end(&mut answer);
        assert!(answer.is_empty(), "a stranger is told nothing");
    }
    // One that never says anything holds up nobody either.
    let silent = TcpStream::connect(address(&hosts, 0)).unwrap();
    let second = process(&hosts, 2, 1, &job);
    assert_same(&first.finals(), &Recount::new(&Rules::default(), &logs).finals());
    assert_eq!(second.final_text(), "");
    drop(silent);
    let _ = std::fs::remove_dir_all(dir);
    let _ = std::fs::remove_dir_all(hosts.parent().unwrap());
}

#[test]
fn a_process_with_another_secret_is_named_by_both_ends_and_the_right_one_is_still_waited_for() {
    let (dir, hosts) = (new_folder("secrets"), hostfile(2));
    let logs = Traffic { events: 2000, ..Traffic::default() }.logs(2);
    let source = write_files(&dir, &logs);
    let secret = |name: &str, text: &str| {
        let file = dir.join(name);
        std::fs::write(&file, text).unwrap();
        path(&file).to_owned()
    };
    let (right, wrong) =
        (secret("right", "hidden from all others\n"), secret("wrong", "hidden from these two"));
    let job = |secret| ["--source", source.as_str(), "--cluster-secret-file", secret];
    let mut first = process(&hosts, 2, 0, &job(&right));
    let mut other = process(&hosts, 2, 1, &job(&wrong));
    let line = other.until_logged("was to be process 0");
    assert!(line.contains("what answers there has another secret than this process; trying again"), "{line}");
    let line = first.until_logged("dropped a caller at 127.0.0.1:");
    assert!(
        line.ends_with("which calls itself process 1 and has another secret than this process"),
        "{line}"
    );
    other.sigterm();
    assert!(other.wait(PATIENCE).success(), "{}", other.describe());
    assert!(!other.describe().contains("hidden") && first.running(), "{}", first.describe());
    let second = process(&hosts, 2, 1, &job(&right));
    first.until("the end of the job", |crest| (!crest.stdout().is_empty()).then_some(()));
    assert!(!first.describe().contains("hidden"), "{}", first.describe());
    assert_same(&first.finals(), &Recount::new(&Rules::default(), &logs).finals());
    assert_eq!(second.final_text(), "");
    let _ = std::fs::remove_dir_all(dir);
    let _ = std::fs::remove_dir_all(hosts.parent().unwrap());
}

#[test]
fn a_cluster_that_other_machines_may_reach_does_not_start_without_a_secret() {
    let dir = new_folder("reached");
    let hosts = dir.join("hosts.txt");
    std::fs::write(&hosts, format!("0.0.0.0:{}\n127.0.0.1:{}\n", free_port(), free_port())).unwrap();
    let job = ["--demo", "--http", "off"];
    let message = process(&hosts, 2, 0, &job).failure();
    assert!(message.contains("--hostfile = 0.0.0.0:") && message.contains("needs a secret"), "{message}");
    let mut open = process(&hosts, 2, 0, &[&job[..], &["--cluster-insecure"]].concat());
    open.until_logged("is open to other machines, and whoever reaches it may take part in the cluster");
    let _ = std::fs::remove_dir_all(dir);
}

/// A running `scripts/cluster`, stopped when it is dropped.
struct Supervisor {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Supervisor {
    fn start(arguments: &[&str]) -> Supervisor {
        let mut command = Command::new(root().join("scripts/cluster"));
        command.env("CREST_BIN", env!("CARGO_BIN_EXE_crest")).env("CREST_STATE", "off").args(arguments);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Supervisor { child, lines }
    }

    fn until(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no line says {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    fn terminate(&self) {
        assert!(kill("TERM", self.child.id()));
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.terminate();
            let _ = self.child.wait();
        }
    }
}

fn kill(signal: &str, process: u32) -> bool {
    Command::new("sh").args(["-c", &format!("kill -{signal} {process}")]).status().unwrap().success()
}

/// The processes that were started with this hostfile, by their index.
fn running(hosts: &Path, index: usize) -> Vec<u32> {
    let mark = format!("\0-p\0{index}\0--hostfile\0{}\0", hosts.display());
    let entries = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let ours = |id: &u32| {
        std::fs::read_to_string(format!("/proc/{id}/cmdline")).is_ok_and(|line| {
            line.contains(&mark) && !line.contains("scripts/cluster") && !line.starts_with("setpriv")
        })
    };
    entries.filter(ours).collect()
}

#[test]
fn the_supervisor_starts_all_again_when_one_is_killed() {
    let hosts = hostfile(2);
    let mut supervisor =
        Supervisor::start(&["2", "--hostfile", path(&hosts), "--demo", "--http", "127.0.0.1:0"]);
    supervisor.until("http://127.0.0.1:");
    let before = running(&hosts, 1);
    assert_eq!(before.len(), 1, "{before:?}");
    assert!(kill("KILL", before[0]));
    supervisor.until("starting all again");
    supervisor.until("http://127.0.0.1:");
    eventually("process 1 runs again", || running(&hosts, 1).iter().any(|id| !before.contains(id)));
    supervisor.terminate();
    assert!(supervisor.child.wait().unwrap().success());
    assert!(running(&hosts, 0).is_empty() && running(&hosts, 1).is_empty());
    let _ = std::fs::remove_dir_all(hosts.parent().unwrap());
}

#[test]
fn a_signal_to_a_process_that_waits_for_others_ends_those_too_that_wait_with_it() {
    let hosts = hostfile(3);
    let job = ["--demo", "--http", "off", "--snapshots", "-"];
    let mut both = [0, 1].map(|index| process(&hosts, 3, index, &job));
    let third = address(&hosts, 2);
    for crest in &mut both {
        crest.until_logged(&format!("waiting for process 2 at {third}"));
    }
    let began = Instant::now();
    both[1].sigterm();
    let [first, second] = both.map(|mut crest| {
        let status = crest.wait(PATIENCE);
        assert!(status.success(), "a wanted stop is no failure: {status}: {}", crest.describe());
        crest.stderr().join("\n")
    });
    note("SIGTERM to one of two that wait for a third", began.elapsed());
    assert!(second.ends_with("crest: stopped by a signal before the job began"), "{second}");
    assert!(first.ends_with("crest: process 1 gave up: stopped by a signal before the job began"), "{first}");
    let _ = std::fs::remove_dir_all(hosts.parent().unwrap());
}
