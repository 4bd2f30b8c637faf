//! Files to rankings.

use crate::figures::note;
use crate::measure::{Table, run, speed_up};
use crate::program;
use std::path::Path;
use std::process::Command;

const WORKERS: [usize; 2] = [1, 2];

pub fn measure(dir: &Path, events: usize, rounds: usize) {
    let pattern = format!("{}/part-*.ndjson", dir.display());
    let source = format!("file:{pattern}");
    let programs = program::all();
    let mut names = vec!["tuned script, one thread".to_owned()];
    names.extend(
        programs.iter().flat_map(|program| WORKERS.map(|w| format!("{}, {w} worker(s)", program.name))),
    );
    let apart = names.len();
    names.push("two jobs, half of the files each".to_owned());
    let mut table = Table::new(events, &names);
    for _ in 0..rounds {
        let mut script = Command::new(std::env::current_exe().unwrap());
        table.add(0, run(script.args(["baseline", &pattern]), |_| false));
        let runs = programs.iter().flat_map(|program| WORKERS.map(|workers| (program, workers)));
        for (row, (program, workers)) in (1..).zip(runs) {
            let mut crest = program.command();
            table.add(row, run(crest.args(["--source", &source, "-w", &workers.to_string()]), |_| false));
        }
        table.add(apart, run(&mut two_jobs(dir), |_| false));
    }
    table.print("files to rankings");
    let cpu = |row: usize| table.median(row, |cost| cost.cpu);
    let (script, one, two) = (cpu(0), cpu(1), cpu(2));
    note("files, 92 bytes, one worker", one * 1e9 / events as f64, "ns of CPU an event", "100 ns");
    note("files, 92 bytes, one worker", one / script, "of the tuned script's CPU", "0.3");
    note("files, two workers against one", speed_up(&table, 1, 2), "times the events/s", "1.9");
    note("files, two workers against one", two / one, "times the CPU", "");
    note(
        "files, two jobs that share nothing against one",
        speed_up(&table, 1, apart),
        "times the events/s",
        "",
    );
}

/// Two jobs at the same time, which share nothing but the machine: what two workers could reach on it.
fn two_jobs(dir: &Path) -> Command {
    let job = |parts: &str| {
        let (crest, dir) = (env!("CARGO_BIN_EXE_crest"), dir.display());
        format!("{crest} -w 1 --state off --http off --source 'file:{dir}/part-[{parts}].ndjson' &")
    };
    let mut both = Command::new("sh");
    both.args(["-c", &format!("{} {} wait", job("01"), job("23"))]);
    both
}
