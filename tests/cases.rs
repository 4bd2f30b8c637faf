//! Event data as people have it: the folders of `tests/cases` hold an input each, the configuration that must read it, and
//! the right answer, which comes from what made the input. `want.json` has of each board the total and all items, by count
//! and id descending, in the window `all`, and how many events are refused for which reason. The answer is the same from
//! files and standard input, which end, as from Kafka and from `POST /events`, which do not.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::live::Live;
use common::program::{Crest, path};
use common::servers::Kafka;
use common::web::Answer;
use common::{new_folder, root};
use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// Cases that run side by side.
const SIDE_BY_SIDE: usize = 3;

struct Case {
    name: String,
    config: PathBuf,
    input: PathBuf,
    want: Value,
}

fn cases() -> Vec<Case> {
    let folders = std::fs::read_dir(root().join("tests/cases")).unwrap();
    let mut folders: Vec<PathBuf> = folders.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let case = |folder: PathBuf| {
        let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let is_input = |path: &PathBuf| {
            let name = path.file_name().unwrap();
            name != "crest.toml" && name != "want.json"
        };
        let inputs: Vec<PathBuf> = files.filter(is_input).collect();
        let [input] = inputs.as_slice() else { panic!("{}: {inputs:?}", folder.display()) };
        Case {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            config: folder.join("crest.toml"),
            input: input.clone(),
            want: serde_json::from_slice(&std::fs::read(folder.join("want.json")).unwrap()).unwrap(),
        }
    };
    folders.into_iter().map(case).collect()
}

/// What a run over a source says, in the form of `want.json`, and whether it counted anything.
fn run(case: &Case, folder: &Path, source: &str, input: Option<&Path>) -> (Value, bool) {
    let summary = folder.join("summary.json");
    let arguments = [
        "--config",
        path(&case.config),
        "--source",
        source,
        "--snapshots",
        "-",
        "--summary",
        path(&summary),
        "-k",
        "1000",
    ];
    let input = input.map_or(&[][..], |input| std::fs::read(input).unwrap().leak());
    let mut crest = Crest::spawn_reading(input, arguments);
    let status = crest.wait(Duration::from_secs(60));
    let mut boards = BTreeMap::new();
    for line in crest.stdout() {
        let ranking: Value = serde_json::from_str(&line).unwrap();
        if ranking["window"] == "all" && ranking["group"] == json!({}) {
            let items: Vec<_> = ranking["items"].as_array().unwrap().iter().collect();
            let items: Vec<_> = items.iter().map(|item| json!([item["item_id"], item["count"]])).collect();
            let board = ranking["board"].as_str().unwrap().to_owned();
            assert!(boards.insert(board, json!({ "total": ranking["total"], "items": items })).is_none());
        }
    }
    let summary: Value = serde_json::from_slice(&std::fs::read(&summary).unwrap_or_else(|error| {
        panic!("{}: {error}: {}", case.name, crest.describe());
    }))
    .unwrap();
    (json!({ "boards": boards, "refused": summary["refused"] }), status.success())
}

/// The same case for standard input, which has no name that could say its format.
fn as_stream(case: &Case, folder: &Path) -> Case {
    let mut text = std::fs::read_to_string(&case.config).unwrap();
    if case.input.extension().is_some_and(|extension| extension == "csv") {
        text = format!("[source]\nformat = \"csv\"\n{text}");
    }
    let config = folder.join("stream.toml");
    std::fs::write(&config, text).unwrap();
    Case { name: case.name.clone(), config, input: case.input.clone(), want: case.want.clone() }
}

#[test]
fn each_input_is_read_as_its_configuration_says_from_a_file_and_from_standard_input() {
    let folder = new_folder("cases");
    let cases = cases();
    assert!(cases.len() >= 30);
    for case in &cases {
        let right = (case.want.clone(), case.want["boards"] != json!({}));
        let source = format!("file:{}", path(&case.input));
        assert_eq!(run(case, &folder, &source, None), right, "{}", case.name);
        let streamed = as_stream(case, &folder);
        assert_eq!(run(&streamed, &folder, "-", Some(&case.input)), right, "{} as a stream", case.name);
    }
    std::fs::remove_dir_all(folder).unwrap();
}

impl Case {
    fn has_ending(&self, endings: &[&str]) -> bool {
        self.input.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known))
    }

    fn is_json(&self) -> bool {
        self.has_ending(&["json", "ndjson", "gz"])
    }

    /// The input, unpacked.
    fn text(&self) -> String {
        let bytes = std::fs::read(&self.input).unwrap();
        let mut text = String::new();
        match self.has_ending(&["gz"]) {
            true => MultiGzDecoder::new(bytes.as_slice()).read_to_string(&mut text).map(drop).unwrap(),
            false => text = String::from_utf8(bytes).unwrap(),
        }
        text.trim_start_matches('\u{feff}').to_owned()
    }

    /// How many records the input has: JSON values, or lines. An array is one where its elements are the events of a record.
    fn records(&self) -> usize {
        let text = self.text();
        if !self.is_json() {
            return text.lines().count();
        }
        let arrays_are_records = std::fs::read_to_string(&self.config).unwrap().contains("each = \"$[*]\"");
        let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        let records = values.map(|value| match value.unwrap() {
            Value::Array(elements) if !arrays_are_records => elements.len(),
            _ => 1,
        });
        records.sum()
    }

    fn refused(&self) -> BTreeMap<String, u64> {
        serde_json::from_value(self.want["refused"].clone()).unwrap()
    }
}

