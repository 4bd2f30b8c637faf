//! The figures by which a bench is judged. `scripts/bench` gives the name of a file, to which each is written on a line of its
//! own, and makes one table of all.

use std::fs::OpenOptions;
use std::io::Write;

/// Notes a figure: what was measured, how much it was in a unit, and the budget, as people say it.
///
/// # Panics
/// The file that `BENCH_FIGURES` names cannot be written.
pub fn note(what: &str, measured: f64, unit: &str, budget: &str) {
    let Some(file) = std::env::var_os("BENCH_FIGURES") else { return };
    let mut file =
        OpenOptions::new().append(true).create(true).open(file).expect("the file of figures opens");
    let digits = if measured.abs() < 20.0 { 2 } else { 0 };
    let line = format!("{what}\t{measured:.digits$} {unit}\t{budget}\n");
    file.write_all(line.as_bytes()).expect("the file of figures takes a line");
}
