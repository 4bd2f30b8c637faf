//! What is answered when the places of others are all taken.

use super::*;

/// A question that must be answered while all else waits.
fn asked(server: &Server, path: &str) -> u16 {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap_or_else(|error| panic!("no answer of {path}: {error}"));
    String::from_utf8_lossy(&answer[9..]).parse().unwrap()
}

const PROBES: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/openapi.json"];

#[test]
fn probes_and_metrics_are_answered_while_all_places_of_readers_are_taken() {
    let past = Arc::new(PastRankings::new(vec![StatePlace {
        name: String::new(),
        url: "./there-is-none".into(),
        options: BTreeMap::new(),
    }]));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let turns: Vec<_> = runtime.block_on(async {
        let mut turns = Vec::new();
        for _ in 0..4 {
            turns.push(past.turn().await.unwrap());
        }
        turns
    });
    let server = server_with(0, None, Some(past.clone()), |policy| policy.limits.requests = 2);
    server.publish(snapshot("default", "last_1m", 120_000, true));
    server.view.note(WorkerStatus::default());
    let waiting: Vec<TcpStream> = (0..2)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream.write_all(b"GET /top-k?window=3h HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            stream
        })
        .collect();
    let taken = (0..600).any(|_| asked(&server, "/boards") == 503);
    assert!(taken, "the places of readers are not taken");
    for probe in PROBES {
        assert_eq!(asked(&server, probe), 200, "{probe}");
    }
    drop((turns, waiting));
}

#[test]
fn probes_and_metrics_are_answered_while_all_connections_are_taken() {
    let server = server_of(0, None, |policy| policy.limits.connections = 1);
    server.view.note(WorkerStatus::default());
    let mut held = TcpStream::connect(server.address).unwrap();
    let mut answer = [0; 12];
    held.write_all(b"GET /boards HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    held.read_exact(&mut answer).unwrap();
    for probe in PROBES {
        assert_eq!(asked(&server, probe), 200, "{probe}");
    }
}

#[test]
fn silent_connections_keep_nobody_out() {
    let server = server_of(0, None, |policy| policy.limits.connections = 4);
    let silent: Vec<TcpStream> = (0..400).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    assert_eq!(asked(&server, "/healthz"), 200);
    assert_eq!(asked(&server, "/boards"), 200);
    drop(silent);
}

#[test]
fn who_waits_for_a_place_keeps_the_turn_whoever_comes_after() {
    let server = server_of(0, None, |policy| policy.limits.connections = 1);
    let ask = |stream: &mut TcpStream| {
        stream.write_all(b"GET /boards HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    };
    let answered = |stream: &mut TcpStream| {
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).map(|()| answer).ok()
    };
    let mut inside = TcpStream::connect(server.address).unwrap();
    ask(&mut inside);
    assert_eq!(answered(&mut inside).as_ref(), Some(b"HTTP/1.1 200"));
    let mut waits = TcpStream::connect(server.address).unwrap();
    ask(&mut waits);
    // It is known to have asked once a probe that came after it is answered.
    assert_eq!(asked(&server, "/healthz"), 200);
    let silent: Vec<TcpStream> = (0..400).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    assert_eq!(asked(&server, "/healthz"), 200);
    drop(inside);
    assert_eq!(answered(&mut waits).as_ref(), Some(b"HTTP/1.1 200"));
    drop(silent);
}

#[test]
fn who_finds_as_many_waiting_as_may_wait_is_told_so() {
    let server = server_of(0, None, |policy| (policy.limits.connections, policy.limits.at_door) = (1, 2));
    let ask = || {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(b"GET /boards HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        // It has been looked at once a probe that came after it is answered.
        assert_eq!(asked(&server, "/healthz"), 200);
        stream
    };
    let held: Vec<TcpStream> = (0..3).map(|_| ask()).collect();
    let mut refused = String::new();
    ask().read_to_string(&mut refused).unwrap();
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("too many connections"), "{refused}");
    drop(held);
}

#[test]
fn boards_are_told_in_pages() {
    let server = server(0);
    let names = |body: &Value| {
        let boards = body["boards"].as_array().unwrap().iter();
        boards.map(|board| board["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (status, all) = server.json("/boards");
    assert_eq!((status, names(&all), all.get("next")), (200, vec!["videos".into(), "default".into()], None));
    let (_, first) = server.json("/boards?limit=1");
    assert_eq!((names(&first), &first["next"]), (vec!["videos".to_owned()], &"videos".into()));
    let (_, second) = server.json("/boards?limit=1&after=videos");
    assert_eq!((names(&second), second.get("next")), (vec!["default".to_owned()], None));
    assert_eq!(server.json("/boards?after=videos").1, second);
    assert_eq!(names(&server.json("/boards?after=default").1), Vec::<String>::new());
    for nonsense in ["limit=0", "limit=1001", "limit=x", "after=none", "page=1", "limit=1&limit=1"] {
        assert_eq!(server.json(&format!("/boards?{nonsense}")).0, 400, "{nonsense}");
    }
}
