//! What a network and a service can do wrong, and who may read.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crest_connectors::state::{StateError, StateStore};
use hyper::Method;

use crate::s3_server::{Answer, S3Server, options_for};

fn store(server: &S3Server) -> StateStore {
    StateStore::open(&server.url("state"), &server.options()).unwrap()
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = StateStore::open("s3://crest-test/state", &options_for(&format!("http://{free}")));
    match refused {
        Err(error @ StateError::Unreachable { .. }) => {
            let told = error.to_string();
            assert!(told.contains("s3://crest-test/state") && told.contains(&free.to_string()), "{told}");
            assert!(told.contains("refused"), "the cause is told: {told}");
            assert!(!told.contains("a-secret-key"), "{told}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bucket_that_is_not_there_and_a_wrong_key_are_refused() {
    let server = S3Server::start();
    let missing = StateStore::open("s3://no-such-bucket/state", &server.options()).unwrap_err();
    assert!(matches!(missing, StateError::Refused { .. }), "{missing}");
    assert!(missing.to_string().contains("NoSuchBucket"), "{missing}");

    let mut options = server.options();
    options.insert("secret_access_key".into(), "guessed".into());
    let denied = StateStore::open(&server.url("state"), &options).unwrap_err();
    assert!(matches!(denied, StateError::Refused { .. }), "{denied}");
    assert!(!denied.to_string().contains("guessed"), "{denied}");
}

#[test]
fn a_busy_server_is_asked_again() {
    let server = S3Server::start();
    let store = store(&server);
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = seen.clone();
    server.disturb(move |_, _| match counted.fetch_add(1, Ordering::Relaxed) % 2 {
        0 => Answer::Status(503),
        _ => Answer::Right,
    });
    store.put("a", vec![1]).unwrap();
    assert_eq!(store.get("a").unwrap(), Some(vec![1]));
    assert_eq!(store.list("").unwrap().len(), 1);
    let version = store.replace_manifest(b"one".to_vec(), None).unwrap();
    store.replace_manifest(b"two".to_vec(), Some(&version)).unwrap();
    store.delete(&["a".to_owned()]).unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), 12, "each of the six was asked twice");
}

#[test]
fn answers_are_told_apart() {
    let server = S3Server::start();
    let store = store(&server);
    for (status, transient) in [(400, false), (401, false), (403, false), (429, true), (503, true)] {
        server.disturb(move |_, _| Answer::Status(status));
        let error = store.put("panes/1", vec![1]).unwrap_err();
        assert_eq!(error.is_transient(), transient, "{status}: {error}");
        assert!(error.to_string().contains("s3://crest-test/state/panes/1"), "{error}");
    }
    let error = store.replace_manifest(b"m".to_vec(), None).unwrap_err();
    assert!(error.is_transient(), "{error}");
    server.disturb(|_, _| Answer::Right);
    assert_eq!(store.manifest().unwrap(), None);
}

/// The condition of a put whose answer was lost no longer holds when the client sends it again: it must not
/// take its own manifest for another job's.
#[test]
fn a_put_whose_answer_was_lost_on_the_way_is_known_again() {
    let server = S3Server::start();
    let store = store(&server);
    let lost = Arc::new(AtomicUsize::new(0));
    let mut version = None;
    for round in 1..=4 {
        let (counted, mut lose) = (lost.clone(), true);
        server.disturb(move |method, path| {
            if lose && method == Method::PUT && path.ends_with("manifest.json") {
                lose = false;
                counted.fetch_add(1, Ordering::Relaxed);
                return Answer::Lost;
            }
            Answer::Right
        });
        let bytes = format!("round {round}").into_bytes();
        version = Some(store.replace_manifest(bytes.clone(), version.as_ref()).unwrap());
        assert_eq!(lost.load(Ordering::Relaxed), round);
        let found = store.manifest().unwrap().unwrap();
        assert_eq!((found.bytes, Some(&found.version)), (bytes, version.as_ref()));
    }
}

/// S3 answers 409 to one of two conditional puts that meet, and the other may fail as well.
#[test]
fn a_collision_that_changed_nothing_is_tried_again() {
    let server = S3Server::start();
    let store = store(&server);
    let mut collisions = 3;
    server.disturb(move |method, _| {
        if method == Method::PUT && collisions > 0 {
            collisions -= 1;
            return Answer::Status(409);
        }
        Answer::Right
    });
    let version = store.replace_manifest(b"one".to_vec(), None).unwrap();
    server.disturb(|_, _| Answer::Right);
    assert_eq!(store.manifest().unwrap().unwrap().version, version);
}

#[test]
fn who_may_only_read_can_open_it_to_read() {
    let server = S3Server::start();
    store(&server).put("a", vec![1]).unwrap();
    server.disturb(|method, _| if method == Method::GET { Answer::Right } else { Answer::Status(403) });
    let error = StateStore::open(&server.url("state"), &server.options()).unwrap_err();
    assert!(matches!(error, StateError::Refused { .. }), "{error}");
    let reader = StateStore::open_to_read(&server.url("state"), &server.options()).unwrap();
    assert_eq!(reader.get("a").unwrap(), Some(vec![1]));
}

#[test]
fn opening_leaves_nothing_behind() {
    let server = S3Server::start();
    let store = store(&server);
    assert_eq!(store.url(), "s3://crest-test/state");
    assert!(!server.path("state/.trial").exists());
}
