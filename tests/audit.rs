//! The audit, through the real program: its figures against a recount in the plainest way, and damage that was planted in
//! a state and in rankings, which it must find and name.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

#[path = "audit/beside.rs"]
mod beside;
mod common;
#[path = "audit/distinct.rs"]
mod distinct;
#[path = "audit/object.rs"]
mod object;
#[path = "audit/part.rs"]
mod part;

use beside::examples_of;
use common::events::{Event, START, Traffic, write_files};
use common::new_folder;
use common::program::{Crest, parse_finals, path};
use common::recount::{Counts, Group, Recount, rank};
use common::rules::{Board, Rules, Window};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

const SECOND: i64 = 1000;
const K: usize = 20;
const PATIENCE: Duration = Duration::from_secs(120);
/// So few rows that panes and windows are sketched.
const SMALL: &str = "\n[sketch]\nrows = 256\nrows_kept = 200\n";

fn rules() -> Rules {
    let windows = vec![
        Window { name: "last_1m", size: 60 * SECOND, slide: 20 * SECOND },
        Window { name: "halves", size: 30 * SECOND, slide: 30 * SECOND },
    ];
    Rules {
        boards: vec![Board { by: vec!["region"], k: K, windows, ..Board::default() }],
        ..Rules::default()
    }
}

/// Files of Zipf's events, a job over them that sketches, its state and what it has published.
struct Case {
    dir: PathBuf,
    config: PathBuf,
    source: String,
    recount: Recount,
    finals: Vec<Value>,
}

impl Case {
    fn new(events: usize) -> Self {
        let traffic = Traffic {
            events,
            items: 40_000,
            regions: vec!["IN", "US"],
            disorder: 7_000,
            ..Traffic::default()
        };
        let case = Case::of(rules(), &traffic.logs(3));
        assert!(case.recount.late > 0, "the case has late events");
        case
    }

