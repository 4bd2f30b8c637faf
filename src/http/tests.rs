//! The API over a real socket, with rankings put into its memory.

use super::routes::{Part, ROUTES};
use super::*;
use crest_connectors::append::EventLog;
use crest_connectors::group_key::GroupKey;
use crest_connectors::memory::MemoryStore;
use crest_connectors::snapshot::{Item, Snapshot, SnapshotSink};
use crest_dataflows::status::JobView;
use crest_dataflows::status::{BoardCounts, Holding, PartitionStatus, Standing, WorkerStatus};
use crest_host::clock::wall_clock_ms;
use crest_state::monitor::{Monitor, StateCounts, Waiting};
use crest_state::spec::BoardSpec;
use crest_state::spec::JobSpec;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

mod access;
mod ingest;
mod items;
mod limits;
mod stale;
mod status;
mod streams;

struct Server {
    address: SocketAddr,
    store: Arc<MemoryStore>,
    view: Arc<JobView>,
}

fn server(process: usize) -> Server {
    server_of(process, None, |_| {})
}

fn server_of(process: usize, log: Option<Arc<dyn EventLog>>, change: impl FnOnce(&mut Policy)) -> Server {
    server_with(process, log, None, change)
}

fn server_with(
    process: usize,
    log: Option<Arc<dyn EventLog>>,
    past: Option<Arc<PastRankings>>,
    change: impl FnOnce(&mut Policy),
) -> Server {
    let videos = BoardSpec { name: "videos".into(), by: vec!["region".into()], k: 3, ..BoardSpec::default() };
    let spec = JobSpec { boards: vec![videos, BoardSpec::default()], ..JobSpec::default() };
    let (store, view) = (Arc::new(MemoryStore::new()), Arc::new(JobView::new(1, 1)));
    let bound = take_port("127.0.0.1:0").unwrap();
    let address = bound.address().unwrap();
    let (store_too, view_too) = (store.clone(), view.clone());
    let (mut policy, spec) = (Policy::default(), Arc::new(spec));
    change(&mut policy);
    let ingest = log.map(|log| Arc::new(Ingest::new(log, spec.clone(), policy.limits.ingest)));
    let shown = Shown {
        spec,
        rankings: Rankings::Job(store),
        view,
        past,
        source: None,
        ingest,
        archive: None,
        process,
        started: Instant::now(),
        redis: Vec::new(),
        outboxes: Vec::new(),
        telemetry: None,
    };
    bound.serve(shown, &policy).unwrap();
    Server { address, store: store_too, view: view_too }
}

/// A status, headers and a body.
type Answer = (u16, BTreeMap<String, String>, String);

impl Server {
    fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    }

    fn send(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        read_answer(stream)
    }

    fn json(&self, path: &str) -> (u16, Value) {
        let (status, _, body) = self.get(path);
        (status, serde_json::from_str(&body).unwrap())
    }

    fn publish(&self, snapshot: Snapshot) {
        self.store.publish(&Arc::new(snapshot));
    }
}

fn read_answer(mut stream: TcpStream) -> Answer {
    let mut answer = Vec::new();
    // A server that has refused a body without reading it may close with what is left of it on its way.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    (status, headers, body.to_owned())
}

fn item(rank: u32, item_id: &str, lower: u64, upper: u64) -> Item {
    Item {
        rank,
        item_id: item_id.into(),
        count: upper,
        lower,
        upper,
        exact: lower == upper,
        estimate: None,
        change: None,
    }
}

fn snapshot(board: &str, window: &str, end: i64, is_final: bool) -> Snapshot {
    Snapshot {
        board: board.into(),
        window: window.into(),
        group: GroupKey::WHOLE,
        window_start: end - 60_000,
        window_end: end,
        computed_at: wall_clock_ms(),
        watermark: end,
        is_final,
        total: 100,
        error: 6,
        error_floor: 2,
        guaranteed: 3,
        partial: false,
        since: None,
        missing: Vec::new(),
        distinct: None,
        retracts: false,
        items: vec![item(1, "a", 50, 50), item(2, "b", 20, 24), item(3, "c", 14, 20)],
        k: 3,
        rising: None,
        unit: None,
        lacking: 0,
        removed: 0,
        epoch: 1,
        bucket: false,
        counters: false,
    }
}

