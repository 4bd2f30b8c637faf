//! The cells of a matrix in blocks of 256, each cell in as many bits as the greatest of its block needs.
//!
//! A block is one byte, the width of its cells in bits, and then `32 * width` bytes: eight streams of 32-bit words,
//! little-endian, taking turns word by word. Cell `i` is the next `width` bits of stream `i % 8`, low bits first. Cells
//! of more than 32 bits are two such lots, their low 32 bits and then the rest. A last block that is not full is
//! filled with zeros. Eight streams side by side are what a compiler makes vector instructions of.

use super::bytes::Reader;
use super::error::DecodeError;

/// Cells of a block.
const BLOCK: usize = 256;
/// Streams of a block: neighbouring cells are in neighbouring streams.
const LANES: usize = 8;
/// Bits of a stream's words.
const WORD: u32 = u32::BITS;

type Half = [u32; BLOCK];

/// A cell as two halves.
pub(super) trait Cell: Copy {
    /// Bits of the widest.
    const WIDTH: u32;
    /// The low half and the high one.
    fn split(self) -> (u32, u32);
    /// What was split.
    fn join(low: u32, high: u32) -> Self;
}

impl Cell for u32 {
    const WIDTH: u32 = 32;

    fn split(self) -> (u32, u32) {
        (self, 0)
    }

    fn join(low: u32, _: u32) -> u32 {
        low
    }
}

impl Cell for u64 {
    const WIDTH: u32 = 64;

    fn split(self) -> (u32, u32) {
        (self as u32, (self >> 32) as u32)
    }

    fn join(low: u32, high: u32) -> u64 {
        u64::from(high) << 32 | u64::from(low)
    }
}

/// Appends the cells.
pub(super) fn put_cells<C: Cell>(out: &mut Vec<u8>, cells: &[C]) {
    for block in cells.chunks(BLOCK) {
        let (mut low, mut high) = ([0; BLOCK], [0; BLOCK]);
        for ((low, high), cell) in low.iter_mut().zip(&mut high).zip(block) {
            (*low, *high) = cell.split();
        }
        let width = width_of(&low, &high);
        out.push(width as u8);
        put_half(out, &low, width.min(WORD));
        put_half(out, &high, width.saturating_sub(WORD));
    }
}

/// The next `len` cells.
pub(super) fn take_cells<C: Cell>(from: &mut Reader<'_>, len: usize) -> Result<Vec<C>, DecodeError> {
    // A block takes a byte or more.
    if len.div_ceil(BLOCK) > from.left() {
        return Err(DecodeError::Truncated { what: "matrix", at: from.at() });
    }
    let mut cells = Vec::with_capacity(len);
    while cells.len() < len {
        let at = from.at();
        let width = u32::from(from.byte("block of cells")?);
        if width > C::WIDTH {
            return Err(DecodeError::Form { what: "block of cells", at });
        }
        let low = take_half(from, width.min(WORD))?;
        let high = take_half(from, width.saturating_sub(WORD))?;
        let here = BLOCK.min(len - cells.len());
        let full = low[here..].iter().chain(&high[here..]).all(|&padding| padding == 0);
        if !full || width != width_of(&low, &high) {
            return Err(DecodeError::Form { what: "block of cells", at });
        }
        cells.extend(low.iter().zip(&high).take(here).map(|(&low, &high)| C::join(low, high)));
    }
    Ok(cells)
}

/// Bits of the widest cell.
fn width_of(low: &Half, high: &Half) -> u32 {
    let any = |half: &Half| half.iter().fold(0, |any, cell| any | cell);
    u64::BITS - u64::join(any(low), any(high)).leading_zeros()
}

/// The words of a half, and one of each stream more, so that the last cell may look across into nothing.
type Words = [[u32; LANES]; WORD as usize + 1];

/// Appends cells of at most `width <= 32` bits.
fn put_half(out: &mut Vec<u8>, cells: &Half, width: u32) {
    if width == 0 {
        return;
    }
    let mut words: Words = [[0; LANES]; WORD as usize + 1];
    let mut bit = 0;
    for cells in cells.as_chunks::<LANES>().0 {
        let (word, shift) = ((bit / WORD) as usize, bit % WORD);
        for lane in 0..LANES {
            words[word][lane] |= cells[lane] << shift;
            // Two shifts, since one by all 32 bits is none.
            words[word + 1][lane] = cells[lane] >> 1 >> (WORD - 1 - shift);
        }
        bit += width;
    }
    let start = out.len();
    out.resize(start + half_bytes(width), 0);
    for (bytes, word) in out[start..].as_chunks_mut().0.iter_mut().zip(words.as_flattened()) {
        *bytes = word.to_le_bytes();
    }
}

