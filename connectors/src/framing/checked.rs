//! Whether the records of a buffer are UTF-8, found out for many short ones at once.

use std::ops::Range;

/// Bytes that are checked at once, as they fit the processor's cache. What is left of a part when the buffer or the call
/// ends is checked again by the next.
const BYTES: usize = 16 << 10;

/// A buffer, and the part of it that was checked last.
pub(super) struct Checked<'b> {
    bytes: &'b [u8],
    part: Range<usize>,
    /// The part, if it is UTF-8.
    text: Option<&'b str>,
}

impl<'b> Checked<'b> {
    /// A buffer of which nothing was checked.
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Checked { bytes, part: 0..0, text: Some("") }
    }

    /// A record's bytes.
    #[inline]
    pub(super) fn bytes(&self, record: Range<usize>) -> &'b [u8] {
        &self.bytes[record]
    }

    /// The text of a record, which ends where a character does; `None` where it, or one near it, is not UTF-8. Records
    /// must come in order.
    #[inline]
    pub(super) fn text(&mut self, record: Range<usize>) -> Option<&'b str> {
        if record.end > self.part.end {
            self.check(&record);
        }
        self.text?.get(record.start - self.part.start..record.end - self.part.start)
    }

    /// Checks a record with the lines after it.
    #[inline(never)]
    fn check(&mut self, record: &Range<usize>) {
        let more = record.end..self.bytes.len().min(record.start + BYTES).max(record.end);
        let more = &self.bytes[more];
        // A line end is no part of another character. Where no line ends here, none is looked for further on: records that
        // are all in one line would each look through the same bytes.
        let ends_line = more.first().is_some_and(|byte| matches!(byte, b'\n' | b'\r'));
        let last = if ends_line { memchr::memrchr(b'\n', more) } else { None };
        let lines = last.map_or(0, |last| last + 1);
        self.part = record.start..record.end + lines;
        self.text = simdutf8::basic::from_utf8(&self.bytes[self.part.clone()]).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lines_are_text_where_they_and_those_near_them_are(
            lines in prop::collection::vec(prop_oneof![
                20 => "[a-zé€😀]{0,300}".prop_map(String::into_bytes),
                1 => prop::collection::vec(any::<u8>(), 0..300),
            ], 0..200),
            between in prop_oneof![Just(b'\n'), Just(b',')],
        ) {
            let bytes = lines.join(&between);
            let mut checked = Checked::new(&bytes);
            let (mut from, mut texts) = (0, 0);
            for line in bytes.split(|byte| *byte == between) {
                let text = checked.text(from..from + line.len());
                prop_assert!(text.is_none_or(|text| text.as_bytes() == line));
                texts += usize::from(text.is_some());
                from += line.len() + 1;
            }
            if std::str::from_utf8(&bytes).is_ok() {
                prop_assert_eq!(texts, bytes.split(|byte| *byte == between).count());
            }
        }
    }
}
