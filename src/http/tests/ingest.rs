//! Events sent over a real socket, into a log that is told how to behave.

use super::*;
use crest_connectors::append::{AppendError, AppendStats, Batch, Done};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::sync::Mutex;

/// Keeps what it is given, or fails as it is told.
#[derive(Default)]
struct Kept {
    batches: Mutex<Vec<Batch>>,
    fails: Mutex<Option<AppendError>>,
}

impl EventLog for Kept {
    fn append(&self, batch: Batch, done: Done) {
        match self.fails.lock().unwrap().clone() {
            Some(error) => done(Err(error)),
            None => {
                self.batches.lock().unwrap().push(batch);
                done(Ok(()));
            }
        }
    }

    fn stats(&self) -> AppendStats {
        AppendStats::default()
    }

    fn flush(&self, _deadline: Instant) -> bool {
        true
    }
}

impl Kept {
    /// Keys and payloads of all.
    fn events(&self) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let batches = self.batches.lock().unwrap();
        batches.iter().flat_map(Batch::iter).map(|(key, payload)| (text(key), text(payload))).collect()
    }
}

fn taking(change: impl FnOnce(&mut Policy)) -> (Server, Arc<Kept>) {
    let log = Arc::new(Kept::default());
    (server_of(0, Some(log.clone()), change), log)
}

impl Server {
    fn post(&self, headers: &str, body: &[u8]) -> (u16, BTreeMap<String, String>, Value) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let length = body.len();
        let head = format!(
            "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{headers}Connection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        // A body that is refused by its length is not read.
        let _ = stream.write_all(body);
        let (status, headers, body) = read_answer(stream);
        (status, headers, serde_json::from_str(&body).unwrap())
    }
}