#[test]
fn the_freshest_ranking_is_the_snapshot_with_its_age() {
    let server = server(0);
    let (status, body) = server.json("/top-k");
    assert_eq!((status, body["error"].as_str()), (503, Some("there is no ranking yet")));

    server.publish(snapshot("default", "last_1m", 120_000, true));
    server.publish(snapshot("default", "last_1m", 130_000, false));
    for path in
        ["/top-k", "/top-k?board=default&window=1m", "/top-k/default?window=last_1m", "/top-k?window=60s"]
    {
        let (status, mut body) = server.json(path);
        assert_eq!(status, 200, "{path}: {body}");
        let age = body.as_object_mut().unwrap().remove("snapshot_age_seconds").unwrap().as_f64().unwrap();
        assert!((0.0..30.0).contains(&age));
        let mut expected = serde_json::to_value(snapshot("default", "last_1m", 130_000, false)).unwrap();
        expected["computed_at"] = body["computed_at"].clone();
        assert_eq!(body, expected);
    }
    assert_eq!(server.json("/top-k?final=true").1["window_end"], 120_000);
    assert_eq!(server.json("/top-k?window=last_1h").0, 503);
}

#[test]
fn fewer_rows_have_their_own_bounds() {
    let server = server(0);
    server.publish(snapshot("default", "last_1m", 120_000, true));
    let (_, body) = server.json("/top-k?k=2");
    assert_eq!(body["items"].as_array().unwrap().len(), 2);
    // The third row is outside now: 20 <= 20 certainly, 14 .. 20 is no longer among the errors.
    assert_eq!((&body["error"], &body["guaranteed"], &body["total"]), (&4.into(), &2.into(), &100.into()));
    let (_, body) = server.json("/top-k?k=1");
    assert_eq!((&body["error"], &body["guaranteed"]), (&0.into(), &1.into()));
}

#[test]
fn groups_are_asked_for_by_their_dimensions() {
    let server = server(0);
    let group = GroupKey::from_values([("region", "a=b,c")]);
    server.publish(snapshot("videos", "last_1m", 120_000, true));
    server.publish(Snapshot { group, total: 7, ..snapshot("videos", "last_1m", 120_000, true) });
    assert_eq!(server.json("/top-k/videos?window=1m").1["total"], 100);
    let (status, body) = server.json("/top-k/videos?window=1m&region=a%3Db%2Cc");
    assert_eq!((status, &body["total"], &body["group"]["region"]), (200, &7.into(), &"a=b,c".into()));
    let (status, body) = server.json("/top-k/videos?window=1m&region=IN");
    assert_eq!(
        (status, body["error"].as_str().unwrap()),
        (404, "board \"videos\" has no events of region=IN in window \"last_1m\"")
    );
}

