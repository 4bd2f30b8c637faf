//! Who may read: tokens, and pages of other origins.

use super::*;
use crate::http::Token;

#[test]
fn reading_needs_a_token_where_some_are_set() {
    let server = server_of(0, None, |policy| policy.access.read = vec![Token::new("one"), Token::new("two")]);
    server.publish(snapshot("default", "last_1m", 120_000, true));
    let ask = |path: &str, authorization: &str| {
        server.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}Connection: close\r\n\r\n"
        ))
    };
    let (status, headers, body) = ask("/top-k", "");
    assert_eq!((status, headers["www-authenticate"].as_str()), (401, "Bearer"));
    assert!(body.contains("Authorization: Bearer TOKEN"), "{body}");
    for wrong in ["Bearer on", "Bearer onee", "Bearer", "Basic one", "one"] {
        assert_eq!(ask("/metrics", &format!("Authorization: {wrong}\r\n")).0, 401, "{wrong}");
    }
    for right in ["Bearer two", "bearer one"] {
        let (status, headers, _) = ask("/top-k", &format!("Authorization: {right}\r\n"));
        assert_eq!((status, headers["cache-control"].as_str()), (200, "private, no-cache"));
    }
    assert_eq!(ask("/top-k", "").0, 401, "also where the question is known by now");
    assert_eq!((ask("/", "").0, ask("/healthz", "").0, ask("/stream/videos", "").0), (200, 200, 401));
}

#[test]
fn other_origins_read_only_where_they_are_listed() {
    let of = |server: &Server, origin: &str| {
        let (_, headers, _) = server.send(&format!(
            "GET /boards HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\nConnection: close\r\n\r\n"
        ));
        headers.get("access-control-allow-origin").cloned()
    };
    assert_eq!(of(&server(0), "https://shop.example"), None);
    let listed = server_of(0, None, |policy| policy.cors = vec!["https://shop.example".parse().unwrap()]);
    assert_eq!(of(&listed, "https://shop.example").as_deref(), Some("https://shop.example"));
    assert_eq!(of(&listed, "https://evil.example"), None);
    let (status, headers, _) = listed.send(
        "OPTIONS /top-k HTTP/1.1\r\nHost: localhost\r\nOrigin: https://shop.example\r\nAccess-Control-Request-Method: GET\r\n\
         Access-Control-Request-Headers: authorization\r\nConnection: close\r\n\r\n",
    );
    assert_eq!((status, headers["access-control-allow-headers"].contains("authorization")), (200, true));
    let all = server_of(0, None, |policy| policy.cors = vec!["*".parse().unwrap()]);
    assert_eq!(of(&all, "https://any.example").as_deref(), Some("*"));
}

#[test]
fn on_a_loopback_address_only_loopback_names_are_answered() {
    let server = server(0);
    let ask = |head: &str| server.send(&format!("{head}Connection: close\r\n\r\n"));
    for known in [
        "localhost",
        "LOCALHOST:8080",
        "localhost.",
        "crest.localhost",
        "127.0.0.1:1",
        "127.9.9.9",
        "[::1]:80",
    ] {
        assert_eq!(ask(&format!("GET /boards HTTP/1.1\r\nHost: {known}\r\n")).0, 200, "{known}");
    }
    // A page of a name that its owner lets point to this machine would read all as its own.
    for stranger in
        ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0", "[::2]", "xlocalhost"]
    {
        for path in ["/boards", "/healthz", "/", "/nothing"] {
            let (status, _, body) = ask(&format!("GET {path} HTTP/1.1\r\nHost: {stranger}\r\n"));
            assert_eq!((status, body.contains("loopback")), (421, true), "{stranger}{path}: {body}");
        }
    }
    assert_eq!(ask("GET http://evil.example/boards HTTP/1.1\r\nHost: localhost\r\n").0, 421);
    assert_eq!(ask("GET http://localhost/boards HTTP/1.1\r\nHost: localhost\r\n").0, 200);
    assert_eq!(ask("POST /events HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n").0, 421);
}

#[test]
fn a_request_names_one_host() {
    let server = server(0);
    let status = |head: &str| server.send(&format!("{head}Connection: close\r\n\r\n")).0;
    assert_eq!(status("GET /boards HTTP/1.1\r\n"), 400);
    assert_eq!(status("GET /boards HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n"), 400);
    for nonsense in ["", "a b", "u@localhost", "localhost:x", "localhost/"] {
        assert_eq!(status(&format!("GET /boards HTTP/1.1\r\nHost: {nonsense}\r\n")), 400, "{nonsense:?}");
    }
    assert_eq!(status("GET /boards HTTP/1.0\r\n"), 200, "there were no such names then");
}
