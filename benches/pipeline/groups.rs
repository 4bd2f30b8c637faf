//! Files to rankings with groups: what they cost against the same events without.

use crate::figures::note;
use crate::measure::{Table, run};
use crate::program;
use crate::traffic::START;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::Zipf;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

const GROUPS: [usize; 4] = [0, 10, 1_000, 10_000];

pub fn measure(dir: &Path, events: usize, items: usize, rounds: usize) {
    let dir = dir.join("groups");
    std::fs::create_dir(&dir).unwrap();
    let programs = program::all();
    let rows = || programs.iter().flat_map(|program| GROUPS.map(|groups| (program, groups)));
    let names: Vec<_> =
        rows().map(|(program, groups)| format!("{}, {groups} groups", program.name)).collect();
    let mut table = Table::new(events, &names);
    let files = GROUPS.map(|groups| {
        let file = dir.join(format!("{groups}.ndjson"));
        write(&file, events, items, groups.max(1));
        format!("file:{}", file.display())
    });
    let config = |by: &str| {
        format!(
            "[[board]]\nname = \"b\"\n{by}windows = [ {{ name = \"each_1m\", size = \"1m\", slide = \"1m\" }} ]\n"
        )
    };
    let (none, by) = (dir.join("none.toml"), dir.join("by.toml"));
    std::fs::write(&none, config("")).unwrap();
    std::fs::write(&by, config("by = [\"region\"]\nmax_groups = 10000\n")).unwrap();
    for _ in 0..rounds {
        for ((row, (program, groups)), file) in rows().enumerate().zip(files.iter().cycle()) {
            let config = if groups == 0 { &none } else { &by };
            let mut crest = program.command();
            crest.arg("--config").arg(config).args(["--source", file, "-w", "1", "--snapshots", "-"]);
            table.add(row, run(&mut crest, |_| false));
        }
    }
    table.print("files to rankings, with groups");
    let cpu = |row: usize| table.median(row, |cost| cost.cpu);
    for (row, budget) in (1..GROUPS.len()).zip(["1.3", "2", "4"]) {
        let what = format!("{} groups, files", GROUPS[row]);
        note(&what, cpu(row) / cpu(0), "times the CPU of none", budget);
    }
    note("10000 groups, files", table.median(3, |cost| cost.peak) / 1e6, "MB at most", "300 MB");
}

/// One file of ten minutes, whose events are spread evenly over so many regions.
fn write(file: &Path, events: usize, items: usize, groups: usize) {
    let zipf = Zipf::new(items as f64, 1.0).unwrap();
    let mut random = StdRng::seed_from_u64(7);
    let mut out = BufWriter::new(File::create(file).unwrap());
    for n in 0..events {
        let item = random.sample(zipf) as u64;
        let time = START + (n * 600_000 / events) as i64 - random.random_range(0..500);
        let region = random.random_range(0..groups);
        writeln!(
            out,
            r#"{{"item_id":"item:{item:07}","event_type":"view","timestamp":{time},"region":"r{region:05}"}}"#
        )
        .unwrap();
    }
}
