//! Clusters of threads on loopback: those that belong together, those that do not, and strangers.

mod bytes;
mod strangers;
mod tls;

use super::link::Link;
use super::proof;
use super::wire::{self, Message};
use super::*;
use crate::settings::{ClusterAccess, Secret};
use crest_state::replay::{Replay, Resume};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::AtomicU16;
use std::thread::JoinHandle;
use std::time::Instant;

const LONG: Duration = Duration::from_secs(30);

/// Addresses that were free a moment ago, below the ports that the system gives to those who call.
fn addresses(count: usize) -> Vec<String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run side by side have neighbouring ids; none takes so many ports.
    let first = 10_000 + (std::process::id() % 100 * 90) as u16;
    let ports = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed));
    let free = ports.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.take(count).map(|port| format!("127.0.0.1:{port}")).collect()
}

fn shape(addresses: &[String], process: usize) -> ClusterShape {
    let (processes, addresses) = (addresses.len(), addresses.to_vec());
    ClusterShape {
        workers: 2,
        processes,
        process,
        addresses,
        access: ClusterAccess::default(),
        standby: false,
    }
}

/// The same, for those who know a secret.
fn secret_shape(addresses: &[String], process: usize, secret: &str) -> ClusterShape {
    let access = ClusterAccess { secret: Some(Secret::new(secret)), ..ClusterAccess::default() };
    ClusterShape { access, ..shape(addresses, process) }
}

/// What only process 0 knows of the run.
fn run(epoch: u64, offset: i64) -> Run {
    let (name, next) = ("events/3".into(), 2 * offset);
    let at = Replay { name, replay: offset, next, stamped: None, newest: None, since: Some(7) };
    let resume = Resume { durable: 7, partitions: [(3, at)].into(), log: Some("id".into()), since: vec![7] };
    Run { epoch, resume: Some(resume), seed: Some(77) }
}

fn hello(shape: &ClusterShape) -> Hello {
    Hello {
        build: 7,
        processes: shape.processes,
        workers: shape.workers,
        process: shape.process,
        config: json!({"spec": {"time": {"pane": "10s"}}}),
    }
}

type Joining = JoinHandle<Result<Joined, ClusterError>>;

fn begin(
    shape: &ClusterShape,
    ours: Hello,
    deadline: Duration,
    stopped: impl Fn() -> bool + Send + 'static,
) -> Result<Meeting, ClusterError> {
    Meeting::begin(shape, ours, deadline, stopped, |_| {})
}

/// As a process does that has nothing to open.
fn join(
    shape: &ClusterShape,
    ours: Hello,
    deadline: Duration,
    stopped: impl Fn() -> bool + Send + 'static,
) -> Result<Joined, ClusterError> {
    let meeting = begin(shape, ours, deadline, stopped)?;
    if shape.process == 0 {
        meeting.tell(run(1000, 10));
    }
    meeting.ready()
}

fn start(shape: ClusterShape, hello: Hello) -> Joining {
    std::thread::spawn(move || join(&shape, hello, LONG, || false))
}

fn start_plain(addresses: &[String], process: usize) -> Joining {
    let shape = shape(addresses, process);
    let hello = hello(&shape);
    start(shape, hello)
}

fn refused(joining: Joining) -> String {
    let error = joining.join().unwrap().unwrap_err();
    assert!(error.cause() == Cause::Mismatch, "{error}");
    error.to_string()
}

/// The sockets of a complete cluster join exactly the right pairs, and hold nothing of the handshake.
fn assert_complete(joined: Vec<Joined>) {
    for (from, cluster) in joined.iter().enumerate() {
        assert_eq!(cluster.run, run(1000, 10), "the run is that of process 0");
        for (to, socket) in cluster.sockets.iter().enumerate() {
            assert_eq!(socket.is_none(), from == to);
            if let Some(mut socket) = socket.as_ref() {
                socket.write_all(&[from as u8, to as u8]).unwrap();
            }
        }
    }
    for (to, cluster) in joined.iter().enumerate() {
        for (from, socket) in cluster.sockets.iter().enumerate() {
            if let Some(mut socket) = socket.as_ref() {
                let mut bytes = [0; 2];
                socket.read_exact(&mut bytes).unwrap();
                assert_eq!(bytes, [from as u8, to as u8]);
            }
        }
    }
}

fn complete(joining: Vec<Joining>) {
    assert_complete(joining.into_iter().map(|joining| joining.join().unwrap().unwrap()).collect());
}

#[test]
fn processes_meet_in_any_order_of_starting() {
    let addresses = addresses(4);
    let mut joining: Vec<_> = [3, 1, 0, 2].map(|process| (process, start_plain(&addresses, process))).into();
    joining.sort_by_key(|(process, _)| *process);
    complete(joining.into_iter().map(|(_, joining)| joining).collect());
}

#[test]
fn one_process_is_a_cluster() {
    complete(vec![start_plain(&addresses(1), 0)]);
}

