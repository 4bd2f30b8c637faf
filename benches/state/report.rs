//! What is printed: budgets with whether this run kept them, and medians.

use crate::figures::note;
use std::time::Duration;

/// Prints a budget, what was measured, and whether that keeps it.
pub fn budget(what: &str, most: f64, measured: f64, unit: &str) {
    let kept = if measured <= most { "yes" } else { "NO" };
    note(what, measured, unit, &format!("{most} {unit}"));
    println!("budget: {what}: at most {most} {unit}; measured {measured:.2} {unit}; kept: {kept}");
}

/// The middle one; of an even number, the greater of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
