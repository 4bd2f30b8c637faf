//! The monotonic clock and the wall clock.

use crate::taken::ask;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock, for how long things take.
#[inline]
pub fn now() -> Instant {
    ask(|host| host.now(), Instant::now)
}

/// How long ago an instant is; nothing where it is still to come.
#[inline]
pub fn since(instant: Instant) -> Duration {
    now().saturating_duration_since(instant)
}

/// How long it is until an instant; nothing where it is over.
#[inline]
pub fn until(instant: Instant) -> Duration {
    instant.saturating_duration_since(now())
}

/// The wall clock, in milliseconds since 1970 UTC; 0 where it is set to a time before that.
#[inline]
pub fn wall_clock_ms() -> i64 {
    let machine = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
    ask(|host| host.wall_clock_ms(), machine)
}