fn event(item: &str) -> String {
    format!(r#"{{"item_id":"{item}","video_id":"{item}","timestamp":{}}}"#, wall_clock_ms() / 1000)
}

fn packed(body: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn one_event_an_array_lines_and_gzip_are_kept_whole() {
    let (server, log) = taking(|_| {});
    let (a, b) = (event("a"), event("b"));
    for (headers, body, accepted) in [
        ("", a.clone().into_bytes(), 1),
        ("Content-Type: application/json\r\n", format!("[{a},\n{b}]").into_bytes(), 2),
        ("Content-Type: application/x-ndjson\r\n", format!("{a}\n{b}\n").into_bytes(), 2),
        ("Content-Encoding: gzip\r\n", packed(&format!("[{b}]")), 1),
        ("", b"[]".to_vec(), 0),
    ] {
        let (status, _, body) = server.post(headers, &body);
        let expected = serde_json::json!({"message": "Event queued for processing", "accepted": accepted});
        assert_eq!((status, body), (202, expected));
    }
    let keys: Vec<String> = log.events().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["a", "a", "b", "a", "b", "b"]);
    assert!(log.events().iter().all(|(_, payload)| *payload == a || *payload == b));
}

#[test]
fn a_long_body_is_kept_as_a_short_one_is() {
    let (server, log) = taking(|_| {});
    let items: Vec<String> = (0..5000).map(|n| format!("item-{n}")).collect();
    let lines: String = items.iter().map(|item| event(item) + "\n").collect();
    assert_eq!(server.post("", lines.as_bytes()).2["accepted"], 5000);
    assert!(log.events().into_iter().map(|(key, _)| key).eq(items));
}

#[test]
fn a_wrong_request_is_told_what_is_wrong_and_nothing_of_it_is_kept() {
    let (server, log) = taking(|policy| {
        policy.limits.ingest.body = 4096;
        policy.limits.ingest.events = 5;
    });
    let a = event("a");
    let without_time = r#"{"item_id":"a"}"#;
    let many = [a.as_str(); 6].join("\n");
    let long = "x".repeat(5000);
    let bomb = packed(&" ".repeat(1 << 20));
    let cases: [(&str, Vec<u8>, u16, &str); 10] = [
        ("", format!("[{a},{without_time}]").into(), 422, "event 1: timestamp must be"),
        ("", format!("{a}\nnonsense").into(), 400, "event 1: not an object of JSON"),
        ("", format!("[{a},{{\"item_id\":}}]").into(), 400, "event 1 is not an object of JSON"),
        ("", format!("[{a}").into(), 400, "event 1: the array has neither"),
        ("", b"".to_vec(), 400, "event 0: the body is empty"),
        ("", many.into(), 413, "more than 5 events in one request"),
        ("", long.into(), 413, "the body is longer than 4096 bytes"),
        ("Content-Encoding: gzip\r\n", bomb, 413, "the body is longer than 4096 bytes"),
        ("Content-Encoding: gzip\r\n", a.clone().into(), 400, "the body is not gzip"),
        ("Content-Encoding: br\r\n", a.clone().into(), 415, "content-encoding \"br\": must be gzip, or none"),
    ];
    for (headers, body, expected, error) in cases {
        let (status, _, body) = server.post(headers, &body);
        assert_eq!(status, expected, "{body}");
        assert!(body["error"].as_str().unwrap().starts_with(error), "{body}");
    }
    assert_eq!(log.events(), []);
    // A body without a length is held to the same.
    let chunk = "x".repeat(5000);
    let (status, _, _) = server.send(&format!(
        "POST /events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1388\r\n{chunk}\r\n0\r\n\r\n"
    ));
    assert_eq!(status, 413);
}

#[test]
fn what_the_log_does_not_keep_is_not_accepted() {
    let (server, log) = taking(|_| {});
    let partly = AppendError::Partly { kept: 1, of: 2, reason: "it is gone".into() };
    let refused = AppendError::Refused { index: 0, reason: "too long for the topic".into() };
    // Only who is told to come again may send the same events again: nothing of them was kept.
    for (error, expected, again, text) in [
        (AppendError::Full, 503, true, "too much waits to be written"),
        (AppendError::Unavailable("no broker".into()), 503, true, "no broker"),
        (partly, 503, false, "1 of 2 events are known to be"),
        (refused, 413, false, "event 0: too long for the topic"),
    ] {
        *log.fails.lock().unwrap() = Some(error);
        let (status, headers, body) = server.post("", event("a").as_bytes());
        assert_eq!(status, expected);
        assert!(body["error"].as_str().unwrap().contains(text), "{body}");
        assert_eq!(headers.contains_key("retry-after"), again, "{body}");
    }
}

#[test]
fn a_body_that_does_not_come_is_given_up_and_others_are_served_meanwhile() {
    let (server, log) = taking(|policy| {
        policy.limits.ingest.time = Duration::from_millis(300);
        policy.limits.requests = 2;
    });
    let slow = || {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream
            .write_all(b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{\"item")
            .unwrap();
        stream
    };
    let slow = [slow(), slow()];
    assert_eq!(server.json("/boards").0, 200, "readers have places of their own");
    for stream in slow {
        let (status, _, body) = read_answer(stream);
        assert_eq!(status, 408, "{body}");
    }
    assert_eq!(server.post("", event("a").as_bytes()).0, 202);
    assert_eq!(log.events().len(), 1);
}

#[test]
fn a_page_of_another_origin_sends_nothing_unless_it_is_listed() {
    let (server, log) = taking(|policy| policy.cors = vec!["https://shop.example".parse().unwrap()]);
    let body = event("a").into_bytes();
    for stranger in ["https://evil.example", "null", "http://y"] {
        assert_eq!(server.post(&format!("Origin: {stranger}\r\n"), &body).0, 403, "{stranger}");
    }
    assert_eq!(log.events(), []);
    for known in ["https://shop.example", "http://localhost"] {
        assert_eq!(server.post(&format!("Origin: {known}\r\n"), &body).0, 202, "{known}");
    }
}

#[test]
fn events_are_taken_from_who_may_send_them_and_nowhere_else() {
    let (server, log) = taking(|policy| {
        policy.access = Access { ingest: vec![Token::new("writer")], read: vec![Token::new("reader")] };
    });
    let body = event("a").into_bytes();
    assert_eq!(server.post("", &body).0, 401);
    assert_eq!(server.post("Authorization: Bearer reader\r\n", &body).0, 401);
    assert_eq!(log.events(), []);
    assert_eq!(server.post("Authorization: Bearer writer\r\n", &body).0, 202);
    let (status, _, body) = super::server(0).post("", &body);
    assert_eq!((status, body["error"].as_str().unwrap().contains("takes no events")), (404, true));
    let (status, _, body) = super::server(0).get("/events");
    assert_eq!((status, body.contains("only POST")), (405, true));
}

#[test]
fn who_still_sends_when_refused_sees_why() {
    let (server, log) = taking(|policy| policy.limits.ingest.body = 4096);
    let body = vec![b'x'; 8 << 20];
    let sent = |head: &str, chunked: bool| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        // As simple clients do, it reads nothing before it has sent all.
        for part in body.chunks(1 << 20) {
            if chunked {
                stream.write_all(format!("{:x}\r\n", part.len()).as_bytes()).expect("it is read on");
            }
            stream.write_all(part).expect("it is read on");
            if chunked {
                stream.write_all(b"\r\n").expect("it is read on");
            }
        }
        if chunked {
            stream.write_all(b"0\r\n\r\n").expect("it is read on");
        }
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).expect("the answer");
        String::from_utf8_lossy(&answer).into_owned()
    };
    let length = body.len();
    let head = |path: &str, more: &str| format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n\r\n");
    let told = format!("Content-Length: {length}");
    assert_eq!(sent(&head("/events", &told), false), "HTTP/1.1 413");
    assert_eq!(sent(&head("/events", "Transfer-Encoding: chunked"), true), "HTTP/1.1 413");
    assert_eq!(sent(&head("/events", &format!("{told}\r\nContent-Encoding: br")), false), "HTTP/1.1 415");
    assert_eq!(sent(&head("/boards", &told), false), "HTTP/1.1 405");
    assert_eq!(log.events(), []);
}

