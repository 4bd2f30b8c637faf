//! The baseline: the tuned script of the bench of formats, over several files side by side. One thread, serde_json with borrowed
//! fields, ids interned as numbers, a rolling sum for each window. It is exact, and refuses nothing.

use crate::lines::Lines;
use crate::panes::Counter;
use crate::windows::Spec;
use serde::Deserialize;
use std::borrow::Cow;
use std::io::{BufWriter, stdout};

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    item_id: Cow<'a, str>,
    timestamp: i64,
}

/// Ranks the events of the files that match a pattern in these windows. The files advance together, a buffer of each in turn, whose events are fewer
/// seconds apart than the script waits for disorder.
pub fn count(pattern: &str, windows: &[Spec]) {
    let mut files: Vec<Lines> =
        glob::glob(pattern).unwrap().map(|file| Lines::open(&file.unwrap())).collect();
    let mut counter = Counter::new(windows, BufWriter::new(stdout().lock()));
    while !files.is_empty() {
        files.retain_mut(|lines| {
            lines.take(|line| {
                let event: Event = serde_json::from_slice(line).unwrap();
                counter.count(&event.item_id, event.timestamp);
            })
        });
    }
    counter.finish();
}
