//! Reads the pieces of a JSON text: white space, texts, numbers, and values that nobody asks for.
//!
//! Texts and digits are looked through sixteen bytes at a time, with instructions that every processor of the kind has.
//! A place is an index of a byte. Each function takes the place where a piece begins, and gives the one after it.

use crate::value::{Kind, Slot};
use wide::u8x16;

/// The bytes are not one JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// A text to read from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan<'a>(pub(super) &'a [u8]);

/// A text between its quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) escaped: bool,
}

impl Text {
    /// The place after its closing quote.
    #[inline(always)]
    pub(super) fn after(self) -> usize {
        self.end + 1
    }
}

impl Scan<'_> {
    /// The byte at a place; 0 at the end.
    #[inline(always)]
    pub(super) fn peek(self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    /// Reads this byte.
    #[inline(always)]
    pub(super) fn take(self, at: usize, byte: u8) -> Result<usize, Malformed> {
        if self.peek(at) == byte { Ok(at + 1) } else { Err(Malformed) }
    }

    #[inline(always)]
    pub(super) fn space(self, at: usize) -> usize {
        // Most texts have none.
        if self.peek(at) > b' ' { at } else { self.some_space(at) }
    }

    fn some_space(self, mut at: usize) -> usize {
        while let b' ' | b'\n' | b'\t' | b'\r' = self.peek(at) {
            at += 1;
        }
        at
    }

    /// Reads the name of a member and what is between it and its value.
    #[inline(always)]
    pub(super) fn name(self, at: usize) -> Result<(Text, usize), Malformed> {
        let name = self.text(at)?;
        let colon = self.space(name.after());
        Ok((name, self.space(self.take(colon, b':')?)))
    }

    /// Reads a text with its quotes.
    #[inline(always)]
    pub(super) fn text(self, at: usize) -> Result<Text, Malformed> {
        let start = self.take(at, b'"')?;
        let stop = self.stop(start);
        match self.peek(stop) {
            b'"' => Ok(Text { start, end: stop, escaped: false }),
            b'\\' => Ok(Text { start, end: self.end_after_escapes(stop)?, escaped: true }),
            _ => Err(Malformed),
        }
    }

    /// The closing quote of a text whose first escape is at this place.
    #[inline(never)]
    fn end_after_escapes(self, mut at: usize) -> Result<usize, Malformed> {
        loop {
            at = self.stop(self.escape(at)?);
            match self.peek(at) {
                b'"' => return Ok(at),
                b'\\' => {}
                _ => return Err(Malformed),
            }
        }
    }

    /// Reads the escape that begins with the backslash at this place.
    #[inline(always)]
    pub(super) fn escape(self, at: usize) -> Result<usize, Malformed> {
        match self.0.get(at + 1..).unwrap_or_default() {
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Ok(at + 2),
            [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => {
                Ok(at + 6)
            }
            _ => Err(Malformed),
        }
    }

    /// The first quote, backslash or control character; the end where there is none.
    #[inline(always)]
    fn stop(self, mut at: usize) -> usize {
        while let Some(chunk) = self.0.get(at..).and_then(|rest| rest.first_chunk()) {
            let stops = stops(u8x16::new(*chunk));
            if stops != 0 {
                return at + stops.trailing_zeros() as usize;
            }
            at += 16;
        }
        self.stop_at_end(at)
    }

    /// The same in the last bytes, of which there are less than sixteen.
    #[inline(never)]
    fn stop_at_end(self, at: usize) -> usize {
        let rest = self.0.get(at..).unwrap_or_default();
        let plain = match self.0.last_chunk() {
            // Read with some bytes before them.
            Some(last) if !rest.is_empty() => {
                (stops(u8x16::new(*last)) >> (16 - rest.len())).trailing_zeros() as usize
            }
            _ => rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count(),
        };
        at + plain.min(rest.len())
    }

    /// Reads a number, `true`, `false` or `null`. It ends where its span does.
    #[inline(always)]
    pub(super) fn scalar(self, at: usize) -> Result<Slot, Malformed> {
        let (kind, end) = match self.peek(at) {
            b'-' | b'0'..=b'9' => (Kind::Number, self.number(at)?),
            b't' => (Kind::Bool, self.word(at, b"true")?),
            b'f' => (Kind::Bool, self.word(at, b"false")?),
            b'n' => (Kind::Absent, self.word(at, b"null")?),
            _ => return Err(Malformed),
        };
        Ok(Slot::new(kind, at..end))
    }

    #[inline(always)]
    fn word(self, at: usize, word: &[u8]) -> Result<usize, Malformed> {
        let end = at + word.len();
        if self.0.get(at..end) == Some(word) { Ok(end) } else { Err(Malformed) }
    }

    #[inline(always)]
    fn number(self, at: usize) -> Result<usize, Malformed> {
        let start = at + usize::from(self.peek(at) == b'-');
        let end = self.digits(start);
        if end == start || (self.peek(start) == b'0' && end > start + 1) {
            return Err(Malformed);
        }
        if let b'.' | b'e' | b'E' = self.peek(end) { self.fraction(end) } else { Ok(end) }
    }

    #[inline(never)]
    fn fraction(self, mut at: usize) -> Result<usize, Malformed> {
        let some = |start: usize, end: usize| if end > start { Ok(end) } else { Err(Malformed) };
        if self.peek(at) == b'.' {
            at = some(at + 1, self.digits(at + 1))?;
        }
        if let b'e' | b'E' = self.peek(at) {
            let signed = matches!(self.peek(at + 1), b'+' | b'-');
            let start = at + 1 + usize::from(signed);
            at = some(start, self.digits(start))?;
        }
        Ok(at)
    }

    /// The first byte that is no digit.
    #[inline(always)]
    fn digits(self, mut at: usize) -> usize {
        while let Some(chunk) = self.0.get(at..).and_then(|rest| rest.first_chunk()) {
            let digits = others(u8x16::new(*chunk)).trailing_zeros() as usize;
            at += digits.min(16);
            if digits < 16 {
                return at;
            }
        }
        let rest = self.0.get(at..).unwrap_or_default();
        let digits = match self.0.last_chunk() {
            // Read with some bytes before them.
            Some(last) if !rest.is_empty() => {
                (others(u8x16::new(*last)) >> (16 - rest.len())).trailing_zeros() as usize
            }
            _ => rest.iter().take_while(|byte| byte.is_ascii_digit()).count(),
        };
        at + digits.min(rest.len())
    }

    /// Reads a value that nobody asks for.
    #[inline(always)]
    pub(super) fn skip(self, at: usize) -> Result<usize, Malformed> {
        match self.peek(at) {
            b'"' => Ok(self.text(at)?.after()),
            b'{' | b'[' => self.skip_container(at),
            _ => Ok(self.scalar(at)?.end()),
        }
    }
}

/// A bit for each byte at which the plain part of a text ends.
#[inline(always)]
fn stops(bytes: u8x16) -> u32 {
    let is = |byte: u8| bytes.simd_eq(u8x16::splat(byte));
    let control = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
    (is(b'"') | is(b'\\') | control).to_bitmask()
}

/// A bit for each byte that is no digit.
#[inline(always)]
fn others(bytes: u8x16) -> u32 {
    let values = bytes - u8x16::splat(b'0');
    !values.min(u8x16::splat(9)).simd_eq(values).to_bitmask() & 0xffff
}
