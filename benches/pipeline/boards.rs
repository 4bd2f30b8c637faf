//! Files to rankings with several boards: what they cost against one on the same events.

use crate::figures::note;
use crate::measure::{Table, run};
use crate::program;
use std::path::Path;

const BOARDS: [usize; 3] = [1, 4, 16];

/// Measures boards that select alike.
pub fn measure(dir: &Path, events: usize, rounds: usize) {
    let source = format!("file:{}/part-*.ndjson", dir.display());
    let programs = program::all();
    let rows = || programs.iter().flat_map(|program| BOARDS.map(|boards| (program, boards)));
    let names: Vec<_> =
        rows().map(|(program, boards)| format!("{}, {boards} board(s)", program.name)).collect();
    let mut table = Table::new(events, &names);
    let configs = BOARDS.map(|boards| {
        let board = |number: usize| {
            format!("[[board]]\nname = \"b{number}\"\nwindows = [ {{ name = \"each_1m\", size = \"1m\", slide = \"1m\" }} ]\n")
        };
        let config = dir.join(format!("{boards}-boards.toml"));
        std::fs::write(&config, (0..boards).map(board).collect::<String>()).unwrap();
        config
    });
    for _ in 0..rounds {
        for ((row, (program, _)), config) in rows().enumerate().zip(configs.iter().cycle()) {
            let mut crest = program.command();
            crest.arg("--config").arg(config).args(["--source", &source, "-w", "1", "--snapshots", "-"]);
            table.add(row, run(&mut crest, |_| false));
        }
    }
    table.print("files to rankings, with boards");
    let cpu = |row: usize| table.median(row, |cost| cost.cpu);
    for (row, budget) in (1..BOARDS.len()).zip(["1.5", "4"]) {
        let what = format!("{} boards that select alike, files", BOARDS[row]);
        note(&what, cpu(row) / cpu(0), "times the CPU of one", budget);
    }
}
