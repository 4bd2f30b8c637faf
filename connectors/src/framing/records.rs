//! Records out of buffers of bytes, whatever ends a record.
//!
//! In: the bytes from the first that was not consumed, as many as fit a buffer. Out: each record, with its number from 1.
//! Those before the first that is wanted are numbered and not delivered. A record over [`MAX_RECORD_BYTES`] is delivered
//! as [`Payload::TooLong`], and its bytes are let go as they come. No byte is looked at twice to find out
//! where a record ends.
//!
//! Whether records are UTF-8 is found out for many short ones at once, which takes a third of the time.

use super::checked::Checked;
use super::kind::FramingError;
use crate::source::{MAX_RECORD_BYTES, Payload, Record};
use std::ops::Range;

/// The bytes that a buffer must be able to hold, so that splitting always gets on: the longest line with its
/// CR LF, and one more to know that a line is longer.
pub(crate) const LONGEST_LINE_BYTES: usize = MAX_RECORD_BYTES + 3;

/// Finds where records begin and end.
pub(super) trait Cut {
    /// Bytes from the beginning that belong to no record. Asked where no record has begun.
    fn gap(&mut self, _bytes: &[u8]) -> usize {
        0
    }

    /// How many bytes the record goes on for, what ends it included; `None` where it does not end in `bytes`, which follow
    /// those of the last call.
    fn end(&mut self, bytes: &[u8]) -> Option<usize>;

    /// The record without what ends it. It is no record where nothing is left.
    fn content<'a>(&self, record: &'a [u8]) -> &'a [u8];

    /// The record is too long, and its content not wanted any more.
    fn give_up(&mut self) {}

    /// Whether the stream may end here.
    fn may_end(&self) -> Result<(), FramingError> {
        Ok(())
    }
}

/// What one call of [`Records::split`] took from the buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Bytes from its beginning that are done with.
    pub(crate) bytes: usize,
    /// Records delivered.
    pub(crate) records: usize,
    /// Whether the header was found. It must be told before a record is delivered.
    pub(crate) header: bool,
}

/// Where a reader is in its records.
#[derive(Debug)]
pub(super) struct Records<C> {
    cut: C,
    /// Records begun.
    begun: i64,
    /// The first record that is delivered.
    first: i64,
    /// Whether the last record that has begun has not ended.
    open: bool,
    /// Bytes of the open record that were looked at and not consumed.
    seen: usize,
    /// Whether the open record is too long.
    too_long: bool,
    longest: usize,
}

impl<C: Cut> Records<C> {
    /// At the beginning, to deliver the records from this number on.
    pub(super) fn new(cut: C, first: i64) -> Self {
        Self::with_longest(cut, first, MAX_RECORD_BYTES)
    }

    pub(super) fn with_longest(cut: C, first: i64, longest: usize) -> Self {
        Records { cut, begun: 0, first, open: false, seen: 0, too_long: false, longest }
    }

    /// What cuts the records.
    pub(super) fn cut(&self) -> &C {
        &self.cut
    }

    /// The number of the record that ends next.
    pub(super) fn next(&self) -> i64 {
        self.begun + i64::from(!self.open)
    }

    /// Delivers from here on the records from this number on.
    pub(super) fn begin_at(&mut self, first: i64) {
        self.first = first;
    }

    /// Delivers at most `limit` records of `bytes`, which go on where the last call stopped; `end` says that nothing
    /// follows them. Where it takes nothing, it needs more bytes, up to [`LONGEST_LINE_BYTES`].
    ///
    /// # Errors
    /// The stream ends where it must not.
    pub(super) fn split(
        &mut self,
        bytes: &[u8],
        end: bool,
        limit: usize,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<Taken, FramingError> {
        let mut taken = Taken::default();
        let mut checked = Checked::new(bytes);
        while taken.records < limit {
            if !self.open {
                taken.bytes += self.cut.gap(&bytes[taken.bytes..]);
                if taken.bytes == bytes.len() {
                    break;
                }
                self.begun += 1;
                (self.open, self.seen, self.too_long) = (true, 0, false);
            }
            let rest = &bytes[taken.bytes..];
            // A buffer that was filled anew may hold less than was seen.
            let seen = self.seen.min(rest.len());
            let length = match self.cut.end(&rest[seen..]) {
                Some(more) => seen + more,
                None if end => {
                    self.cut.may_end()?;
                    rest.len()
                }
                None => {
                    self.seen = self.seen.max(rest.len());
                    // One byte more than the longest may still be its CR.
                    if self.too_long || rest.len() > self.longest + 1 {
                        taken.bytes = bytes.len();
                        self.give_up();
                    }
                    return Ok(taken);
                }
            };
            let record = taken.bytes..taken.bytes + length;
            taken.bytes = record.end;
            taken.records += self.deliver(&mut checked, record, each);
        }
        if end && taken.bytes == bytes.len() {
            self.cut.may_end()?;
        }
        Ok(taken)
    }

    /// Lets go of the bytes of the open record.
    fn give_up(&mut self) {
        if !self.too_long {
            self.cut.give_up();
        }
        (self.too_long, self.seen) = (true, 0);
    }

    /// The open record, which ends here: 1 where it was delivered, 0 where it is empty or not wanted.
    fn deliver(
        &mut self,
        checked: &mut Checked<'_>,
        record: Range<usize>,
        each: &mut dyn FnMut(Record<'_>),
    ) -> usize {
        self.open = false;
        let start = record.start;
        let content = self.cut.content(checked.bytes(record));
        let too_long = self.too_long || content.len() > self.longest;
        if self.begun < self.first || (content.is_empty() && !too_long) {
            return 0;
        }
        let payload = match too_long {
            true => Payload::TooLong,
            false => {
                checked.text(start..start + content.len()).map_or(Payload::Bytes(content), Payload::Text)
            }
        };
        each(Record::new(self.begun, payload));
        1
    }
}
