//! Keeps a simulation on one processor. Its threads take turns, and a turn that goes to another processor takes several
//! times as long to begin.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The processors that this thread may run on.
pub fn available() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
    (0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false)).collect()
}

/// Keeps this thread, and those that it starts from now on, on one of these processors, by a number. It runs on any of
/// them where that fails.
pub fn keep_to(cores: &[usize], number: usize) {
    let Some(core) = cores.get(number % cores.len().max(1)) else { return };
    let mut set = CpuSet::new();
    let _ = set.set(*core).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
}
