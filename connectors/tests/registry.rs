//! The client of a schema registry against a server that is right, slow, down, refuses or talks nonsense.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

#[path = "support/registry_server.rs"]
mod registry_server;

use crest_connectors::registry::{Found, RegistryAuth, RegistryOptions, Schema, SchemaRegistry};
use registry_server::{Answer, RegistryServer};
use serde_json::json;
use std::net::TcpListener;
use std::time::{Duration, Instant};

fn client(url: &str, auth: Option<RegistryAuth>) -> SchemaRegistry {
    SchemaRegistry::start(RegistryOptions { url: url.parse().unwrap(), auth }).unwrap()
}

/// What is found in the end. Asking must not wait for the network, or the waiting here would be over at once.
fn found(registry: &SchemaRegistry, id: u32) -> Found {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        match registry.schema(id) {
            Found::Waiting if Instant::now() < end => std::thread::sleep(Duration::from_millis(2)),
            found => return found,
        }
    }
}

fn schema(language: &str, text: &str, references: &[(&str, &str)]) -> Found {
    let references = references.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
    Found::Schema(Schema { language: language.to_owned(), text: text.to_owned(), references }.into())
}

/// Waits until the registry is in trouble, and says which.
fn trouble(registry: &SchemaRegistry, id: u32) -> String {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        assert_eq!(registry.schema(id), Found::Waiting);
        match registry.trouble() {
            None if Instant::now() < end => std::thread::sleep(Duration::from_millis(2)),
            trouble => return trouble.unwrap(),
        }
    }
}

#[test]
fn a_schema_is_fetched_once_with_all_that_it_refers_to() {
    let server = RegistryServer::start();
    let reference = |name: &str, subject: &str| json!([{ "name": name, "subject": subject, "version": 3 }]);
    let answer = |value: serde_json::Value| Answer::new(200, value.to_string());
    server.answer("/schemas/ids/7", answer(json!({ "schema": "\"long\"" })));
    let main = json!({ "schemaType": "PROTOBUF", "schema": "m", "references": reference("a.proto", "s/a") });
    server.answer("/schemas/ids/8", answer(main));
    let a = json!({ "subject": "s/a", "version": 3, "id": 1, "schema": "a", "references": reference("b.proto", "b") });
    server.answer("/subjects/s%2Fa/versions/3?deleted=true", answer(a));
    // It refers back, which must not go on for ever.
    let b = json!({ "subject": "b", "version": 3, "id": 2, "schema": "b", "references": reference("a.proto", "s/a") });
    server.answer("/subjects/b/versions/3?deleted=true", answer(b));

    let auth = RegistryAuth::Basic { user: "me".into(), password: "secret".into() };
    let registry = client(&server.url(), Some(auth));
    for _ in 0..3 {
        assert_eq!(found(&registry, 7), schema("AVRO", "\"long\"", &[]));
        assert_eq!(found(&registry, 8), schema("PROTOBUF", "m", &[("a.proto", "a"), ("b.proto", "b")]));
    }
    let asked = server.asked();
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert!(asked.iter().all(|(_, by)| by.as_deref() == Some("Basic bWU6c2VjcmV0")), "{asked:?}");
    assert_eq!(registry.trouble(), None);
}

#[test]
fn an_unknown_id_is_no_outage_and_is_asked_for_once() {
    let server = RegistryServer::start();
    let registry = client(&server.url(), Some(RegistryAuth::Bearer("secret".into())));
    for _ in 0..100 {
        assert_eq!(found(&registry, 9), Found::Unknown("Schema not found (40403)".into()));
    }
    assert_eq!(server.asked(), [("/schemas/ids/9".to_owned(), Some("Bearer secret".to_owned()))]);
    for id in [0, 1 << 31, u32::MAX] {
        assert_eq!(
            registry.schema(id),
            Found::Unknown("ids are from 1 to 2147483647".into()),
            "no question at all"
        );
    }
    assert_eq!(registry.trouble(), None);
}

#[test]
fn a_schema_that_is_too_long_is_unknown_and_no_outage() {
    let server = RegistryServer::start();
    let long = json!({ "schema": "x".repeat(4 << 20) }).to_string();
    server.answer("/schemas/ids/1", Answer::new(200, &long));
    let reference = json!([{ "name": "a.proto", "subject": "a", "version": 1 }]);
    let main = json!({ "schemaType": "PROTOBUF", "schema": "m", "references": reference });
    server.answer("/schemas/ids/2", Answer::new(200, main.to_string()));
    server.answer("/subjects/a/versions/1?deleted=true", Answer::new(200, &long));
    let registry = client(&server.url(), None);
    let reason = "the answer is longer than 4194304 bytes";
    assert_eq!(found(&registry, 1), Found::Unknown(reason.into()));
    let of_reference = format!("the schema \"a.proto\" that it refers to: {reason}");
    assert_eq!(found(&registry, 2), Found::Unknown(of_reference.as_str().into()));
    assert_eq!((server.asked().len(), registry.trouble()), (3, None));
    // An error may be of any length.
    server.answer("/schemas/ids/3", Answer::new(500, long));
    assert!(trouble(&registry, 3).contains("larger"));
}