#[test]
fn what_differs_is_said_by_both_ends() {
    type Change = fn(&mut Hello);
    let cases: [(Change, &str); 4] = [
        (|h| h.build = 8, "another build"),
        (|h| h.config["spec"]["time"]["pane"] = json!("5s"), "another configuration: spec.time.pane is"),
        (|h| h.workers = 3, "another cluster shape: the number of workers in each process is"),
        (|h| h.processes = 3, "another cluster shape: the number of processes is"),
    ];
    for (change, expected) in cases {
        let addresses = addresses(2);
        let other = shape(&addresses, 1);
        let mut changed = hello(&other);
        change(&mut changed);
        let ends = [start_plain(&addresses, 0), start(other, changed)].map(refused);
        // Either end sees it first, and then may be the one that tells the other.
        assert!(ends.iter().all(|text| text.contains(expected)), "{ends:?}");
    }
}

#[test]
fn all_others_hear_why_a_cluster_gives_up() {
    let addresses = addresses(3);
    let innocent = start_plain(&addresses, 1);
    let first = start_plain(&addresses, 0);
    let other = shape(&addresses, 2);
    let mut changed = hello(&other);
    changed.build = 8;
    let third = start(other, changed);
    for text in [first, innocent, third].map(refused) {
        assert!(text.contains("another build"), "{text}");
    }
}

#[test]
fn an_index_taken_twice_is_said_to_both() {
    let three = addresses(3);
    let first = start_plain(&three, 0);
    let one = start_plain(&three, 1);
    // On another machine, where it does not collide with the first one's port.
    let mut elsewhere = three.clone();
    elsewhere[1] = addresses(1).remove(0);
    let again = start_plain(&elsewhere, 1);
    for text in [first, one, again].map(refused) {
        assert!(text.contains("the index 1 is taken twice"), "{text}");
    }
}

#[test]
fn addresses_in_another_order_are_noticed() {
    let ours = addresses(3);
    let swapped = vec![ours[1].clone(), ours[0].clone(), ours[2].clone()];
    let joining = [start_plain(&ours, 0), start_plain(&ours, 1), start_plain(&swapped, 2)];
    let texts = joining.map(refused);
    assert!(texts.iter().any(|text| text.contains("was to be process")), "{texts:?}");
}

#[test]
fn a_taken_port_is_said_at_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addresses = [taken.local_addr().unwrap().to_string(), addresses(1).remove(0)];
    let error = start_plain(&addresses, 0).join().unwrap().unwrap_err();
    assert_eq!(error.cause(), Cause::Failure);
    assert!(
        error.to_string().starts_with(&format!("process 0 cannot listen on {}", addresses[0])),
        "{error}"
    );
}

#[test]
fn a_process_that_is_stopped_says_so_to_those_that_wait_for_it() {
    let addresses = addresses(3);
    let waiting = start_plain(&addresses, 0);
    let shape = shape(&addresses, 1);
    let (ours, began) = (hello(&shape), Instant::now());
    // By then it has met the one that listens.
    let error = join(&shape, ours, LONG, move || began.elapsed() > Duration::from_millis(500)).unwrap_err();
    assert!(matches!(error, ClusterError::Stopped), "{error}");
    let error = waiting.join().unwrap().unwrap_err();
    assert_eq!(error.cause(), Cause::Stop);
    assert_eq!(error.to_string(), "process 1 gave up: stopped by a signal before the job began");
}

#[test]
fn the_missing_ones_are_named_at_the_deadline() {
    let addresses = addresses(2);
    let shape = shape(&addresses, 0);
    let error = join(&shape, hello(&shape), Duration::from_millis(100), || false).unwrap_err().to_string();
    assert!(error.ends_with(&format!("waited for process 1 at {}", addresses[1])), "{error}");
}

