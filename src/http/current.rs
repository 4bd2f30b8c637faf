//! What a question about the present asks for.

use crest_connectors::group_key::GroupKey;
use std::sync::Arc;

/// A ranking that is shown as it is now, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Current {
    /// The board's name.
    pub board: Arc<str>,
    /// The window's name.
    pub window: Arc<str>,
    /// The group, or the whole board.
    pub group: GroupKey,
    /// How many rows.
    pub k: usize,
    /// Whether only a final snapshot will do.
    pub final_only: bool,
}
