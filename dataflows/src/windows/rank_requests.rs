//! The exact rankings that a board has requested from its graph, and what it remembers of earlier ones.

use crate::exact::{ExactRanks, Graph};
use crate::ranked::Ranks;
use crest_connectors::group_key::GroupKey;
use crest_host::clock;
use crest_sketches::Digest;
use crest_state::pane::Pane;
use crest_state::spec::BoardSpec;
use std::collections::{BTreeMap, HashMap};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

/// The rankings under way, and what the windows remember of those that came.
pub(super) struct RankRequests {
    pub(super) ranks: ExactRanks,
    /// The ranks in the previous final snapshot, by window and group, unless that snapshot was empty.
    before: HashMap<(usize, GroupKey), Ranks>,
    /// The digests that were counted for panes which were shown before they were closed.
    shown: BTreeMap<Pane, Vec<Weak<Digest>>>,
    /// When the provisional rankings that are under way were requested.
    requested_at: Option<Instant>,
    /// When provisional rankings may be requested again.
    not_before: Instant,
}

impl RankRequests {
    pub(super) fn new(graph: Graph, windows: usize, board: &BoardSpec, seed: u64) -> Self {
        let ranks = ExactRanks::new(graph, windows, board, seed);
        let (before, shown) = (HashMap::new(), BTreeMap::new());
        RankRequests { ranks, before, shown, requested_at: None, not_before: clock::now() }
    }

    /// Whether provisional rankings may be requested now.
    pub(super) fn may_request(&self) -> bool {
        self.ranks.is_settled() && clock::now() >= self.not_before
    }

    /// If provisional rankings were under way and all have come, allows the next ones only after three times as long as
    /// these took.
    pub(super) fn note_shown(&mut self) {
        if let Some(requested_at) = self.requested_at.take_if(|_| self.ranks.is_settled()) {
            self.not_before = clock::now() + 3 * clock::since(requested_at).min(Duration::from_secs(60));
        }
    }

    /// Counts the rows of a pane, in place of those counted for it before; does nothing if they are the same.
    pub(super) fn count(&mut self, pane: Pane, groups: &BTreeMap<GroupKey, Rc<Digest>>) {
        let digests: Vec<_> = groups.values().map(Rc::downgrade).collect();
        let same = |shown: &Vec<Weak<Digest>>| {
            shown.len() == digests.len() && shown.iter().zip(&digests).all(|(a, b)| a.ptr_eq(b))
        };
        if !self.shown.get(&pane).is_some_and(same) {
            self.ranks.count(pane, groups);
            self.shown.insert(pane, digests);
        }
    }

    /// Counts the rows of a closed pane, which never change again.
    pub(super) fn count_for_good(&mut self, pane: Pane, groups: &BTreeMap<GroupKey, Rc<Digest>>) {
        self.count(pane, groups);
        self.shown.remove(&pane);
    }

    /// Notes that provisional rankings were requested.
    pub(super) fn note_requested(&mut self) {
        self.ranks.flush();
        self.requested_at = Some(clock::now());
    }

    /// The ranks in the previous final snapshot of a window and group.
    pub(super) fn before(&self, key: &(usize, GroupKey)) -> Ranks {
        self.before.get(key).cloned().unwrap_or_default()
    }

    /// Notes the ranks in the final snapshot of a window and group.
    pub(super) fn remember(&mut self, key: (usize, GroupKey), ranks: Ranks) {
        if ranks.is_empty() {
            self.before.remove(&key);
        } else {
            self.before.insert(key, ranks);
        }
    }
}
