//! Processor time, since on a busy machine the time that passes says little.

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::Instant;

/// Nanoseconds that this thread has run for; where the system does not say, those since the first call.
fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let start = *START;
    std::thread::yield_now(); // brings the account up to date, which otherwise happens at a tick
    let scheduled = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let ran = scheduled.and_then(|text| text.split(' ').next()?.parse().ok());
    ran.unwrap_or_else(|| start.elapsed().as_nanos() as u64)
}

/// The nanoseconds that it takes, and what it leaves, so that giving that up is not timed.
pub fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = now();
    let left = black_box(work());
    ((now() - start) as f64, left)
}

/// The one in the middle.
pub fn median(mut runs: Vec<f64>) -> f64 {
    runs.sort_by(f64::total_cmp);
    runs.get(runs.len() / 2).copied().unwrap_or(f64::NAN)
}
