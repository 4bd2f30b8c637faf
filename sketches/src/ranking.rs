//! The top K of a window, with its bounds.

/// The top K of a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranking {
    /// The weight in the window.
    pub total: u64,
    /// An item that is no candidate has at most this weight.
    pub floor: u64,
    /// How many leading rows are certainly in the true top K.
    pub guaranteed: usize,
    /// The largest `upper - lower` among the rows.
    pub error: u64,
    /// By upper bound, greatest first; ties by key, greatest bytes first, as Redis orders equal scores.
    pub rows: Vec<RankedRow>,
}

/// One item of a ranking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankedRow {
    /// Its key.
    pub key: Vec<u8>,
    /// It has at least this weight …
    pub lower: u64,
    /// … and at most this.
    pub upper: u64,
}
