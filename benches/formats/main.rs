//! Events of the shapes that people have, files to rankings: processor time an event beside that of a tuned script and,
//! where Python has it, of DuckDB, in one run.
//!
//! `cargo bench --bench formats` measures all shapes; `-- nested` those whose names contain the word. Sizes are set by the
//! environment: `EVENTS` (as many as make 200 MB), `ITEMS` (1,000,000), `ROUNDS` (7). What is measured runs as a process of
//! its own over a file in the system's cache; the rounds take turns, in alternating order, since machines are shared.
//! Medians are printed, and the medians of the ratios of each round. Before anything is measured, the script must
//! give the rankings that crest gives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod check;
mod costs;
mod duckdb;
mod event;
#[path = "../pipeline/figures.rs"]
mod figures;
mod ids;
mod input;
mod lines;
#[path = "../pipeline/measure.rs"]
#[allow(dead_code)] // its table is of one input; this one is of many
mod measure;
mod panes;
mod rounds;
mod script;
mod shape;
mod table;
mod windows;

use input::Input;
use shape::{SHAPES, Shape};

const BYTES: usize = 200_000_000;

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |value| value.parse().expect("a whole number"))
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["script", name, file] => script::rank(Shape::named(name).layout, file.as_ref()),
        words => measure_all(words),
    }
}

fn measure_all(words: &[&str]) {
    let wanted = |shape: &&Shape| words.is_empty() || words.iter().any(|word| shape.name.contains(word));
    let shapes: Vec<&Shape> = SHAPES.iter().filter(wanted).collect();
    assert!(
        !shapes.is_empty(),
        "no shape is called {words:?}; there are {:?}",
        SHAPES.map(|shape| shape.name)
    );
    let (items, rounds) = (setting("ITEMS", 1_000_000), setting("ROUNDS", 7));
    shapes.iter().for_each(|shape| check::agree(shape));
    let duckdb = duckdb::version();
    println!(
        "crest -w 1, Zipf 1.0 over {items} items, medians of {rounds} rounds, {}\n",
        duckdb.as_ref().map_or("no DuckDB in python3".into(), |version| format!("DuckDB {version}"))
    );
    let measured: Vec<costs::Row> = shapes
        .into_iter()
        .map(|shape| {
            let events = setting("EVENTS", BYTES / shape.bytes);
            let input = Input::write(shape, events, items, input::MICROS);
            rounds::measure(shape, &input, rounds, duckdb.is_some())
        })
        .collect();
    table::print(&measured);
}
