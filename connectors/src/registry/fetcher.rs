//! The thread that asks a registry for what is wanted.

use super::client::{Client, NoSchema};
use super::shared::{Lookups, Shared};
use crate::outage::Backoff;
use crest_host::clock;
use parking_lot::MutexGuard;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// The pauses during an outage, from the first to the longest.
const OUTAGE_PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// Unknown ids that are asked for without a pause …
const UNKNOWN_AT_ONCE: u32 = 64;
/// … and the pause after each that follows, so that a stream of made-up ids does not keep the registry busy.
const UNKNOWN_PAUSE: Duration = Duration::from_millis(20);

/// Asks for what is wanted until the registry is dropped.
pub(super) fn run(client: &Client, shared: &Shared) {
    let mut after_outage = Backoff::new(OUTAGE_PAUSES.0, OUTAGE_PAUSES.1);
    let mut unknown_until = clock::now();
    let mut state = shared.state.lock();
    while !state.is_over {
        let Some(&id) = state.wanted.front() else {
            shared.news.wait(&mut state);
            continue;
        };
        let answer = MutexGuard::unlocked(&mut state, || client.schema(id));
        state.wanted.pop_front();
        if let Err(NoSchema::Outage(reason)) = answer {
            // Another id may fare better.
            state.wanted.push_back(id);
            if state.outage.begin(&reason) {
                warn!(url = %client.url, id, reason, "the schema registry does not answer; its records wait");
            }
            pause(shared, &mut state, after_outage.pause());
            continue;
        }
        after_outage.reset();
        if let Some(lasted) = state.outage.end() {
            info!(url = %client.url, ?lasted, "the schema registry answers again");
        }
        match answer {
            Ok(schema) => state.cache.keep(id, schema),
            Err(NoSchema::Unknown(reason) | NoSchema::Outage(reason)) => {
                let now = clock::now();
                state.cache.keep_unknown(id, &reason, now);
                pause(shared, &mut state, unknown_pause(&mut unknown_until, now));
            }
        }
    }
}

/// The pause after an unknown id. Each one takes [`UNKNOWN_PAUSE`] of the registry's time, and `taken_until` says up to when
/// that is taken; it may run ahead of `now` by [`UNKNOWN_AT_ONCE`] of them.
fn unknown_pause(taken_until: &mut Instant, now: Instant) -> Duration {
    *taken_until = now.max(*taken_until) + UNKNOWN_PAUSE;
    taken_until.saturating_duration_since(now + UNKNOWN_PAUSE * UNKNOWN_AT_ONCE)
}

/// Waits for a time, or until the registry is dropped.
fn pause(shared: &Shared, state: &mut MutexGuard<'_, Lookups>, pause: Duration) {
    shared.news.wait_while_for(state, |state| !state.is_over, pause);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_unknown_ids_cost_no_pause_and_a_stream_of_them_a_short_one_each() {
        let start = Instant::now();
        let (mut until, mut now, mut asked) = (start, start, 0);
        for _ in 0..UNKNOWN_AT_ONCE {
            assert_eq!(unknown_pause(&mut until, now), Duration::ZERO);
        }
        while now < start + Duration::from_secs(10) {
            let pause = unknown_pause(&mut until, now);
            assert!(pause <= UNKNOWN_PAUSE, "{pause:?}");
            // The registry answers within a tenth of a millisecond.
            now += pause + Duration::from_micros(100);
            asked += 1;
        }
        assert_eq!(asked, 500);
        now += UNKNOWN_PAUSE * UNKNOWN_AT_ONCE;
        for _ in 0..UNKNOWN_AT_ONCE {
            assert_eq!(unknown_pause(&mut until, now), Duration::ZERO);
        }
        assert_eq!(unknown_pause(&mut until, now), UNKNOWN_PAUSE);
    }
}
