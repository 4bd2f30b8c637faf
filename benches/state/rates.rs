//! Events a second with state against without, and of a backfill against both.

use crate::figures::note;
use crate::measure::{Table, run, speed_up};
use crate::report::median;
use crate::{setting, traffic};
use std::path::Path;
use std::process::Command;

const ITEMS: usize = 1_000_000;
/// So few events that a run is all start and end.
const FEW: usize = 1000;

pub fn measure(rounds: usize) {
    let (events, many, few) =
        (setting("EVENTS", 10_000_000), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    traffic::write(many.path(), events, ITEMS, 4);
    traffic::write(few.path(), FEW, ITEMS, 4);
    let rows = ["crest, without state", "crest, with --state", "crest backfill, but for the last minute"];
    let mut table = Table::new(events, &rows);
    let mut ends = [vec![], vec![]];
    for _ in 0..rounds {
        let state = tempfile::tempdir_in(many.path()).unwrap();
        table.add(0, run(&mut job(many.path(), None), |_| false));
        table.add(1, run(&mut job(many.path(), Some(state.path())), |_| false));
        table.add(2, run(&mut backfill(many.path(), state.path(), events), |_| false));
        let state = tempfile::tempdir_in(few.path()).unwrap();
        ends[0].push(run(&mut job(few.path(), None), |_| false).wall);
        ends[1].push(run(&mut job(few.path(), Some(state.path())), |_| false).wall);
    }
    table.print("files to rankings, 1 worker");
    note("files to rankings with a state", speed_up(&table, 0, 1), "of the events/s without", "");
    note("backfill of the same files", speed_up(&table, 1, 2), "of the events/s with a state", "");
    let [without, with] = ends.map(|walls| median(&walls));
    println!(
        "of which start and end: {without:.2} s without state, {with:.2} s with it (the last commits are awaited)"
    );
}

fn crest(verb: &[&str], dir: &Path) -> Command {
    let mut crest = Command::new(env!("CARGO_BIN_EXE_crest"));
    let source = format!("file:{}/part-*.ndjson", dir.display());
    crest.args(verb).args(["--source", &source]).env("CREST_LOG", "warn");
    crest
}

fn job(dir: &Path, state: Option<&Path>) -> Command {
    let mut job = crest(&[], dir);
    job.args(["--snapshots", "-", "--http", "off"]);
    state.iter().for_each(|state| {
        job.arg("--state").arg(state);
    });
    job
}

/// Recounts what a job has counted, but for the last minute, which may be in part beyond what is durable.
fn backfill(dir: &Path, state: &Path, events: usize) -> Command {
    let minutes = (events / 1_000_000).saturating_sub(1).clamp(1, 59);
    let to = format!("2024-03-29T00:{minutes:02}:00Z");
    let mut backfill = crest(&["backfill"], dir);
    backfill.args(["--replace", "--from", "2024-03-29T00:00:00Z", "--to", &to, "--state"]).arg(state);
    backfill
}
