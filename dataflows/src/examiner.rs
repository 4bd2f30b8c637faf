//! Who examines the exact engine: it asks, of each final ranking of an exact board, for the counts of items of its
//! own choice. So rankings that came from elsewhere are judged, whose items need not be in the exact top K.

use crest_connectors::snapshot::Snapshot;
use std::sync::Arc;

/// See the module. Called from the dataflow's threads, for each window's ends in order.
pub trait Examiner: Send + Sync {
    /// The items whose counts are wanted of a board, window and group, as text, at the window's end (ms). `None`: not
    /// known yet, ask again soon; nothing of the board is published meanwhile.
    fn asks(&self, board: &str, window: &str, group: &str, window_end: i64) -> Option<Vec<Arc<str>>>;

    /// The final exact ranking, and the counts of the items asked for, in their order.
    fn answer(&self, exact: &Snapshot, counts: &[u64]);
}
