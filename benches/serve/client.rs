//! Clients of an HTTP server: one request after another on connections that stay open.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A connection, and what it reads into.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub fn connect(address: &str) -> Client {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).unwrap();
        Client { stream, buffer: vec![0; 64 << 10] }
    }

    /// The status of the answer to a request, which is read whole.
    pub fn ask(&mut self, request: &[u8]) -> u16 {
        self.send(request);
        self.answer()
    }

    fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).unwrap();
    }

    fn answer(&mut self) -> u16 {
        let mut filled = 0;
        let (mut end, mut status) = (usize::MAX, 0);
        while filled < end {
            let read = self.stream.read(&mut self.buffer[filled..]).unwrap();
            assert_ne!(read, 0, "the server hung up");
            filled += read;
            if end == usize::MAX {
                let head = &self.buffer[..filled];
                let Some(body) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
                let head = std::str::from_utf8(&head[..body]).unwrap().to_ascii_lowercase();
                status = head[9..12].parse().unwrap();
                let length = head
                    .split("content-length: ")
                    .nth(1)
                    .map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
                end = body + 4 + length;
            }
        }
        status
    }
}

/// A GET of a path.
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// Asks `rate` times a second on so many connections; the times from when each request was due, sorted.
pub fn on_schedule(
    address: &str,
    path: &str,
    rate: u32,
    connections: u32,
    length: Duration,
) -> Vec<Duration> {
    let begin = Instant::now() + Duration::from_millis(50);
    let clients: Vec<_> = (0..connections)
        .map(|client| {
            let (address, request) = (address.to_owned(), get(path));
            std::thread::spawn(move || {
                let mut connection = Client::connect(&address);
                let gap = Duration::from_secs(1) * connections / rate;
                let mut due = begin + gap * client / connections;
                let mut times = Vec::new();
                while due < begin + length {
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    assert_eq!(connection.ask(&request), 200);
                    times.push(due.elapsed());
                    due += gap;
                }
                times
            })
        })
        .collect();
    let mut times: Vec<Duration> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    times.sort_unstable();
    times
}

/// Asks as fast as it is answered; how many requests were.
pub fn flat_out(
    address: &str,
    connections: u32,
    length: Duration,
    request: &(impl Fn(u64) -> Vec<u8> + Sync),
) -> u64 {
    let (over, asked) = (Arc::new(AtomicBool::new(false)), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for client in 0..connections {
            let (over, asked) = (over.clone(), &asked);
            scope.spawn(move || {
                let mut connection = Client::connect(address);
                let request = request(u64::from(client));
                while !over.load(Ordering::Relaxed) {
                    let status = connection.ask(&request);
                    assert!(matches!(status, 200 | 202), "{status}");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(length);
        over.store(true, Ordering::Relaxed);
    });
    asked.into_inner()
}

/// Asks on all connections from one thread, as redis-benchmark does, and again when all have been answered; how many
/// requests were.
pub fn in_rounds(address: &str, connections: u32, length: Duration, request: &[u8]) -> u64 {
    let mut connections: Vec<Client> = (0..connections).map(|_| Client::connect(address)).collect();
    let (begin, mut asked) = (Instant::now(), 0);
    while begin.elapsed() < length {
        connections.iter_mut().for_each(|connection| connection.send(request));
        for connection in &mut connections {
            assert_eq!(connection.answer(), 200);
            asked += 1;
        }
    }
    asked
}