    fn of(rules: Rules, logs: &[Vec<Event>]) -> Self {
        let dir = new_folder("audit");
        let (source, config) = (write_files(&dir, logs), rules.write(&dir));
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text + SMALL).unwrap();
        let recount = Recount::new(&rules, logs);
        let mut case = Case { dir, config, source, recount, finals: Vec::new() };
        let mut job = Crest::spawn([case.job(), vec!["--state", &case.state()]].concat());
        assert!(job.wait(PATIENCE).success(), "{}", job.describe());
        std::fs::write(case.rankings(), job.stdout().join("\n") + "\n").unwrap();
        case.finals = parse_finals(&job.stdout());
        case
    }

    fn job(&self) -> Vec<&str> {
        vec!["--config", path(&self.config), "--source", &self.source]
    }

    fn state(&self) -> String {
        path(&self.dir.join("state")).to_owned()
    }

    fn rankings(&self) -> PathBuf {
        self.dir.join("rankings.ndjson")
    }

    fn audit(&self, more: &[&str]) -> Crest {
        Crest::spawn([&["audit"], &self.job()[..], more].concat())
    }

    /// The report of an audit that ends with this status, and what it says on standard error.
    fn report(&self, status: i32, more: &[&str]) -> (Value, String) {
        let mut audit = self.audit(&[more, &["--json"]].concat());
        assert_eq!(audit.wait(PATIENCE).code(), Some(status), "{}", audit.describe());
        (serde_json::from_str(&audit.stdout()[0]).unwrap(), audit.stderr().join("\n"))
    }

    /// What an audit says of the state after an object of it was changed, which is put back.
    fn damaged(&self, change: impl FnMut(&str, &str, object::Rows)) -> (Value, String) {
        let file = object::panes(&self.dir.join("state")).swap_remove(15);
        let whole = std::fs::read(&file).unwrap();
        object::rewrite(&file, change);
        let found = self.report(1, &["--state", &self.state()]);
        std::fs::write(&file, whole).unwrap();
        found
    }

    /// What an audit says of other rankings than were published, which are false.
    fn forged(&self, change: impl Fn(&mut Vec<Value>)) -> (Value, String) {
        self.changed(1, change)
    }

    /// What an audit that ends with this status says of rankings that were changed.
    fn changed(&self, status: i32, change: impl Fn(&mut Vec<Value>)) -> (Value, String) {
        let text = std::fs::read_to_string(self.rankings()).unwrap();
        let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        change(&mut lines);
        let file = self.dir.join("forged.ndjson");
        let text: String = lines.iter().map(|line| line.to_string() + "\n").collect();
        std::fs::write(&file, text).unwrap();
        self.report(status, &["--rankings", path(&file)])
    }

    fn truth(&self, snapshot: &Value) -> Counts {
        let time = |field: &str| snapshot[field].as_i64().unwrap();
        let group: Group = serde_json::from_value(snapshot["group"].clone()).unwrap();
        let board = snapshot["board"].as_str().unwrap();
        let mut groups = self.recount.between(board, time("window_start"), time("window_end"));
        groups.remove(&group).unwrap_or_default()
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// What an audit must say of the rankings of one window and group, found by looking at every row, and every pair of rows.
#[derive(Debug, Default, PartialEq)]
struct Expected {
    rankings: u64,
    /// At 10 and at K: found, and of how many.
    recall: [(u64, u64); 2],
    pairs: (u64, u64),
    rows: u64,
    error_sum: f64,
    error_max: f64,
    certain: (u64, u64),
}

impl Expected {
    fn add(&mut self, snapshot: &Value, truth: &Counts) {
        let items = snapshot["items"].as_array().unwrap();
        let said = |item: &Value| item["count"].as_u64().unwrap();
        let count = |item: &Value| truth.get(item["item_id"].as_str().unwrap()).copied().unwrap_or(0);
        let top = rank(truth, K);
        self.rankings += 1;
        for (recall, at) in self.recall.iter_mut().zip([10, K]) {
            let Some((_, least)) = top.iter().take(at).next_back() else { continue };
            let found = items.iter().take(at).filter(|item| count(item) >= *least).count();
            recall.0 += found.min(at).min(top.len()) as u64;
            recall.1 += at.min(top.len()) as u64;
        }
        for (place, item) in items.iter().enumerate() {
            self.pairs.0 +=
                items[place + 1..].iter().filter(|later| count(later) > count(item)).count() as u64;
            self.pairs.1 += (items.len() - place - 1) as u64;
            let error = (said(item) as f64 - count(item) as f64).abs() / count(item).max(1) as f64;
            (self.rows, self.error_sum) = (self.rows + 1, self.error_sum + error);
            self.error_max = self.error_max.max(error);
        }
        let guaranteed = snapshot["guaranteed"].as_u64().unwrap();
        let last = if top.len() < K { 1 } else { top[K - 1].1 };
        self.certain.0 += guaranteed;
        self.certain.1 +=
            items[..guaranteed as usize].iter().filter(|item| count(item) >= last).count() as u64;
    }

    fn assert_is(&self, found: &Value) {
        let recall = |at: usize, (found, of): (u64, u64)| {
            let part = found as f64 / of as f64;
            json!({ "at": at, "found": found, "of": of, "recall": part })
        };
        assert_eq!(found["recall"], json!([recall(10, self.recall[0]), recall(K, self.recall[1])]));
        let number = |field: &str| found[field].as_u64().unwrap();
        assert_eq!(number("rankings"), self.rankings, "{found}");
        assert_eq!((number("pairs_out_of_order"), number("pairs")), self.pairs, "{found}");
        assert_eq!((number("certain_claimed"), number("certain_true")), self.certain, "{found}");
        let part = |field: &str| found[field].as_f64().unwrap();
        assert!((part("error_mean") - self.error_sum / self.rows as f64).abs() < 1e-9, "{found}");
        assert!((part("error_max") - self.error_max).abs() < 1e-9, "{found}");
        assert_eq!(found["violations"], 0);
    }
}

/// Holds a clean report against the rankings, of those in its range, that the job has published.
fn assert_figures(case: &Case, report: &Value) {
    let mut expected: BTreeMap<(String, String), Expected> = BTreeMap::new();
    let time = |value: &Value, field: &str| value[field].as_i64().unwrap();
    for snapshot in case.finals.iter().filter(|snapshot| snapshot["total"] != 0) {
        let range = &report["range"];
        let inside = range.is_null()
            || (time(range, "from_ms") <= time(snapshot, "window_start")
                && time(snapshot, "window_end") <= time(range, "to_ms"));
        if inside {
            let key = (snapshot["window"].as_str().unwrap().to_owned(), snapshot["group"].to_string());
            expected.entry(key).or_default().add(snapshot, &case.truth(snapshot));
        }
    }
    assert_eq!(expected.len(), 6, "two windows of the whole and of two regions");
    let [board] = report["boards"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert_eq!((&board["board"], &board["k"]), (&json!("default"), &json!(K)));
    let mut rankings = 0;
    for window in board["windows"].as_array().unwrap() {
        for group in window["groups"].as_array().unwrap() {
            let key = (window["window"].as_str().unwrap().to_owned(), group["group"].to_string());
            let expected = expected.remove(&key).unwrap_or_else(|| panic!("{key:?}"));
            expected.assert_is(group);
            rankings += expected.rankings;
        }
    }
    assert!(expected.is_empty(), "{expected:?} was not judged");
    assert_eq!((&report["rankings"], &report["violations"]), (&json!(rankings), &json!(0)));
    assert_eq!(report["examples"], json!([]));
}

#[test]
fn the_figures_are_those_of_a_recount_whatever_is_judged() {
    let case = Case::new(200_000);
    let doubtful = case.finals.iter().filter(|snapshot| snapshot["error"] != 0).count();
    assert!(doubtful > case.finals.len() / 2, "only {doubtful} are sketched");
    let (report, _) = case.report(0, &["-w", "2"]);
    assert_eq!((&report["judged"], &report["range"]), (&json!("the sketch engine"), &Value::Null));
    assert_figures(&case, &report);
    let (report, _) = case.report(0, &["--rankings", path(&case.rankings())]);
    assert_figures(&case, &report);
    let (report, _) = case.report(0, &["--state", &case.state()]);
    assert_eq!(report["judged"], format!("the state {}", case.state()));
    assert_figures(&case, &report);
    let (from, to) = ((START + 55 * SECOND).to_string(), (START + 200 * SECOND).to_string());
    for judged in [vec![], vec!["--rankings", path(&case.rankings())], vec!["--state", &case.state()]] {
        let (report, _) = case.report(0, &[&judged[..], &["--from", &from, "--to", &to]].concat());
        // Outward to whole panes.
        assert_eq!(report["range"], json!({ "from_ms": START + 50 * SECOND, "to_ms": START + 200 * SECOND }));
        assert_figures(&case, &report);
    }
    let mut audit = case.audit(&["--from", &from, "--to", &to]);
    assert!(audit.wait(PATIENCE).success(), "{}", audit.describe());
    let table = audit.stdout();
    assert!(table[0].starts_with("judged the sketch engine: 2024-03-28T22:20:50.000Z to "), "{table:?}");
    assert!(table[1].starts_with("board    window   group      rankings  recall@10  recall@20"), "{table:?}");
    assert!(table.iter().all(|line| line.is_ascii()) && table.len() == 8, "{table:?}");
}

/// The kinds and items of the examples, which must be of the board's groups that those are.
fn examples(report: &Value, kind: &str) -> Vec<Value> {
    let examples = report["examples"].as_array().unwrap().clone();
    assert!(
        !examples.is_empty() && report["violations"].as_u64().unwrap() >= examples.len() as u64,
        "{report}"
    );
    let found: Vec<Value> = examples.into_iter().filter(|example| example["kind"] == kind).collect();
    assert!(!found.is_empty(), "no {kind}: {report}");
    found
}

#[test]
fn damage_that_was_planted_in_a_stored_pane_is_found_and_named() {
    let case = Case::new(60_000);
    let mut damaged = String::new();
    let (report, told) = case.damaged(|_, group, mut rows| {
        if group.is_empty() {
            let (row, item) = rows.top();
            rows.lessen(row, 3);
            damaged = item;
        }
    });
    let wrong = examples_of(&report, "bounds");
    for example in &wrong {
        assert_eq!((&example["item"], &example["group"]), (&json!(damaged), &json!({})), "{example}");
        assert_eq!(example["board"], "default");
        let end = example["window_end"].as_i64().unwrap();
        let window = &example["window"];
        let truth = case.recount.counts("default", window.as_str().unwrap(), end);
        assert_eq!(example["true"], truth[&damaged].to_string(), "{example}");
    }
    // Three ends of the sliding window, and one of the tumbling one.
    assert_eq!(wrong.len(), 4, "{report}");
    assert!(told.contains(" violations; the first: wrong ") && told.contains(&damaged), "{told}");
    // It is wrong also where it is asked for alone.
    let alone = examples_of(&report, "item");
    assert!(alone.iter().all(|example| example["item"] == damaged), "{report}");
    assert_eq!(report["violations"], 4 + alone.len());

    let (report, told) = case.damaged(|_, group, mut rows| {
        if group == "region=IN" {
            let (row, item) = rows.top();
            rows.remove(row);
            damaged = item;
        }
    });
    for example in examples_of(&report, "bounds") {
        assert_eq!((&example["item"], &example["group"]), (&json!(damaged), &json!({ "region": "IN" })));
    }
    assert!(told.contains("region=IN until ") && told.contains(&damaged), "{told}");
    assert_eq!(case.report(0, &["--state", &case.state()]).0["violations"], 0, "it was put back");
}

/// An example of a violation names the ranking in which it was found.
fn named(example: &Value, line: &Value) {
    for field in ["board", "window", "group", "window_end"] {
        assert_eq!(example[field], line[field], "{example}");
    }
}

/// The examples of an audit that has found `count` violations, all of one kind in one ranking.
fn only(found: &(Value, String), kind: &str, count: usize, line: &Value) -> Vec<Value> {
    let examples = examples(&found.0, kind);
    assert_eq!((examples.len(), &found.0["violations"]), (count, &json!(count)), "{}", found.0);
    examples.iter().for_each(|example| named(example, line));
    examples
}

#[test]
fn rankings_that_were_forged_are_found_and_named() {
    let case = Case::new(60_000);
    let at =
        |lines: &[Value]| lines.iter().position(|line| line["group"] == json!({}) && line["guaranteed"] != 0);
    let place = at(&case.finals).unwrap();
    let line = &case.finals[place];
    let item = |row: usize| line["items"][row]["item_id"].clone();
    let only = |found, kind, count| only(&found, kind, count, line);

    let wrong = case.forged(|lines| {
        for field in ["count", "lower", "upper"] {
            let bound = &mut lines[place]["items"][2][field];
            *bound = json!(bound.as_u64().unwrap() + 100_000);
        }
    });
    let [example] = &only(wrong, "bounds", 1)[..] else { unreachable!() };
    assert_eq!(example["item"], item(2));

    let missed = case.forged(|lines| drop(lines[place]["items"].as_array_mut().unwrap().remove(0)));
    let found = examples(&missed.0, "missed");
    assert_eq!((found.len(), &found[0]["item"]), (1, &item(0)));
    named(&found[0], line);

    let missing = case.forged(|lines| drop(lines.remove(place)));
    let [example] = &only(missing, "missing_ranking", 1)[..] else { unreachable!() };
    assert_eq!((&example["item"], &example["claimed"]), (&Value::Null, &json!("no ranking")));

    // An event of its own in the stead of the last one, within bounds that are right, and said to be certain.
    let truth = case.truth(line);
    let listed: BTreeSet<&str> =
        line["items"].as_array().unwrap().iter().map(|row| row["item_id"].as_str().unwrap()).collect();
    let rare = truth.iter().find(|(item, count)| **count == 1 && !listed.contains(item.as_str())).unwrap().0;
    let certain = case.forged(|lines| {
        let last = &mut lines[place]["items"][K - 1];
        (last["item_id"], last["lower"], last["exact"]) = (json!(rare), json!(0), json!(false));
        lines[place]["guaranteed"] = json!(K);
    });
    let found = examples(&certain.0, "guaranteed");
    assert!(found.iter().any(|example| example["item"] == json!(rare)), "{found:?}");
    found.iter().for_each(|example| named(example, line));

    let end = line["window_end"].as_i64().unwrap();
    let unfounded = case.forged(|lines| {
        let mut later = lines[place].clone();
        for field in ["window_start", "window_end"] {
            later[field] = json!(later[field].as_i64().unwrap() + 3_600_000);
        }
        lines.push(later);
    });
    let found = examples(&unfounded.0, "unfounded_ranking");
    assert_eq!((found.len(), &found[0]["window_end"]), (1, &json!(end + 3_600_000)));

    // As a run does that was killed; but then the same.
    let again = case.changed(0, |lines| lines.push(lines[place].clone()));
    assert_eq!(again.0["violations"], 0, "{}", again.0);
    let contradicted = case.forged(|lines| {
        let mut before = lines[place].clone();
        before["items"][1]["upper"] = json!(1_000_000);
        lines.insert(place, before);
    });
    only(contradicted, "contradiction", 1);

    let total = case.forged(|lines| lines[place]["total"] = json!(1));
    only(total, "total", 1);
    let mut audit = case.audit(&["--rankings", path(&case.dir.join("forged.ndjson"))]);
    assert_eq!(audit.wait(PATIENCE).code(), Some(1), "{}", audit.describe());
    let table = audit.stdout().join("\n");
    assert!(table.contains("violations: 1, of which\n  wrong total: default "), "{table}");
}

#[test]
fn what_cannot_be_audited_is_refused_by_name() {
    let case = Case::new(2_000);
    let refused = |more: &[&str], expected: &str| {
        let mut audit = case.audit(more);
        assert_eq!(audit.wait(PATIENCE).code(), Some(2), "{}", audit.describe());
        let reason = audit.stderr().join("\n");
        assert!(reason.contains(expected), "{more:?}: {reason}");
    };
    let (early, late) = ("2024-03-28T22:21:00Z", "2024-03-28T22:22:00Z");
    refused(&["--from", late, "--to", early], "--to = \"2024-03-28T22:21:00Z\": there is no pane");
    refused(&["--from", early], "--to: must be given");
    refused(&["--to", late], "--from: must be given");
    refused(&["--from", "soon", "--to", late], "--from = \"soon\": must be a time");
    refused(&["--from", "0=1", "--to", "0=2"], "--from: only a kafka://, log: or archive: source");
    refused(&["--board", "nobody"], "--board = \"nobody\": there is no such board, only default");
    refused(&["--processes", "2"], "--processes");
    refused(&["--state", &case.state(), "--pane", "500ms"], "time.pane");
    let missing = case.dir.join("nowhere");
    let mut audit = case.audit(&["--state", path(&missing)]);
    assert!(!audit.wait(PATIENCE).success(), "{}", audit.describe());
    assert!(audit.stderr().join("\n").contains(path(&missing)), "{}", audit.describe());
    let empty = new_folder("empty");
    refused(&["--state", path(&empty)], "--state");
    std::fs::remove_dir_all(empty).unwrap();
    refused(&["--rankings", path(&missing)], "--rankings");
    let words = case.dir.join("words.ndjson");
    std::fs::write(&words, "no ranking\n").unwrap();
    refused(&["--rankings", path(&words)], "line 1 is no ranking");
    let other = case.finals[0].to_string().replace("\"default\"", "\"other\"");
    std::fs::write(&words, other.replacen('{', "{\"computed_at\":0,", 1)).unwrap();
    refused(&["--rankings", path(&words)], "line 1 is of the board \"other\"");
    for (source, expected) in [
        ("-", "--source = \"-\""),
        ("demo:", "--source = \"demo:\""),
        ("log:/x", "--from and --to: must say"),
    ] {
        let mut audit = Crest::spawn(["audit", "--source", source]);
        assert_eq!(audit.wait(PATIENCE).code(), Some(2), "{}", audit.describe());
        assert!(audit.stderr().join("\n").contains(expected), "{}", audit.describe());
    }
}
