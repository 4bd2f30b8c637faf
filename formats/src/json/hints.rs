//! Which names the objects of the last record had, in their order.
//!
//! Most records have the names of the one before, and comparing a name with a single other one is faster than finding its
//! end and looking it up.

use crate::tree::{Below, NodeId, equal};
use wide::u8x16;

/// The names of an object that are remembered, at most.
const MAX_NAMES: usize = 64;
/// The longest name that is remembered, in bytes, with its quotes and what is between it and its value.
const MAX_BYTES: usize = 32;

/// The names that are expected in the objects of a tree's nodes.
#[derive(Debug, Default)]
pub(crate) struct Hints(Vec<Vec<Hint>>);

#[derive(Clone, Debug)]
struct Hint {
    bytes: [u8; MAX_BYTES],
    length: usize,
    /// A bit for each byte that is not one of the name.
    beyond: u32,
    below: Below,
}

impl Hints {
    /// The place after the name and its colon, and what the tree has below the name, where the object's next name is the
    /// expected one.
    #[inline(always)]
    pub(super) fn expected(
        &self,
        node: NodeId,
        index: usize,
        record: &[u8],
        at: usize,
    ) -> Option<(usize, Below)> {
        let hint = self.0.get(node.index())?.get(index)?;
        let rest = record.get(at..)?;
        let same = match rest.first_chunk() {
            Some(next) => equal_bytes(next, &hint.bytes) | hint.beyond == u32::MAX,
            None => equal(rest.get(..hint.length)?, hint.bytes.get(..hint.length)?),
        };
        same.then_some((at + hint.length, hint.below))
    }

    /// Remembers a name, with all up to its value, as the one at this index of a node's object.
    #[inline(never)]
    pub(super) fn remember(&mut self, node: NodeId, index: usize, name: &[u8], below: Below) {
        if index >= MAX_NAMES || name.len() > MAX_BYTES {
            return;
        }
        if self.0.len() <= node.index() {
            self.0.resize(node.index() + 1, Vec::new());
        }
        let hints = &mut self.0[node.index()];
        if hints.len() <= index {
            // No text has this byte, so that nothing is taken for a name that was not remembered.
            let (bytes, length, below) = ([0xff; MAX_BYTES], MAX_BYTES, Below::Nothing);
            hints.resize(index + 1, Hint { bytes, length, beyond: 0, below });
        }
        let hint = &mut hints[index];
        hint.bytes[..name.len()].copy_from_slice(name);
        (hint.length, hint.below) = (name.len(), below);
        hint.beyond = u32::MAX.checked_shl(name.len() as u32).unwrap_or(0);
    }
}

/// A bit for each byte that is the same in both.
#[inline(always)]
fn equal_bytes(one: &[u8; MAX_BYTES], other: &[u8; MAX_BYTES]) -> u32 {
    let half = |bytes: &[u8; MAX_BYTES], half: usize| u8x16::new(bytes.as_chunks().0[half]);
    let bits = |place: usize| half(one, place).simd_eq(half(other, place)).to_bitmask();
    bits(0) | bits(1) << 16
}
