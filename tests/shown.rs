//! Which rows of a ranking are shown, and with which ranks, against a naive recount: over files whose panes fit the sketch
//! and over files whose panes do not, and counted exactly.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::events::{Event, START, Traffic, write_files};
use common::new_folder;
use common::program::{Crest, path};
use common::recount::{Counts, Group, Recount, judge_claims, rank};
use common::rules::{Board, Rules, Window};
use common::web::Web;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const K: usize = 12;
const WINDOWS: &str = r#"windows = [ { name = "last_40s", size = "40s", slide = "20s" }, { name = "all" } ]"#;
/// The least count that is shown, where some are withheld.
const LEAST: u64 = 15;

/// Files of events, and what is true of them.
struct Files {
    dir: PathBuf,
    source: String,
    recount: Recount,
}

impl Files {
    fn new(purpose: &str) -> Files {
        let traffic = Traffic {
            events: 8000,
            items: 300,
            skew: 0.8,
            span: 200_000,
            regions: vec!["IN", "US"],
            ..Traffic::default()
        };
        Files::of(purpose, &traffic.logs(2))
    }

    fn of(purpose: &str, logs: &[Vec<Event>]) -> Files {
        let windows = vec![Window { name: "last_40s", size: 40_000, slide: 20_000 }];
        let board = Board { by: vec!["region"], k: K, windows, ..Board::default() };
        let rules = Rules { boards: vec![board], ..Rules::default() };
        let dir = new_folder(purpose);
        let source = write_files(&dir, logs);
        Files { dir, source, recount: Recount::new(&rules, logs) }
    }

    /// The final rankings of boards, each of a name and lines of its own, whose sketches count so many items exactly. The
    /// state stays.
    fn ranked(&self, boards: &[(String, String)], rows: usize) -> Vec<Value> {
        let _ = std::fs::remove_dir_all(self.state());
        let mut text = format!("[sketch]\nrows = {rows}\nrows_kept = {}\n", 10 * K);
        for (name, lines) in boards {
            text += &format!("[[board]]\nname = {name:?}\nk = {K}\nby = [\"region\"]\n{WINDOWS}\n{lines}\n");
        }
        let config = self.dir.join("crest.toml");
        std::fs::write(&config, text).unwrap();
        let state = self.state();
        let job = ["--config", path(&config), "--source", &self.source, "--state", path(&state), "-w", "2"];
        Crest::spawn(job).finals()
    }

    fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// The true counts in the window and group of a ranking.
    fn truth(&self, ranking: &Value) -> Counts {
        let time = |name: &str| ranking[name].as_i64().unwrap();
        let group: Group = serde_json::from_value(ranking["group"].clone()).unwrap();
        let all = self.recount.between("default", time("window_start"), time("window_end"));
        all.get(&group).cloned().unwrap_or_default()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// The engines, and how many items a sketch of theirs counts exactly.
const ENGINES: [(&str, usize); 3] = [("sketch", 4096), ("sketch", 32), ("exact", 4096)];

fn rows(ranking: &Value) -> &[Value] {
    ranking["items"].as_array().unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value}: not a count"))
}

#[test]
fn equal_counts_share_a_rank_where_the_board_says_so() {
    let files = Files::new("shown-ties");
    for (engine, exact_rows) in ENGINES {
        let board = |ties: &str| (ties.to_owned(), format!("engine = {engine:?}\nties = {ties:?}"));
        let finals = files.ranked(&["ordinal", "competition", "dense"].map(board), exact_rows);
        let (mut before, mut shared) = (BTreeMap::<String, BTreeMap<String, u64>>::new(), 0);
        for ranking in &finals {
            let counts: Vec<u64> = rows(ranking).iter().map(|row| number(&row["count"])).collect();
            let of = format!("{} {} {}", ranking["board"], ranking["window"], ranking["group"]);
            let earlier = before.entry(of).or_default();
            let mut ranks = BTreeMap::new();
            for (at, row) in rows(ranking).iter().enumerate() {
                let greater: Vec<u64> = counts.iter().copied().filter(|count| *count > counts[at]).collect();
                let expected = match ranking["board"].as_str().unwrap() {
                    "ordinal" => at + 1,
                    "competition" => greater.len() + 1,
                    _ => greater.into_iter().collect::<BTreeSet<_>>().len() + 1,
                } as u64;
                let id = row["item_id"].as_str().unwrap().to_owned();
                assert_eq!(row["rank"], expected, "{ranking}");
                let change = earlier.get(&id).map(|rank| *rank as i64 - expected as i64);
                assert_eq!(row["change"].as_i64(), change, "{ranking}");
                shared += u64::from(expected != at as u64 + 1);
                ranks.insert(id, expected);
            }
            *earlier = ranks;
        }
        assert!(shared > 0, "some rows share a rank");
        let items = |board: &str| -> Vec<Vec<(&Value, &Value)>> {
            let of = finals.iter().filter(|ranking| ranking["board"] == board);
            of.map(|ranking| rows(ranking).iter().map(|row| (&row["item_id"], &row["count"])).collect())
                .collect()
        };
        assert!(items("ordinal") == items("dense") && items("ordinal") == items("competition"));
    }
}

fn ids(ranking: &Value) -> Vec<&str> {
    rows(ranking).iter().map(|row| row["item_id"].as_str().unwrap()).collect()
}

/// Who is shown where counts are exact: of the top K those of at least [`LEAST`], and less of them where what is left would
/// be little.
fn shown(truth: &Counts) -> Vec<String> {
    let mut shown: Vec<_> = rank(truth, K).into_iter().filter(|(_, count)| *count >= LEAST).collect();
    let total: u64 = truth.values().sum();
    let left = |shown: &[(String, u64)]| total - shown.iter().map(|(_, count)| count).sum::<u64>();
    while (1..LEAST).contains(&left(&shown)) && shown.pop().is_some() {}
    shown.into_iter().map(|(item, _)| item).collect()
}

/// What is left to all that are not shown gives nobody away.
fn hides_the_few(ranking: &Value, truth: &Counts) {
    judge_claims(ranking, truth, K);
    assert!(rows(ranking).iter().all(|row| number(&row["lower"]) >= LEAST), "{ranking}");
    let listed = ids(ranking);
    let left: u64 =
        truth.iter().filter(|(item, _)| !listed.contains(&item.as_str())).map(|(_, count)| count).sum();
    assert!(left == 0 || left >= LEAST || listed.is_empty(), "{left} are left: {ranking}");
    assert!(number(&ranking["error_floor"]) >= LEAST - 1);
}

#[test]
fn nothing_is_told_of_items_of_too_few() {
    let files = Files::new("shown-few");
    for (engine, exact_rows) in ENGINES {
        let board = ("few".to_owned(), format!("engine = {engine:?}\nmin_count = {LEAST}"));
        let finals = files.ranked(&[board], exact_rows);
        let (mut withheld, mut told) = (0, 0);
        for ranking in &finals {
            let truth = files.truth(ranking);
            hides_the_few(ranking, &truth);
            if exact_rows == 4096 {
                assert_eq!(ids(ranking), shown(&truth), "{ranking}");
            }
            withheld += truth.len().min(K) - ids(ranking).len();
            told += ids(ranking).len();
        }
        assert!(withheld > 100 && told > 100, "{withheld} withheld, {told} told");

        // A node that knows the board from its state hides the same.
        let (mut node, web) = Web::of_new(["serve", "--state", path(&files.state())]);
        for (window, region) in [("40s", "IN"), ("80s", "US"), ("200s", "IN")] {
            few_are_hidden_in_the_past(
                &files,
                &web,
                &format!("window={window}&region={region}"),
                exact_rows == 4096,
            );
        }
        node.kill();
    }
}

/// What an answer says of an item's count.
const SAID: [&str; 7] = ["count", "lower", "upper", "exact", "listed", "rank", "withheld"];

fn few_are_hidden_in_the_past(files: &Files, web: &Web, asked: &str, is_exact: bool) {
    let ranking = web.json(&format!("/top-k/few?{asked}"));
    let truth = files.truth(&ranking);
    hides_the_few(&ranking, &truth);
    let said = |id: &str| {
        let item = web.json(&format!("/items/few/{id}?{asked}"));
        SAID.map(|name| item[name].clone())
    };
    let nobody = said("nobody");
    assert_eq!((&nobody[1], &nobody[5], &nobody[6]), (&0.into(), &Value::Null, &true.into()));
    let listed = ids(&ranking);
    for id in truth.keys() {
        let item = said(id);
        let (lower, upper) = (number(&item[1]), number(&item[2]));
        assert!((lower..=upper).contains(&truth[id]) && (lower == 0 || lower >= LEAST), "{id}: {item:?}");
        if is_exact && !listed.contains(&id.as_str()) && truth[id] < LEAST {
            assert_eq!(item, nobody, "{id} is told from one without an event");
        }
    }
    let series = web.json(&format!("/series/few?{asked}&step=10s&k={K}"));
    assert_eq!(ids(&series), listed);
    let points = series["points"].as_array().unwrap();
    assert!(points.iter().any(|point| number(&point["lower"]) == 0), "some steps have few");
    for point in points {
        let id = point["item_id"].as_str().unwrap();
        let (lower, upper) = (number(&point["lower"]), number(&point["upper"]));
        let count = files.truth(&with_times(&series, point)).get(id).copied().unwrap_or(0);
        assert!(listed.contains(&id) && (lower..=upper).contains(&count), "{count} is not in {point}");
        assert!(lower >= LEAST || (lower == 0 && upper >= LEAST - 1), "{point}");
    }
}

/// A ranking with the times of a point.
fn with_times(ranking: &Value, point: &Value) -> Value {
    let mut of = ranking.clone();
    for name in ["window_start", "window_end"] {
        of[name] = point[name].clone();
    }
    of
}

/// A list of the items with the most events among others that no event has, and of some of the middle.
fn blocklist(files: &Files) -> (BTreeSet<String>, PathBuf) {
    let blocked: BTreeSet<String> =
        (1..=8).chain([11, 13]).chain(30..90).map(|rank| format!("item-{rank}")).collect();
    let unknown = (0..100_000).map(|number| format!("nobody-{number}"));
    let lines: Vec<String> = unknown.chain(blocked.iter().cloned()).collect();
    let file = files.dir.join("blocked.txt");
    std::fs::write(&file, lines.join("\r\n")).unwrap();
    (blocked, file)
}

/// A ranking is that of those who are not blocked: it is judged as if the others had not been counted.
fn leaves_out(ranking: &Value, mut truth: Counts, blocked: &BTreeSet<String>, is_exact: bool) {
    let all: u64 = truth.values().sum();
    assert_eq!(number(&ranking["total"]), all);
    truth.retain(|item, _| !blocked.contains(item));
    let weight = all - truth.values().sum::<u64>();
    let mut others = ranking.clone();
    others["total"] = (all - weight).into();
    for bound in ["count", "lower", "upper"] {
        others["other"][bound] = number(&ranking["other"][bound]).saturating_sub(weight).into();
    }
    others["other"]["exact"] = (others["other"]["lower"] == others["other"]["upper"]).into();
    judge_claims(&others, &truth, K);
    if is_exact {
        let expected: Vec<String> = rank(&truth, K).into_iter().map(|(item, _)| item).collect();
        assert_eq!(ids(ranking), expected, "{ranking}");
        assert_eq!(number(&ranking["guaranteed"]), expected.len() as u64);
    }
    assert!(rows(ranking).iter().zip(1..).all(|(row, place)| row["rank"] == place));
}

#[test]
fn who_is_blocked_takes_no_place() {
    let files = Files::new("shown-blocked");
    let (blocked, list) = blocklist(&files);
    for (engine, exact_rows) in ENGINES {
        let lines = format!("engine = {engine:?}\nblocklist = {:?}", path(&list));
        let finals = files.ranked(&[("others".to_owned(), lines)], exact_rows);
        let is_exact = exact_rows == 4096;
        assert!(finals.len() > 30);
        for ranking in &finals {
            leaves_out(ranking, files.truth(ranking), &blocked, is_exact);
        }
        let config = files.dir.join("crest.toml");
        let line = |ranking: &Value| {
            let mut line = ranking.clone();
            line["computed_at"] = 1.into();
            line.to_string() + "\n"
        };
        let lines: String = finals.iter().map(line).collect();
        let published = files.dir.join("published.ndjson");
        std::fs::write(&published, lines).unwrap();
        let job = ["--config", path(&config), "--source", &files.source];
        for judged in [["--state", path(&files.state())], ["--rankings", path(&published)]] {
            let mut audit = Crest::spawn([&["audit"], &job[..], &judged[..]].concat());
            let status = audit.wait(std::time::Duration::from_secs(60));
            assert!(status.success(), "nobody who is blocked is missed: {}", audit.describe());
        }
        let state = files.state();
        let node = ["serve", "--config", path(&config), "--state", path(&state)];
        let (mut node, web) = Web::of_new(node);
        for asked in ["window=40s&region=IN", "window=80s", "window=200s"] {
            blocked_are_left_out_of_the_past(&files, &web, asked, (&blocked, is_exact));
        }
        node.kill();
    }
}

fn blocked_are_left_out_of_the_past(
    files: &Files,
    web: &Web,
    asked: &str,
    (blocked, is_exact): (&BTreeSet<String>, bool),
) {
    let ranking = web.json(&format!("/top-k/others?{asked}&k={K}"));
    let mut truth = files.truth(&ranking);
    leaves_out(&ranking, truth.clone(), blocked, is_exact);
    let series = web.json(&format!("/series/others?{asked}&step=20s&k={K}"));
    assert_eq!(ids(&series), ids(&ranking));
    let all = truth.clone();
    truth.retain(|item, _| !blocked.contains(item));
    let places: BTreeMap<String, u64> =
        rank(&truth, truth.len()).into_iter().zip(1..).map(|((item, _), place)| (item, place)).collect();
    for (id, count) in &all {
        let item = web.json(&format!("/items/others/{id}?{asked}"));
        assert!(
            (number(&item["lower"])..=number(&item["upper"])).contains(count),
            "{count} is not in {item}"
        );
        assert_eq!(item["blocked"] == true, blocked.contains(id), "{item}");
        match places.get(id) {
            None => assert_eq!(item["rank"], Value::Null, "{item}"),
            Some(place) => {
                let range = number(&item["rank"]["best"])..=number(&item["rank"]["worst"]);
                assert!(range.contains(place), "{place} of those who are not blocked is not in {item}");
            }
        }
    }
}

/// The items of some regions, with their counts: together those of at least [`LEAST`] leave few, or nothing. Blocked ones have
/// names in capitals.
fn few_are_left() -> Vec<(&'static str, Vec<(String, u64)>)> {
    let named = |items: &[(&str, u64)]| items.iter().map(|(id, count)| ((*id).to_owned(), *count)).collect();
    // More than a ranking has.
    let many: Vec<(String, u64)> = (0..K as u64 + 3).map(|at| (format!("item-{at}"), 20 + at)).collect();
    let and = |more: &[(&str, u64)]| {
        let more: Vec<(String, u64)> = named(more);
        many.iter().cloned().chain(more).collect()
    };
    vec![
        ("tail", and(&[("hidden", 3)])),
        ("nothing", and(&[])),
        ("blocked", and(&[("BIG", 90), ("SMALL", 16), ("hidden", 9), ("other", 5)])),
        ("leader", named(&[("BIG", 60), ("item-0", 35), ("hidden", 5)])),
        ("alone", named(&[("BIG", 16), ("hidden", 5)])),
    ]
}

#[test]
fn what_is_told_of_some_items_leaves_no_few_behind() {
    let regions = few_are_left();
    let mut events: Vec<Event> = Vec::new();
    for (region, items) in &regions {
        let ids = items.iter().flat_map(|(id, count)| (0..*count).map(move |_| id));
        // All of them come again and again.
        let time = |at: i64| START + at * 7_919 % 200_000;
        events.extend(ids.zip(0..).map(|(id, at)| Event::new(id, time(at)).with("region", region)));
    }
    events.sort_by_key(|event| event.time);
    let files = Files::of("shown-some", &[events]);
    let list = files.dir.join("blocked.txt");
    std::fs::write(&list, "BIG\nSMALL\n").unwrap();
    for (engine, exact_rows) in [("sketch", 4096), ("sketch", 32), ("exact", 4096)] {
        let lines = format!("engine = {engine:?}\nmin_count = {LEAST}\nblocklist = {:?}", path(&list));
        files.ranked(&[("few".to_owned(), lines)], exact_rows);
        let (config, state) = (files.dir.join("crest.toml"), files.state());
        let node = ["serve", "--config", path(&config), "--state", path(&state)];
        let (mut node, web) = Web::of_new(node);
        for (region, items) in &regions {
            let asked = format!("window=600s&region={region}");
            let truth: Counts = items.iter().cloned().collect();
            some_leave_no_few(&web, &asked, &truth, exact_rows == 4096);
        }
        node.kill();
    }
}

fn some_leave_no_few(web: &Web, asked: &str, truth: &Counts, is_exact: bool) {
    let ranking = web.json(&format!("/top-k/few?{asked}"));
    let item = |id: &str| web.json(&format!("/items/few/{id}?{asked}"));
    let (nobody, mut told) = (item("nobody"), Vec::new());
    for (id, count) in truth {
        let said = item(id);
        let (lower, upper) = (number(&said["lower"]), number(&said["upper"]));
        assert!((lower..=upper).contains(count), "{count}: {said}");
        assert_eq!(said["blocked"] == true, id.to_uppercase() == *id, "{said}");
        if said["withheld"] != true {
            told.push((id.as_str(), lower, upper));
        } else if is_exact && *count < LEAST {
            assert_eq!(
                SAID.map(|name| &said[name]),
                SAID.map(|name| &nobody[name]),
                "{id} is told from nobody"
            );
        }
    }
    let total = number(&ranking["total"]);
    assert_eq!(total, truth.values().sum::<u64>());
    let sum = |of: fn(&(&str, u64, u64)) -> u64| told.iter().map(of).sum::<u64>();
    let (least, most) = (total.saturating_sub(sum(|told| told.2)), total - sum(|told| told.1));
    assert!(
        most == 0 || least >= LEAST || told.is_empty(),
        "{asked}: {least} to {most} are left by {told:?}"
    );
    // The ranking tells no more.
    for row in rows(&ranking) {
        let row = (row["item_id"].as_str().unwrap(), number(&row["lower"]), number(&row["upper"]));
        assert!(told.contains(&row), "{asked}: {row:?} is in the ranking: {told:?}");
    }
    let few = truth.values().filter(|count| **count < LEAST).count();
    if is_exact {
        assert_eq!(
            told.len() == truth.len(),
            few == 0,
            "{asked}: no more is withheld than must be: {told:?}"
        );
        assert!(told.len() + few + 2 >= truth.len(), "{asked}: {told:?}");
    }
}
