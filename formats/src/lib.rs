//! The bytes of a record, read as the fields of an event.
//!
//! [`schema`] says where the fields are, [`parser`] reads them, and [`refusal`] is why a record is no event. Nothing here
//! knows of a job, of panes or of a source.

pub mod parser;
pub mod refusal;
pub mod schema;
