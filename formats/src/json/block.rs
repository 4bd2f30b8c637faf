//! Sorts the bytes of a text by what they can be in JSON, 64 at a time: each byte is a bit of a word, the first one the
//! lowest.

use wide::u8x16;

/// How many bytes a block has.
pub(super) const LEN: usize = 64;

/// Which bytes of a block are of which kind, whether in a text or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) quote: u64,
    pub(super) backslash: u64,
    /// A brace or square bracket.
    pub(super) open: u64,
    pub(super) close: u64,
    pub(super) colon: u64,
    pub(super) comma: u64,
    /// A space, but not the white space that is a control character.
    pub(super) space: u64,
    pub(super) control: u64,
}

impl Block {
    /// The block that begins at a place, filled up with spaces; `None` at the end.
    #[inline(always)]
    pub(super) fn read(bytes: &[u8], at: usize) -> Option<Block> {
        let rest = bytes.get(at..)?;
        match (rest.first_chunk(), bytes.last_chunk()) {
            (Some(bytes), _) => Some(Block::new(bytes)),
            (None, _) if rest.is_empty() => None,
            // Read with some bytes before them.
            (None, Some(last)) => Some(Block::new(last).after(LEN - rest.len())),
            (None, None) => Some(Block::of_few(rest)),
        }
    }

    #[inline(never)]
    fn of_few(bytes: &[u8]) -> Block {
        let mut filled = [b' '; LEN];
        filled[..bytes.len()].copy_from_slice(bytes);
        Block::new(&filled)
    }

    #[inline(always)]
    fn new(bytes: &[u8; LEN]) -> Block {
        let mut block = Block::default();
        for (n, chunk) in bytes.as_chunks().0.iter().enumerate() {
            let bytes = u8x16::new(*chunk);
            let bits = |mask: u8x16| u64::from(mask.to_bitmask()) << (16 * n);
            let is = |byte: u8| bits(bytes.simd_eq(u8x16::splat(byte)));
            // Of both kinds of brackets, and of no other bytes.
            let bracket = |brace: u8| bits((bytes | u8x16::splat(0x20)).simd_eq(u8x16::splat(brace)));
            block.quote |= is(b'"');
            block.backslash |= is(b'\\');
            block.open |= bracket(b'{');
            block.close |= bracket(b'}');
            block.colon |= is(b':');
            block.comma |= is(b',');
            block.space |= is(b' ');
            block.control |= bits(bytes.min(u8x16::splat(0x1f)).simd_eq(bytes));
        }
        block
    }

    /// The block without its first bytes, of which there is at least one, filled up with spaces.
    fn after(self, bytes: usize) -> Block {
        Block {
            quote: self.quote >> bytes,
            backslash: self.backslash >> bytes,
            open: self.open >> bytes,
            close: self.close >> bytes,
            colon: self.colon >> bytes,
            comma: self.comma >> bytes,
            space: self.space >> bytes | !(u64::MAX >> bytes),
            control: self.control >> bytes,
        }
    }
}

/// The lowest bit that is set, taken out of the word.
#[inline(always)]
pub(super) fn take_lowest(bits: &mut u64) -> Option<usize> {
    let lowest = bits.trailing_zeros();
    *bits &= bits.wrapping_sub(1);
    (lowest < u64::BITS).then_some(lowest as usize)
}

/// For each bit, the first one above it that is not of those to be passed; the carry is of a bit for which that is in the
/// block after.
///
/// An addition does it for all bits at once: it carries through a run of bits.
#[inline(always)]
pub(super) fn next(of: u64, pass: u64, carry: &mut u64) -> u64 {
    let (sum, over) = pass.overflowing_add(of << 1 | *carry);
    *carry = of >> 63 | u64::from(over);
    sum & !pass
}

/// For each bit whether the number of those up to it, and including it, is odd.
#[inline(always)]
pub(super) fn odd(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The positions of the bits of many words.
    fn positions(words: &[u64]) -> Vec<usize> {
        (0..words.len() * 64).filter(|at| words[at / 64] >> (at % 64) & 1 == 1).collect()
    }

    proptest! {
        #[test]
        fn each_byte_is_of_its_kind(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x1d..0x24u8, 0x5a..0x5fu8, 0x79..0x7fu8], 0..200), at in 0..200usize) {
            let Some(block) = Block::read(&bytes, at) else {
                prop_assert!(at >= bytes.len());
                return Ok(());
            };
            for n in 0..LEN {
                let byte = bytes.get(at + n).copied().unwrap_or(b' ');
                let is = |bits: u64| bits >> n & 1 == 1;
                prop_assert_eq!(is(block.quote), byte == b'"');
                prop_assert_eq!(is(block.backslash), byte == b'\\');
                prop_assert_eq!(is(block.open), matches!(byte, b'{' | b'['));
                prop_assert_eq!(is(block.close), matches!(byte, b'}' | b']'));
                prop_assert_eq!(is(block.colon), byte == b':');
                prop_assert_eq!(is(block.comma), byte == b',');
                prop_assert_eq!(is(block.space), byte == b' ');
                prop_assert_eq!(is(block.control), byte < 0x20);
            }
        }

        #[test]
        fn the_next_bit_may_be_in_a_block_after(
            words in prop::collection::vec((any::<u64>(), any::<u64>(), prop::bool::weighted(0.3)), 1..5),
        ) {
            // What is passed is none of those whose next one is looked for; some blocks are passed whole.
            let pass: Vec<u64> = words.iter().map(|&(_, pass, all)| if all { u64::MAX } else { pass }).collect();
            let of: Vec<u64> = words.iter().zip(&pass).map(|(&(of, ..), pass)| of & !pass).collect();
            let mut carry = 0;
            let found: Vec<u64> = of.iter().zip(&pass).map(|(&of, &pass)| next(of, pass, &mut carry)).collect();
            let passed = positions(&pass);
            let after = |at: usize| (at + 1..words.len() * 64).find(|at| !passed.contains(at));
            let expected: Vec<usize> = positions(&of).into_iter().filter_map(after).collect();
            prop_assert_eq!(positions(&found), expected);
        }

        #[test]
        fn odd_counts_bits(bits: u64) {
            for at in 0..64 {
                prop_assert_eq!(odd(bits) >> at & 1, u64::from((bits << (63 - at)).count_ones() % 2));
            }
        }

        #[test]
        fn bits_are_taken_from_the_lowest_on(bits: u64) {
            let mut rest = bits;
            let taken: Vec<usize> = std::iter::from_fn(|| take_lowest(&mut rest)).collect();
            prop_assert_eq!(taken, positions(&[bits]));
        }
    }
}
