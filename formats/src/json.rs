//! Reads what a job asks for out of a JSON text, in one pass.
//!
//! A text is malformed where RFC 8259 says so. All of it is checked, also what nobody asks for, so that whether a record
//! is malformed depends on no configuration. Texts may be nested without a limit; of equal names of an object the last
//! counts. Half a surrogate pair is grammar and yet no Unicode: a text with one is unusable, and its record is not
//! malformed.

mod block;
mod hints;
mod lookup;
mod nesting;
mod scan;
mod skip;
mod unescape;
mod walk;

pub(crate) use hints::Hints;
pub(crate) use lookup::Lookup;
pub(crate) use walk::{Keep, value_text, walk_record, walk_value};
