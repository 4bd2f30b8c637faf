//! Does what a page says, in a folder of its own, with the program under test, a real Kafka and a real Redis. Where a page
//! names the usual ports of this machine, free ones take their place.

use crate::common::program::{leashed, path};
use crate::common::servers::{Kafka, Redis};
use crate::common::{free_port, new_folder, root, skip};
use crate::pages::{self, Page};
use crate::steps::{Action, Step, of};
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a command may go on failing, which asks for something that is still to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many seconds a command may take that is to end by itself. Some of them compile a program.
const LIMIT: u64 = 300;

/// Members of answers that are there at times.
const AT_TIMES: [&str; 5] = ["partial", "since", "stale", "held_by", "change"];

/// Does what all pages say; what went wrong. `CREST_TEST_PAGE` names the one page to be tried.
pub fn run_all() -> Vec<String> {
    let only = std::env::var("CREST_TEST_PAGE").ok();
    let chosen = |page: &Page| only.as_ref().is_none_or(|only| page.path.ends_with(only.as_str()));
    let pages = pages::all().into_iter().filter(chosen);
    pages.filter_map(|page| Session::of(&page).and_then(|session| session.run(&page).err())).collect()
}

/// The program, which serves at the usual place, but for a run that ends, as it would without being told.
const CREST: &str = r#"
ends() { [[ $1 == *file:* || $1 == - || ( -f $1 && $(<"$1") == *'url = "file:'* ) ]]; }
for word in "$@"; do if [[ $word != --http ]] && ends "$word"; then unset CREST_HTTP; fi; done
[[ " $* " != *' --http '* ]] || unset CREST_HTTP
exec 'PROGRAM' "$@"
"#;

/// Programs that some pages show and Crest does not need.
const MAY_BE_MISSING: [&str; 2] = ["go", "node"];

/// A page that is being followed.
struct Session {
    steps: Vec<Step>,
    folder: PathBuf,
    /// What stands in the page, and what takes its place.
    places: Vec<(String, String)>,
    http: u16,
    uses_kafka: bool,
    redis: Option<Redis>,
    started: Vec<Started>,
    /// How many were started, so that each has a log of its own.
    logs: usize,
}

/// A command that goes on.
struct Started {
    child: Child,
    command: String,
    /// Where it answers, if it does.
    port: Option<u16>,
    log: PathBuf,
}

