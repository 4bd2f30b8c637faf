//! Which rows of a ranking are shown, and with which ranks, against a naive recount: over files whose panes fit the sketch
//! and over files whose panes do not, and counted exactly.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::events::{Traffic, write_files};
use common::new_folder;
use common::program::{Crest, path};
use common::recount::{Counts, Group, Recount};
use common::rules::{Board, Rules, Window};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const K: usize = 12;
const WINDOWS: &str = r#"windows = [ { name = "last_40s", size = "40s", slide = "20s" }, { name = "all" } ]"#;

/// Files of events, and what is true of them.
struct Files {
    dir: PathBuf,
    source: String,
    recount: Recount,
}

impl Files {
    fn new(purpose: &str) -> Files {
        let windows = vec![Window { name: "last_40s", size: 40_000, slide: 20_000 }];
        let board = Board { by: vec!["region"], k: K, windows, ..Board::default() };
        let rules = Rules { boards: vec![board], ..Rules::default() };
        let traffic = Traffic {
            events: 8000,
            items: 300,
            skew: 0.8,
            span: 200_000,
            regions: vec!["IN", "US"],
            ..Traffic::default()
        };
        let (dir, logs) = (new_folder(purpose), traffic.logs(2));
        let source = write_files(&dir, &logs);
        Files { dir, source, recount: Recount::new(&rules, &logs) }
    }

    /// The final rankings of boards, each of a name and lines of its own, whose sketches count so many items exactly.
    fn ranked(&self, boards: &[(String, String)], rows: usize) -> Vec<Value> {
        let mut text = format!("[sketch]\nrows = {rows}\nrows_kept = {}\n", 10 * K);
        for (name, lines) in boards {
            text += &format!("[[board]]\nname = {name:?}\nk = {K}\nby = [\"region\"]\n{WINDOWS}\n{lines}\n");
        }
        let config = self.dir.join("crest.toml");
        std::fs::write(&config, text).unwrap();
        Crest::spawn(["--config", path(&config), "--source", &self.source, "--http", "off", "-w", "2"])
            .finals()
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

/// What a ranking is of, whatever its board.
fn place(ranking: &Value) -> String {
    format!("{} {} {}", ranking["window"], ranking["group"], ranking["window_end"])
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
