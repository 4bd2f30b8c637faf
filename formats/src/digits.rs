//! Decimal digits, eight at a time.

/// Whether all bytes are digits.
#[inline]
pub(crate) fn all_digits(bytes: &[u8]) -> bool {
    let (eights, rest) = bytes.as_chunks::<8>();
    eights.iter().all(|eight| are_digits(u64::from_le_bytes(*eight))) && rest.iter().all(u8::is_ascii_digit)
}

/// The number with these digits, of which there are from 1 to 19; `None` for anything else.
#[inline]
pub(crate) fn number(bytes: &[u8]) -> Option<u64> {
    match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        // Such are most times: two words, of which the second begins in the first.
        (Some(first), Some(last)) if matches!(bytes.len(), 9..=16) => {
            let (first, more) = (u64::from_le_bytes(*first), bytes.len() - 8);
            let last = last_digits(u64::from_le_bytes(*last), more);
            let number = of_eight(first) * POWERS[more] + of_eight(last);
            (are_digits(first) & are_digits(last)).then_some(number)
        }
        _ => any_number(bytes),
    }
}

/// The same, for any number of bytes.
fn any_number(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || bytes.len() > 19 {
        return None;
    }
    let (eights, rest) = bytes.as_chunks::<8>();
    let mut number = 0;
    for eight in eights {
        let word = u64::from_le_bytes(*eight);
        if !are_digits(word) {
            return None;
        }
        number = number * 100_000_000 + of_eight(word);
    }
    match bytes.last_chunk::<8>() {
        _ if rest.is_empty() => Some(number),
        Some(last) => {
            let word = last_digits(u64::from_le_bytes(*last), rest.len());
            are_digits(word).then(|| number * POWERS[rest.len()] + of_eight(word))
        }
        None => rest.iter().try_fold(0, |number, byte| {
            let digit = byte.wrapping_sub(b'0');
            (digit < 10).then(|| number * 10 + u64::from(digit))
        }),
    }
}

/// The last digits of eight, of which there is at least one, with zeros in the place of those before them.
#[inline]
fn last_digits(eight: u64, digits: usize) -> u64 {
    let missing = 64 - 8 * digits as u32;
    eight >> missing << missing | (b'0' as u64 * ONES) & !(u64::MAX << missing)
}

/// Powers of ten.
const POWERS: [u64; 9] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

const ONES: u64 = u64::MAX / 0xff;

/// Whether each of eight bytes is a digit: its high half is 3, and stays so with 6 added.
#[inline]
fn are_digits(eight: u64) -> bool {
    let high = |word: u64| word & (0xf0 * ONES) == 0x30 * ONES;
    high(eight) && high(eight.wrapping_add(6 * ONES))
}

/// The number of eight digits, of which the first is the lowest byte: neighbours are joined to numbers of two digits, then
/// of four, then of eight.
#[inline]
fn of_eight(eight: u64) -> u64 {
    let ones = eight & (0x0f * ONES);
    let twos = (ones.wrapping_mul(10).wrapping_add(ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (twos.wrapping_mul(100).wrapping_add(twos >> 16)) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_are_those_of_the_standard_library(text in "[0-9]{0,22}") {
            let expected = text.parse().ok().filter(|_: &u64| text.len() <= 19);
            prop_assert_eq!(number(text.as_bytes()), expected);
            prop_assert!(all_digits(text.as_bytes()));
        }

        #[test]
        fn other_bytes_are_no_digits(text in prop::collection::vec(prop_oneof![9 => 0x30..0x3a_u8, 1 => any::<u8>()], 1..25)) {
            let digits = text.iter().all(u8::is_ascii_digit);
            prop_assert_eq!(all_digits(&text), digits);
            prop_assert_eq!(number(&text).is_some(), digits && text.len() <= 19);
        }
    }
}
