//! JSON values, of one array or one after the other.
//!
//! What stands between values and is neither white space nor a comma is a record as well, so that it is refused as
//! malformed and not lost in silence.

use super::kind::FramingError;
use super::nesting::Nesting;
use super::records::Cut;

/// Whether a byte is white space in JSON.
pub(super) fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Cuts JSON values.
#[derive(Debug)]
pub(super) struct Json {
    /// Whether the values are the elements of arrays.
    elements: bool,
    /// Whether an array has begun and not ended.
    in_array: bool,
    /// The value that has begun.
    value: Option<Value>,
}

#[derive(Debug)]
enum Value {
    /// An object, an array or a string.
    Nested(Nesting),
    /// Anything else, which ends where something else can begin.
    Bare,
}

impl Json {
    /// The elements of arrays.
    pub(super) fn elements() -> Self {
        Json { elements: true, in_array: false, value: None }
    }

    /// Values one after the other.
    pub(super) fn documents() -> Self {
        Json { elements: false, in_array: false, value: None }
    }

    /// Whether the values are the elements of arrays.
    pub(super) fn are_elements(&self) -> bool {
        self.elements
    }

    /// Whether a bare value ends before this byte.
    fn ends_bare(&self, byte: u8) -> bool {
        is_white(byte) || matches!(byte, b',' | b'"' | b'{' | b'[') || (self.in_array && byte == b']')
    }
}

impl Cut for Json {
    fn gap(&mut self, bytes: &[u8]) -> usize {
        for (at, &byte) in bytes.iter().enumerate() {
            match byte {
                b',' => {}
                _ if is_white(byte) => {}
                b'[' if self.elements && !self.in_array => self.in_array = true,
                b']' if self.in_array => self.in_array = false,
                _ => return at,
            }
        }
        bytes.len()
    }

    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let begins = self.value.is_none();
        let first = *bytes.first()?;
        let value = match self.value.take() {
            Some(value) => value,
            None if matches!(first, b'{' | b'[' | b'"') => Value::Nested(Nesting::default()),
            None => Value::Bare,
        };
        let (value, end) = match value {
            Value::Nested(mut nesting) => {
                let end = nesting.scan(bytes);
                (Value::Nested(nesting), end)
            }
            Value::Bare => {
                let from = usize::from(begins);
                let end = bytes[from..].iter().position(|byte| self.ends_bare(*byte));
                (Value::Bare, end.map(|end| from + end))
            }
        };
        if end.is_none() {
            self.value = Some(value);
        }
        end
    }

    fn content<'a>(&self, record: &'a [u8]) -> &'a [u8] {
        record
    }

    fn may_end(&self) -> Result<(), FramingError> {
        if self.in_array { Err(FramingError::OpenArray) } else { Ok(()) }
    }
}
