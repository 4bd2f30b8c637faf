//! Threads and pauses.

use crate::taken::{self, ask, host};
use crate::timer;
use std::io;
use std::num::NonZero;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Starts a thread of this name.
///
/// # Errors
/// The machine has no place for another one.
pub fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    match host() {
        Some(host) => host.spawn(name, Box::new(run)),
        None => Builder::new().name(name.to_owned()).spawn(run),
    }
}

/// Waits for so long.
pub fn sleep(time: Duration) {
    ask(|host| host.sleep(time), || std::thread::sleep(time));
}

/// Whether a host has this thread.
pub fn is_taken() -> bool {
    taken::is_taken()
}

/// How many threads can run at a time, as far as that is known. On a host it is one.
pub fn processors() -> usize {
    ask(|_| 1, || std::thread::available_parallelism().map_or(1, NonZero::get))
}

/// Takes one turn of work: `step` is given how long it may park when there is nothing to do. Where a host has the thread,
/// the host parks it between two turns, for as long or until the next [`timer`] is due.
pub fn turn(park: Duration, step: impl FnOnce(Duration)) {
    let Some(host) = host() else { return step(park) };
    timer::call_due();
    step(Duration::ZERO);
    host.park(timer::next_due().map_or(park, |due| due.min(park)));
}
