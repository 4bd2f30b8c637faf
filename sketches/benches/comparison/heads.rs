//! Heads that shift: with each pane the items move some ranks up, and those that lead fall to the end. All that ranked
//! in the top hundred of an hour then have almost the same weight, and what nodes do not list decides who is found.
//!
//! The ranking of a window is by `count`, the upper bound. Three other orders of the same candidates are judged beside it,
//! to say what each would find: by the lower bound; by what an item has at most in the sketches that track it, and nothing
//! in the others; and by the lower bound and a Count-Min estimate of what no row counts, as the median over the matrix's
//! rows of the cell less its mean noise (Ting, "Count-min: optimal estimation and tight error bounds using empirical error
//! distributions", KDD 2018), clamped into the bounds. The last two would have to be stored with each row.
//!
//! A second sketch keeps the head of its partition's last pane as rows that are never folded, half of all its rows.

use crate::heads_sketch::{PanePartition, Sketching, Tail};
use crate::judge::{Answer, K, Truth, Verdict, judge};
use crate::streams::{Draws, Law, Stream, item_of};
use crate::table::Table;
use crest_sketches::{Digest, DigestRow, Merged, Parts, RankedRow, Ranking, WindowSum};
use std::cmp::Reverse;
use std::collections::HashMap;

/// Of the hour.
pub const PANES: usize = 360;
pub const PANES_A_MINUTE: usize = 6;
const EVENTS_A_PANE: usize = 100_000;
const PARTITIONS: usize = 4;
const SHIFTS: [u32; 3] = [1, 3, 10];
/// Rows of a pane, and of a rollup of a minute, as the job keeps them.
const PANE_ROWS: usize = 8 * 1024;
/// The windows: how many panes a node has, and how many rows of it the job's window of an hour keeps.
const WINDOWS: [(&str, usize, usize); 2] =
    [("360 panes", 1, 4166), ("60 minutes", PANES_A_MINUTE, PANE_ROWS)];
const ORDERS: usize = 4;

const REMARKS: &str = "Zipf 1.0 over a million ids, 100,000 events a pane, four partitions, to which events are dealt in \
                       turns, or by their item. Each order ranks the same candidates.";

/// One stream, counted by one sketch into one window.
pub struct Shifted {
    shift: u32,
    by_item: bool,
    sketching: Sketching,
    window: &'static str,
    /// The greatest of a pane and partition.
    sketch_kilobytes: f64,
    /// Of the orders, in their order.
    pub verdicts: [Verdict; ORDERS],
}

impl Shifted {
    /// Whether it is what a job has by default.
    pub fn is_ours(&self) -> bool {
        self.sketching == Sketching::Ledger(4096)
    }
}

/// On all streams. A ledger that is exact counts the same however events are dealt.
pub fn measure(panes: usize, seed: u64) -> Vec<Shifted> {
    let (ours, kept, exact) = (Sketching::Ledger(4096), Sketching::KeptHead(2048), Sketching::Ledger(16_384));
    let runs = [(false, ours), (false, kept), (true, ours), (true, kept), (false, exact)];
    let of_shift = |shift: u32| {
        runs.into_iter().flat_map(move |(by_item, sketching)| {
            eprintln!("a head that shifts {shift} ranks, dealt {}, {}", dealt(by_item), sketching.name());
            run(shift, by_item, sketching, panes, seed)
        })
    };
    SHIFTS.into_iter().flat_map(of_shift).collect()
}

fn run(shift: u32, by_item: bool, sketching: Sketching, panes: usize, seed: u64) -> Vec<Shifted> {
    let law = Law { exponent: 1.0, items: 1_000_000, weighted: false };
    let (mut draws, mut truth) = (Draws::new(law, seed), Truth::new(law.items));
    let mut partitions: Vec<_> = (0..PARTITIONS).map(|_| PanePartition::new(sketching)).collect();
    let mut windows = WINDOWS.map(|(_, panes, rows)| Hour::new(panes, rows));
    let mut bytes = 0;
    for pane in 0..panes {
        let streams = shifted(&mut draws, (pane as u32).wrapping_mul(shift) % law.items, by_item);
        streams.iter().for_each(|stream| truth.add(stream));
        let orders = digests(&mut partitions, &streams);
        bytes = partitions.iter().map(PanePartition::bytes).fold(bytes, usize::max);
        partitions.iter_mut().for_each(PanePartition::close);
        windows.iter_mut().for_each(|window| window.push(&orders));
    }
    let judged = WINDOWS.iter().zip(windows).map(|((window, ..), hour)| Shifted {
        shift,
        by_item,
        sketching,
        window,
        sketch_kilobytes: bytes as f64 / 1e3,
        verdicts: hour.verdicts(&truth),
    });
    judged.collect()
}

/// The events of a pane, by partition: the item of a rank is the one that was so many ranks lower in the first pane.
fn shifted(draws: &mut Draws, by: u32, by_item: bool) -> Vec<Stream> {
    let mut streams: Vec<_> = (0..PARTITIONS).map(|_| Stream::default()).collect();
    for event in 0..EVENTS_A_PANE {
        let item = (draws.item() - 1 + by) % draws.items() + 1;
        let partition = if by_item { spread(item) } else { event };
        streams[partition % PARTITIONS].push(item, 1);
    }
    streams
}

/// As a producer spreads keys over partitions.
fn spread(item: u32) -> usize {
    (item.wrapping_mul(0x9e37_79b9) >> 16) as usize
}

