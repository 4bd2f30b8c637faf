//! The tuned script, the fastest that a user would write: one thread, serde_json with borrowed fields, ids interned as
//! numbers, a rolling sum for each window. It is exact, and waits for disorder as crest does by default.

use crate::lines::Lines;
use crate::panes::Counter;
use crate::shape::{Layout, Shape};
use crate::windows::WINDOWS;
use serde::Deserialize;
use std::borrow::Cow;
use std::io::{BufWriter, stdout};
use std::path::Path;
use std::process::Command;

#[derive(Deserialize)]
struct Flat<'a> {
    #[serde(borrow)]
    item_id: Cow<'a, str>,
    timestamp: i64,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Data<'a>,
    time: i64,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    product: Product<'a>,
}

#[derive(Deserialize)]
struct Product<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    properties: Properties<'a>,
    timestamp: i64,
}

#[derive(Deserialize)]
struct Properties<'a> {
    #[serde(borrow)]
    product_id: Cow<'a, str>,
}

/// The script over a file, as a process of its own.
pub fn command(shape: &Shape, file: &Path) -> Command {
    let mut script = Command::new(std::env::current_exe().unwrap());
    script.args(["script", shape.name]).arg(file);
    script
}

/// Reads a file of events and prints the rankings.
pub fn rank(layout: Layout, file: &Path) {
    match layout {
        Layout::Flat | Layout::Escaped => rank_by(file, |line| {
            let event: Flat = serde_json::from_slice(line).unwrap();
            (event.item_id, event.timestamp)
        }),
        Layout::Envelope => rank_by(file, |line| {
            let event: Envelope = serde_json::from_slice(line).unwrap();
            (event.data.product.id, event.time)
        }),
        Layout::Call => rank_by(file, |line| {
            let event: Call = serde_json::from_slice(line).unwrap();
            (event.properties.product_id, event.timestamp)
        }),
    }
}

fn rank_by(file: &Path, parse: impl for<'a> Fn(&'a [u8]) -> (Cow<'a, str>, i64)) {
    let mut counter = Counter::new(&WINDOWS, BufWriter::new(stdout().lock()));
    let mut lines = Lines::open(file);
    while lines.take(|line| {
        let (item, time) = parse(line);
        counter.count(&item, time);
    }) {}
    counter.finish();
}