#[test]
fn what_there_is_not_is_told_with_what_there_is() {
    let server = server(0);
    let (status, body) = server.json("/top-k/none");
    assert_eq!(status, 404);
    assert_eq!(body["error"], "there is no board \"none\"");
    assert_eq!(body["boards"], serde_json::json!(["videos", "default"]));
    assert_eq!(body["windows"], serde_json::json!(["last_1m", "last_1h", "last_24h"]));
    let (status, body) = server.json("/top-k?window=3h");
    assert_eq!(
        (status, body["error"].as_str().unwrap()),
        (404, "board \"default\" has no window \"3h\"; other intervals need --state")
    );
    let (status, body) = server.json("/topk");
    assert_eq!((status, body["error"].as_str().unwrap()), (404, "there is no /topk"));
    let (status, _, body) = server
        .send("POST /top-k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert_eq!((status, body.contains("only GET")), (405, true));
}

#[test]
fn nonsense_is_refused_by_name() {
    let server = server(0);
    for (path, expected) in [
        ("/top-k?k=101", "k = \"101\": must be from 1 to 100, which is what this board keeps"),
        ("/top-k?k=0", "k = \"0\": must be from 1 to 100, which is what this board keeps"),
        ("/top-k?final=1", "final = \"1\": must be true or false"),
        ("/top-k?k=1&k=2", "k is given twice"),
        ("/top-k?region=IN", "\"region\" means nothing here: board \"default\" has no dimensions"),
        ("/top-k/videos?city=x", "\"city\" means nothing here: board \"videos\" is grouped by region"),
    ] {
        let (status, body) = server.json(path);
        assert_eq!((status, body["error"].as_str().unwrap()), (400, expected));
    }
}

#[test]
fn an_unchanged_ranking_is_not_sent_again() {
    let server = server(0);
    server.publish(snapshot("default", "last_1m", 120_000, true));
    let (_, headers, _) = server.get("/top-k");
    assert_eq!(headers["cache-control"], "public, max-age=1, stale-if-error=60");
    let again = |tag: &str| {
        server.send(&format!(
            "GET /top-k HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {tag}\r\nConnection: close\r\n\r\n"
        ))
    };
    let (status, _, body) = again(&headers["etag"]);
    assert_eq!((status, body.as_str()), (304, ""));
    server.publish(snapshot("default", "last_1m", 130_000, false));
    assert_eq!(again(&headers["etag"]).0, 200);
}

#[test]
fn an_age_is_measured_whatever_the_clocks_say() {
    let server = server(0);
    for (board, ahead) in [("default", 3_600_000), ("videos", -3_600_000)] {
        let computed_at = wall_clock_ms() + ahead;
        server.publish(Snapshot { computed_at, ..snapshot(board, "last_1m", 120_000, true) });
    }
    std::thread::sleep(Duration::from_millis(50));
    for (board, least) in [("default", 0.05), ("videos", 3600.05)] {
        for question in ["", "&final=true"] {
            let (_, body) = server.json(&format!("/top-k?board={board}&window=last_1m{question}"));
            let age = body["snapshot_age_seconds"].as_f64().unwrap();
            assert!((least..least + 60.0).contains(&age), "{board}{question}: {age}");
        }
        let metrics = server.get("/metrics").2;
        let name = format!("crest_snapshot_age_seconds{{board=\"{board}\",window=\"last_1m\"}} ");
        let age: f64 = metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap();
        assert!((least..least + 60.0).contains(&age), "{board}: {age}");
    }
}

#[test]
fn other_processes_send_on_to_process_0() {
    let (status, body) = server(2).json("/top-k");
    assert_eq!(
        (status, body["error"].as_str().unwrap()),
        (404, "this is process 2: process 0 of the cluster has the rankings")
    );
}

#[test]
fn boards_are_listed_with_their_windows() {
    let (status, body) = server(0).json("/boards");
    assert_eq!(status, 200);
    assert_eq!(body["boards"][0]["name"], "videos");
    assert_eq!(body["boards"][0]["by"], serde_json::json!(["region"]));
    assert_eq!(
        body["boards"][1]["windows"][2],
        serde_json::json!({"name": "last_24h", "size_ms": 86_400_000, "slide_ms": 60_000})
    );
}

#[test]
fn a_live_process_is_healthy() {
    assert_eq!(server(0).json("/healthz"), (200, serde_json::json!({"status": "ok"})));
}

#[test]
fn the_page_runs_its_own_files_only() {
    let server = server(0);
    let (status, headers, body) = server.get("/");
    assert_eq!((status, headers["content-type"].as_str()), (200, "text/html; charset=utf-8"));
    assert!(body.starts_with("<!doctype html>"));
    let policy = &headers["content-security-policy"];
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    for (path, kind) in [
        ("/page/app.js", "text/javascript; charset=utf-8"),
        ("/page/style.css", "text/css; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ] {
        let (status, headers, _) = server.get(path);
        assert_eq!((status, headers["content-type"].as_str()), (200, kind), "{path}");
        assert_eq!(headers["cache-control"], "no-cache");
        let (tag, policy) = (&headers["etag"], &headers["content-security-policy"]);
        assert!(policy.contains("default-src 'none'"), "{policy}");
        let again = server.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {tag}\r\nConnection: close\r\n\r\n"
        ));
        assert_eq!((again.0, again.2.as_str()), (304, ""), "{path}");
    }
    for path in ["/page/", "/page/mod.rs", "/page/..%2Fmod.rs", "/page/%2e%2e/page.rs"] {
        assert_eq!(server.get(path).0, 404, "{path}");
    }
}

