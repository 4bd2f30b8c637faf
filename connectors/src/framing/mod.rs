//! How a stream of bytes is cut into records: the common part of files and standard input.
//!
//! [`Framing`] is what can be chosen. A [`Splitter`](splitter::Splitter) takes a byte order mark off, finds the framing out
//! where that is left to it ([`detect`]), and cuts ([`records`]) lines, JSON values or CSV.

pub(crate) mod checked;
pub(crate) mod csv;
pub(crate) mod detect;
pub(crate) mod json;
pub(crate) mod kind;
pub(crate) mod lines;
pub(crate) mod nesting;
pub(crate) mod records;
pub(crate) mod splitter;
#[cfg(test)]
mod tests;

pub use kind::{Framing, FramingError, UnknownFraming};