fn connected(address: &str) -> TcpStream {
    loop {
        if let Ok(stream) = TcpStream::connect(address) {
            return stream;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Has proved to belong, as process `index` that calls another one.
fn proved(stream: &TcpStream, index: usize) {
    proof::call(stream, &[], index, proof::nonce().unwrap()).unwrap();
}

#[test]
fn another_version_of_the_messages_is_another_build() {
    let addresses = addresses(2);
    let first = start_plain(&addresses, 0);
    let mut other = connected(&addresses[0]);
    proved(&other, 1);
    other.write_all(b"crest-hs\0\0\0\x05\0\0\0\0").unwrap();
    let text = refused(first);
    assert!(text.contains("another build: version 5 of the handshake"), "{text}");
}

#[test]
fn a_process_that_dies_before_the_start_is_waited_for_again() {
    let addresses = addresses(3);
    let (first, second) = (start_plain(&addresses, 0), start_plain(&addresses, 1));
    let dying = shape(&addresses, 2);
    for address in &addresses[..2] {
        let stream = connected(address);
        proved(&stream, 2);
        wire::send(&stream, &Message::Hello(hello(&dying)), LONG).unwrap();
        wire::receive(&stream, LONG).unwrap();
    }
    complete(vec![first, second, start_plain(&addresses, 2)]);
}

/// A process of the cluster whose every message the test says, with its connection to process 0.
fn by_hand(addresses: &[String], process: usize) -> TcpStream {
    let stream = connected(&addresses[0]);
    proved(&stream, process);
    wire::send(&stream, &Message::Hello(hello(&shape(addresses, process))), LONG).unwrap();
    assert!(matches!(wire::receive(&stream, LONG), Ok(Message::Hello(_))));
    stream
}

fn until(stream: &TcpStream, wanted: &Message) {
    while wire::receive(stream, LONG).unwrap() != *wanted {}
}

#[test]
fn the_others_hear_where_the_job_begins_before_they_are_ready() {
    let addresses = addresses(2);
    let shapes = [0, 1].map(|process| shape(&addresses, process));
    let [first, second] = shapes.map(|shape| begin(&shape, hello(&shape), LONG, || false).unwrap());
    first.tell(run(1, 10));
    assert_eq!(second.run().unwrap(), run(1, 10));
    let second = std::thread::spawn(move || second.ready());
    first.ready().unwrap();
    assert_eq!(second.join().unwrap().unwrap().run, run(1, 10));
}

#[test]
fn what_a_process_cannot_open_is_told_to_those_that_wait_for_it() {
    for cause in [Cause::Failure, Cause::Mismatch] {
        let addresses = addresses(3);
        let waiting = [start_plain(&addresses, 0), start_plain(&addresses, 2)];
        let failing = shape(&addresses, 1);
        let meeting = begin(&failing, hello(&failing), LONG, || false).unwrap();
        meeting.give_up("no broker answers".into(), cause);
        for error in waiting.map(|joining| joining.join().unwrap().unwrap_err()) {
            assert_eq!(error.cause(), cause);
            assert!(error.to_string().ends_with("process 1 gave up: no broker answers"), "{error}");
        }
    }
}

#[test]
fn a_process_that_stops_when_it_is_told_to_go_stops_all() {
    let addresses = addresses(2);
    let waiting = start_plain(&addresses, 0);
    let stopping = by_hand(&addresses, 1);
    wire::send(&stopping, &Message::Ready, LONG).unwrap();
    until(&stopping, &Message::Begun);
    let why = Message::GiveUp { reason: "stopped".into(), cause: Cause::Stop };
    wire::send(&stopping, &why, LONG).unwrap();
    let error = waiting.join().unwrap().unwrap_err();
    assert_eq!((error.cause(), error.to_string()), (Cause::Stop, "process 1 gave up: stopped".into()));
}

#[test]
fn a_process_that_dies_when_it_is_told_to_go_is_named() {
    let addresses = addresses(2);
    let waiting = start_plain(&addresses, 0);
    let dying = by_hand(&addresses, 1);
    wire::send(&dying, &Message::Ready, LONG).unwrap();
    until(&dying, &Message::Go);
    drop(dying);
    let error = waiting.join().unwrap().unwrap_err();
    assert_eq!(error.cause(), Cause::Failure);
    let text = error.to_string();
    assert!(text.starts_with("process 1 at ") && text.ends_with("went away just as the job began"), "{text}");
}

#[test]
fn one_that_hangs_at_any_message_is_named_at_the_deadline() {
    for (ready, named) in [(false, "to be ready"), (true, "to begin")] {
        let addresses = addresses(2);
        let shape = shape(&addresses, 0);
        let waiting = std::thread::spawn({
            let shape = shape.clone();
            move || join(&shape, hello(&shape), Duration::from_secs(2), || false)
        });
        let hanging = by_hand(&addresses, 1);
        if ready {
            wire::send(&hanging, &Message::Ready, LONG).unwrap();
        }
        let text = waiting.join().unwrap().unwrap_err().to_string();
        assert!(text.ends_with(&format!("waited for process 1 at {} {named}", addresses[1])), "{text}");
        drop(hanging);
    }
}

#[test]
fn a_first_process_that_begins_elsewhere_than_the_one_before_is_not_followed() {
    let addresses = addresses(2);
    let shapes = [0, 1].map(|process| shape(&addresses, process));
    let second = begin(&shapes[1], hello(&shapes[1]), LONG, || false).unwrap();
    for (epoch, offset, follows) in [(1, 10, true), (2, 10, true), (3, 20, false)] {
        let listener = TcpListener::bind(&addresses[0]).unwrap();
        let stream = listener.accept().unwrap().0;
        assert_eq!(proof::answer(&stream, &[], 0, proof::nonce().unwrap()).unwrap(), 1);
        assert!(matches!(wire::receive(&stream, LONG), Ok(Message::Hello(_))));
        wire::send(&stream, &Message::Hello(hello(&shapes[0])), LONG).unwrap();
        wire::send(&stream, &Message::Run(run(epoch, offset)), LONG).unwrap();
        let answer = (!follows).then(|| wire::receive(&stream, LONG).unwrap());
        if let Some(answer) = answer {
            assert!(matches!(answer, Message::GiveUp { cause: Cause::Failure, .. }), "{answer:?}");
        } else if epoch == 1 {
            assert_eq!(second.run().unwrap(), run(1, 10));
        }
    }
    let text = second.ready().unwrap_err().to_string();
    assert!(text.contains("started again, and goes on from elsewhere"), "{text}");
}