impl Drop for Started {
    fn drop(&mut self) {
        let group = format!("kill -TERM -- -{}", self.child.id());
        let _ = Command::new("bash").args(["-c", &group]).stderr(Stdio::null()).status();
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ =
            Command::new("bash").args(["-c", &group.replace("TERM", "KILL")]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

impl Session {
    /// None where the page has nothing to do.
    fn of(page: &Page) -> Option<Session> {
        let steps = of(page);
        if !steps.iter().any(|step| !matches!(step.action, Action::Write { .. })) {
            return None;
        }
        let text: String = steps.iter().map(|step| step.action.text()).collect();
        let uses_kafka = text.contains(":9092");
        let redis = (text.contains(":6379") || text.contains("redis-cli")).then(Redis::start);
        let ports = [8080, 8081, 8082].map(|usual| (usual, free_port()));
        let mut places = vec![
            ("cargo run --release -- ".to_owned(), "crest ".to_owned()),
            ("target/release/crest".to_owned(), "crest".to_owned()),
        ];
        for (usual, free) in ports {
            places.extend([":", " "].map(|sign| (format!("{sign}{usual}"), format!("{sign}{free}"))));
        }
        if uses_kafka {
            places.push(("localhost:9092".to_owned(), Kafka::shared().address()));
        }
        if let Some(redis) = &redis {
            places.push((":6379".to_owned(), format!(":{}", redis.port())));
        }
        let folder = new_folder("docs");
        let http = ports[0].1;
        Some(Session { steps, folder, places, http, uses_kafka, redis, started: Vec::new(), logs: 0 })
    }

    fn run(mut self, page: &Page) -> Result<(), String> {
        self.lay_tools();
        for Step { line, action } in std::mem::take(&mut self.steps) {
            let done = match action {
                Action::Write { name, text } => self.write(&name, &text),
                Action::Run { command, prints } => self.command(&command, &prints),
                Action::Start(command) => self.start(&command),
            };
            if let Err(fault) = done {
                let logs: String = self
                    .started
                    .iter()
                    .map(|one| format!("\n{}:\n{}", one.command, tail(&one.log)))
                    .collect();
                return Err(format!("{}: {fault}{logs}", page.at(line)));
            }
        }
        self.started.clear();
        std::fs::remove_dir_all(&self.folder).unwrap();
        if self.uses_kafka {
            forget_topics(Kafka::shared());
        }
        Ok(())
    }

    /// The programs that a reader has: this one, `curl` that fails where the server refuses, `redis-cli` of this server
    /// that fails where it has nothing to say, and the scripts of the repository.
    fn lay_tools(&self) {
        let bin = self.folder.join("bin");
        std::fs::create_dir(&bin).unwrap();
        let redis = self.redis.as_ref().map_or(6379, Redis::port);
        let crest = CREST.replace("PROGRAM", env!("CARGO_BIN_EXE_crest"));
        for (name, script) in [
            ("crest", crest),
            ("curl", "PATH=${PATH#*:}\nexec curl --fail-with-body --max-time 20 \"$@\"".to_owned()),
            (
                "redis-cli",
                format!(
                    "PATH=${{PATH#*:}}\nsaid=$(redis-cli -p {redis} \"$@\")\necho \"$said\"\n[ -n \"$said\" ]"
                ),
            ),
        ] {
            let file = bin.join(name);
            std::fs::write(&file, format!("#!/bin/bash\n{script}\n")).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        for name in ["scripts", "examples", "clients", "tests"] {
            let _ = std::os::unix::fs::symlink(root().join(name), self.folder.join(name));
        }
    }

    /// A text of the page, with the ports of this session.
    fn placed(&self, text: &str) -> String {
        self.places.iter().fold(text.to_owned(), |text, (usual, here)| text.replace(usual, here))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let file = self.folder.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, self.placed(text)).map_err(|error| format!("{name}: {error}"))
    }

    fn shell(&self, command: &str) -> Command {
        let mut shell = leashed("bash");
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CREST_")) {
            shell.env_remove(name);
        }
        let paths = std::env::var("PATH").unwrap();
        shell.args(["-euo", "pipefail", "-c", command]).current_dir(&self.folder).stdin(Stdio::null());
        shell.env("PATH", format!("{}:{paths}", path(&self.folder.join("bin"))));
        shell.env("CREST_HTTP", format!("127.0.0.1:{}", self.http));
        shell.env("CREST_URL", format!("http://127.0.0.1:{}", self.http));
        shell
    }

    /// A command that is ended, with what it started, when it takes too long. Its status is 124 then.
    fn within_limit(&self, command: &str) -> Command {
        let mut shell = self.shell(r#"exec timeout --kill-after=10 "$0" bash -euo pipefail -c "$1""#);
        shell.args([&LIMIT.to_string(), command]);
        shell
    }

    /// Runs a command until it succeeds. One that asks may be too early.
    fn command(&self, command: &str, prints: &str) -> Result<(), String> {
        let command = self.placed(command);
        let program = command.split_whitespace().next().unwrap();
        if MAY_BE_MISSING.contains(&program) && !self.has(program) {
            skip("a command of docs/", &format!("{program} is not installed"));
            return Ok(());
        }
        let asks = ["curl", "redis-cli", "crest top", "crest item", "python3", "node", "go run"]
            .iter()
            .any(|tool| command.contains(tool));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = self.within_limit(&command).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let fault = if output.status.success() {
                match differs(prints, &said) {
                    None => return Ok(()),
                    Some(fault) => fault,
                }
            } else {
                format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr))
            };
            if !asks || Instant::now() > deadline {
                return Err(format!("{command}\n{said}{fault}"));
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    fn has(&self, program: &str) -> bool {
        self.shell(&format!("command -v {program}")).stdout(Stdio::null()).status().unwrap().success()
    }

    /// Starts a command that goes on, in place of one that has its port.
    fn start(&mut self, command: &str) -> Result<(), String> {
        let command = self.placed(command);
        let port = if command.contains("crest") { Some(self.port(&command)) } else { None };
        self.started.retain(|other| port.is_none() || other.port != port);
        self.logs += 1;
        let log = self.folder.join(format!("log{}", self.logs));
        let out = std::fs::File::create(&log).unwrap();
        let mut shell = self.shell(&command);
        let child = shell.stdout(out.try_clone().unwrap()).stderr(out).process_group(0).spawn().unwrap();
        self.started.push(Started { child, command, port, log });
        let started = self.started.last_mut().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while let Some(port) = started.port {
            if answers(port) {
                break;
            }
            if let Some(status) = started.child.try_wait().unwrap() {
                return Err(format!("{}: it ended: {status}", started.command));
            }
            if Instant::now() > deadline {
                return Err(format!("{}: it does not answer", started.command));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Where a job or node answers: as it is told, or at the usual place.
    fn port(&self, command: &str) -> u16 {
        let told = command.split_once("--http ").and_then(|(_, rest)| rest.split_whitespace().next());
        told.and_then(|address| address.rsplit_once(':')?.1.parse().ok()).unwrap_or(self.http)
    }
}

impl Action {
    fn text(&self) -> String {
        match self {
            Action::Write { text, .. } => text.clone(),
            Action::Run { command, .. } | Action::Start(command) => command.clone(),
        }
    }
}

fn answers(port: u16) -> bool {
    let url = format!("http://127.0.0.1:{port}/healthz");
    Command::new("curl")
        .args(["-sf", "-o", "/dev/null", "--max-time", "2", &url])
        .status()
        .is_ok_and(|s| s.success())
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// What was printed must be like what the page shows: JSON of the same members, or text with each of its lines that has no
/// figure in it.
fn differs(shown: &str, said: &str) -> Option<String> {
    if let Ok(shown) = serde_json::from_str::<Value>(shown) {
        let said = serde_json::from_str::<Value>(said.trim());
        return match said {
            Ok(said) => unlike(&shown, &said, "$"),
            Err(error) => Some(format!("is no JSON: {error}")),
        };
    }
    let plain =
        |line: &&str| !line.contains(|c: char| c.is_ascii_digit() || c == '…') && !line.trim().is_empty();
    let missing = shown.lines().filter(plain).find(|line| !said.contains(line.trim()));
    missing.map(|line| format!("does not print {line:?}"))
}

/// Where the members of two values differ.
fn unlike(shown: &Value, said: &Value, place: &str) -> Option<String> {
    match (shown, said) {
        (Value::Object(shown), Value::Object(said)) => {
            let known = |key: &&String| !AT_TIMES.contains(&key.as_str());
            let missing = shown.keys().filter(known).find(|key| !said.contains_key(*key));
            let more = said
                .keys()
                .filter(known)
                .find(|key| !shown.contains_key(*key) && !place.ends_with("by_reason"));
            match (missing, more) {
                (Some(key), _) => Some(format!("{place} has no {key}")),
                (_, Some(key)) => Some(format!("{place} has {key}, which is not shown")),
                _ => shown
                    .iter()
                    .find_map(|(key, value)| unlike(value, said.get(key)?, &format!("{place}.{key}"))),
            }
        }
        (Value::Array(shown), Value::Array(said)) => {
            let (shown, said) = (shown.first()?, said.first());
            said.map_or(Some(format!("{place} is empty")), |said| unlike(shown, said, &format!("{place}[0]")))
        }
        _ => None,
    }
}

/// The next page begins with a broker without topics.
fn forget_topics(kafka: &Kafka) {
    let consumer: BaseConsumer = kafka.client().create().unwrap();
    let known = consumer.fetch_metadata(None, Duration::from_secs(20)).unwrap();
    for topic in known.topics().iter().map(|topic| topic.name()).filter(|name| !name.starts_with("__")) {
        kafka.delete_topic(topic);
    }
}
