//! The framings that can be chosen, and what can be wrong with a stream that has one.

use std::fmt;
use std::str::FromStr;

/// How a stream of bytes is cut into records. Records are numbered from 1, and the number is their offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Found out from the beginning of the stream, which is taken for JSON: an array, documents, or else lines. Where the
    /// first line is a whole array, what follows it decides; see `docs/files.md`.
    #[default]
    Auto,
    /// Each line is a record, without its LF or CR LF. Empty lines are numbered, but are no records.
    Lines,
    /// Each element of one JSON array is a record. Where the stream holds several arrays, their elements follow each other.
    Array,
    /// Each JSON value is a record, whatever white space is between.
    Documents,
    /// Each line is a record, as in `Lines`, but quoted fields may hold line ends. Chosen by the format, and not by name.
    Csv {
        /// What separates the fields: a quote opens a field only at the field's beginning.
        delimiter: u8,
        /// What quoted fields begin and end with; doubled, it stands for itself. `None` where fields are never quoted.
        quote: Option<u8>,
        /// Whether the first line is the header: it is numbered, and delivered by
        /// [`Source::header`](crate::source::Source::header) and not as a record.
        header: bool,
    },
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Framing::Auto => "auto",
            Framing::Lines => "lines",
            Framing::Array => "array",
            Framing::Documents => "documents",
            Framing::Csv { .. } => "csv",
        })
    }
}

/// A name that no framing has that can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be auto, lines, array or documents")]
pub struct UnknownFraming;

impl FromStr for Framing {
    type Err = UnknownFraming;

    fn from_str(text: &str) -> Result<Self, UnknownFraming> {
        let named = [Framing::Auto, Framing::Lines, Framing::Array, Framing::Documents];
        named.into_iter().find(|framing| framing.to_string() == text).ok_or(UnknownFraming)
    }
}

/// Why a stream cannot be cut into records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// It ends within an array.
    #[error("the JSON array that it is in does not end")]
    OpenArray,
    /// The header of a CSV file is not held in memory.
    #[error("the header is longer than {limit} bytes")]
    LongHeader {
        /// Bytes that a header may have.
        limit: usize,
    },
}
