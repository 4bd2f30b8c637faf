//! The tuned script, the fastest that a user would write: one thread, serde_json with borrowed fields, ids interned as
//! numbers, a rolling sum for each window. It is exact, and waits for disorder as crest does by default.

use crate::panes::Counter;
use crate::shape::{Layout, Shape};
use memchr::memchr_iter;
use serde::Deserialize;
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufWriter, Read, stdout};
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
    let mut counter = Counter::new(BufWriter::new(stdout().lock()));
    lines(file, |line| {
        let (item, time) = parse(line);
        counter.count(&item, time);
    });
    counter.finish();
}

/// The lines of a file, each of which ends in a line feed, out of a large buffer.
fn lines(file: &Path, mut take: impl FnMut(&[u8])) {
    let mut file = File::open(file).unwrap();
    let (mut buffer, mut held) = (vec![0; 1 << 18], 0);
    loop {
        let read = file.read(&mut buffer[held..]).unwrap();
        if read == 0 {
            return;
        }
        let filled = held + read;
        let mut start = 0;
        for end in memchr_iter(b'\n', &buffer[held..filled]).map(|at| held + at) {
            take(&buffer[start..end]);
            start = end + 1;
        }
        buffer.copy_within(start..filled, 0);
        held = filled - start;
    }
}
