//! The fast path: one pass over a flat object of strings without escapes, plain numbers, `true`, `false` and `null`.
//!
//! It never refuses an event. At the first byte that it does not handle (a nested value, an escape, an exponent, a
//! number of many digits, a mistake) it gives up, and the fallback reads the event from the start. So it needs to know
//! only a part of JSON, but must accept nothing that the fallback would not.

use super::fields::{FieldId, Names, Slot};
use std::ops::Range;

/// The most digits of a whole number that is scanned. It fits 64 bits with either sign.
const INTEGER_DIGITS: usize = 18;
/// The most digits after the point of a number that is scanned. It is far within the range of a double.
const FRACTION_DIGITS: usize = 32;

/// A scanner, which remembers the order of the last event's members.
#[derive(Debug)]
pub(super) struct Scanner {
    /// The field that came first in the last event, then for each field the one that came after it. Most events have
    /// their members in the order of the event before, and comparing a key with one name is faster than finding it.
    after: Vec<Option<FieldId>>,
}

impl Scanner {
    pub(super) fn new(names: &Names) -> Self {
        Scanner { after: vec![None; names.len() + 1] }
    }

    /// Fills the slots, one for each name, with spans of `text`. Where it returns `None`, their content is meaningless.
    #[inline]
    pub(super) fn scan(&mut self, text: &str, names: &Names, slots: &mut [Slot]) -> Option<()> {
        slots.fill(Slot::Absent);
        let mut cursor = Cursor { bytes: text.as_bytes(), at: 0 };
        cursor.skip_whitespace();
        cursor.take(b'{')?;
        cursor.skip_whitespace();
        if cursor.peek()? == b'}' {
            cursor.at += 1;
        } else {
            self.members(&mut cursor, names, slots)?;
        }
        cursor.skip_whitespace();
        (cursor.at == text.len()).then_some(())
    }

    /// Reads from the first key to after the closing brace.
    #[inline]
    fn members(&mut self, cursor: &mut Cursor, names: &Names, slots: &mut [Slot]) -> Option<()> {
        let mut before = 0;
        loop {
            let expected = self.after[before];
            let field = match expected {
                Some(id) if cursor.skip(names.member(id)) => expected,
                _ => names.find(cursor.key()?),
            };
            cursor.skip_whitespace();
            let value = cursor.value()?;
            if let Some(id) = field {
                slots[id.0] = value;
                self.after[before] = field;
                before = id.0 + 1;
            }
            cursor.skip_whitespace();
            match cursor.next()? {
                b',' => cursor.skip_whitespace(),
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    fn take(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// Skips these bytes if they are next, and returns whether they were.
    #[inline]
    fn skip(&mut self, bytes: &[u8]) -> bool {
        let next = self.bytes.get(self.at..self.at + bytes.len()).is_some_and(|next| equal(next, bytes));
        self.at += if next { bytes.len() } else { 0 };
        next
    }

    #[inline]
    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Reads a key from its opening quote to after its colon, and returns the text between the quotes.
    #[inline]
    fn key(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let key = self.rest_of_string()?;
        self.skip_whitespace();
        self.take(b':')?;
        Some(&self.bytes[key])
    }

    #[inline]
    fn value(&mut self) -> Option<Slot> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                self.rest_of_string().map(Slot::String)
            }
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word(b"true").map(Slot::Word),
            b'f' => self.word(b"false").map(Slot::Word),
            b'n' => self.word(b"null").map(|_| Slot::Absent),
            _ => None,
        }
    }

    #[inline]
    fn word(&mut self, word: &[u8]) -> Option<Range<usize>> {
        let start = self.at;
        self.skip(word).then_some(start..self.at)
    }

    /// Reads from after the opening quote to after the closing one, and returns the span between them.
    #[inline]
    fn rest_of_string(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let end = start + string_stop(&self.bytes[start..])?;
        self.at = end + 1;
        (self.bytes[end] == b'"').then_some(start..end)
    }

    /// Reads a number without an exponent. One with a fraction is read as unusable.
    #[inline]
    fn number(&mut self) -> Option<Slot> {
        let start = self.at;
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let first = self.peek()?;
        let whole = self.digits();
        // `serde_json` reads minus zero as a double, so it is left to the fallback.
        let zero = first == b'0';
        if whole == 0 || whole > INTEGER_DIGITS || (zero && whole > 1) {
            return None;
        }
        match self.peek()? {
            b'.' => {
                self.at += 1;
                let fraction = self.digits();
                let plain =
                    fraction > 0 && fraction <= FRACTION_DIGITS && !matches!(self.peek()?, b'e' | b'E');
                plain.then_some(Slot::Unusable)
            }
            b'e' | b'E' => None,
            _ => (!(zero && negative)).then_some(Slot::Integer(start..self.at)),
        }
    }

    #[inline]
    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at - start
    }
}

/// The same as `one == other`, but eight bytes at a time. For short keys this is faster than a call of `memcmp`.
#[inline]
fn equal(one: &[u8], other: &[u8]) -> bool {
    let (Some(last), true) = (one.last_chunk::<8>(), one.len() == other.len()) else { return one == other };
    let same = |(one, other): (&[u8; 8], &[u8; 8])| u64::from_le_bytes(*one) == u64::from_le_bytes(*other);
    one.as_chunks().0.iter().zip(other.as_chunks().0).all(same) && Some(last) == other.last_chunk()
}

/// The index of the first byte at which plain text of a string ends: a quote, a backslash or a control character.
#[inline]
fn string_stop(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(eight) = bytes[at..].first_chunk() {
        let stops = stops(u64::from_le_bytes(*eight));
        if stops != 0 {
            return Some(at + stops.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let last = &bytes[at..];
    Some(at + last.iter().position(|&byte| matches!(byte, b'"' | b'\\' | 0..0x20))?)
}

/// Sets the high bit of each of eight bytes that [`string_stop`] looks for. A borrow may also set it in bytes above the
/// lowest of them, so only the lowest set bit is valid.
#[inline]
fn stops(eight: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let is = |byte: u8| below(eight ^ (ONES * u64::from(byte)), 1);
    (below(eight, 0x20) | is(b'"') | is(b'\\')) & (ONES * 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_are_equal_as_the_standard_library_says(
            one in prop::collection::vec(0..2u8, 0..30), other in prop::collection::vec(0..2u8, 0..30)
        ) {
            prop_assert_eq!(equal(&one, &other), one == other);
            let mut changed = one.clone();
            prop_assert!(equal(&one, &changed));
            for at in 0..one.len() {
                changed[at] ^= 1;
                prop_assert!(!equal(&one, &changed));
                changed[at] ^= 1;
            }
        }

        #[test]
        fn a_string_stops_where_a_walk_by_bytes_stops(
            bytes in prop::collection::vec(prop_oneof![Just(b'a'), Just(b'!'), Just(b' '), Just(b'#'), any::<u8>()], 0..60)
        ) {
            let walked = bytes.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20);
            prop_assert_eq!(string_stop(&bytes), walked);
        }
    }
}
