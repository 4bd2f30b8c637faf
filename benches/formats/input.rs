//! Files of events of one shape, and of their flat twins; seeded.

use crate::event::Event;
use crate::shape::{Layout, Shape};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::Zipf;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Milliseconds since 1970.
const START: i64 = 1_711_670_400_000;

/// By so many microseconds of event time an event follows the one before: a million events are a minute.
pub const MICROS: i64 = 60;

/// Up to so many milliseconds an event is out of order: less than what crest waits for.
const DISORDER: i64 = 3_000;

/// A file of events, and the configuration by which crest reads it.
pub struct Events {
    pub file: PathBuf,
    config: PathBuf,
}

pub struct Input {
    /// Deletes the files when dropped.
    _dir: tempfile::TempDir,
    pub events: Events,
    /// The flat events of the same lengths, items and times, where the shape is not flat itself.
    pub twins: Option<Events>,
    pub count: usize,
}

impl Input {
    /// Lengths differ by up to a twentieth.
    pub fn write(shape: &Shape, count: usize, items: usize, micros: i64) -> Input {
        let dir = tempfile::tempdir().unwrap();
        let events = Events::of(shape.layout, "events", dir.path());
        let twins = shape.layout.has_twin().then(|| Events::of(Layout::Flat, "twins", dir.path()));
        let (zipf, mut random) = (Zipf::new(items as f64, 1.0).unwrap(), StdRng::seed_from_u64(7));
        let mut out = events.writer();
        let mut twins_out = twins.as_ref().map(Events::writer);
        for n in 0..count {
            let time = START + n as i64 * micros / 1_000 - random.random_range(0..DISORDER);
            let event = Event { item: random.sample(zipf) as u64, time };
            let length = random.random_range(shape.bytes * 19 / 20..=shape.bytes * 21 / 20) - 1;
            let text = event.text(shape.layout, length, &mut random);
            writeln!(out, "{text}").unwrap();
            if let Some(out) = &mut twins_out {
                writeln!(out, "{}", event.text(Layout::Flat, text.len(), &mut random)).unwrap();
            }
        }
        out.into_inner().unwrap();
        twins_out.map(|out| out.into_inner().unwrap());
        Input { _dir: dir, events, twins, count }
    }

    /// The bytes of all events.
    pub fn bytes(&self) -> u64 {
        std::fs::metadata(&self.events.file).unwrap().len()
    }
}

impl Events {
    fn of(layout: Layout, name: &str, dir: &Path) -> Events {
        let of = |ending: &str| dir.join(format!("{name}.{ending}"));
        let (item, time) = layout.paths();
        let schema = format!("[schema]\nitem = \"{item}\"\ntimestamp = \"{time}\"\n");
        std::fs::write(of("toml"), schema).unwrap();
        Events { file: of("ndjson"), config: of("toml") }
    }

    fn writer(&self) -> BufWriter<File> {
        BufWriter::new(File::create(&self.file).unwrap())
    }

    /// The job over them, by one worker.
    pub fn job(&self) -> Command {
        let mut crest = Command::new(env!("CARGO_BIN_EXE_crest"));
        crest.arg("--config").arg(&self.config).arg("--source").arg(format!("file:{}", self.file.display()));
        crest.args(["-w", "1", "--snapshots", "-"]).env("CREST_LOG", "error");
        crest
    }
}
