//! The threads that a simulation has taken, and what it does for them.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What stands in the place of the machine. It runs one of its threads at a time.
pub trait Host: Send + Sync {
    /// The monotonic clock.
    fn now(&self) -> Instant;

    /// The wall clock, in milliseconds since 1970 UTC. It may jump.
    fn wall_clock_ms(&self) -> i64;

    /// Lets other threads run until this time has passed.
    fn sleep(&self, time: Duration);

    /// The same, but [`wake_others`](Self::wake_others) may end it sooner.
    fn park(&self, time: Duration);

    /// Says that other threads may find what they wait for.
    fn wake_others(&self);

    /// Starts a thread, which is the host's too.
    ///
    /// # Errors
    /// It cannot be started.
    fn spawn(&self, name: &str, run: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>>;

    /// A random number.
    fn draw(&self) -> u64;
}

thread_local! {
    static HOST: RefCell<Option<Arc<dyn Host>>> = const { RefCell::new(None) };
}

/// Gives this thread to a host for the time of a call.
pub fn run_on<T>(host: Arc<dyn Host>, run: impl FnOnce() -> T) -> T {
    /// Gives the thread back, also when the call panics.
    struct Back(Option<Arc<dyn Host>>);
    impl Drop for Back {
        fn drop(&mut self) {
            HOST.set(self.0.take());
        }
    }
    let _back = Back(HOST.replace(Some(host)));
    run()
}

/// The host of this thread; `None` where it is the machine.
pub(crate) fn host() -> Option<Arc<dyn Host>> {
    HOST.with_borrow(Clone::clone)
}

/// Whether this thread has a host.
pub(crate) fn is_taken() -> bool {
    HOST.with_borrow(Option::is_some)
}

/// What the host of this thread says, or else the machine.
#[inline]
pub(crate) fn ask<T>(host: impl FnOnce(&dyn Host) -> T, machine: impl FnOnce() -> T) -> T {
    // The host may run other threads meanwhile, and is not borrowed for as long.
    if is_taken()
        && let Some(found) = self::host()
    {
        host(&*found)
    } else {
        machine()
    }
}
