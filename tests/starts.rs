//! What becomes of a start that is stopped, or loses a process, at any moment before the job begins: a wanted stop is no
//! failure, and nobody is waited for without end.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a step that fails is a failed test

mod common;

use common::events::Event;
use common::program::{Cluster, Crest, path};
use common::{eventually, free_port, new_folder};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Far more than the program's own deadlines, which end it first.
const PATIENCE: Duration = Duration::from_secs(100);
const DEMO: [&str; 5] = ["--demo", "--http", "off", "--snapshots", "-"];

/// Waits until it catches SIGTERM: before that, nothing but the system has run.
fn until_it_listens(crest: &Crest) {
    const SIGTERM: u32 = 15;
    let status = format!("/proc/{}/status", crest.id());
    eventually("the process catches signals", || {
        let text = std::fs::read_to_string(&status).unwrap();
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
        u64::from_str_radix(caught, 16).unwrap() & (1 << (SIGTERM - 1)) != 0
    });
}

/// A broker that takes connections and never says a word.
fn silent_broker() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("kafka://{}/events", listener.local_addr().unwrap());
    (listener, url)
}

/// Ends well by itself, or waits for a process that was stopped before it had met this one, and ends well when it is
/// stopped in turn.
fn ends_well(mut crest: Crest, victim: usize) {
    let missing = format!("waiting for process {victim} at");
    eventually("an end, or who is waited for", || {
        !crest.running() || crest.stderr().iter().any(|line| line.contains(&missing))
    });
    if crest.running() {
        crest.sigterm();
    }
    let status = crest.wait(PATIENCE);
    assert!(status.success(), "{status}: {}", crest.describe());
}

#[test]
fn a_stop_at_any_moment_of_a_start_is_no_failure() {
    let seed = 14;
    let mut random = StdRng::seed_from_u64(seed);
    let (_broker, silent) = silent_broker();
    let state = new_folder("starts-state");
    let kafka = ["--source", silent.as_str(), "--state", path(&state), "--http", "off"];
    for round in 0..16 {
        let processes = 1 + round % 3;
        let job = if round % 2 == 0 { &DEMO[..] } else { &kafka[..] };
        let (victim, delay) = (random.random_range(0..processes), random.random_range(0..1500));
        let signal = if random.random_bool(0.5) { "TERM" } else { "INT" };
        eprintln!(
            "round {round}: SIG{signal} to process {victim} of {processes} after {delay} ms: {}",
            job[0]
        );
        let mut cluster = Cluster::spawn(processes, job);
        cluster.processes.iter().for_each(until_it_listens);
        std::thread::sleep(Duration::from_millis(delay));
        let mut stopped = cluster.processes.remove(victim);
        stopped.signal(signal);
        let status = stopped.wait(PATIENCE);
        assert!(status.success(), "{status}: {}", stopped.describe());
        cluster.processes.drain(..).for_each(|crest| ends_well(crest, victim));
    }
    let _ = std::fs::remove_dir_all(state);
}

/// All others end non-zero and name a process, and one of them the victim: another may lose that one first.
fn end_naming(cluster: Vec<Crest>, victim: usize) {
    let messages: Vec<String> = cluster.into_iter().map(Crest::failure).collect();
    let last = |message: &String| message.lines().last().unwrap_or_default().to_owned();
    let named = |message: &String, name: &str| {
        let line = last(message);
        line.starts_with("crest: ") && line.contains(name)
    };
    assert!(messages.iter().all(|message| named(message, "process ")), "{messages:?}");
    let victim = format!("process {victim} ");
    assert!(messages.iter().any(|message| named(message, &victim)), "{victim}: {messages:?}");
}

#[test]
fn a_process_that_dies_or_hangs_at_any_moment_of_a_start_is_named_by_the_others() {
    let mut random = StdRng::seed_from_u64(15);
    // Side by side, since the others wait for a minute where the job has not begun.
    std::thread::scope(|scope| {
        for round in 0..6 {
            let processes = 2 + round % 2;
            let (victim, delay) = (random.random_range(0..processes), random.random_range(0..400));
            let signal = if round % 3 == 0 { "STOP" } else { "KILL" };
            eprintln!("round {round}: SIG{signal} to process {victim} of {processes} after {delay} ms");
            scope.spawn(move || {
                let mut cluster = Cluster::spawn(processes, &DEMO);
                cluster.processes.iter().for_each(until_it_listens);
                std::thread::sleep(Duration::from_millis(delay));
                let victim_process = cluster.processes.remove(victim);
                victim_process.signal(signal);
                end_naming(std::mem::take(&mut cluster.processes), victim);
            });
        }
    });
}

