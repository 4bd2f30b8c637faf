//! The program at the limits that the system sets it: open files and threads.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a step that fails is a failed test

mod common;

use common::program::{Crest, leashed, path};
use common::web::Web;
use common::{eventually, new_folder};
use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::UNIX_EPOCH;

/// A job that takes events, with a state.
fn job(limits: &str, dir: &Path) -> Crest {
    let config = dir.join("crest.toml");
    std::fs::write(&config, "[time]\npane = \"1s\"\nout_of_orderness = \"1s\"\nidle_timeout = \"2s\"\n")
        .unwrap();
    let (log, state) = (format!("log:{}", path(&dir.join("log"))), dir.join("state"));
    Crest::spawn_under(
        limits,
        ["--config", path(&config), "--source", &log, "--state", path(&state), "--http", "127.0.0.1:0"],
    )
}

fn send_event(web: &Web) -> u16 {
    let event = format!(r#"{{"item_id":"a","timestamp":{}}}"#, UNIX_EPOCH.elapsed().unwrap().as_secs());
    web.send("POST", "/events", &[], event.as_bytes()).status
}

#[test]
fn idle_connections_beyond_the_limit_of_open_files_stop_nothing() {
    let dir = new_folder("open-files");
    let mut crest = job("ulimit -n 256", &dir);
    let web = Web::of(&mut crest);
    let address = web.address().trim_start_matches("http://").to_owned();
    // Some have asked something once, the others nothing at all.
    let connect = |n: usize| {
        let mut stream = TcpStream::connect(&address).unwrap();
        if n < 40 {
            stream.write_all(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            stream.read_exact(&mut [0; 12]).unwrap();
        }
        stream
    };
    let idle: Vec<TcpStream> = (0..400).map(connect).collect();
    assert_eq!(web.get("/healthz").0, 200);
    assert_eq!(send_event(&web), 202);
    let commits = || web.metric("crest_state_commits_total", "");
    let before = commits();
    eventually("panes that are made durable", || send_event(&web) == 202 && commits() > before + 1.0);
    assert_eq!(web.get("/readyz").0, 200, "{}", web.get("/readyz").1);
    crest.until_logged("the limit of open files is 256");
    drop(idle);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn the_limit_of_open_files_is_raised_as_far_as_it_may_be() {
    let dir = new_folder("raised");
    let mut crest = job("ulimit -S -n 64 && ulimit -H -n 2000", &dir);
    Web::of(&mut crest);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", crest.id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("2000"), "{files}");
    drop(crest);
    std::fs::remove_dir_all(dir).unwrap();
}

/// The program as a user who may have so many threads and processes; limits of this kind do not bind root.
fn with_threads(most: u32, program: &Path, dir: &Path) -> Output {
    // One that starts after all would run for ever.
    let mut command = leashed("timeout");
    command.args(["-s", "KILL", "60"]);
    if is_root() {
        command.args(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    }
    command.arg("prlimit");
    let (log, state) = (format!("log:{}", path(&dir.join("log"))), dir.join("state"));
    command.arg(format!("--nproc={most}")).arg(program).args(["-w", "2", "--source", &log]);
    command.args(["--state", path(&state), "--http", "127.0.0.1:0"]).current_dir(dir).output().unwrap()
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}

#[test]
fn threads_that_the_system_does_not_give_end_the_program_with_one_clear_line() {
    let dir = new_folder("threads");
    // The other user may have no right to the folder that it was built in.
    let program = dir.join("crest");
    std::fs::copy(env!("CARGO_BIN_EXE_crest"), &program).unwrap();
    std::fs::set_permissions(&dir, Permissions::from_mode(0o777)).unwrap();
    for most in 1..=8 {
        let output = with_threads(most, &program, &dir);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{most}: {said}");
        let clear: Vec<&str> = said.lines().filter(|line| !line.contains(" INFO ")).collect();
        assert_eq!(clear.len(), 1, "{most}: {said}");
        assert!(clear[0].starts_with("crest: ") && !clear[0].contains("Os {"), "{most}: {said}");
        assert!(clear[0].contains("Resource temporarily unavailable"), "{most}: {said}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}
