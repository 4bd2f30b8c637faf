//! A row of an exact pane: an item and its weight.

use crate::keys::KeyRef;

/// Memory of a row and of its places in the index, in bytes.
pub(crate) const ROW_BYTES: usize = 2 * (size_of::<Row>() + size_of::<u32>() + 1);

/// An item and its weight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) hash: u64,
    pub(crate) count: u64,
    pub(crate) key: KeyRef,
}
