//! `crest top` as a person or a script runs it, against the real program: what it prints, and what it says when it
//! cannot.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a step that fails is a failed test

mod common;

use common::program::Crest;
use common::web::Web;
use common::{eventually, free_port};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Nothing here takes so long unless it fails.
const LONG: Duration = Duration::from_secs(60);

/// The demo with a ranking.
fn demo(further: &[&str]) -> (Crest, Web) {
    let mut crest =
        Crest::spawn([&["--demo", "--http", "127.0.0.1:0", "--refresh", "200ms"], further].concat());
    let web = Web::of(&mut crest);
    eventually("a ranking of many items", || {
        let (status, body) = web.get("/top-k");
        status == 200 && body.matches("item_id").count() >= 20
    });
    (crest, web)
}

fn top(url: &str, further: &[&str]) -> Crest {
    Crest::spawn([&["top", "--url", url], further].concat())
}

/// The lines of a run that must succeed.
fn printed(url: &str, further: &[&str]) -> Vec<String> {
    let mut crest = top(url, further);
    assert!(crest.wait(LONG).success(), "{}", crest.describe());
    assert!(crest.stderr().is_empty(), "{}", crest.describe());
    crest.stdout()
}

/// The one line that a run says which must fail with this status.
fn refused(url: &str, further: &[&str], status: i32) -> String {
    let mut crest = top(url, further);
    assert_eq!(crest.wait(LONG).code(), Some(status), "{}", crest.describe());
    assert!(crest.stdout().is_empty(), "{}", crest.describe());
    let said = crest.stderr();
    let [line] = said.as_slice() else { panic!("one line is expected: {}", crest.describe()) };
    line.clone()
}

#[test]
fn a_ranking_is_printed_once_as_a_table_or_as_the_api_says_it() {
    let (_crest, web) = demo(&["--window", "day=24h/24h", "-k", "20"]);
    let url = web.address();
    let lines = printed(url, &[]);
    assert!(lines[0].starts_with("default day · "), "the first board and its first window: {}", lines[0]);
    assert!(lines[0].contains("provisional · total "), "{}", lines[0]);
    let head: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(head[..4], ["rank", "change", "item", "count"]);
    assert_eq!(lines.len(), 2 + 10 + 1, "{lines:?}");
    assert!(lines[12].trim_start().starts_with("(all others)"), "{lines:?}");
    for (line, rank) in lines[2..12].iter().zip(1..) {
        assert!(line.trim_start().starts_with(&format!("{rank} ")), "{line}");
    }

    // The ranking moves on: it is compared with what the API said before and after.
    eventually("the same ranking from both", || {
        let before = web.json("/top-k/default?window=day&k=7");
        let line = printed(url, &["--board", "default", "--window", "day", "-k", "7", "--json"]);
        let [line] = line.as_slice() else { panic!("one line: {line:?}") };
        let mut said: Value = serde_json::from_str(line).unwrap();
        let mut after = web.json("/top-k/default?window=day&k=7");
        let age = |value: &mut Value| value.as_object_mut().unwrap().remove("snapshot_age_seconds").is_some();
        assert!(age(&mut said) && age(&mut after));
        assert_eq!(said["items"].as_array().unwrap().len(), 7);
        before["computed_at"] == after["computed_at"] && said == after
    });
}

#[test]
fn without_a_terminal_every_new_ranking_is_printed() {
    let (mut crest, web) = demo(&[]);
    let mut json = top(web.address(), &["--watch", "--json", "-k", "3", "--window", "last_1m"]);
    let lines = json.until("five rankings", |top| Some(top.stdout()).filter(|lines| lines.len() >= 5));
    let rankings: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rankings.iter().all(|ranking| ranking["items"].as_array().unwrap().len() == 3));
    let computed = |ranking: &Value| ranking["computed_at"].as_i64().unwrap();
    assert!(rankings.is_sorted_by(|a, b| computed(a) < computed(b)), "{lines:?}");

    let mut table = top(web.address(), &["--watch", "--window", "last_1m"]);
    let heads = |lines: &[String]| lines.iter().filter(|line| line.starts_with("default last_1m · ")).count();
    table.until("two tables", |top| Some(()).filter(|()| heads(&top.stdout()) >= 2));

    // A server that goes is waited for.
    crest.kill();
    let said = json.until_logged("crest: ");
    assert!(said.contains("does not answer") && said.contains("tried again"), "{said}");
    assert!(json.running());
    for top in [&mut json, &mut table] {
        top.sigterm();
        top.wait(LONG);
    }
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let (_crest, web) = demo(&[]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_crest"));
    command.args(["top", "--url", web.address(), "--watch", "--json"]);
    let mut top = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut reader = BufReader::new(top.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
    drop(reader);
    let output = top.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn what_cannot_be_is_said_in_one_line() {
    let (_crest, web) = demo(&[]);
    let url = web.address();
    let cases: [(&[&str], i32, &[&str]); 6] = [
        (&["--board", "nosuch"], 1, &["nosuch", "boards: default"]),
        (&["--window", "nosuch"], 1, &["nosuch", "windows: last_1m, last_1h, last_24h"]),
        (&["-k", "1000"], 1, &["k = ", "1 to 100"]),
        (&["--group", "region=IN"], 1, &["region", "no dimensions"]),
        (&["--group", "region"], 2, &["--group", "NAME=VALUE"]),
        (&["--watch", "--window", "nosuch"], 1, &["windows: last_1m"]),
    ];
    for (arguments, status, named) in cases {
        let line = refused(url, arguments, status);
        assert!(line.starts_with("crest: ") && named.iter().all(|name| line.contains(name)), "{line}");
    }
    let nobody = format!("http://127.0.0.1:{}", free_port());
    for arguments in [&[][..], &["--watch"]] {
        let line = refused(&nobody, arguments, 1);
        assert!(line.contains(&nobody) && line.contains("refused") && line.contains("`crest`"), "{line}");
    }
    assert!(refused("localhost:8080", &[], 2).contains("--url"));
    assert!(refused("https://127.0.0.1:1", &[], 1).contains("refused"));
}

/// Answers each request with the answer of its path's beginning, whole, and closes.
fn server(answers: &'static [(&'static str, &'static str)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(stream, answers));
        }
    });
    url
}

