//! What a run costs, in instructions, which do not depend on what else a machine does: a ratchet. A change that makes one of
//! these runs cost over three per cent more than `tests/instructions/counts.toml` says fails here, and either is made cheaper
//! or says the new count, and why, in its commit.
//!
//! The program that is counted is the one of the tests, which is optimised less than a release: the counts tell changes, and
//! not what an event costs its users (`cargo bench --bench pipeline` does).

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::program::{leashed, path};
use common::{new_folder, root, skip};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// How much more a run may cost than the counts say.
const TOLERANCE: f64 = 0.03;
const EVENTS: u64 = 80_000;
/// 2024-03-29T00:00:00Z.
const START: u64 = 1_711_670_400_000;

/// A run that is counted.
struct Run {
    name: &'static str,
    board: &'static str,
    /// The values of the dimension `region`.
    regions: u64,
    /// Events that share a millisecond.
    in_a_ms: u64,
}

/// One flat board; and one by ten thousand groups, most of which are in each pane.
const RUNS: [Run; 2] = [
    Run { name: "flat", board: "", regions: 1, in_a_ms: 1 },
    Run { name: "groups", board: "by = [\"region\"]\nmax_groups = 10000\n", regions: 10_000, in_a_ms: 3 },
];

/// The same numbers in every release of every library: xorshift, by Marsaglia.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Writes the events, of which few items have many.
fn write(run: &Run, file: &Path) {
    let (mut numbers, mut lines) = (Numbers(88_172_645_463_325_252), String::new());
    for n in 0..EVENTS {
        let most = 1 + numbers.below(20_000);
        let (item, region, user) =
            (numbers.below(most), numbers.below(run.regions), numbers.below(10_000_000));
        let time = START + n / run.in_a_ms;
        writeln!(
            lines,
            "{{\"event_type\":\"view\",\"item_id\":\"video:{item:06}\",\"region\":\"r{region}\",\"timestamp\":{time},\"user\":\"u{user:07}\"}}"
        )
        .unwrap();
    }
    std::fs::write(file, lines).unwrap();
}

/// The instructions of all threads of the run, from its start to its end.
fn count(run: &Run, dir: &Path) -> u64 {
    let [events, config, counts] = ["events.ndjson", "crest.toml", "counts"].map(|name| dir.join(name));
    write(run, &events);
    std::fs::write(&config, format!("[[board]]\nname = \"videos\"\n{}", run.board)).unwrap();
    let mut valgrind = leashed("valgrind");
    valgrind.args(["--tool=callgrind", &format!("--callgrind-out-file={}", path(&counts))]);
    valgrind.args([env!("CARGO_BIN_EXE_crest"), "--config", path(&config), "-w", "1", "--state", "off"]);
    valgrind.args(["--source", &format!("file:{}", path(&events)), "--snapshots", "-"]);
    let output = valgrind.stdin(Stdio::null()).stdout(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&counts).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("summary: "));
    line.unwrap().trim().parse().unwrap()
}

#[test]
fn no_run_costs_more_than_it_did() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        return skip("the counts of instructions", "valgrind is not installed");
    }
    let file = root().join("tests/instructions/counts.toml");
    let known: BTreeMap<String, u64> = toml::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let mut dearer = Vec::new();
    for run in &RUNS {
        let dir = new_folder(&format!("instructions-{}", run.name));
        let (found, before) = (count(run, &dir), known[run.name]);
        let ratio = found as f64 / before as f64;
        eprintln!("{}: {found} instructions, {ratio:.4} of {before}", run.name);
        if ratio > 1.0 + TOLERANCE {
            dearer.push(format!("{} costs {found} instructions, and cost {before}", run.name));
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
    assert!(dearer.is_empty(), "{}: make it cheaper, or say why in {}", dearer.join("; "), file.display());
}