#[test]
fn what_one_process_cannot_open_ends_the_others_at_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut cluster = Cluster::spawn_each(2, |process| {
        let http = if process == 1 { address.as_str() } else { "off" };
        vec!["--demo", "--http", http]
    });
    let began = Instant::now();
    let reason = format!("--http {address}: the port is in use");
    let messages: Vec<String> = cluster.processes.drain(..).map(Crest::failure).collect();
    assert!(messages[0].contains(&format!("crest: process 1 gave up: {reason}")), "{messages:?}");
    assert!(messages[1].contains(&format!("crest: {reason}")), "{messages:?}");
    eprintln!("both ended after {} ms", began.elapsed().as_millis());
}

#[test]
fn a_first_process_that_starts_last_tells_the_others_where_to_begin() {
    let dir = new_folder("starts-last");
    let lines: String =
        (0..500).map(|n| Event::new("a", 1_711_670_400_000 + n * 100).json() + "\n").collect();
    std::fs::write(dir.join("events.ndjson"), lines).unwrap();
    let (source, state) = (format!("file:{}/events.ndjson", dir.display()), dir.join("state"));
    let hosts = dir.join("hosts.txt");
    let addresses: String = (0..3).map(|_| format!("127.0.0.1:{}\n", free_port())).collect();
    std::fs::write(&hosts, addresses).unwrap();
    let start = |process: &str| {
        let place = ["-n", "3", "-p", process, "--hostfile", path(&hosts), "--source", &source];
        Crest::spawn(place.into_iter().chain(["--state", path(&state)]))
    };
    let mut others = ["2", "1"].map(start);
    for crest in &mut others {
        crest.until_logged("waiting for process 0 at");
    }
    let finals = start("0").finals();
    assert!(!finals.is_empty() && finals.iter().any(|ranking| ranking["total"] == 500), "{finals:?}");
    others.into_iter().for_each(|crest| assert_eq!(crest.final_text(), ""));
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn a_host_that_cannot_be_found_is_named_while_it_is_called() {
    let dir = new_folder("starts-host");
    let hosts = dir.join("hosts.txt");
    std::fs::write(&hosts, format!("no-such-host.invalid:2101\n127.0.0.1:{}\n", free_port())).unwrap();
    let place = ["-n", "2", "-p", "1", "--hostfile", path(&hosts), "--cluster-insecure"];
    let job = place.into_iter().chain(["--demo", "--http", "off"]);
    let mut crest = Crest::spawn(job);
    let line = crest.until_logged("process 0 cannot be called at no-such-host.invalid:2101: ");
    assert!(line.contains("lookup"), "{line}");
    crest.sigterm();
    let status = crest.wait(PATIENCE);
    assert!(status.success(), "{status}: {}", crest.describe());
    let _ = std::fs::remove_dir_all(dir);
}

/// As `node` and some terminals leave the pipe that they share with a program.
#[test]
fn an_output_that_never_blocks_is_waited_for() {
    let dir = new_folder("starts-output");
    let file = dir.join("events.ndjson");
    let event =
        |n: i64| Event::new(&format!("item-{:04}", n % 2000), 1_711_670_400_000 + n * 100).json() + "\n";
    std::fs::write(&file, (0..20_000).map(event).collect::<String>()).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_crest"))
        .args(["--source", &format!("file:{}", file.display()), "--state", "off"])
        .stdin(Stdio::null())
        .stdout(OwnedFd::from(theirs))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Longer than it takes to fill what the system keeps for a slow reader.
    std::thread::sleep(Duration::from_secs(2));
    let bytes: usize = BufReader::new(ours).lines().map(|line| line.unwrap().len()).sum();
    let status = child.wait().unwrap();
    let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert!(status.success(), "{status}: {said}");
    assert!(bytes > 1 << 20, "only {bytes} bytes were written, which fit into what the system keeps");
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn an_input_that_never_blocks_is_waited_for() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_crest"))
        .args(["--source", "-", "--state", "off"])
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It has looked, and found nothing.
    std::thread::sleep(Duration::from_millis(500));
    ours.write_all((Event::new("late", 1_711_670_400_000).json() + "\n").as_bytes()).unwrap();
    drop(ours);
    let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    let rankings = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}: {said}");
    assert!(rankings.contains("\"item_id\":\"late\""), "{rankings}");
}

#[test]
fn an_api_node_that_is_stopped_has_not_failed() {
    let dir = new_folder("starts-node");
    let (file, state) = (dir.join("events.ndjson"), dir.join("state"));
    std::fs::write(&file, Event::new("a", 1_711_670_400_000).json() + "\n").unwrap();
    let source = format!("file:{}", file.display());
    assert!(!Crest::spawn(["--source", &source, "--state", path(&state)]).finals().is_empty());
    for signal in ["TERM", "INT"] {
        let mut node = Crest::spawn(["serve", "--state", path(&state), "--http", "127.0.0.1:0"]);
        node.until_logged("http://127.0.0.1:");
        node.signal(signal);
        let status = node.wait(PATIENCE);
        assert!(status.success(), "SIG{signal}: {status}: {}", node.describe());
    }
    let _ = std::fs::remove_dir_all(dir);
}
