//! How long after the start of the program its windows are loaded, and the next final rankings come.

use crate::day::{Day, Variant};
use crate::report::{budget, median};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

/// One start of the program. Times in seconds since then.
struct Restart {
    objects: f64,
    megabytes: f64,
    /// What the windows hold was loaded.
    loaded: f64,
    /// The first final ranking came out.
    first: f64,
    /// … and the first of the day.
    day: f64,
}

pub fn measure(day: &Day, rounds: usize) {
    let variants =
        [("every pane of 24 h (it slides by 10 s)", &day.fine), ("rollups (the default)", &day.default)];
    let mut runs: [Vec<Restart>; 2] = Default::default();
    for _ in 0..rounds {
        for (runs, (_, variant)) in runs.iter_mut().zip(&variants) {
            runs.push(restart(day, variant));
        }
    }
    println!(
        "{:<40} {:>8} {:>8} {:>10} {:>14} {:>14} {:>7}",
        "restart of 24 h, made of", "objects", "MB", "loaded s", "first final s", "last_24h's s", "ratio"
    );
    let of =
        |runs: &[Restart], value: fn(&Restart) -> f64| median(&runs.iter().map(value).collect::<Vec<_>>());
    let base = of(&runs[0], |run| run.day);
    for (runs, (name, _)) in runs.iter().zip(&variants) {
        println!(
            "{name:<40} {:>8.0} {:>8.1} {:>10.2} {:>14.2} {:>14.2} {:>7.3}",
            of(runs, |run| run.objects),
            of(runs, |run| run.megabytes),
            of(runs, |run| run.loaded),
            of(runs, |run| run.first),
            of(runs, |run| run.day),
            of(runs, |run| run.day) / base,
        );
    }
    budget("restart to the day's first final ranking", 1.0, of(&runs[1], |run| run.day), "s");
    println!();
}

/// Starts the program on a copy of the state, and lets it come to the end of the files.
fn restart(day: &Day, variant: &Variant) -> Restart {
    let copy = day.copy(variant);
    let mut crest = Command::new(env!("CARGO_BIN_EXE_crest"));
    crest
        .args(["--source", &day.source(), "--snapshots", "-", "--state"])
        .arg(copy.path())
        .args(variant.flags);
    crest.env("CREST_LOG", "info").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = Instant::now();
    let mut child = crest.spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let log = std::thread::spawn(move || {
        let mut told = Vec::new();
        for line in log.lines().map(Result::unwrap) {
            told.push((started.elapsed().as_secs_f64(), line));
        }
        told
    });
    let (mut first, mut of_day) = (None, None);
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap) {
        let now = started.elapsed().as_secs_f64();
        first.get_or_insert(now);
        if line.contains(r#""window":"last_24h""#) {
            of_day.get_or_insert(now);
        }
    }
    let ended = child.wait().unwrap();
    let log = log.join().unwrap();
    let loaded = log.iter().find(|(_, line)| line.contains("loaded what the windows hold"));
    let (Some((loaded, line)), Some(first), Some(of_day), true) = (loaded, first, of_day, ended.success())
    else {
        panic!("the program did not go on: {ended}, {log:#?}")
    };
    Restart {
        objects: field(line, "objects="),
        megabytes: field(line, "megabytes="),
        loaded: *loaded,
        first,
        day: of_day,
    }
}

fn field(line: &str, name: &str) -> f64 {
    let (_, rest) = line.split_once(name).unwrap();
    rest.split_whitespace().next().unwrap().parse().unwrap()
}
