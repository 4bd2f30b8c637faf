//! Reads the events of a record, with the fields that a job needs, from its bytes.
//!
//! [`schema`] says where the fields are, [`plan`] turns that into places, [`decode`] turns records of other formats into
//! JSON, [`parser`] reads the fields, and [`refusal`] lists the reasons why an event is not counted. Nothing here knows of
//! jobs, panes or sources.

pub mod beside;
pub mod decode;
mod digits;
mod json;
pub mod names;
pub mod normalize;
pub mod parser;
pub mod path;
pub mod plan;
pub mod plan_builder;
pub mod record_fields;
pub mod refusal;
pub mod schema;
pub mod time;
mod tree;
pub mod value;
mod weight;
