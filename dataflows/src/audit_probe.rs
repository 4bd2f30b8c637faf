//! Queries of the exact engine by an audit. An audit judges rankings that were made elsewhere, so it needs the exact
//! counts of items that need not be in the exact top K.

use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::Snapshot;
use std::sync::Arc;

/// Asks, beside each final ranking of an exact board, for the exact counts of items of its own choice. The dataflow's
/// threads call it, for the ends of each window in order.
pub trait AuditProbe: Send + Sync {
    /// The items to count in a group of a board's window that ends at `window_end`, in milliseconds since 1970
    /// UTC. `None` if they are not known yet: the caller asks again soon, and publishes nothing of the board meanwhile.
    fn queries(&self, board: &str, window: &str, group: &GroupKey, window_end: i64) -> Option<Vec<Arc<str>>>;

    /// Receives the final exact ranking, and the counts of the items that were asked for, in the same order.
    fn observe(&self, exact: &Snapshot, counts: &[u64]);
}
