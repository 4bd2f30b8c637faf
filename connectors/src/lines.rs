//! Lines out of buffers of bytes: the common part of files and standard input.
//!
//! In: the bytes from the first that was not consumed, as many as fit a buffer. Out: each line as a record,
//! without its LF or CR LF, with its number from 1. Empty lines, and those before the first that is wanted, are
//! numbered and not delivered; a line over [`MAX_RECORD_BYTES`] is delivered as an absent payload and its bytes are
//! let go as they come.

use crate::source::{MAX_RECORD_BYTES, Record};

/// The bytes that a buffer must be able to hold, so that splitting always gets on: the longest line with its
/// CR LF, and one more to know that a line is longer.
pub(crate) const LONGEST_LINE_BYTES: usize = MAX_RECORD_BYTES + 3;

/// Where a reader is in its lines.
#[derive(Debug)]
pub(crate) struct LineSplitter {
    /// Lines begun before the next byte.
    lines: i64,
    /// The first line that is delivered.
    first: i64,
    /// Whether the next byte belongs to a line that is too long.
    skipping: bool,
    longest: usize,
}

/// What one call of [`LineSplitter::split`] took from the buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Bytes from its beginning that are done with.
    pub(crate) bytes: usize,
    /// Records delivered.
    pub(crate) records: usize,
}

impl LineSplitter {
    /// At the beginning.
    pub(crate) fn new() -> Self {
        Self::beginning_at(1)
    }

    /// At the beginning, to deliver the lines from this number on.
    pub(crate) fn beginning_at(first: i64) -> Self {
        LineSplitter { first, ..Self::with_longest(MAX_RECORD_BYTES) }
    }

    fn with_longest(longest: usize) -> Self {
        LineSplitter { lines: 0, first: 1, skipping: false, longest }
    }

    /// Lines begun so far.
    pub(crate) fn lines(&self) -> i64 {
        self.lines
    }

    /// Delivers at most `limit` lines of `bytes`, which go on where the last call stopped; `end` says that
    /// nothing follows them. Where it takes nothing, it needs more bytes, up to [`LONGEST_LINE_BYTES`].
    pub(crate) fn split(
        &mut self,
        bytes: &[u8],
        end: bool,
        limit: usize,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Taken {
        let mut taken = Taken::default();
        if self.skipping && limit > 0 {
            self.skip(bytes, end, &mut taken, each);
        }
        while taken.records < limit && !self.skipping {
            let rest = &bytes[taken.bytes..];
            match memchr::memchr(b'\n', rest) {
                Some(length) => {
                    taken.bytes += length + 1;
                    taken.records += self.deliver(&rest[..length], each);
                }
                None if end => {
                    taken.bytes = bytes.len();
                    if !rest.is_empty() {
                        taken.records += self.deliver(rest, each);
                    }
                    break;
                }
                None => {
                    // One byte more than the longest may still be its CR.
                    if rest.len() > self.longest + 1 {
                        taken.bytes = bytes.len();
                        self.lines += 1;
                        self.skipping = true;
                    }
                    break;
                }
            }
        }
        taken
    }

    /// Lets go of the bytes of a line that is too long, and delivers it when it ends.
    fn skip(&mut self, bytes: &[u8], end: bool, taken: &mut Taken, each: &mut dyn FnMut(Record<'_>)) {
        let newline = memchr::memchr(b'\n', bytes);
        taken.bytes = newline.map_or(bytes.len(), |length| length + 1);
        if newline.is_some() || end {
            self.skipping = false;
            if self.lines >= self.first {
                taken.records += 1;
                each(Record { offset: self.lines, time: None, payload: None });
            }
        }
    }

    /// One whole line, without its LF: 1 where it was delivered, 0 where it is empty or not wanted.
    fn deliver(&mut self, line: &[u8], each: &mut dyn FnMut(Record<'_>)) -> usize {
        self.lines += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || self.lines < self.first {
            return 0;
        }
        let payload = (line.len() <= self.longest).then_some(line);
        each(Record { offset: self.lines, time: None, payload });
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Lines = Vec<(i64, Option<Vec<u8>>)>;

    /// The obvious way.
    fn naive(bytes: &[u8], longest: usize) -> Lines {
        let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        if lines.last().is_some_and(|last| last.is_empty()) {
            lines.pop();
        }
        let numbered = (1..).zip(lines.into_iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line)));
        numbered
            .filter(|(_, line)| !line.is_empty())
            .map(|(number, line)| (number, (line.len() <= longest).then(|| line.to_vec())))
            .collect()
    }

    /// Through a buffer that holds `capacity` bytes and is filled by at most `step` more at a time.
    fn buffered(bytes: &[u8], longest: usize, capacity: usize, step: usize, limit: usize) -> Lines {
        split_all(LineSplitter::with_longest(longest), bytes, capacity, step, limit)
    }

    fn split_all(
        mut splitter: LineSplitter,
        bytes: &[u8],
        capacity: usize,
        step: usize,
        limit: usize,
    ) -> Lines {
        let (mut from, mut to, mut lines) = (0, 0, Lines::new());
        loop {
            let end = to == bytes.len();
            let taken = splitter.split(&bytes[from..to], end, limit, &mut |record| {
                lines.push((record.offset, record.payload.map(<[u8]>::to_vec)));
            });
            assert!(taken.records <= limit);
            from += taken.bytes;
            if end && from == to {
                return lines;
            }
            assert!(taken.bytes > 0 || to - from < capacity, "a full buffer must get on");
            to = (to + step).min(from + capacity).min(bytes.len()).max(to);
        }
    }

    proptest! {
        #[test]
        fn equals_the_naive_split_through_any_buffer(
            pieces in prop::collection::vec(prop_oneof![
                4 => "[a-c]{0,12}", 3 => Just("\n".to_owned()), 1 => Just("\r\n".to_owned()), 1 => Just("\r".to_owned()),
            ], 0..60),
            longest in 1usize..10, extra in 0usize..20, step in 1usize..16, limit in 1usize..5, first in 1i64..20,
        ) {
            let bytes = pieces.concat().into_bytes();
            let capacity = longest + (LONGEST_LINE_BYTES - MAX_RECORD_BYTES) + extra;
            let mut expected = naive(&bytes, longest);
            prop_assert_eq!(&buffered(&bytes, longest, capacity, step, limit), &expected);
            let later = LineSplitter { first, ..LineSplitter::with_longest(longest) };
            expected.retain(|(number, _)| *number >= first);
            prop_assert_eq!(split_all(later, &bytes, capacity, step, limit), expected);
        }
    }

    #[test]
    fn counts_empty_lines_and_takes_a_last_line_without_an_end() {
        let lines = buffered(b"\n{1}\r\n\r\n\n{2}", 10, 20, 20, 100);
        assert_eq!(lines, [(2, Some(b"{1}".to_vec())), (5, Some(b"{2}".to_vec()))]);
    }
}
