//! The rows of a window's node in some five bytes each, greatest upper bound first, so that a cut is a prefix.
//!
//! A row is three numbers in base 128, low digits first: by how much its upper bound is below that of the row
//! before, by how much its lower bound is below the upper, and the slot of its candidate.

use crate::bounds::Bounds;
use crate::codec::put_varint;

/// A candidate's bounds within one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackedRow {
    pub(crate) slot: u32,
    pub(crate) bounds: Bounds,
}

/// Rows by upper bound, greatest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct PackedRows {
    len: usize,
    bytes: Box<[u8]>,
}

impl PackedRows {
    /// Of rows that come in falling order of their upper bounds.
    pub(crate) fn new(rows: impl ExactSizeIterator<Item = PackedRow>) -> Self {
        let len = rows.len();
        let mut bytes = Vec::with_capacity(8 * len);
        let mut above = None;
        for PackedRow { slot, bounds } in rows {
            let upper = bounds.upper();
            put_varint(&mut bytes, above.map_or(upper, |above| above - upper));
            put_varint(&mut bytes, bounds.doubt());
            put_varint(&mut bytes, slot.into());
            above = Some(upper);
        }
        PackedRows { len, bytes: bytes.into() }
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = PackedRow> + '_ {
        let (mut rest, mut above) = (&*self.bytes, None);
        (0..self.len).map(move |_| {
            let step = take_varint(&mut rest);
            let upper = above.map_or(step, |above: u64| above - step);
            above = Some(upper);
            let bounds = Bounds::new(upper - take_varint(&mut rest), upper);
            PackedRow { slot: take_varint(&mut rest) as u32, bounds }
        })
    }
}

/// Takes a number off the front, as [`put_varint`] has written it.
#[inline]
pub(crate) fn take_varint(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    while let Some((&byte, rest)) = bytes.split_first() {
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
        shift += 7;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_what_they_were() {
        let row = |slot, lower, upper| PackedRow { slot, bounds: Bounds::new(lower, upper) };
        let rows = [
            row(u32::MAX, 0, u64::MAX),
            row(0, 1 << 63, 1 << 63),
            row(127, 0, 128),
            row(128, 128, 128),
            row(3, 0, 0),
        ];
        let packed = PackedRows::new(rows.into_iter());
        assert_eq!(packed.iter().collect::<Vec<_>>(), rows);
        assert_eq!(PackedRows::new([].into_iter()).iter().next(), None);
    }

    #[test]
    fn a_usual_row_takes_five_bytes() {
        let rows = (0..1000).map(|i: u32| PackedRow {
            slot: i * 16,
            bounds: Bounds::new(50_000 - u64::from(i) * 40, 50_010 - u64::from(i) * 40),
        });
        let packed = PackedRows::new(rows.collect::<Vec<_>>().into_iter());
        assert!(packed.bytes() < 5 * 1000, "{} bytes", packed.bytes());
    }
}
