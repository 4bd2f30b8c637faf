//! What is closed unless it is opened: which requests are let in, which are refused, and what is never shown.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a step that fails is a failed test

mod common;

use common::program::{Crest, leashed, path};
use common::web::Web;
use common::{eventually, new_folder};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

const READER: &str = "a-secret-that-reads-rankings";
const WRITER: &str = "a-secret-that-sends-events";

#[test]
fn tokens_let_in_whom_they_are_for_and_are_told_to_nobody() {
    let dir = new_folder("closed");
    let mut command = leashed(env!("CARGO_BIN_EXE_crest"));
    command.args(["--http", "127.0.0.1:0", "--state", path(&dir)]);
    command.args(["--read-token", READER, "--ingest-token", WRITER]);
    command.env("CREST_LOG", "trace").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = Arc::new(Mutex::new(Vec::<String>::new()));
    let (stderr, said) = (BufReader::new(child.stderr.take().unwrap()), lines.clone());
    std::thread::spawn(move || stderr.lines().for_each(|line| said.lock().unwrap().push(line.unwrap())));
    let address = || {
        let lines = lines.lock().unwrap();
        lines.iter().find_map(|line| Some(line[line.find("http://127.0.0.1:")?..].trim().to_owned()))
    };
    eventually("the address", || address().is_some());
    let web = Web::at(&address().unwrap());
    let with = |token: &str| format!("Bearer {token}");
    let get = |path: &str, token: &str| web.send("GET", path, &[("Authorization", &with(token))], b"").status;
    let post = |token: &str| {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let event = format!(r#"{{"item_id":"a","timestamp":{now}}}"#);
        web.send("POST", "/events", &[("Authorization", &with(token))], event.as_bytes()).status
    };
    assert_eq!((post("a-guess-that-is-wrong"), post(READER), post(WRITER)), (401, 401, 202));
    eventually("the event", || get("/top-k", READER) == 200);
    for closed in
        ["/top-k", "/top-k/default", "/stream/default", "/boards", "/boards/default", "/status", "/metrics"]
    {
        assert_eq!(web.get(closed).0, 401, "{closed}");
        assert_eq!(get(closed, WRITER), 401, "{closed}");
    }
    for open in ["/", "/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(web.get(open).0, 200, "{open}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let lines = lines.lock().unwrap();
    assert!(lines.iter().any(|line| line.contains("TRACE")), "this is no trace: {lines:?}");
    let telling = lines.iter().find(|line| line.contains(READER) || line.contains(WRITER));
    assert!(telling.is_none(), "{telling:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn the_effective_configuration_shows_no_token() {
    let config = std::process::Command::new(env!("CARGO_BIN_EXE_crest"))
        .args(["config", "--read-token", READER])
        .env("CREST_INGEST_TOKEN", format!("{WRITER} {WRITER}-too"))
        .output()
        .unwrap();
    let text = String::from_utf8(config.stdout).unwrap();
    assert!(config.status.success() && !text.contains("secret"), "{text}");
    assert!(text.contains("read = \"***\"") && text.contains("ingest = [\"***\", \"***\"]"), "{text}");
    let refused = Crest::spawn(["config", "--read-token", "short"]).failure();
    assert!(refused.contains("--read-token = ***: must be at least 16"), "{refused}");
}

#[test]
fn a_door_that_is_open_to_other_machines_is_told_of() {
    let demo = ["--demo", "--http", "0.0.0.0:0"];
    let mut open = Crest::spawn(demo);
    open.until_logged("http://0.0.0.0:");
    assert!(
        open.stderr().iter().any(|line| line.contains("is open to other machines")),
        "{}",
        open.describe()
    );
    let mut closed = Crest::spawn([&demo[..], &["--read-token", READER, "--ingest-token", WRITER]].concat());
    closed.until_logged("http://0.0.0.0:");
    assert!(!closed.stderr().iter().any(|line| line.contains("is open")), "{}", closed.describe());
}
