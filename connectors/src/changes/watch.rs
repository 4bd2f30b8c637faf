//! What is watched: which rankings, and what of them is told.

use crate::selection::Selection;

/// Which changes are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// What it is called in ids: no two of a job may have the same.
    pub name: String,
    /// Of which rankings: of one window of one board, and of which of its groups.
    pub selection: Selection,
    /// Of how many leading items.
    pub k: usize,
    /// Whether only what follows from the bounds is told.
    pub certain: bool,
}