/// Runs something for each case, some side by side.
fn each(cases: &[&Case], run: impl Fn(&Case) + Sync) {
    let next = Mutex::new(cases.iter());
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(case) = { next.lock().unwrap().next() } {
                    run(case);
                }
            });
        }
    });
}

/// The configuration of a case for a topic, which has no header that could name the columns of CSV; and how many lines of
/// the input are no record.
fn as_topic(case: &Case, folder: &Path) -> (PathBuf, usize) {
    if !case.has_ending(&["csv"]) {
        return (case.config.clone(), 0);
    }
    let columns: Vec<String> = case.text().lines().next().unwrap().split(',').map(str::to_owned).collect();
    let config = folder.join(format!("{}.toml", case.name));
    let source = format!("[source]\nformat = \"csv\"\ncsv = {{ header = true, columns = {columns:?} }}\n");
    std::fs::write(&config, source + &std::fs::read_to_string(&case.config).unwrap()).unwrap();
    (config, 1)
}

/// The records that `crest produce` has refused, by reason.
fn refused_by(produce: &Crest) -> BTreeMap<String, u64> {
    let lines = produce.stderr();
    let refused = lines.iter().filter_map(|line| {
        let mut words = line.split_once("refused ")?.1.split_whitespace();
        let (count, reason) = (words.next()?, words.nth(2)?);
        Some((reason.trim_end_matches([',', ';']).to_owned(), count.parse().unwrap()))
    });
    refused.collect()
}

#[test]
fn each_input_is_ranked_the_same_through_kafka() {
    let (kafka, folder) = (Kafka::shared(), new_folder("cases-kafka"));
    each(&cases().iter().collect::<Vec<_>>(), |case| {
        let (config, headers) = as_topic(case, &folder);
        let topic = kafka.url(&case.name);
        let mut load =
            Crest::spawn(["produce", "--config", path(&config), "--to", &topic, path(&case.input)]);
        assert!(load.wait(Duration::from_secs(60)).success(), "{}", load.describe());
        // What has no key is refused before it is in the topic, and the rest by the job.
        let (mut want, mut left) = (case.want.clone(), case.refused());
        let refused = refused_by(&load);
        for (reason, count) in &refused {
            assert_eq!(left.remove(reason), Some(*count), "{}: {}", case.name, load.describe());
        }
        want["refused"] = json!(left);
        let records = case.records() - headers - refused.values().sum::<u64>() as usize;
        let job = Live::start(&["--config", path(&config), "--source", &topic, "-w", "2"]);
        assert_eq!(job.until(records, &want), want, "{}", case.name);
    });
    std::fs::remove_dir_all(folder).unwrap();
}

/// Sends the events of a case: all that are good, in one request if all are. How many the job has taken.
fn post(case: &Case, job: &Live) -> usize {
    let (text, packed) = (case.text(), ("Content-Encoding", "gzip"));
    let headers = if case.has_ending(&["gz"]) { &[packed][..] } else { &[] };
    let accepted = |answer: &Answer| {
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert!(answer.status == 202 && body.get("late").is_none(), "{}: {}", case.name, answer.body);
        body["accepted"].as_u64().unwrap() as usize
    };
    let whole = job.web.send("POST", "/events", headers, &std::fs::read(&case.input).unwrap());
    if case.refused().is_empty() {
        return accepted(&whole);
    }
    assert_eq!(whole.status, 422, "a request with a bad event is refused whole: {}", whole.body);
    let (mut taken, mut refused) = (0, BTreeMap::<String, u64>::new());
    for line in text.lines() {
        let answer = job.web.send("POST", "/events", &[], line.as_bytes());
        if answer.status == 422 {
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            *refused.entry(body["reason"].as_str().unwrap().to_owned()).or_default() += 1;
        } else {
            taken += accepted(&answer);
        }
    }
    assert_eq!(refused, case.refused(), "{}", case.name);
    taken
}

#[test]
fn each_input_of_json_is_ranked_the_same_when_it_is_posted() {
    let (folder, cases) = (new_folder("cases-post"), cases());
    let json: Vec<&Case> = cases.iter().filter(|case| case.is_json()).collect();
    assert!(json.len() >= 25);
    each(&json, |case| {
        let state = folder.join(&case.name);
        let job = Live::start(&["--config", path(&case.config), "--state", path(&state)]);
        let taken = post(case, &job);
        assert_eq!(taken + case.refused().values().sum::<u64>() as usize, case.records(), "{}", case.name);
        let want = json!({ "boards": case.want["boards"], "refused": {} });
        assert_eq!(job.until(taken, &want), want, "{}", case.name);
    });
    std::fs::remove_dir_all(folder).unwrap();
}
