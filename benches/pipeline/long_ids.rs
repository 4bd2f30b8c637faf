//! The memory that a job takes of ids that are long and never come again.

use crate::figures::note;
use crate::measure::{Table, run_from};
use crate::program;
use crate::traffic::START;
use std::io::Write;
use std::process::{Command, Stdio};

/// Bytes of an id: its number, and what is the same in all.
const NUMBER: usize = 12;
const SAME: usize = 1012;

/// Measures so many different ids of 1 KiB, through standard input.
pub fn measure(ids: usize) {
    let programs = program::all();
    let names: Vec<_> =
        programs.iter().map(|program| format!("{}, {ids} ids of 1 KiB", program.name)).collect();
    let mut table = Table::new(ids, &names);
    for (row, program) in programs.iter().enumerate() {
        let mut events = Command::new(std::env::current_exe().unwrap());
        let mut events = events.args(["long-ids", &ids.to_string()]).stdout(Stdio::piped()).spawn().unwrap();
        let mut crest = program.command();
        crest.args(["--source", "-", "-w", "1", "--state", "off", "--http", "off"]);
        let stdin = events.stdout.take().map_or_else(Stdio::null, Stdio::from);
        table.add(row, run_from(stdin, &mut crest, |_| false));
        assert!(events.wait().unwrap().success(), "all events were taken");
    }
    table.print("standard input, with the events' writer");
    let what = format!("{ids} different ids of 1 KiB");
    note(&what, table.median(0, |cost| cost.peak) / 1e6, "MB at most", "");
}

/// Writes the events, 20 a millisecond, each of another item.
pub fn write(ids: usize) {
    let mut out = std::io::BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    let same = "x".repeat(SAME);
    for n in 0..ids {
        // In no order: 7919 is prime, and no divisor of the usual numbers of ids.
        let id = n * 7919 % ids;
        let time = START + (n / 20) as i64;
        writeln!(out, r#"{{"item_id":"{id:0NUMBER$}{same}","event_type":"view","timestamp":{time}}}"#)
            .unwrap();
    }
    out.flush().unwrap();
}
