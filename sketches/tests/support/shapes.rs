//! Geometries so small that short streams overflow them.

use crest_sketches::Shape;

/// Of every sketch in the tests.
pub const SEED: u64 = 7;

/// A small table and a small tail.
pub fn small() -> Shape {
    Shape::new(32, 0.07, 0.05, SEED).unwrap()
}

/// A classic one, of a width that is no power of two.
pub fn small_classic() -> Shape {
    Shape::classic(32, 0.03, 0.05, SEED).unwrap()
}

/// These, and of either kind the least there is.
pub fn shapes() -> [Shape; 4] {
    let tiny = Shape::new(32, 0.15, 0.5, SEED).unwrap();
    let tiny_classic = Shape::classic(32, 0.04, 0.5, SEED).unwrap();
    [tiny, tiny_classic, small(), small_classic()]
}