#[test]
fn a_known_id_is_asked_for_behind_those_wanted_before_it_and_no_others() {
    let server = RegistryServer::start();
    server.answer("/schemas/ids/1000", Answer::new(200, r#"{"schema":"x"}"#));
    let registry = client(&server.url(), None);
    for id in (1..=30).chain([1000]).chain(31..=60) {
        assert_eq!(registry.schema(id), Found::Waiting);
    }
    let end = Instant::now() + Duration::from_secs(60);
    let mut made_up = 100_000;
    while registry.schema(1000) == Found::Waiting && Instant::now() < end {
        // More of them keep coming.
        registry.schema(made_up);
        made_up += 1;
    }
    assert_eq!(found(&registry, 1000), schema("AVRO", "x", &[]));
    let place = server.asked().iter().position(|(path, _)| path == "/schemas/ids/1000");
    assert_eq!(place, Some(30));
}

#[test]
fn credentials_that_cannot_be_sent_are_refused_at_start() {
    let auth = Some(RegistryAuth::Bearer("secret\n".into()));
    let options = RegistryOptions { url: "http://127.0.0.1:1".parse().unwrap(), auth };
    let error = SchemaRegistry::start(options).err().unwrap().to_string();
    assert!(error.contains("the token must be") && !error.contains("secret"), "{error}");
}

#[test]
fn whoever_asks_never_waits_for_a_slow_registry() {
    let server = RegistryServer::start();
    let after = Duration::from_millis(300);
    server.answer("/schemas/ids/1", Answer { after, ..Answer::new(200, r#"{"schema":"x"}"#) });
    let registry = client(&server.url(), None);
    let mut waits = 0;
    while registry.schema(1) == Found::Waiting {
        waits += 1;
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(waits > 1 && found(&registry, 1) == schema("AVRO", "x", &[]));
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn an_outage_is_waited_out_and_others_are_served_meanwhile() {
    for (answer, want) in [
        (
            Answer::new(500, r#"{"error_code":50001,"message":"store"}"#),
            "it answers with status 500: store (50001)",
        ),
        (Answer::new(503, "busy"), "it answers with status 503"),
        (Answer::new(401, "{}"), "it refuses the credentials, with status 401"),
        (
            Answer::new(200, "<html>log in</html>"),
            "it answers with no schema: expected value at line 1 column 1",
        ),
        (Answer::new(404, "<html>not here</html>"), "it answers with status 404"),
        (Answer::new(301, ""), "it answers with status 301"),
    ] {
        let server = RegistryServer::start();
        server.answer("/schemas/ids/1", answer);
        server.answer("/schemas/ids/2", Answer::new(200, r#"{"schema":"two"}"#));
        let registry = client(&server.url(), None);
        assert_eq!(trouble(&registry, 1), want);
        assert_eq!(found(&registry, 2), schema("AVRO", "two", &[]), "one id holds no other up");
        server.answer("/schemas/ids/1", Answer::new(200, r#"{"schema":"one"}"#));
        assert_eq!(found(&registry, 1), schema("AVRO", "one", &[]));
        assert_eq!(registry.trouble(), None);
    }
}

#[test]
fn a_registry_that_is_down_is_asked_again_when_it_is_back() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let registry = client(&format!("http://{address}"), None);
    let why = trouble(&registry, 1);
    assert!(why.to_lowercase().contains("refused"), "{why}");
    let server = RegistryServer::on(TcpListener::bind(address).unwrap());
    server.answer("/schemas/ids/1", Answer::new(200, r#"{"schema":"x"}"#));
    assert_eq!(found(&registry, 1), schema("AVRO", "x", &[]));
    assert_eq!(registry.trouble(), None);
}

#[test]
fn a_stream_of_made_up_ids_does_not_pile_up() {
    let server = RegistryServer::start();
    let registry = client(&server.url(), None);
    for id in 1..10_000 {
        assert_eq!(registry.schema(id), Found::Waiting);
    }
    for id in 1..=8 {
        assert_eq!(found(&registry, id), Found::Unknown("Schema not found (40403)".into()));
    }
    // Of the ids that found no place nobody was asked, however many they were.
    let asked = server.asked().len();
    assert!(asked <= 64, "{asked}");
}
