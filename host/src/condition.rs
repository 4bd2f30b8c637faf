//! A condition that threads wait for.

use crate::clock;
use crate::taken::host;
use parking_lot::{Condvar, MutexGuard};
use std::time::{Duration, Instant};

/// Something behind a mutex that other threads wait for.
#[derive(Debug, Default)]
pub struct Condition(Condvar);

impl Condition {
    /// A condition that nobody waits for yet.
    pub const fn new() -> Self {
        Condition(Condvar::new())
    }

    /// Has all threads that wait look again.
    pub fn notify_all(&self) {
        match host() {
            Some(host) => host.wake_others(),
            None => {
                self.0.notify_all();
            }
        }
    }

    /// Has one of the threads that wait look again.
    pub fn notify_one(&self) {
        match host() {
            Some(host) => host.wake_others(),
            None => {
                self.0.notify_one();
            }
        }
    }

    /// Waits until another thread notifies, and maybe less long. The mutex is free meanwhile.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        match host() {
            Some(host) => MutexGuard::unlocked(guard, || host.park(Duration::from_secs(1))),
            None => self.0.wait(guard),
        }
    }

    /// Waits until another thread notifies, for at most so long, and maybe less long.
    pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, time: Duration) {
        match host() {
            Some(host) => MutexGuard::unlocked(guard, || host.park(time)),
            None => {
                self.0.wait_for(guard, time);
            }
        }
    }

    /// Waits as long as the closure returns true, at most until `deadline`.
    pub fn wait_while_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut holds: impl FnMut(&mut T) -> bool,
        deadline: Instant,
    ) {
        while holds(guard) && !clock::until(deadline).is_zero() {
            self.wait_for(guard, clock::until(deadline));
        }
    }

    /// Waits as long as the closure returns true, for at most so long.
    pub fn wait_while_for<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        holds: impl FnMut(&mut T) -> bool,
        time: Duration,
    ) {
        self.wait_while_until(guard, holds, clock::now() + time);
    }
}