#[test]
fn metrics_are_well_formed_and_say_what_was_counted() {
    let server = server(0);
    let held = Holding { ms: 21_500, why: Standing::Waiting };
    let mut status = WorkerStatus {
        partitions: BTreeMap::from([(
            "t/0 \"x\"\\".into(),
            PartitionStatus {
                watermark: Some(5000),
                lag: 3,
                holding: Some(held),
                open_transaction: Some(7000),
            },
        )]),
        ..WorkerStatus::default()
    };
    status.counts.events = 12;
    status.counts.refused[8] = 3;
    status.counts.replayed = 7;
    server.view.note(status);
    assert!(!server.get("/metrics").2.contains("crest_state_"), "no state is kept");
    server.view.update(&mut |state| {
        let waiting = Some(Waiting { since: 0, reason: "full".into() });
        *state = StateCounts { durable: 8000, commits: 2, waiting, ..StateCounts::default() }
    });
    server.view.update_board("videos", |b| {
        *b = BoardCounts { frontier: Some(9000), finals: 4, ..BoardCounts::default() }
    });
    server.publish(snapshot("default", "last_1m", 120_000, true));
    let (_, headers, text) = server.get("/metrics");
    assert_eq!(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    for line in [
        "crest_events_total{worker=\"0\"} 12",
        "crest_refused_total{reason=\"late\"} 3",
        "crest_refused_total{reason=\"malformed\"} 0",
        "crest_watermark_seconds{partition=\"t/0 \\\"x\\\"\\\\\"} 5",
        "crest_partition_lag_records{partition=\"t/0 \\\"x\\\"\\\\\"} 3",
        "crest_partition_holding_seconds{partition=\"t/0 \\\"x\\\"\\\\\"} 21.5",
        "crest_frontier_seconds{board=\"videos\"} 9",
        "crest_replayed_total{worker=\"0\"} 7",
        "crest_state_durable_seconds 8",
        "crest_state_commits_total 2",
        "crest_state_unreachable 1",
        "crest_snapshots_total{board=\"videos\",kind=\"final\"} 4",
        "# TYPE crest_events_total counter",
        "# TYPE crest_window_bytes gauge",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(text.contains("\ncrest_open_transaction_seconds{partition=\"t/0 \\\"x\\\"\\\\\"} "));
    assert!(text.contains("crest_snapshot_age_seconds{board=\"default\",window=\"last_1m\"} "));
    assert_well_formed(&text);
    let status: serde_json::Value = serde_json::from_str(&server.get("/status").2).unwrap();
    let held = &status["held_by"];
    assert_eq!((&held["partition"], &held["why"]), (&"t/0 \"x\"\\".into(), &"waiting".into()));
    let for_ms = status["now"].as_i64().unwrap() - held["since"].as_i64().unwrap();
    assert!((21_000..600_000).contains(&for_ms), "{held}");
}

/// Each sample is under the one HELP and TYPE of its metric, and no series comes twice.
fn assert_well_formed(text: &str) {
    let (mut families, mut series) = (HashSet::new(), HashSet::new());
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            current = rest.split(' ').next().unwrap().to_owned();
            assert!(families.insert(current.clone()), "{current} twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert_eq!(rest.split(' ').next().unwrap(), current);
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert_eq!(name.split('{').next().unwrap(), current);
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(series.insert(name.to_owned()), "{line}");
        }
    }
}

#[test]
fn hostile_requests_are_refused_and_harm_nobody() {
    let server = server(0);
    let long = "x".repeat(64 << 10);
    let mut stream = TcpStream::connect(server.address).unwrap();
    let _ = stream.write_all(format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n").as_bytes());
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let mut garbage = TcpStream::connect(server.address).unwrap();
    garbage.write_all(b"\x16\x03\x01\x02\x00\x01\r\n\r\n").unwrap();
    let _silent = TcpStream::connect(server.address).unwrap();
    assert_eq!(server.json("/top-k?window=%ff").0, 404);
    assert_eq!(server.json("/healthz").0, 200);
}

#[test]
fn the_table_of_routes_and_the_contract_name_the_same_paths() {
    let contract: Value = serde_json::from_str(include_str!("openapi.json")).unwrap();
    let described: BTreeSet<&str> =
        contract["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let page = [Part::Page, Part::PageFile];
    let served = ROUTES.iter().filter(|route| !page.contains(&route.part)).map(|route| route.path);
    assert_eq!(served.collect::<BTreeSet<_>>(), described);
    let (_, answer) = server(0).json("/nowhere");
    let listed: BTreeSet<&str> =
        answer["paths"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
    assert_eq!(listed, described.into_iter().chain(["/"]).collect());
}

#[test]
fn what_is_asked_is_counted_by_its_route() {
    let server = server(0);
    server.publish(snapshot("default", "last_1m", 120_000, true));
    for path in
        ["/top-k?k=1", "/top-k?k=1", "/top-k/default", "/top-k/none", "/boards", "/healthz", "/nowhere"]
    {
        server.get(path);
    }
    let metrics = server.get("/metrics").2;
    for (route, class, count) in [
        ("/top-k", "2xx", 2),
        ("/top-k/{board}", "2xx", 1),
        ("/top-k/{board}", "4xx", 1),
        ("/boards", "2xx", 1),
        ("other", "2xx", 1),
        ("other", "4xx", 1),
    ] {
        let line = format!("crest_http_requests_total{{route=\"{route}\",status=\"{class}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
}
