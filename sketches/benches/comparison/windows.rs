//! A window of a minute: six panes of four partitions, each merged as its library merges, and judged.

use crate::contenders::{
    Contender, Counts, Sketch, add_all, bytes_of_count_min, bytes_of_counts, bytes_of_items, count_min,
};
use crate::judge::{Answer, K, Truth, Verdict, estimates, judge, keys_of};
use crate::streams::{Batch, Law, Stream, item_of};
use crate::table::{Table, percent};
use crest_sketches::{Merged, PaneSketch, Shape, WindowSum};
use datasketches::countmin::CountMinSketch;
use datasketches::frequencies::{ErrorType, FrequentItemsSketch, Row};
use datasketches::hash::value::raw_bytes;

pub const PANES: usize = 6;
pub const PARTITIONS: usize = 4;
/// Rows that a pane's cut keeps, as the job keeps them for windows of a minute.
const ROWS_KEPT: usize = 8 * 1024;
/// So great that merging into it drops next to nothing, as our union of a window drops nothing either.
pub const WINDOW_MAP: usize = 1 << 16;

const REMARKS: &str = "Errors are those of the reported count of the true top 100, an upper bound with all. CountMin \
                       cannot list items: it is asked for every id that there was, which flatters it, and nothing \
                       that it says is certain but that it is not too low.";

/// A window, as each one builds it.
pub enum Window {
    Ours(Shape, WindowSum),
    FrequentItems(FrequentItemsSketch<String>),
    CountMin(CountMinSketch<u32>),
    Exact(Counts),
}

/// The verdict on one contender, and the kilobytes of the sketch of a pane and partition, in the mean, and of the
/// window.
pub struct Judged {
    law: Law,
    pub contender: Contender,
    pub verdict: Verdict,
    sketch_kilobytes: f64,
    window_kilobytes: f64,
}

impl Window {
    pub fn of(contender: &Contender) -> Self {
        match contender {
            Contender::Ours(shape) => Window::Ours(shape.clone(), WindowSum::new()),
            Contender::FrequentItems { .. } => {
                Window::FrequentItems(FrequentItemsSketch::new(WINDOW_MAP).unwrap())
            }
            Contender::CountMin => Window::CountMin(count_min()),
            Contender::Exact => Window::Exact(Counts::new()),
            _ => panic!("{} has no answers of its own", contender.name()),
        }
    }

    fn add_pane(&mut self, pane: usize, partitions: &[Sketch<'_>]) {
        if let Window::Ours(shape, window) = self {
            let mut merged = Merged::new(shape);
            partitions.iter().for_each(|sketch| merged.add(ours(sketch)));
            return window.push(pane as u64, &merged.cut(ROWS_KEPT));
        }
        for sketch in partitions {
            match (&mut *self, sketch) {
                (Window::FrequentItems(window), Sketch::FrequentItems(sketch)) => window.merge(sketch),
                (Window::CountMin(window), Sketch::CountMin(sketch)) => window.merge(sketch).unwrap(),
                (Window::Exact(window), Sketch::Exact(counts)) => add_all(window, counts),
                _ => panic!("a sketch of another kind"),
            }
        }
    }

    /// Adds another one, of one of the kinds that merge whole.
    pub fn merge(&mut self, other: &Window) {
        match (self, other) {
            (Window::FrequentItems(window), Window::FrequentItems(other)) => window.merge(other),
            (Window::CountMin(window), Window::CountMin(other)) => window.merge(other).unwrap(),
            _ => panic!("windows that do not merge"),
        }
    }

    fn answer(&self, truth: &Truth) -> Answer {
        match self {
            Window::Ours(_, window) => Answer::of_ranking(&window.rank(usize::MAX), &window.rank(K)),
            Window::FrequentItems(window) => Answer::of_items(&all_items(window), window.maximum_error()),
            Window::CountMin(window) => {
                let keys = keys_of(truth);
                Answer::of_estimates(estimates(&keys, |key| window.estimate(raw_bytes::from_str(key)).into()))
            }
            Window::Exact(counts) => Answer::exact(counts.iter().map(|(key, &count)| (item_of(key), count))),
        }
    }

    pub fn bytes(&self) -> usize {
        match self {
            Window::Ours(_, window) => window.bytes(),
            Window::FrequentItems(window) => bytes_of_items(window),
            Window::CountMin(window) => bytes_of_count_min(window),
            Window::Exact(counts) => bytes_of_counts(counts),
        }
    }
}

/// Everything that is tracked, the heaviest first.
pub fn all_items(window: &FrequentItemsSketch<String>) -> Vec<Row<String>> {
    window.frequent_items(ErrorType::NoFalseNegatives)
}

/// The sketch of a pane that is one of ours.
pub fn ours<'s>(sketch: &'s Sketch<'_>) -> &'s PaneSketch {
    let Sketch::Ours(sketch, _) = sketch else { panic!("a sketch of another kind") };
    sketch
}

/// Counts the stream as a window's events, dealt to the partitions in turns.
pub fn measure(law: Law, contenders: &[Contender], stream: &Stream) -> Vec<Judged> {
    let mut truth = Truth::new(law.items);
    truth.add(stream);
    let of_pane = stream.items.len() / PANES;
    let verdict_on = |contender: &Contender| {
        let (mut window, mut bytes) = (Window::of(contender), 0);
        for pane in 0..PANES {
            // The last one has what is left over.
            let end = if pane + 1 == PANES { stream.items.len() } else { (pane + 1) * of_pane };
            let partitions = (0..PARTITIONS).map(|partition| {
                let (keys, weights) = stream.dealt(pane * of_pane..end, partition, PARTITIONS);
                let mut sketch = contender.start();
                sketch.count_all(Batch { arena: &stream.arena, keys: &keys, weights: &weights });
                bytes += sketch.bytes();
                sketch
            });
            window.add_pane(pane, &partitions.collect::<Vec<_>>());
        }
        Judged {
            law,
            contender: contender.clone(),
            verdict: judge(&window.answer(&truth), &truth),
            sketch_kilobytes: bytes as f64 / 1e3 / (PANES * PARTITIONS) as f64,
            window_kilobytes: window.bytes() as f64 / 1e3,
        }
    };
    contenders.iter().map(verdict_on).collect()
}

pub fn print(all: &[Judged]) {
    let mut table = Table::new(
        2,
        [
            "stream",
            "",
            "recall@10",
            "recall@100",
            "mean error %",
            "largest %",
            "guaranteed",
            "E %",
            "violations",
            "KB a sketch",
            "KB the window",
        ],
    );
    for judged in all {
        let stream = [judged.law.name(), judged.contender.name()];
        let sizes =
            [judged.sketch_kilobytes, judged.window_kilobytes].map(|kilobytes| format!("{kilobytes:.0}"));
        table.row(stream.into_iter().chain(judged.verdict.cells()).chain(sizes));
    }
    table.print("Accuracy of the top 100 of a window of a minute: six panes of four partitions", REMARKS);
}

impl Judged {
    pub fn is_uniform(&self) -> bool {
        self.law.is_uniform()
    }
}

impl Verdict {
    /// Recall, errors, guaranteed, E and violations.
    pub fn cells(&self) -> [String; 7] {
        [
            format!("{:.2}", self.recall_10),
            format!("{:.2}", self.recall_100),
            percent(self.mean_error),
            percent(self.greatest_error),
            self.guaranteed.to_string(),
            self.floor.map_or("none".to_owned(), percent),
            self.violations.to_string(),
        ]
    }
}
