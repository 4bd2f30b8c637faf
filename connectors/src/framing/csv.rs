//! Lines whose quoted fields may hold line ends, as in RFC 4180.
//!
//! A quote opens a field only where the field begins, so that `5" disk` is a plain field. A line that is too long ends at
//! the next line end, quoted or not: a quote that is never closed does not take the rest of the file with it.

use super::lines::without_line_end;
use super::records::Cut;

/// Cuts lines of CSV.
#[derive(Debug)]
pub(super) struct Csv {
    delimiter: u8,
    quote: Option<u8>,
    at: At,
}

/// What the last byte means for the next one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    /// A field begins.
    FieldStart,
    /// It belongs to a field that is not quoted, or ends it.
    Plain,
    /// It is quoted.
    Quoted,
    /// The last byte was a quote in a quoted field: another one, and it stood for itself.
    Quote,
    /// Nothing but the end of the line matters.
    GivenUp,
}

impl Csv {
    /// At the beginning of a line.
    pub(super) fn new(delimiter: u8, quote: Option<u8>) -> Self {
        Csv { delimiter, quote, at: At::FieldStart }
    }

    /// Whether a quote at this place opens a field.
    fn opens(&self, bytes: &[u8], place: usize) -> bool {
        if self.quote.is_none() {
            return false;
        }
        match place.checked_sub(1) {
            Some(before) => bytes[before] == self.delimiter,
            None => self.at == At::FieldStart,
        }
    }
}

impl Cut for Csv {
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut from = 0;
        // Where fields are never quoted, the line end is looked for twice.
        let quote = self.quote.unwrap_or(b'\n');
        while from < bytes.len() {
            let rest = &bytes[from..];
            let (taken, next) = match self.at {
                At::Quoted => (memchr::memchr(quote, rest)? + 1, At::Quote),
                At::Quote if rest[0] == quote => (1, At::Quoted),
                At::Quote => (0, At::Plain),
                At::GivenUp => (memchr::memchr(b'\n', rest)? + 1, At::FieldStart),
                At::FieldStart | At::Plain => match memchr::memchr2(b'\n', quote, rest) {
                    Some(place) if rest[place] == b'\n' => (place + 1, At::FieldStart),
                    Some(place) if self.opens(rest, place) => (place + 1, At::Quoted),
                    Some(place) => (place + 1, At::Plain),
                    None if rest.last() == Some(&self.delimiter) => (rest.len(), At::FieldStart),
                    None => (rest.len(), At::Plain),
                },
            };
            let ends_line = taken > 0 && rest[taken - 1] == b'\n' && next == At::FieldStart;
            (self.at, from) = (next, from + taken);
            if ends_line {
                return Some(from);
            }
        }
        None
    }

    fn content<'a>(&self, record: &'a [u8]) -> &'a [u8] {
        without_line_end(record)
    }

    fn give_up(&mut self) {
        self.at = At::GivenUp;
    }
}
