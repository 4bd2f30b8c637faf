//! Who may read: tokens, and pages of other origins.

use super::*;
use crate::http::Token;

#[test]
fn reading_needs_a_token_where_some_are_set() {
    let server = server_of(0, None, |policy| policy.access.read = vec![Token::new("one"), Token::new("two")]);
    server.publish(snapshot("default", "last_1m", 120_000, true));
    let ask = |path: &str, authorization: &str| {
        server.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n{authorization}Connection: close\r\n\r\n"))
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
            "GET /boards HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\nConnection: close\r\n\r\n"
        ));
        headers.get("access-control-allow-origin").cloned()
    };
    assert_eq!(of(&server(0), "https://shop.example"), None);
    let listed = server_of(0, None, |policy| policy.cors = vec!["https://shop.example".parse().unwrap()]);
    assert_eq!(of(&listed, "https://shop.example").as_deref(), Some("https://shop.example"));
    assert_eq!(of(&listed, "https://evil.example"), None);
    let (status, headers, _) = listed.send(
        "OPTIONS /top-k HTTP/1.1\r\nHost: x\r\nOrigin: https://shop.example\r\nAccess-Control-Request-Method: GET\r\n\
         Access-Control-Request-Headers: authorization\r\nConnection: close\r\n\r\n",
    );
    assert_eq!((status, headers["access-control-allow-headers"].contains("authorization")), (200, true));
    let all = server_of(0, None, |policy| policy.cors = vec!["*".parse().unwrap()]);
    assert_eq!(of(&all, "https://any.example").as_deref(), Some("*"));
}
