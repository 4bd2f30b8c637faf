//! Lines, which LF or CR LF ends.

use super::records::Cut;

/// Cuts lines.
#[derive(Debug)]
pub(super) struct Lines;

impl Cut for Lines {
    #[inline]
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        memchr::memchr(b'\n', bytes).map(|length| length + 1)
    }

    #[inline]
    fn content<'a>(&self, record: &'a [u8]) -> &'a [u8] {
        without_line_end(record)
    }
}

/// A line without its LF, and without a CR before that or at its end.
#[inline]
pub(super) fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
