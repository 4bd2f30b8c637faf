//! The id of an item, as rankings show it.

/// An item's id. Most have at most 24 bytes, and take no memory beside the row.
pub type ItemId = compact_str::CompactString;
