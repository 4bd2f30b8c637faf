//! The shares that reach the aggregating worker, by who merges the partitions' sketches before it does.

use crate::watch::{cpu, wire};
use crest_connectors::group_key::GroupKey;
use crest_dataflows::share::{GroupShare, Kind, PaneShare, Sketch};
use crest_sketches::{GroupCounts, Merged, PaneSketch};
use crest_state::pane::Pane;
use crest_state::spec::SketchSpec;
use std::time::Duration;
use timely::bytes::arc::Bytes;

/// The workers among which the partitions are spread evenly.
pub struct Cluster {
    pub workers: usize,
    pub processes: usize,
}

/// What makes up one share.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shipping {
    /// A partition, as if there were as many workers.
    Partition,
    /// All partitions of a worker: what Crest does.
    Worker,
    /// All partitions of the workers of a process.
    Process,
}

impl Shipping {
    pub const ALL: [Shipping; 3] = [Shipping::Partition, Shipping::Worker, Shipping::Process];
}

/// The shares of a pane, and what it took to make them, in the mean of those who made one.
pub struct Shares {
    pub unions: Vec<Merged>,
    /// To merge what it is of.
    pub join: Duration,
}

/// Merges the sketches as the workers, or the processes, would. A process merges what its workers have merged.
pub fn joined(sketches: &[PaneSketch], cluster: &Cluster, shipping: Shipping) -> Shares {
    let shape = SketchSpec::default().shape().unwrap();
    let (partitions, workers) = (sketches.len(), cluster.workers.min(sketches.len()));
    let by_worker = |makers: usize| {
        let started = cpu();
        let of = |maker: usize| {
            let counts: Vec<_> = sketches[maker..].iter().step_by(makers).map(GroupCounts::Sketch).collect();
            GroupCounts::union(&counts, &shape)
        };
        let unions: Vec<_> = (0..makers).map(of).collect();
        Shares { unions, join: (cpu() - started) / makers as u32 }
    };
    match shipping {
        Shipping::Partition => by_worker(partitions),
        Shipping::Worker => by_worker(workers),
        Shipping::Process => {
            let shares = by_worker(workers).unions;
            let (each, started) = (workers.div_ceil(cluster.processes), cpu());
            let of = |shares: &[Merged]| {
                let mut union = shares[0].clone();
                shares[1..].iter().for_each(|share| union.merge(share).unwrap());
                union
            };
            let unions: Vec<_> = shares.chunks(each).map(of).collect();
            let join = (cpu() - started) / unions.len() as u32;
            Shares { unions, join }
        }
    }
}

/// The messages of a closed pane of some boards, each with the same shares, as they travel between processes, and what it
/// took to write them.
pub fn messages(unions: &[Merged], boards: usize, pane: Pane) -> (Vec<Bytes>, Duration) {
    of_kind(Kind::Closed, unions, boards, pane, |union| Sketch::Merged(Box::new(union.clone())))
}

/// Those of the extracts of an open pane, each of so many rows.
pub fn extracts(unions: &[Merged], boards: usize, pane: Pane, rows: usize) -> Vec<Bytes> {
    of_kind(Kind::Extract, unions, boards, pane, |union| Sketch::Digest(union.cut(rows))).0
}

fn of_kind(
    kind: Kind,
    unions: &[Merged],
    boards: usize,
    pane: Pane,
    sketch: impl Fn(&Merged) -> Sketch,
) -> (Vec<Bytes>, Duration) {
    let mut spent = Duration::ZERO;
    let workers = (0..).zip(unions);
    let shares =
        workers.flat_map(|(worker, union)| (0..boards as u32).map(move |board| (worker, board, union)));
    let messages = shares
        .map(|(worker, board, union)| {
            let groups = vec![GroupShare { group: GroupKey::WHOLE, sketch: sketch(union) }];
            let share = PaneShare { worker, board, pane, kind, refused: 0, span: None, groups };
            let started = cpu();
            let bytes = wire(share);
            spent += cpu() - started;
            bytes
        })
        .collect();
    (messages, spent)
}
