//! The thread that asks a registry for what is wanted.

use super::client::{Client, NoSchema};
use super::shared::{Shared, State};
use crate::outage::Backoff;
use parking_lot::MutexGuard;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// The pauses during an outage, from the first to the longest.
const OUTAGE_PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// The pauses after unknown ids that follow each other, so that a stream of made-up ids does not keep the registry busy.
const UNKNOWN_PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// Asks for what is wanted until the registry is dropped.
pub(super) fn run(client: &Client, shared: &Shared) {
    let mut after_outage = Backoff::new(OUTAGE_PAUSES.0, OUTAGE_PAUSES.1);
    let mut after_unknown = Backoff::new(UNKNOWN_PAUSES.0, UNKNOWN_PAUSES.1);
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
                warn!(url = %client.url, reason, "the schema registry does not answer; its records wait");
            }
            pause(shared, &mut state, after_outage.pause());
            continue;
        }
        after_outage.reset();
        if let Some(lasted) = state.outage.end() {
            info!(url = %client.url, ?lasted, "the schema registry answers again");
        }
        match answer {
            Ok(schema) => {
                after_unknown.reset();
                state.cache.keep(id, schema);
            }
            Err(NoSchema::Unknown(reason) | NoSchema::Outage(reason)) => {
                state.cache.keep_unknown(id, &reason, Instant::now());
                pause(shared, &mut state, after_unknown.pause());
            }
        }
    }
}

/// Waits for a time, or until the registry is dropped.
fn pause(shared: &Shared, state: &mut MutexGuard<'_, State>, pause: Duration) {
    let end = Instant::now() + pause;
    while !state.is_over && !shared.news.wait_until(state, end).timed_out() {}
}
