//! The nodes of a window of different values, which are merged for each ranking: such counts are never taken out again.

use crate::digest::Digest;
use crate::ranking::Ranking;

/// Nodes by number, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct DistinctNodes {
    nodes: Vec<(u64, Digest)>,
}

impl DistinctNodes {
    pub(crate) fn push(&mut self, number: u64, digest: &Digest) {
        self.nodes.push((number, digest.clone()));
    }

    pub(crate) fn expire(&mut self, before: u64) {
        self.nodes.retain(|(number, _)| *number >= before);
    }

    pub(crate) fn last(&self) -> Option<u64> {
        self.nodes.last().map(|(number, _)| *number)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(crate) fn sums(&self) -> (u64, u64) {
        self.nodes.iter().fold((0, 0), |sums, (_, node)| (sums.0 + node.total(), sums.1 + node.floor()))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.nodes.iter().map(|(_, node)| size_of::<(u64, Digest)>() + node.bytes()).sum()
    }

    pub(crate) fn rank(&self, from: u64, open: &[&Digest], k: usize) -> Ranking {
        let nodes = self.nodes.iter().filter(|(number, _)| *number >= from).map(|(_, node)| node);
        Digest::merge(nodes.chain(open.iter().copied())).rank(k)
    }
}