fn answer(mut stream: TcpStream, answers: &[(&str, &str)]) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let found = answers.iter().find(|(path, _)| request.starts_with(&format!("GET {path}")));
    let (status, body) = found.map_or(("404 Not Found", "{}"), |(_, answer)| answer.split_once('|').unwrap());
    let kind = if status.ends_with("stream") { "text/event-stream" } else { "application/json" };
    let status = status.trim_end_matches(" stream");
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}

const BOARDS: &str = r#"200 OK|{"boards":[{"name":"b","k":5,"by":[],"filter":{},"windows":[{"name":"w","size_ms":1,"slide_ms":1}]}]}"#;

/// A ranking of one item, whose id is all that a terminal must not be sent; `@` stands for what turns the direction.
const HOSTILE: &str = r#"{"board":"b","window":"w","group":{},"window_start":0,"window_end":60000,"computed_at":1,"watermark":1,"final":true,"total":7,"error":2,"error_floor":0,"guaranteed":1,"items":[{"rank":1,"item_id":"\u001b[31m\r\nevil@","count":7,"lower":5,"upper":7,"exact":false,"change":3}],"snapshot_age_seconds":1.5,"stale":true}"#;

#[test]
fn a_server_that_wants_a_token_is_given_it() {
    let mut crest =
        Crest::spawn(["--demo", "--http", "127.0.0.1:0", "--read-token", "open-sesame-open-sesame"]);
    let web = Web::of(&mut crest);
    let line = refused(web.address(), &["--token", "sesame"], 1);
    assert!(line.contains("--token") && !line.contains("sesame"), "{line}");
    eventually("the ranking", || {
        let mut top = top(web.address(), &["--token", "open-sesame-open-sesame", "--json"]);
        top.wait(LONG).success() && top.stdout().len() == 1
    });
    let mut watch = top(web.address(), &["--token", "open-sesame-open-sesame", "--watch"]);
    watch.until("a table", |top| top.stdout().first().cloned());
    watch.kill();
}

#[test]
fn a_token_is_asked_for_and_no_ranking_yet_is_said_or_waited_for() {
    let closed = server(&[("/", r#"401 Unauthorized|{"error":"a token is needed"}"#)]);
    let line = refused(&closed, &[], 1);
    assert!(line.contains("--token") && line.contains("CREST_TOKEN"), "{line}");
    assert!(refused(&closed, &["--token", "söcret"], 2).contains("--token"));

    const BODY: &str = r#"503 Service Unavailable|{"error":"there is no ranking yet"}"#;
    let early = server(&[
        ("/boards", BOARDS),
        ("/top-k/b?k=5&window=w", BODY),
        ("/stream/b", "200 OK stream|: x\n\n"),
    ]);
    assert!(refused(&early, &[], 1).contains("there is no ranking yet"));
    let mut waiting = top(&early, &["--watch"]);
    waiting.until_logged("tried again");
    assert!(waiting.running() && waiting.stdout().is_empty());
    waiting.kill();

    let other = server(&[("/", "200 OK|<html>hello</html>")]);
    assert!(refused(&other, &[], 1).contains("would not"), "it is no crest");
}

#[test]
fn nothing_is_printed_that_a_terminal_would_obey() {
    static ANSWERS: std::sync::OnceLock<Vec<(&'static str, &'static str)>> = std::sync::OnceLock::new();
    let hostile = HOSTILE.replace('@', "\u{202e}");
    let ranking = format!("200 OK|{hostile}").leak();
    let stream = format!("200 OK stream|event: snapshot\ndata: {hostile}\n\n").leak();
    let answers = vec![("/boards", BOARDS), ("/top-k/b", &*ranking), ("/stream/b", &*stream)];
    let url = server(ANSWERS.get_or_init(|| answers));
    let lines = printed(&url, &[]);
    assert_eq!(lines[2], r"   1      ▲3  \u{1b}[31m\u{d}\u{a}evil\u{202e}      7     −2");
    assert!(lines[0].ends_with("final · total 7 · 1.5 s old · stale"), "{}", lines[0]);

    let [line] = &printed(&url, &["--json"])[..] else { panic!("one line") };
    assert!(line.is_ascii(), "{line}");
    let (said, meant): (Value, Value) =
        (serde_json::from_str(line).unwrap(), serde_json::from_str(&hostile).unwrap());
    assert_eq!(said, meant);
    let mut watch = top(&url, &["--watch", "--json"]);
    let said = watch.until("the ranking", |top| top.stdout().first().cloned());
    assert_eq!(&said, line);
    watch.kill();
}
