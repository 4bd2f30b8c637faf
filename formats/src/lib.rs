//! Reads the fields of an event from the bytes of a record.
//!
//! [`schema`] says where the fields are, [`parser`] reads them, and [`refusal`] lists the reasons why an event is not
//! counted. Nothing here knows of jobs, panes or sources.

pub mod parser;
pub mod refusal;
pub mod schema;
