//! How many different values there were, by estimate, and how far off that may be.
//!
//! ```
//! use crest_sketches::Estimate;
//! assert_eq!(Estimate::exactly(40).standard_error(), 0.0);
//! assert_eq!(Estimate::hyper_log_log(1000).standard_error(), 23.0);
//! ```

/// The standard error of a HyperLogLog of 2,048 registers, relative to what is counted: `1.04 / sqrt(2048)`.
const RELATIVE_ERROR: f64 = 0.023;

/// A number of different values. It is most likely within a standard error or two, and certain is only what
/// [`Bounds`](crate::Bounds) say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Estimate {
    /// So many.
    pub count: u64,
    of: Method,
}

/// What it was estimated from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Method {
    Hashes,
    HyperLogLog,
}

impl Estimate {
    /// Of the values that were seen, each of which is known.
    pub fn exactly(count: u64) -> Self {
        Estimate { count, of: Method::Hashes }
    }

    /// Of the registers of a HyperLogLog.
    pub fn hyper_log_log(count: u64) -> Self {
        Estimate { count, of: Method::HyperLogLog }
    }

    /// Whether each of the values that were seen is known. What was not seen may be more, as the bounds say.
    pub fn is_exact(&self) -> bool {
        self.of == Method::Hashes
    }

    /// In values: 0 where each of them is known, and 2.3 % of them otherwise. What was not seen is not part of it.
    pub fn standard_error(&self) -> f64 {
        match self.of {
            Method::Hashes => 0.0,
            Method::HyperLogLog => RELATIVE_ERROR * self.count as f64,
        }
    }
}
