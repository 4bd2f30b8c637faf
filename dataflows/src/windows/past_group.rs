//! One group of a window that is ranked anew from a state: the running sum of its nodes. On a sketched board the nodes
//! are thinned as in the job; on an exact board they are whole.

use super::group::{GroupWindow, Listed, Span};
use super::publish::Publisher;
use super::whole_sum::WholeSum;
use crate::ranked::Ranks;
use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::Snapshot;
use crest_sketches::Digest;
use crest_state::levels::Block;
use crest_state::pane::Pane;
use crest_state::rest::Rests;
use crest_state::spec::{BoardSpec, Engine};
use std::collections::VecDeque;

/// One group of a past window.
pub(super) struct PastGroup {
    key: GroupKey,
    sum: Sum,
    /// On an exact board, the rests of its nodes.
    listed: Rests,
    /// On an exact board, the ranks in the previous ranking.
    ranks: Ranks,
    /// Whether it holds events, or did at the previous end.
    pub(super) live: bool,
}

enum Sum {
    Sketched(Box<GroupWindow>),
    Exact(WholeSum),
    /// What was counted, and what was removed.
    Left(Box<[WholeSum; 2]>),
    /// Different values do not add up: the nodes are merged anew for each ranking.
    ExactDistinct(VecDeque<(Pane, Digest)>),
}

impl PastGroup {
    /// A group of a board.
    pub(super) fn new(key: &GroupKey, board: &BoardSpec) -> Self {
        let sum = match board.engine {
            Engine::Sketch => Sum::Sketched(Box::default()),
            Engine::Exact if board.count.is_distinct() => Sum::ExactDistinct(VecDeque::new()),
            Engine::Exact if board.retracts() => Sum::Left(Box::default()),
            Engine::Exact => Sum::Exact(WholeSum::default()),
        };
        let (listed, ranks) = (Rests::default(), Ranks::default());
        PastGroup { key: key.clone(), sum, listed, ranks, live: false }
    }

    /// Adds a node, later than all before. `rest` is the weight that groups may have which the node does not list.
    pub(super) fn push(&mut self, block: Block, listed: Listed<'_>, rest: u64, span: &Span) {
        let digest = listed.counted;
        match &mut self.sum {
            Sum::Sketched(window) => {
                self.live = true;
                return window.push(block, listed, rest, span);
            }
            Sum::Exact(sum) => sum.push(block.start, digest.clone()),
            Sum::Left(sums) => {
                let [counted, removed] = sums.as_mut();
                counted.push(block.start, digest.clone());
                listed.removed.into_iter().for_each(|digest| removed.push(block.start, digest.clone()));
            }
            Sum::ExactDistinct(nodes) => nodes.push_back((block.start, digest.clone())),
        }
        self.listed.push(block.start, rest);
        self.live = true;
    }

    /// Takes out all nodes, so that the nodes that follow may have other numbers.
    pub(super) fn clear(&mut self) {
        match &mut self.sum {
            Sum::Sketched(window) => window.clear(),
            Sum::Exact(sum) => sum.expire(Pane::MAX),
            Sum::Left(sums) => sums.iter_mut().for_each(|sum| sum.expire(Pane::MAX)),
            Sum::ExactDistinct(nodes) => nodes.clear(),
        }
        self.listed.expire(Pane::MAX);
    }

    /// Slides to the publisher's end and ranks the group. `rests` are those of the window that ends there.
    pub(super) fn final_of(&mut self, publisher: &Publisher<'_>, rests: &Rests) -> Snapshot {
        let (span, top) = (publisher.span, &publisher.top);
        let watermark = publisher.clock.start(publisher.end);
        if let Sum::Sketched(window) = &mut self.sum {
            let snapshot = publisher.final_of(&self.key, window, rests);
            self.live = window.live;
            return snapshot;
        }
        let start = span.start(publisher.end);
        self.listed.expire(start);
        let unseen = rests.sum() - self.listed.sum();
        let (ranking, empty) = match &mut self.sum {
            Sum::Sketched(_) => unreachable!("ranked already"),
            Sum::Exact(sum) => {
                sum.expire(start);
                (top.rank(|k| sum.rank(k)).add_unseen(unseen), sum.is_empty())
            }
            Sum::Left(sums) => {
                sums.iter_mut().for_each(|sum| sum.expire(start));
                let [counted, removed] = &**sums;
                (top.rank(|k| counted.rank_less(removed, unseen, k)), counted.is_empty())
            }
            Sum::ExactDistinct(nodes) => {
                while nodes.pop_front_if(|(node, _)| *node < start).is_some() {}
                let merged = Digest::merge(nodes.iter().map(|(_, digest)| digest));
                (top.rank(|k| merged.rank(k)).add_unseen(unseen), nodes.is_empty())
            }
        };
        self.live = !empty;
        let (snapshot, ranks) = publisher.final_snapshot(&self.key, &ranking, &self.ranks, watermark);
        self.ranks = ranks;
        snapshot
    }
}
