//! The columns of a message, which are all that a frame's image holds.

/// Bytes of a word of a frame.
pub(super) const WORD_BYTES: usize = size_of::<u64>();

/// The flat columns that travel between processes, in the sense of `crest_sketches::Parts`. The widest comes first, so
/// that each column is aligned where the previous one ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// 64-bit integers: counts, hashes, times.
    pub words: Vec<u64>,
    /// 32-bit integers: cells, lengths.
    pub halves: Vec<u32>,
    /// Bytes: keys, one after the other.
    pub bytes: Vec<u8>,
}
