//! The events that are measured: seeded, a minute of event time a million events, in partitions of equal length.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::Zipf;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

pub const START: i64 = 1_711_670_400_000;

pub fn part(dir: &Path, partition: usize) -> PathBuf {
    dir.join(format!("part-{partition}.ndjson"))
}

/// Event times advance by 60 µs an event, so that a million events are a minute; up to 3 s of disorder.
pub fn write(dir: &Path, events: usize, items: usize, partitions: usize) {
    let zipf = Zipf::new(items as f64, 1.0).unwrap();
    let mut random = StdRng::seed_from_u64(7);
    let mut outs: Vec<_> =
        (0..partitions).map(|p| BufWriter::new(File::create(part(dir, p)).unwrap())).collect();
    for n in 0..events {
        let item = random.sample(zipf) as u64;
        let time = START + n as i64 * 60 / 1000 - random.random_range(0..3000);
        let out = &mut outs[n % partitions];
        writeln!(
            out,
            r#"{{"item_id":"product:{item:08}-{:04x}","event_type":"view","timestamp":{time},"region":"IN"}}"#,
            item.wrapping_mul(2_654_435_761) & 0xffff
        )
        .unwrap();
    }
}
