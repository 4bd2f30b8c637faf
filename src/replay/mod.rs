//! What `crest backfill` and `crest audit` have in common: a range of a log's past, and the source that ends with it.

pub mod range;
pub mod source;
