//! `POST /events` in batches into the embedded log, which the job of the same process reads and counts meanwhile.

use crate::client::{self, Client, get};
use crate::figures::note;
use crate::server::{Server, until};
use std::fmt::Write;
use std::time::Duration;

const BATCH: u64 = 1000;
const CONNECTIONS: u32 = 4;

pub fn measure(length: Duration) {
    let folder = tempfile::tempdir().unwrap();
    let (crest, address) = Server::crest(&["--state", folder.path().to_str().unwrap()]);
    until("the program", || Client::connect(&address).ask(&get("/healthz")) == 200);
    let bytes = batch(0).len() as u64 / BATCH;
    println!(
        "POST /events ({CONNECTIONS} connections, {BATCH} events of {bytes} bytes in a request), all synced to disk"
    );
    let counts = |name: &str| name.starts_with("timely") || name.starts_with("worker");
    let (all, job) = (crest.cpu(|_| true), crest.cpu(counts));
    let posted = client::flat_out(&address, CONNECTIONS, length, &post) * BATCH;
    let taken = crest.cpu(|name| !counts(name)) - (all - job);
    let seconds = length.as_secs_f64();
    println!(
        "  {:.0} events/s, {:.0} a core of taking and keeping (goal: 500000 a core)",
        posted as f64 / seconds,
        posted as f64 / taken
    );
    note(
        "POST of 1,000 events, synced to disk",
        posted as f64 / taken / 1e6,
        "million events/s a core",
        "0.5",
    );
    until("all are counted", || {
        let mut connection = std::net::TcpStream::connect(&address).unwrap();
        let mut text = String::new();
        let request = b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        std::io::Write::write_all(&mut connection, request).unwrap();
        std::io::Read::read_to_string(&mut connection, &mut text).unwrap();
        let events = text.split("\"events\":").nth(1).and_then(|rest| rest.split(',').next());
        events.is_some_and(|events| events.parse::<u64>().unwrap() >= posted)
    });
    println!("  {posted} events posted, and as many counted");
}

fn post(client: u64) -> Vec<u8> {
    let body = batch(client);
    let head = format!("POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body.as_bytes()].concat()
}

/// Events of items that differ from one batch to the next.
fn batch(client: u64) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let mut body = String::new();
    for event in 0..BATCH {
        let item = (client * BATCH + event).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 100_000;
        writeln!(
            body,
            r#"{{"item_id":"product:{item:06}","event_type":"view","timestamp":{now},"user":"u{event:08}"}}"#
        )
        .unwrap();
    }
    body
}
