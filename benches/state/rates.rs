//! Events a second with state against without, and of a backfill against a live job.

use crate::measure::{Table, run};
use crate::{setting, traffic};
use std::process::Command;

pub fn measure(rounds: usize) {
    let (events, dir) = (setting("EVENTS", 5_000_000), tempfile::tempdir().unwrap());
    traffic::write(dir.path(), events, 1_000_000, 4);
    let source = format!("file:{}/part-*.ndjson", dir.path().display());
    let mut table = Table::new(events, &["crest, without state", "crest, with --state"]);
    for _ in 0..rounds {
        for row in [0, 1] {
            let state = tempfile::tempdir_in(dir.path()).unwrap();
            let mut crest = Command::new(env!("CARGO_BIN_EXE_crest"));
            crest.args(["--source", &source, "--snapshots", "-", "--http", "off"]).env("CREST_LOG", "warn");
            if row == 1 {
                crest.arg("--state").arg(state.path());
            }
            table.add(row, run(&mut crest, |_| false));
        }
    }
    table.print("files to rankings, 1 worker");
}
