//! Why stored bytes were refused: what was found, and where.

use crate::parts::PartsError;

/// Of the encoding.
pub(super) const VERSION: u8 = 1;

/// Why bytes are not a sketch that may be used here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// They do not begin as every sketch does.
    #[error("not a sketch: the first bytes are {found:02x?}")]
    NotASketch {
        /// At most four of them.
        found: Vec<u8>,
    },
    /// They were written by a later release, or by none.
    #[error(
        "version {found} of the encoding of sketches, of which this release knows only version {VERSION}"
    )]
    Version {
        /// As stated.
        found: u8,
    },
    /// They are damaged, or were cut off.
    #[error("damaged or cut off: the {len} bytes have the checksum {computed:016x}, but state {stated:016x}")]
    Checksum {
        /// How many bytes there are.
        len: usize,
        /// What the last eight of them say.
        stated: u64,
        /// What the others give.
        computed: u64,
    },
    /// They are a sketch, but of another sort.
    #[error(
        "content {found} where {expected} belongs (1 is a digest, 2 a union, 3 a digest of different values, 4 a union of those)"
    )]
    Content {
        /// As stated.
        found: u8,
        /// As asked for.
        expected: u8,
    },
    /// Its items were hashed with another seed. Which ones these are is a secret.
    #[error("items hashed with another seed than the one in use here")]
    Seed,
    /// They end too early.
    #[error("the bytes end within the {what} that begins at byte {at}")]
    Truncated {
        /// What does not fit.
        what: &'static str,
        /// Where it begins.
        at: usize,
    },
    /// They go on after the end.
    #[error("{left} bytes follow the end of the sketch at byte {at}")]
    Trailing {
        /// How many too many.
        left: usize,
        /// Where the first of them is.
        at: usize,
    },
    /// Something is written in another way than this version writes it.
    #[error("the {what} at byte {at} is not written as version {VERSION} writes it")]
    Form {
        /// What.
        what: &'static str,
        /// Where it begins.
        at: usize,
    },
    /// Keys are not in their order, or share other bytes with the one before than they say.
    #[error("key {row} does not follow from the key before it")]
    Key {
        /// Its number in the order of keys, from 0.
        row: usize,
    },
    /// A row states the hash that its key gives anyway.
    #[error("key {row} states the hash that it has")]
    Hash {
        /// Its number in the order of keys, from 0.
        row: usize,
    },
    /// They are read, but what they say is nothing that a sketch says.
    #[error(transparent)]
    Parts(#[from] PartsError),
}
