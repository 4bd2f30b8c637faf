//! Open files: their limit is raised as far as it may be, and connections are kept below it, with room for what the job
//! itself opens. Connections that took all of it would keep the state from being written.

use crate::http::{Limits, Policy};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Open files that connections leave to the job at most: its source, its state, its log, its clients.
pub const ROOM: u64 = 512;
/// One in so many of the connections' share is for those that are at the door.
const AT_DOOR: u64 = 4;
/// Those at the door are silent, are being answered, or wait for a place: as many of each kind.
const KINDS_AT_DOOR: u64 = 3;

/// Raises the soft limit of open files to the hard one. Where the system does not let it, it stays as it is.
pub fn raise() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) }
    });
    if let Err(error) = raised {
        tracing::debug!(%error, "the limit of open files cannot be raised");
    }
}

/// How many files may be open at one time, where the system tells.
pub fn limit() -> Option<u64> {
    getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft)
}

/// How many must be allowed so that all connections of these limits are served.
pub fn needed(limits: &Limits) -> u64 {
    let at_door = KINDS_AT_DOOR * limits.at_door as u64;
    ROOM + (at_door + limits.connections as u64).max(AT_DOOR * at_door)
}

/// The policy of the API with limits by which all of its connections together leave room below the limit of open files.
pub fn fitted(policy: &Policy) -> Policy {
    Policy { limits: fit(policy.limits), ..policy.clone() }
}

fn fit(limits: Limits) -> Limits {
    let Ok((open_files, _)) = getrlimit(Resource::RLIMIT_NOFILE) else { return limits };
    let fitted = below(limits, open_files);
    if fitted.connections < limits.connections {
        tracing::warn!(
            "no more than {} of {} connections are served at one time, and {} of {} streams: the limit of open files is \
             {open_files} (ulimit -n)",
            fitted.connections,
            limits.connections,
            fitted.streams,
            limits.streams
        );
    }
    fitted
}

fn below(limits: Limits, open_files: u64) -> Limits {
    let share = open_files - ROOM.min(open_files / 2);
    let most = |count: u64| usize::try_from(count).unwrap_or(usize::MAX).max(1);
    let at_door = limits.at_door.min(most(share / AT_DOOR / KINDS_AT_DOOR));
    let left = share.saturating_sub(KINDS_AT_DOOR * at_door as u64);
    let connections = limits.connections.min(most(left));
    // Some connections are left for those who do not stay.
    let streams = match connections < limits.connections {
        true => limits.streams.min((connections / 4 * 3).max(1)),
        false => limits.streams,
    };
    Limits { at_door, connections, streams, ..limits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_connections_together_leave_room_below_the_limit() {
        let usual = Limits::default();
        for open_files in [64, 256, 1024, 4096, 1 << 20, u64::MAX] {
            let Limits { at_door, connections, streams, .. } = below(usual, open_files);
            let all = KINDS_AT_DOOR * at_door as u64 + connections as u64;
            assert!(all <= open_files - ROOM.min(open_files / 2), "{open_files}");
            assert!(streams <= connections && streams > 0 && at_door >= 2, "{open_files}");
        }
        let many = Limits { connections: 1_000, streams: 1_000, ..usual };
        for as_set in [usual, many] {
            assert_eq!(below(as_set, 1 << 20), as_set);
            let needed = needed(&as_set);
            assert_eq!(below(as_set, needed), as_set);
            assert_ne!(below(as_set, needed - 1), as_set);
        }
    }
}
