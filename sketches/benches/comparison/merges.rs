//! What it costs to merge the sketch of one partition's pane into that of another.

use crate::clock::{median, timed};
use crate::contenders::{Contender, Sketch, add_all};
use crate::streams::{Batch, Stream};
use crate::table::{Table, with_ratio};
use crate::windows::{PARTITIONS, ours};
use crest_sketches::Merged;

/// Merges that are timed.
const MERGES: usize = 15;

/// Each contender's microseconds a merge, on one stream.
pub struct Merges {
    stream: String,
    costs: Vec<(Contender, f64)>,
}

/// The events are those of a pane, dealt to the partitions in turns.
pub fn measure(name: &str, contenders: &[Contender], stream: &Stream, events: usize) -> Merges {
    let events = events.min(stream.items.len());
    let [ours, theirs] = [0, 1].map(|partition| stream.dealt(0..events, partition, PARTITIONS));
    let cost = |contender: &Contender| {
        let sketch = |(keys, weights): &(Vec<_>, Vec<_>)| {
            let mut sketch = contender.start();
            sketch.count_all(Batch { arena: &stream.arena, keys, weights });
            sketch
        };
        let (ours, theirs) = (sketch(&ours), sketch(&theirs));
        let runs = (0..MERGES).map(|_| microseconds(contender, &ours, &theirs));
        (contender.clone(), median(runs.collect()))
    };
    Merges { stream: name.to_owned(), costs: contenders.iter().map(cost).collect() }
}

/// Of adding theirs to ours, which is where it is before the clock starts.
fn microseconds(contender: &Contender, mine: &Sketch<'_>, theirs: &Sketch<'_>) -> f64 {
    let nanoseconds = match (contender, mine, theirs) {
        (Contender::Ours(shape), mine, theirs) => {
            let mut merged = Merged::new(shape);
            merged.add(ours(mine));
            timed(|| merged.add(ours(theirs))).0
        }
        (_, Sketch::FrequentItems(mine), Sketch::FrequentItems(theirs)) => {
            let mut merged = mine.clone();
            timed(|| merged.merge(theirs)).0
        }
        (_, Sketch::CountMin(mine), Sketch::CountMin(theirs)) => {
            let mut merged = mine.clone();
            timed(|| merged.merge(theirs).unwrap()).0
        }
        (_, Sketch::Exact(mine), Sketch::Exact(theirs)) => {
            let mut merged = mine.clone();
            timed(|| add_all(&mut merged, theirs)).0
        }
        _ => panic!("sketches of two kinds"),
    };
    nanoseconds / 1e3
}

pub fn print(all: &[Merges]) {
    let Some(first) = all.first() else { return };
    let mut table =
        Table::new(1, ["µs a merge"].into_iter().chain(all.iter().map(|merges| merges.stream.as_str())));
    for (row, (contender, _)) in first.costs.iter().enumerate() {
        let cells = all.iter().map(|merges| with_ratio(merges.costs[row].1, merges.costs[0].1, 0));
        table.row([contender.name()].into_iter().chain(cells));
    }
    table.print("Merge: µs to add the sketch of one partition's pane to that of another", "");
}
