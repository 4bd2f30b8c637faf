//! From how many distinct items on exact counting takes more memory: between two that were measured, the ratio of
//! the engines' memory is taken for a power of the items.

use crate::compare::Compared;

/// Less than a tenth more is what two runs of the same may differ by.
pub const MORE: f64 = 1.1;
pub const DOUBLE: f64 = 2.0;

/// Where the exact engine takes so many times the memory of the sketch, in words; `measured` with the fewest items first.
pub fn crossing(measured: &[Compared], times: f64) -> String {
    let Some(first) = measured.iter().position(|compared| compared.memory_ratio() > times) else {
        let most = measured.last().map_or(0, |compared| compared.distinct);
        return format!("nowhere up to {most} distinct items");
    };
    match first {
        0 => format!("already at {} distinct items", measured[0].distinct),
        first => {
            format!("from about {} distinct items on", between(&measured[first - 1], &measured[first], times))
        }
    }
}

/// Rounded to two digits: more is not known.
fn between(below: &Compared, above: &Compared, times: f64) -> u64 {
    let [low, high] = [below, above].map(|compared| (compared.memory_ratio() / times).ln());
    let (from, to) = ((below.distinct as f64).ln(), (above.distinct as f64).ln());
    let items = (from + (to - from) * -low / (high - low)).exp();
    let digits = 10f64.powf(items.log10().floor() - 1.0);
    ((items / digits).round() * digits) as u64
}
