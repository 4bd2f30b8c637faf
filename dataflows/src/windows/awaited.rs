//! The exact rankings of a board that are awaited, and what is remembered of those that came.

use crate::exact::{ExactRanks, Graph};
use crest_connectors::snapshot::Item;
use crest_sketches::Digest;
use crest_state::pane::Pane;
use crest_state::pane::PaneDigests;
use std::collections::{BTreeMap, HashMap};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The graph's end, and what the windows remember of its rankings.
pub(super) struct Awaited {
    pub(super) ranks: ExactRanks,
    /// By window and group, the ranks in the previous final snapshot, unless that was empty.
    before: HashMap<(usize, String), HashMap<Arc<str>, u32>>,
    /// Of panes that were shown before they are counted for good, the digests that were.
    shown: BTreeMap<Pane, Vec<Weak<Digest>>>,
    /// When the provisional rankings were asked for that are awaited.
    asked: Option<Instant>,
    /// None are asked for before.
    rests: Instant,
}

impl Awaited {
    pub(super) fn new(graph: Graph, windows: usize, k: usize, seed: u64) -> Self {
        let ranks = ExactRanks::new(graph, windows, k, seed);
        let (before, shown) = (HashMap::new(), BTreeMap::new());
        Awaited { ranks, before, shown, asked: None, rests: Instant::now() }
    }

    /// The end of the first window whose final ranking is awaited.
    pub(super) fn next_end(&self) -> Option<Pane> {
        self.ranks.next_end()
    }

    /// Whether provisional rankings may be asked for.
    pub(super) fn may_show(&self) -> bool {
        self.ranks.is_settled() && Instant::now() >= self.rests
    }

    /// Memory held, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.ranks.bytes()
    }

    /// Rests, if these were provisional rankings, three times as long as they took.
    pub(super) fn note_shown(&mut self) {
        if let Some(asked) = self.asked.take_if(|_| self.ranks.is_settled()) {
            self.rests = Instant::now() + 3 * asked.elapsed().min(Duration::from_secs(60));
        }
    }

    /// Takes the rows of a pane, unless they are those that it has.
    pub(super) fn count(&mut self, pane: &PaneDigests) {
        let digests: Vec<_> = pane.groups.values().map(Rc::downgrade).collect();
        let same = |shown: &Vec<Weak<Digest>>| {
            shown.len() == digests.len() && shown.iter().zip(&digests).all(|(a, b)| a.ptr_eq(b))
        };
        if !self.shown.get(&pane.pane).is_some_and(same) {
            self.ranks.count(pane);
            self.shown.insert(pane.pane, digests);
        }
    }

    /// Takes the rows of a closed pane, which never change again.
    pub(super) fn count_for_good(&mut self, pane: &PaneDigests) {
        self.count(pane);
        self.shown.remove(&pane.pane);
    }

    /// Notes that provisional rankings were asked for.
    pub(super) fn note_asked(&mut self) {
        self.ranks.flush();
        self.asked = Some(Instant::now());
    }

    /// The ranks in the previous final snapshot of a window and group.
    pub(super) fn before(&self, key: &(usize, String)) -> HashMap<Arc<str>, u32> {
        self.before.get(key).cloned().unwrap_or_default()
    }

    /// Notes the ranks in the final snapshot of a window and group.
    pub(super) fn remember(&mut self, key: (usize, String), items: &[Item]) {
        if items.is_empty() {
            self.before.remove(&key);
        } else {
            self.before.insert(key, items.iter().map(|item| (item.item_id.clone(), item.rank)).collect());
        }
    }
}
