//! One window of one group: the running sum over its nodes, and the panes of the node that is not complete.

use crate::event_time::{Clock, Pane};
use crate::route::group_of;
use crate::spec::WindowSpec;
use crest_sketches::{Digest, WindowSum};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

/// Rows that the nodes of one window hold together, as long as each keeps `rows_kept`: short windows keep more
/// of each pane.
const WINDOW_ROWS: usize = 1_500_000;

/// A window's measures, in panes.
pub(super) struct Span {
    pub(super) spec: WindowSpec,
    pub(super) size: u64,
    pub(super) slide: u64,
    /// The width of a node: the greatest span that both the size and the slide are multiples of.
    pub(super) node: u64,
    node_rows: usize,
    /// Whether its finals are kept as buckets, each under its own time: so are those of a board's shortest
    /// tumbling window (two windows' buckets would share their names).
    pub(super) buckets: bool,
    /// Earlier panes are in no window that is still to be ranked.
    pub(super) from: Pane,
    /// The next end of the window (the first pane after it); none before the first event.
    pub(super) next_end: Option<Pane>,
}

pub(super) struct Group {
    pub(super) values: Arc<BTreeMap<String, String>>,
    pub(super) windows: Vec<GroupWindow>,
}

/// One window of one group.
#[derive(Default)]
pub(super) struct GroupWindow {
    pub(super) sum: WindowSum,
    /// Closed panes of the node that is not complete.
    pub(super) pending: Vec<(Pane, Rc<Digest>)>,
    /// The ranks in the previous final snapshot.
    pub(super) ranks: HashMap<Arc<str>, u32>,
    /// Whether a snapshot is due at the next end: it holds events, or did at the previous end.
    pub(super) live: bool,
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Span {
    pub(super) fn new(spec: &WindowSpec, clock: &Clock, rows_kept: usize, pane_rows: usize) -> Self {
        let (size, slide) = (clock.panes(spec.size), clock.panes(spec.slide));
        let node = gcd(size, slide);
        let nodes = (size / node) as usize;
        let node_rows = (WINDOW_ROWS / nodes).clamp(rows_kept, pane_rows);
        Span { spec: spec.clone(), size, slide, node, node_rows, buckets: false, from: 0, next_end: None }
    }

    /// The first end of the window at or after `pane`.
    pub(super) fn end_from(&self, pane: Pane) -> Pane {
        pane.next_multiple_of(self.slide)
    }
}

impl GroupWindow {
    pub(super) fn add(&mut self, pane: Pane, digest: &Rc<Digest>, span: &Span) {
        if self.pending.first().is_some_and(|(first, _)| first / span.node != pane / span.node) {
            self.complete(span);
        }
        self.pending.push((pane, digest.clone()));
        self.live = true;
    }

    /// Rolls the pending panes up into their node.
    fn complete(&mut self, span: &Span) {
        let Some((first, _)) = self.pending.first() else { return };
        let node = first / span.node;
        let digest = Digest::merge(self.pending.iter().map(|(_, digest)| digest.as_ref()));
        self.sum.push(node, &digest.cut(span.node_rows));
        self.pending.clear();
    }

    /// Slides to the window that ends at `end`.
    pub(super) fn slide_to(&mut self, end: Pane, span: &Span) {
        self.complete(span);
        self.sum.expire(end.saturating_sub(span.size) / span.node);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.sum.is_empty()
    }
}

impl Group {
    pub(super) fn new(text: &str, windows: usize) -> Self {
        let values = Arc::new(group_of(text));
        Group { values, windows: (0..windows).map(|_| GroupWindow::default()).collect() }
    }
}
