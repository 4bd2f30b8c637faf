//! Seeded events, written as files of equal length, with the distinct items in their windows counted.

use crate::windows::Spec;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Uniform, Zipf};
use std::fs::File;
use std::io::{BufWriter, Write};

const START: i64 = 1_711_670_400_000;
/// Of event time.
const EVENTS_A_SECOND: usize = 100_000;
const PARTITIONS: usize = 4;
pub const PANE_SECONDS: usize = 10;
/// Items not met yet have this for their pane.
const NEVER: u32 = u32::MAX;

/// A window that slides by a pane.
pub struct Window {
    pub name: &'static str,
    pub size: &'static str,
    pub panes: usize,
}

impl Window {
    pub fn named(name: &str) -> &'static Self {
        WINDOWS.iter().find(|window| window.name == name).expect("a window of this bench")
    }

    /// As the script takes it.
    pub fn spec(&self) -> Spec {
        (self.name, self.panes, 1)
    }
}

pub static WINDOWS: [Window; 2] = [
    Window { name: "last_1m", size: "1m", panes: 60 / PANE_SECONDS },
    Window { name: "last_1h", size: "1h", panes: 3600 / PANE_SECONDS },
];

#[derive(Clone, Copy)]
pub enum Items {
    Zipf,
    Uniform,
}

impl Items {
    pub fn title(self) -> &'static str {
        match self {
            Items::Zipf => "Zipf 1.0",
            Items::Uniform => "uniform",
        }
    }

    /// Ids from 0.
    fn draw(self, ids: usize) -> Box<dyn FnMut(&mut StdRng) -> usize> {
        match self {
            Items::Zipf => {
                let zipf = Zipf::new(ids as f64, 1.0).unwrap();
                Box::new(move |random| random.sample(zipf) as usize - 1)
            }
            Items::Uniform => {
                let uniform = Uniform::new(0, ids).unwrap();
                Box::new(move |random| random.sample(uniform))
            }
        }
    }
}

/// Files in a folder that is deleted with this.
pub struct Input {
    pub events: usize,
    folder: tempfile::TempDir,
    /// By pane that ends: how many of the items met so far were met last in which pane.
    met_last: Vec<Vec<usize>>,
}

impl Input {
    /// `slower` so many times fewer events a second of event time.
    pub fn write(items: Items, ids: usize, events: usize, slower: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let part = |p| File::create(folder.path().join(format!("part-{p}.ndjson"))).unwrap();
        let mut outs: Vec<_> = (0..PARTITIONS).map(|p| BufWriter::new(part(p))).collect();
        let (mut draw, mut random) = (items.draw(ids), StdRng::seed_from_u64(7));
        let (mut last_pane, mut met_last) = (vec![NEVER; ids], Vec::new());
        let events_a_second = EVENTS_A_SECOND / slower;
        for n in 0..events {
            let item = draw(&mut random);
            let pane = n / (events_a_second * PANE_SECONDS);
            if pane > met_last.len() {
                met_last.push(by_pane(&last_pane, pane));
            }
            last_pane[item] = pane as u32;
            let time = START + (n * 1000 / events_a_second) as i64;
            let out = &mut outs[n % PARTITIONS];
            writeln!(
                out,
                r#"{{"item_id":"product:{item:08}-{:04x}","event_type":"view","timestamp":{time},"region":"IN"}}"#,
                item.wrapping_mul(2_654_435_761) & 0xffff
            )
            .unwrap();
        }
        met_last.push(by_pane(&last_pane, met_last.len() + 1));
        outs.iter_mut().for_each(|out| out.flush().unwrap());
        Input { events, folder, met_last }
    }

    /// The pattern of its files.
    pub fn files(&self) -> String {
        format!("{}/part-*.ndjson", self.folder.path().display())
    }

    /// Distinct items in the window that has the most.
    pub fn distinct(&self, window: &Window) -> usize {
        let in_window = |panes: &Vec<usize>| panes.iter().rev().take(window.panes).sum();
        self.met_last.iter().map(in_window).max().unwrap_or(0)
    }
}

fn by_pane(last_pane: &[u32], panes: usize) -> Vec<usize> {
    let mut counts = vec![0; panes];
    last_pane.iter().filter(|&&pane| pane != NEVER).for_each(|&pane| counts[pane as usize] += 1);
    counts
}
