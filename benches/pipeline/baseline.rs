//! The baseline that anybody would write first: one thread, serde_json, a map for each pane, summed for each
//! window. It is exact, waits for no disorder, and refuses nothing.

use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};

#[derive(Deserialize)]
struct Event {
    item_id: String,
    timestamp: i64,
}

const PANE: i64 = 10_000;

pub fn count(pattern: &str) {
    let mut panes: BTreeMap<i64, HashMap<String, u64>> = BTreeMap::new();
    for file in glob::glob(pattern).unwrap() {
        for line in BufReader::new(File::open(file.unwrap()).unwrap()).lines() {
            let event: Event = serde_json::from_str(&line.unwrap()).unwrap();
            *panes.entry(event.timestamp / PANE).or_default().entry(event.item_id).or_default() += 1;
        }
    }
    for (size, slide) in [(6, 1), (360, 1), (8640, 6)] {
        let (first, last) = (*panes.keys().next().unwrap(), *panes.keys().next_back().unwrap());
        for end in (first + 1..=last + 1).filter(|end| end % slide == 0) {
            let mut window: HashMap<&str, u64> = HashMap::new();
            for counts in panes.range(end - size..end).map(|(_, counts)| counts) {
                counts.iter().for_each(|(item, count)| *window.entry(item).or_default() += count);
            }
            let mut rows: Vec<_> = window.into_iter().map(|(item, count)| (count, item)).collect();
            let k = rows.len().min(100);
            rows.select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
            rows.truncate(k);
            rows.sort_by(|a, b| b.cmp(a));
            println!("{end} {size} {rows:?}");
        }
    }
}
