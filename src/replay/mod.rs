//! What `crest backfill` and `crest audit` have in common: a range of a log's past, the source that ends with it, and how
//! far its reading is.

pub mod progress;
pub mod range;
pub mod source;
