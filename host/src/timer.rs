//! Calls that a thread of a host has asked to make later. On the machine's threads there are none:
//! [`after`] returns false there, and the caller uses what timely has for it.

use crate::clock;
use crate::taken::is_taken;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The calls by when they are due and by their number, and the next number.
type Calls = (BTreeMap<(Instant, u64), Box<dyn FnOnce()>>, u64);

thread_local! {
    static TIMERS: RefCell<Calls> = const { RefCell::new((BTreeMap::new(), 0)) };
}

/// Makes a call after a delay, between two [turns](crate::thread::turn) of this thread. Returns false, and does nothing, where the machine runs the thread.
pub fn after(delay: Duration, call: impl FnOnce() + 'static) -> bool {
    if is_taken() {
        let due = clock::now() + delay;
        TIMERS.with_borrow_mut(|(calls, next)| {
            calls.insert((due, *next), Box::new(call));
            *next += 1;
        });
    }
    is_taken()
}

/// Makes the calls that are due.
pub(crate) fn call_due() {
    let now = clock::now();
    let next_due = || {
        TIMERS.with_borrow_mut(|(calls, _)| {
            let first = calls.first_entry().filter(|first| first.key().0 <= now);
            first.map(|first| first.remove())
        })
    };
    while let Some(call) = next_due() {
        call();
    }
}

/// How long it is until the next call is due; `None` where there is none.
pub(crate) fn next_due() -> Option<Duration> {
    TIMERS.with_borrow(|(calls, _)| calls.first_key_value().map(|((due, _), _)| clock::until(*due)))
}
