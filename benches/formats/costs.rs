//! What was measured.

use crate::shape::Shape;

/// What was measured of one shape.
pub struct Row {
    pub shape: &'static Shape,
    /// Of an event, on average, with its line feed.
    pub bytes: f64,
    pub costs: Costs,
}

/// What an event took in each round, in nanoseconds of processor time; nothing where it is not measured.
#[derive(Default)]
pub struct Costs {
    pub crest: Vec<f64>,
    pub script: Vec<f64>,
    pub twins: Vec<f64>,
    pub duckdb: Vec<f64>,
}
