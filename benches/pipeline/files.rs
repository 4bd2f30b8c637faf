//! Files to rankings.

use crate::measure::{Table, run};
use std::path::Path;
use std::process::Command;

pub fn measure(dir: &Path, events: usize, rounds: usize) {
    let pattern = format!("{}/part-*.ndjson", dir.display());
    let source = format!("file:{pattern}");
    let mut table =
        Table::new(events, &["script: serde_json, HashMap", "crest, 1 worker", "crest, 2 workers"]);
    for _ in 0..rounds {
        let mut script = Command::new(std::env::current_exe().unwrap());
        table.add(0, run(script.args(["baseline", &pattern]), |_| false));
        for workers in [1, 2] {
            let mut crest = Command::new(env!("CARGO_BIN_EXE_crest"));
            let place = workers.to_string();
            table.add(workers, run(crest.args(["--source", &source, "-w", &place]), |_| false));
        }
    }
    table.print("files to rankings");
}