/// The digest of a pane, and the same for the orders that need another number of each row: it stands in the place of the
/// lower bound, so that a window adds it up, and cuts and thins as it would.
fn digests(partitions: &mut [PanePartition], streams: &[Stream]) -> [Digest; ORDERS - 1] {
    let shape = partitions[0].shape().clone();
    let (mut union, mut tail) = (Merged::new(&shape), Tail::default());
    for (partition, stream) in partitions.iter_mut().zip(streams) {
        partition.count(stream);
        union.merge(&partition.union()).unwrap();
        tail.count(stream);
    }
    let all = union.cut(usize::MAX);
    all.rows().for_each(|row| tail.take_out(row.hash, row.bounds.lower()));
    let digest = union.cut(PANE_ROWS);
    let tracked = with_estimates(&digest, |row| {
        let of_sketches = partitions.iter().flat_map(PanePartition::sketches).map(|s| s.bounds(row.hash));
        of_sketches.filter(|bounds| bounds.lower() > 0).map(|bounds| bounds.upper()).sum()
    });
    let estimated = with_estimates(&digest, |row| row.bounds.lower() + tail.estimate(row.hash));
    [digest, tracked, estimated]
}

/// The digest with what is estimated, clamped into the bounds, for lower bounds.
fn with_estimates(digest: &Digest, estimate: impl Fn(&DigestRow<'_>) -> u64) -> Digest {
    let Parts { mut words, halves, bytes } = digest.to_parts();
    let len = halves.len();
    let lowers = words.len() - 2 * len;
    for (at, row) in digest.rows().enumerate() {
        let estimate = estimate(&row).clamp(row.bounds.lower(), row.bounds.upper());
        words[lowers + at] = estimate;
        words[lowers + len + at] = row.bounds.upper() - estimate;
    }
    // Estimates may add up to more than there is, which no total of a digest does.
    words[0] *= 2;
    Digest::from_parts(Parts { words, halves, bytes }).unwrap()
}

/// A window of an hour, once for each number that rows have.
struct Hour {
    panes_a_node: usize,
    node_rows: usize,
    nodes: u64,
    open: Vec<[Digest; ORDERS - 1]>,
    sums: [WindowSum; ORDERS - 1],
}

impl Hour {
    fn new(panes_a_node: usize, node_rows: usize) -> Self {
        Hour { panes_a_node, node_rows, nodes: 0, open: Vec::new(), sums: Default::default() }
    }

    fn push(&mut self, pane: &[Digest; ORDERS - 1]) {
        self.open.push(pane.clone());
        if self.open.len() < self.panes_a_node {
            return;
        }
        for (order, sum) in self.sums.iter_mut().enumerate() {
            let panes = self.open.iter().map(|pane| &pane[order]);
            sum.push(self.nodes, &Digest::merge(panes).cut(PANE_ROWS).cut(self.node_rows));
        }
        self.open.clear();
        self.nodes += 1;
    }

    /// By count, by the lower bound, by what sketches track, by the Count-Min estimate.
    fn verdicts(&self, truth: &Truth) -> [Verdict; ORDERS] {
        let [bounds, tracked, estimated] = self.sums.each_ref().map(|sum| sum.rank(usize::MAX));
        let by_count = Answer::of_ranking(&bounds, &self.sums[0].rank(K));
        let by = |estimates: &Ranking| judge(&reordered(&bounds, estimates), truth);
        [judge(&by_count, truth), by(&bounds), by(&tracked), by(&estimated)]
    }
}

/// The candidates by what stands for their lower bounds elsewhere, with their own bounds.
fn reordered(bounds: &Ranking, estimates: &Ranking) -> Answer {
    let key = |row: &RankedRow| item_of(&row.key);
    let mut order: Vec<_> =
        estimates.rows.iter().map(|row| (Reverse(row.bounds.lower()), key(row))).collect();
    order.sort_unstable();
    let own: HashMap<_, _> = bounds.rows.iter().map(|row| (key(row), row.bounds)).collect();
    let rows: Vec<_> = order.iter().map(|(_, item)| (*item, own[item])).collect();
    let outside = rows.iter().skip(K).map(|(_, bounds)| bounds.upper()).fold(bounds.floor, u64::max);
    let guaranteed = rows.iter().take(K).take_while(|(_, bounds)| bounds.lower() >= outside).count();
    Answer { rows, floor: Some(bounds.floor), guaranteed }
}

fn dealt(by_item: bool) -> &'static str {
    if by_item { "by item" } else { "in turns" }
}

pub fn print(all: &[Shifted]) {
    let mut table = Table::new(
        4,
        [
            "ranks a pane",
            "dealt",
            "window",
            "sketch",
            "KB",
            "recall@100 by count",
            "by lower",
            "by tracked",
            "by Count-Min",
            "guaranteed by count",
            "by lower",
            "by tracked",
            "violations",
        ],
    );
    for Shifted { shift, by_item, sketching, window, sketch_kilobytes, verdicts } in all {
        let names = [shift.to_string(), dealt(*by_item).to_owned(), (*window).to_owned(), sketching.name()];
        let recalls = verdicts.iter().map(|verdict| format!("{:.2}", verdict.recall_100));
        let guaranteed = verdicts[..3].iter().map(|verdict| verdict.guaranteed.to_string());
        let violations = verdicts.iter().map(|verdict| verdict.violations).sum::<usize>();
        let kilobytes = format!("{sketch_kilobytes:.0}");
        table.row(
            names
                .into_iter()
                .chain([kilobytes])
                .chain(recalls)
                .chain(guaranteed)
                .chain([violations.to_string()]),
        );
    }
    table.print("A head that shifts with every pane: the top 100 of an hour", REMARKS);
}
