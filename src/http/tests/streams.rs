//! Streams, and how many of them and of connections may be open.

use super::*;
use crest_connectors::group_key::GroupKey;
use std::io::{BufRead, BufReader};

/// The events of a stream, as (name, data).
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(server: &Server, path: &str) -> Stream {
        let mut stream = TcpStream::connect(server.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut stream = Stream(BufReader::new(stream));
        let head: Vec<String> =
            std::iter::from_fn(|| Some(stream.line()).filter(|line| !line.is_empty())).collect();
        assert!(head[0].starts_with("HTTP/1.1 200"), "{head:?}");
        assert!(head.iter().any(|line| line == "content-type: text/event-stream"), "{head:?}");
        stream
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the stream has ended");
        line.trim_end().to_owned()
    }

    /// The next event of this name.
    fn next(&mut self, name: &str) -> Value {
        loop {
            if self.line() == format!("event: {name}") {
                loop {
                    if let Some(data) = self.line().strip_prefix("data: ") {
                        return serde_json::from_str(data).unwrap();
                    }
                }
            }
        }
    }
}

#[test]
fn a_stream_tells_each_ranking_as_the_api_would() {
    let server = server(0);
    let mut stream = Stream::open(&server, "/stream/videos?window=last_1m&k=2");
    let mut grouped = Stream::open(&server, "/stream/videos?window=last_1m&region=IN");
    let status = stream.next("status");
    assert_eq!((&status["live"], &status["partitions"]), (&true.into(), &Value::Null));
    server.publish(snapshot("default", "last_1m", 120_000, true));
    server.publish(snapshot("videos", "last_1m", 120_000, true));
    let told = stream.next("snapshot");
    let (_, asked) = server.json("/top-k/videos?window=last_1m&k=2");
    let ageless =
        |mut body: Value| body.as_object_mut().unwrap().remove("snapshot_age_seconds").map(|_| body);
    assert_eq!(ageless(told.clone()), ageless(asked));
    assert_eq!((&told["board"], told["items"].as_array().unwrap().len()), (&"videos".into(), 2));
    server.publish(snapshot("videos", "last_1m", 130_000, false));
    assert_eq!(stream.next("snapshot")["window_end"], 130_000);
    let group = GroupKey::from_values([("region", "IN")]);
    server.publish(Snapshot { group, total: 7, ..snapshot("videos", "last_1m", 130_000, false) });
    assert_eq!(grouped.next("snapshot")["total"], 7);
    // One who comes later has it at once.
    assert_eq!(Stream::open(&server, "/stream/videos?window=1m").next("snapshot")["window_end"], 130_000);
}

#[test]
fn streams_of_nothing_are_refused_and_no_more_are_open_than_may_be() {
    let server = server_of(0, None, |policy| policy.limits.streams = 1);
    assert_eq!(server.get("/stream/none").0, 404);
    assert_eq!(server.get("/stream/videos?window=3h").0, 400);
    assert_eq!(server.get("/stream/videos?k=9").0, 400);
    let stream = Stream::open(&server, "/stream/videos");
    let (status, headers, _) = server.get("/stream/videos");
    assert_eq!((status, headers["retry-after"].as_str()), (503, "1"));
    drop(stream);
    let mut tries = (0..600).map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let mut probe = TcpStream::connect(server.address).unwrap();
        probe.write_all(b"GET /stream/videos HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut head = [0; 12];
        probe.read_exact(&mut head).unwrap();
        head
    });
    assert!(tries.any(|head| &head == b"HTTP/1.1 200"), "its place was not given back");
}

#[test]
fn a_stream_without_a_ranking_tells_the_status_each_second_and_no_more() {
    let server = server(0);
    let began = Instant::now();
    let mut stream = Stream::open(&server, "/stream/default");
    for _ in 0..4 {
        let status = stream.next("status");
        assert_eq!((&status["live"], &status["partitions"]), (&true.into(), &Value::Null));
    }
    assert!(began.elapsed() >= std::time::Duration::from_secs(2), "after {:?}", began.elapsed());
}

#[test]
fn who_does_not_take_what_is_sent_is_cut_off_and_others_are_served() {
    let server = server_of(0, None, |policy| policy.limits.time = std::time::Duration::from_secs(1));
    let (_slow, mut quick) =
        (Stream::open(&server, "/stream/videos"), Stream::open(&server, "/stream/videos?window=last_1h"));
    let open = || {
        let page = server.get("/metrics").2;
        page.lines().find_map(|line| line.strip_prefix("crest_http_streams ")).unwrap().to_owned()
    };
    assert_eq!(open(), "2");
    let long = "x".repeat(1 << 20);
    for end in 1.. {
        let items = vec![item(1, &long, 50, 50)];
        server.publish(Snapshot { items, ..snapshot("videos", "last_1m", 120_000 + end, false) });
        server.publish(snapshot("videos", "last_1h", 120_000 + end, false));
        assert_eq!(quick.next("snapshot")["window_end"], 120_000 + end);
        if open() == "1" {
            return;
        }
        assert!(end < 600, "it is still served");
    }
}

#[test]
fn no_more_connections_are_served_than_may_be() {
    let server = server_of(0, None, |policy| policy.limits.connections = 1);
    let mut first = TcpStream::connect(server.address).unwrap();
    let request = b"GET /boards HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut answer = [0; 12];
    first.write_all(request).unwrap();
    first.read_exact(&mut answer).unwrap();
    let mut second = TcpStream::connect(server.address).unwrap();
    second.write_all(request).unwrap();
    second.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
    assert!(second.read_exact(&mut answer).is_err(), "it waits");
    drop(first);
    second.set_read_timeout(None).unwrap();
    second.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}
