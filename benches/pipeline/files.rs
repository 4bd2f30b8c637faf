//! Files to rankings.

use crate::measure::{Table, run};
use crate::program;
use std::path::Path;
use std::process::Command;

const WORKERS: [usize; 2] = [1, 2];

pub fn measure(dir: &Path, events: usize, rounds: usize) {
    let pattern = format!("{}/part-*.ndjson", dir.display());
    let source = format!("file:{pattern}");
    let programs = program::all();
    let mut names = vec!["script: serde_json, HashMap".to_owned()];
    names.extend(
        programs.iter().flat_map(|program| WORKERS.map(|w| format!("{}, {w} worker(s)", program.name))),
    );
    let mut table = Table::new(events, &names);
    for _ in 0..rounds {
        let mut script = Command::new(std::env::current_exe().unwrap());
        table.add(0, run(script.args(["baseline", &pattern]), |_| false));
        let runs = programs.iter().flat_map(|program| WORKERS.map(|workers| (program, workers)));
        for (row, (program, workers)) in (1..).zip(runs) {
            let mut crest = program.command();
            table.add(row, run(crest.args(["--source", &source, "-w", &workers.to_string()]), |_| false));
        }
    }
    table.print("files to rankings");
}
