//! A sliding window as a running sum of digests.

use crate::{Digest, Ranking};

/// The running sum of a window's nodes; a node is the digest of a fixed run of panes.
#[derive(Clone, Debug, Default)]
pub struct WindowSum {}

impl WindowSum {
    /// No nodes.
    pub fn new() -> Self {
        WindowSum {}
    }
    /// Adds a node.
    ///
    /// # Panics
    /// If `node` is not greater than every one pushed before.
    pub fn push(&mut self, node: u64, digest: &Digest) {
        let _ = (node, digest);
        unimplemented!()
    }
    /// Takes the nodes before `before` out again, whole.
    pub fn expire(&mut self, before: u64) {
        let _ = before;
        unimplemented!()
    }
    /// Whether it holds no node.
    pub fn is_empty(&self) -> bool {
        unimplemented!()
    }
    /// The weight counted.
    pub fn total(&self) -> u64 {
        unimplemented!()
    }
    /// An item that is not a candidate has at most this weight.
    pub fn floor(&self) -> u64 {
        unimplemented!()
    }
    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        unimplemented!()
    }
    /// The top `k`.
    pub fn rank(&self, k: usize) -> Ranking {
        let _ = k;
        unimplemented!()
    }
    /// The top `k` as if the nodes before `expire_before` were gone and the `open` digests pushed.
    pub fn rank_provisional(&self, expire_before: u64, open: &[&Digest], k: usize) -> Ranking {
        let _ = (expire_before, open, k);
        unimplemented!()
    }
}
