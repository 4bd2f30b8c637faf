//! Where telemetry is sent.

use super::{refusal, settings};
use std::time::Duration;

#[test]
fn nothing_is_sent_unless_a_collector_is_named() {
    assert_eq!(settings("", "").unwrap().telemetry, None);
    let off = settings("--otlp off", "[telemetry]\notlp = \"http://h:4318\"").unwrap();
    assert_eq!(off.telemetry, None);
    let told = settings("", "[telemetry]\ninterval = \"1m\"").unwrap();
    assert_eq!(told.telemetry, None, "no collector is named");
}

#[test]
fn flags_go_before_the_file_and_headers_are_put_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("headers");
    let file = |more: &str| {
        format!(
            "[telemetry]\notlp = \"https://h/otlp/\"\ninterval = \"250ms\"\ntraces = false\nservice_name = \"shop\"\n\
             attributes = {{ \"deployment.environment.name\" = \"test\" }}\n{more}"
        )
    };
    let found = settings("", &file("")).unwrap().telemetry.unwrap();
    assert_eq!((found.url.as_str(), found.interval), ("https://h/otlp", Duration::from_millis(250)));
    assert_eq!((found.traces, found.service_name.as_str(), found.headers.len()), (false, "shop", 0));
    assert_eq!(found.attributes["deployment.environment.name"], "test");
    std::fs::write(&path, "x-scope = tenant=7\n\nx-from=file\n").unwrap();
    let more =
        format!("headers = {{ Authorization = \"file\", x-from = \"table\" }}\nheaders_file = {path:?}");
    let line = "--otlp http://c:4318 --otlp-header authorization=Bearer=x";
    let found = settings(line, &file(&more)).unwrap().telemetry.unwrap();
    assert_eq!(found.url, "http://c:4318");
    let mut headers: Vec<_> =
        found.headers.iter().map(|header| (header.name.as_str(), header.value.to_str().unwrap())).collect();
    headers.sort();
    assert_eq!(headers, [("authorization", "Bearer=x"), ("x-from", "file"), ("x-scope", "tenant=7")]);
    assert!(!format!("{found:?}").contains("Bearer"), "a secret is not shown");
}

#[test]
fn the_configuration_that_is_shown_has_no_header_and_is_one() {
    let line = "--otlp http://c:4318 --otlp-header authorization=hidden";
    let shown = settings(line, "[telemetry]\nservice_name = \"shop\"").unwrap().to_toml().unwrap();
    assert!(!shown.contains("hidden") && shown.contains("authorization = \"***\""), "{shown}");
    let again = settings("", &shown).unwrap().telemetry.unwrap();
    assert_eq!((again.url.as_str(), again.service_name.as_str()), ("http://c:4318", "shop"));
}

#[test]
fn a_refusal_names_the_key_and_the_value() {
    for (line, file, begins) in [
        ("--otlp collector:4318", "", "--otlp = \"collector:4318\": must be http://host:port"),
        ("--otlp grpc://c:4317", "", "--otlp = \"grpc://c:4317\": must be"),
        ("--otlp http://c:4318/v1/metrics", "", "--otlp = \"http://c:4318/v1/metrics\": must be"),
        ("--otlp http://c:4318?x=1", "", "--otlp = \"http://c:4318?x=1\": must be"),
        ("--otlp http://me:hidden@c:4318", "", "--otlp = \"http://me:***@c:4318\": must be"),
        ("", "otlp = \"\"", "crest.toml: telemetry.otlp = \"\": must be"),
        ("", "otlp = \"http://c\"\ninterval = \"1ms\"", "crest.toml: telemetry.interval = \"1ms\": must be"),
        (
            "",
            "otlp = \"http://c\"\nservice_name = \" \"",
            "crest.toml: telemetry.service_name = \" \": must be",
        ),
        (
            "",
            "otlp = \"http://c\"\nheaders = { \"a b\" = \"hidden\" }",
            "crest.toml: telemetry.headers.a b = \"a b\": must have",
        ),
        (
            "",
            "otlp = \"http://c\"\nheaders = { a = \"hid\\nden\" }",
            "crest.toml: telemetry.headers.a = ***: must be",
        ),
        (
            "--otlp http://c --otlp-header Content-Type=x",
            "",
            "--otlp-header = \"content-type\": must be another header",
        ),
        ("--otlp http://c --otlp-header hidden", "", "--otlp-header = ***: must be NAME=VALUE"),
        (
            "",
            "otlp = \"http://c\"\nheaders_file = \"/nowhere/headers\"",
            "crest.toml: telemetry.headers_file = /nowhere/headers: cannot be read",
        ),
        (
            "",
            "otlp = \"http://c\"\nattributes = { \"\" = \"x\" }",
            "crest.toml: telemetry.attributes = \"\": must have",
        ),
    ] {
        let file = if file.is_empty() { String::new() } else { format!("[telemetry]\n{file}") };
        let told = refusal(line, &file);
        assert!(told.starts_with(begins) && !told.contains("hidden"), "{told}");
    }
}