#[test]
fn who_announces_much_and_sends_nothing_keeps_nobody_out() {
    let (server, log) = taking(|_| {});
    let announce = |headers: &str| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let head = format!("POST /events HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let eight = format!("Content-Length: {}", 8 << 20);
    let announced: Vec<TcpStream> =
        ["Transfer-Encoding: chunked", &eight, &format!("{eight}\r\nContent-Encoding: gzip")]
            .iter()
            .flat_map(|headers| (0..20).map(|_| announce(headers)))
            .collect();
    // Each of these was read before what comes now.
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(server.post("", event("a").as_bytes()).0, 202);
    assert_eq!(server.post("Content-Encoding: gzip\r\n", &packed(&event("a"))).0, 202);
    assert_eq!(log.events().len(), 2);
    drop(announced);
}

#[test]
fn the_members_of_a_packed_body_count_as_work() {
    let (server, log) = taking(|policy| policy.limits.ingest.body = 1 << 20);
    let several = [packed(&(event("a") + "\n")), packed(""), packed(&event("b"))].concat();
    assert_eq!(server.post("Content-Encoding: gzip\r\n", &several).2["accepted"], 2);
    let many = [packed("").repeat(20_000), packed(&event("c"))].concat();
    let (status, _, body) = server.post("Content-Encoding: gzip\r\n", &many);
    assert_eq!((status, body["error"].as_str().unwrap().contains("gzip members")), (413, true), "{body}");
    for wrong in [[&several[..], b"rest"].concat(), several[..several.len() - 3].to_vec()] {
        let (status, _, body) = server.post("Content-Encoding: gzip\r\n", &wrong);
        assert_eq!((status, body["error"].as_str().unwrap().contains("not gzip")), (400, true), "{body}");
    }
    assert_eq!(log.events().len(), 2);
}
