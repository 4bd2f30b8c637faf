//! Finds out how a stream of JSON is framed, from its beginning.
//!
//! The first byte that is no white space tells, with the line that it begins:
//! - `[`, and the array goes on after the line: an array. It ends within the line: an array where nothing but white space
//!   follows, and lines of arrays where anything does.
//! - `{`, and the line is not one whole value: documents, if the first one is whole within the bytes that are looked at. If
//!   it is not, the line is a damaged one.
//! - Anything else: lines.
//!
//! At most [`MAX_RECORD_BYTES`] are looked at, each once. Where they do not decide, the value is too long for a record: an
//! array is taken for one of elements, and all else for lines.

use super::json::is_white;
use super::kind::Framing;
use super::nesting::Nesting;
use crate::source::MAX_RECORD_BYTES;

/// What was seen of the beginning.
#[derive(Debug, Default)]
pub(super) struct Detector {
    /// Bytes looked at.
    seen: usize,
    stage: Stage,
}

#[derive(Debug, Default)]
enum Stage {
    /// Only white space.
    #[default]
    Blank,
    /// Within the first value.
    Value { array: bool, nesting: Nesting, more_lines: bool },
    /// After the first value, which was a line's, or the first of it.
    After { array: bool },
}

impl Detector {
    /// The framing of a stream that begins with `bytes`, among them those of the calls before; `end` says that nothing
    /// follows them. `None` where more bytes are needed.
    pub(super) fn decide(&mut self, bytes: &[u8], end: bool) -> Option<Framing> {
        for &byte in bytes.get(self.seen..).unwrap_or_default() {
            self.seen += 1;
            if let Some(framing) = self.step(byte) {
                return Some(framing);
            }
        }
        let likely = match self.stage {
            Stage::Value { array: true, .. } | Stage::After { array: true } => Framing::Array,
            _ => Framing::Lines,
        };
        (end || self.seen >= MAX_RECORD_BYTES).then_some(likely)
    }

    fn step(&mut self, byte: u8) -> Option<Framing> {
        match &mut self.stage {
            Stage::Blank if is_white(byte) => None,
            Stage::Blank if byte == b'[' || byte == b'{' => {
                let mut nesting = Nesting::default();
                nesting.scan(&[byte]);
                self.stage = Stage::Value { array: byte == b'[', nesting, more_lines: false };
                None
            }
            Stage::Blank => Some(Framing::Lines),
            // No string of JSON holds a line end.
            Stage::Value { nesting, .. } if byte == b'\n' && nesting.in_string() => Some(Framing::Lines),
            Stage::Value { array: true, .. } if byte == b'\n' => Some(Framing::Array),
            Stage::Value { array, nesting, more_lines } => {
                *more_lines |= byte == b'\n';
                nesting.scan(&[byte])?;
                if *more_lines {
                    return Some(Framing::Documents);
                }
                self.stage = Stage::After { array: *array };
                None
            }
            Stage::After { array: false } if byte == b'\n' => Some(Framing::Lines),
            Stage::After { .. } if is_white(byte) => None,
            Stage::After { array: true } => Some(Framing::Lines),
            Stage::After { array: false } => Some(Framing::Documents),
        }
    }
}
