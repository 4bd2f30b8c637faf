//! The exact engine against the sketch and against a sliding sum, the tuned script of the other benches, on the same events in
//! the same run: events a second, processor time and peak memory, for a thousand to ten million distinct items; and from how
//! many on the exact one takes more memory than the sketch.
//!
//! `cargo bench --bench engines` measures all, in about ten minutes (`-- --quick`: a tenth of events and items, to see
//! that it works); `WORKERS` (1) and `ROUNDS` (1, of which medians are taken) are set by the environment. Items are
//! drawn by Zipf 1.0, and uniformly, which is the worst for memory; the windows are `last_1m` and `last_1h`, each
//! by itself, sliding by panes of 10 s that hold a million events each. The program runs as a process of its own, over files
//! in the system's cache of up to 2 GB, which are deleted after use. Where a machine is shared, processor time is what to
//! compare.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod compare;
mod crossing;
#[path = "../pipeline/figures.rs"]
mod figures;
#[path = "../formats/ids.rs"]
mod ids;
mod input;
#[path = "../formats/lines.rs"]
mod lines;
#[path = "../pipeline/measure.rs"]
#[allow(dead_code)] // its table is of one input; these are of many
mod measure;
#[path = "../formats/panes.rs"]
mod panes;
#[path = "../pipeline/baseline.rs"]
mod sum;
#[path = "../formats/windows.rs"]
mod windows;

use compare::{Compared, compare};
use crossing::{DOUBLE, MORE, crossing};
use input::{Input, Items, WINDOWS, Window};

pub fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |value| value.parse().expect("a whole number"))
}

/// Ids and events of each input. Of twelve million ids, twenty-two million events meet ten million.
const UNIFORM: [(usize, usize); 5] = [
    (1_000, 8_000_000),
    (10_000, 8_000_000),
    (100_000, 8_000_000),
    (1_000_000, 8_000_000),
    (12_000_000, 22_000_000),
];
const ZIPF: [(usize, usize); 3] = [(10_000, 8_000_000), (1_000_000, 8_000_000), (12_000_000, 22_000_000)];

fn main() {
    let scale = match std::env::args().skip(1).filter(|a| a != "--bench").collect::<Vec<_>>().as_slice() {
        [] => 1,
        [quick] if quick == "--quick" => 10,
        [verb, files, window] if verb == "sum" => return sum::count(files, &[Window::named(window).spec()]),
        other => panic!("unknown arguments {other:?}; there is --quick"),
    };
    let (workers, rounds) = (setting("WORKERS", 1), setting("ROUNDS", 1));
    println!("crest -w {workers}, medians of {rounds} rounds; \"ratio\" is exact to sketch\n");
    measure(Items::Zipf, &ZIPF, scale, workers, rounds);
    let uniform = measure(Items::Uniform, &UNIFORM, scale, workers, rounds);
    println!("Of items drawn uniformly, the exact engine takes");
    for (of_window, window) in uniform.iter().zip(&WINDOWS) {
        println!("  in {}: more memory than the sketch {}", window.name, crossing(of_window, MORE));
        println!("  in {}: twice the memory {}", window.name, crossing(of_window, DOUBLE));
    }
}

/// Measures each input in each window, and prints a table; what was measured, by window.
fn measure(
    items: Items,
    inputs: &[(usize, usize)],
    scale: usize,
    workers: usize,
    rounds: usize,
) -> [Vec<Compared>; WINDOWS.len()] {
    let mut measured = [(); WINDOWS.len()].map(|()| Vec::new());
    println!("{}", items.title());
    compare::print_head();
    for &(ids, events) in inputs {
        let input = Input::write(items, ids / scale, events / scale, scale);
        for (window, of_window) in WINDOWS.iter().zip(&mut measured) {
            let compared = compare(&input, window, workers, rounds);
            compared.print(window);
            compared.note(items.title(), window);
            of_window.push(compared);
        }
    }
    println!();
    measured
}