/// The next cells, of `width <= 32` bits.
fn take_half(from: &mut Reader<'_>, width: u32) -> Result<Half, DecodeError> {
    let bytes = from.take("block of cells", half_bytes(width))?;
    let mut words: Words = [[0; LANES]; WORD as usize + 1];
    for (word, bytes) in words.as_flattened_mut().iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let mut cells = [0; BLOCK];
    if width == 0 {
        return Ok(cells);
    }
    let mask = u32::MAX >> (WORD - width);
    let mut bit = 0;
    for cells in cells.as_chunks_mut::<LANES>().0 {
        let (word, shift) = ((bit / WORD) as usize, bit % WORD);
        for lane in 0..LANES {
            let (low, high) = (words[word][lane], words[word + 1][lane]);
            cells[lane] = (low >> shift | high << 1 << (WORD - 1 - shift)) & mask;
        }
        bit += width;
    }
    Ok(cells)
}

fn half_bytes(width: u32) -> usize {
    BLOCK / 8 * width as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    /// A block by its definition, bit by bit.
    fn naive(cells: &[u64; BLOCK], width: usize) -> Vec<u8> {
        let mut out = vec![width as u8];
        for (from, width) in [(0, width.min(32)), (32, width.saturating_sub(32))] {
            let mut lot = vec![0u8; 32 * width];
            for (i, cell) in cells.iter().enumerate() {
                for bit in (0..width).filter(|bit| cell >> (from + bit) & 1 == 1) {
                    let of_stream = i / LANES * width + bit;
                    let (word, bit) = (of_stream / 32 * LANES + i % LANES, of_stream % 32);
                    lot[word * 4 + bit / 8] |= 1 << (bit % 8);
                }
            }
            out.extend(lot);
        }
        out
    }

    fn packed<C: Cell>(cells: &[C]) -> Vec<u8> {
        let mut out = Vec::new();
        put_cells(&mut out, cells);
        out
    }

    fn unpacked<C: Cell>(bytes: &[u8], len: usize) -> Result<Vec<C>, DecodeError> {
        let mut reader = Reader::new(bytes, 0);
        let cells = take_cells(&mut reader, len)?;
        reader.finish().map(|()| cells)
    }

    /// Cells of `width` bits, one of which has them all.
    fn block(width: u32) -> impl Strategy<Value = [u64; BLOCK]> {
        let mask = u64::MAX.checked_shr(64 - width).unwrap_or(0);
        (prop::collection::vec(any::<u64>(), BLOCK), 0..BLOCK).prop_map(move |(random, full)| {
            std::array::from_fn(|i| if i == full { mask } else { random[i] & mask })
        })
    }

    #[test]
    fn every_width_is_what_its_definition_says() {
        let mut runner = TestRunner::deterministic();
        for width in 0..=64 {
            for _ in 0..4 {
                let cells = block(width).new_tree(&mut runner).unwrap().current();
                let bytes = packed(&cells);
                assert_eq!(bytes, naive(&cells, width as usize), "width {width}");
                assert_eq!(unpacked(&bytes, BLOCK), Ok(cells.to_vec()), "width {width}");
                let narrow = cells.map(|cell| cell as u32);
                match unpacked::<u32>(&bytes, BLOCK) {
                    Ok(read) => assert_eq!((read, packed(&narrow)), (narrow.to_vec(), bytes)),
                    Err(refused) => assert_eq!((refused, width > 32), (bad(0), true)),
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_length_is_the_identity(
            cells in prop::collection::vec((any::<u64>(), 0..=64u32), 0..800),
        ) {
            let cells: Vec<_> =
                cells.iter().map(|(cell, shift)| cell.checked_shr(*shift).unwrap_or(0)).collect();
            prop_assert_eq!(unpacked(&packed(&cells), cells.len()), Ok(cells.clone()));
            let narrow: Vec<_> = cells.iter().map(|&cell| cell as u32).collect();
            prop_assert_eq!(unpacked(&packed(&narrow), cells.len()), Ok(narrow));
        }

        /// What is read is written again as it was.
        #[test]
        fn there_is_one_form(mut bytes in prop::collection::vec(any::<u8>(), 0..700), width in 0..8u8, len in 0..600usize) {
            if let Some(first) = bytes.first_mut() {
                *first = width;
            }
            if let Ok(cells) = unpacked::<u64>(&bytes, len) {
                prop_assert_eq!(packed(&cells), bytes);
            }
        }
    }

    fn bad(at: usize) -> DecodeError {
        DecodeError::Form { what: "block of cells", at }
    }

    #[test]
    fn other_forms_are_refused() {
        let wider = [&[2][..], &[0b0101_0101; 64]].concat();
        assert_eq!(unpacked::<u32>(&wider, BLOCK), Err(bad(0)));
        let padded = packed(&[1u32; 10]);
        assert_eq!(unpacked(&padded, 10), Ok(vec![1u32; 10]));
        assert_eq!(unpacked::<u32>(&padded, 9), Err(bad(0)));
        assert_eq!(unpacked::<u64>(&[0, 65], 2 * BLOCK), Err(bad(1)));
        let cut = |at| Err(DecodeError::Truncated { what: "block of cells", at });
        assert_eq!(unpacked::<u64>(&[64; 2048], BLOCK), cut(1025));
        let none = Err(DecodeError::Truncated { what: "matrix", at: 0 });
        assert_eq!(unpacked::<u64>(&[0; 4], 5 * BLOCK), none);
        assert_eq!(unpacked::<u64>(&[0; 4], usize::MAX), none);
    }
}
