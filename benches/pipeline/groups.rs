//! Files to rankings with groups: what they cost against the same events without.

use crate::measure::{Table, run};
use crate::traffic;
use std::path::Path;
use std::process::Command;

const GROUPS: [usize; 4] = [0, 10, 1_000, 10_000];

pub fn measure(dir: &Path, events: usize, items: usize, rounds: usize) {
    let dir = dir.join("groups");
    std::fs::create_dir(&dir).unwrap();
    let names = GROUPS.map(|groups| format!("{groups} groups"));
    let mut table = Table::new(events, &names.each_ref().map(String::as_str));
    let files = GROUPS.map(|groups| {
        let file = dir.join(format!("{groups}.ndjson"));
        traffic::write_groups(&file, events, items, groups.max(1));
        format!("file:{}", file.display())
    });
    let config = |by: &str| format!("[[board]]\nname = \"b\"\n{by}windows = [ {{ name = \"each_1m\", size = \"1m\", slide = \"1m\" }} ]\n");
    let (none, by) = (dir.join("none.toml"), dir.join("by.toml"));
    std::fs::write(&none, config("")).unwrap();
    std::fs::write(&by, config("by = [\"region\"]\nmax_groups = 10000\n")).unwrap();
    for _ in 0..rounds {
        for (row, (groups, file)) in GROUPS.iter().zip(&files).enumerate() {
            let config = if *groups == 0 { &none } else { &by };
            let mut crest = Command::new(env!("CARGO_BIN_EXE_crest"));
            crest.arg("--config").arg(config).args(["--source", file, "-w", "1", "--snapshots", "-"]);
            table.add(row, run(&mut crest, |_| false));
        }
    }
    table.print("files to rankings, with groups");
}
