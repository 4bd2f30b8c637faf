//! Who may write a window's rankings: of several jobs over the same keys the newest that is alive.
//!
//! A job holds a lease on each of its windows, `{topk:videos:last_1h}:owner`, a hash that Redis itself lets expire: no
//! clock of a client matters. It is renewed every [`RENEW`] also when there is nothing to write, and is given back at a
//! clean stop. A newer run takes the lease from an older one at once; the older one waits, and has it again when the newer
//! one is gone.
//!
//! **Always holds**: who takes a lease from another run writes with a greater epoch than that one did, and no script
//! replaces what was written with a greater epoch. So what the other may still be about to write is refused, key by key,
//! and no two keys need be in one slot of a cluster.

use super::keys;
use super::options::RedisOptions;
use super::pending::Write;
use super::refusal::{Answer, Refusals};
use crate::snapshot::Snapshot;
use ::redis::{Cmd, Script};
use crest_host::clock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A job that has not renewed its lease for so long is gone.
const LEASE: Duration = Duration::from_secs(10);
/// Between two renewals.
pub(super) const RENEW: Duration = Duration::from_secs(2);
/// A lease of which less is left has not been renewed when it should have been.
pub(super) const LEAST_LEFT: Duration = Duration::from_secs(6);
/// A board and one of its windows.
pub(super) type Window = (Arc<str>, Arc<str>);

/// How a snapshot may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    /// The epoch to write with.
    pub(super) epoch: u64,
    /// Whether it also replaces what an earlier run has shown of a later time.
    pub(super) insists: bool,
    /// The newest end of the window that this job has shown.
    pub(super) shown: i64,
}

/// The leases of a job's windows.
pub(super) struct Leases {
    script: Script,
    key_prefix: String,
    refresh: Duration,
    /// Whether none is taken: what is written belongs to no window's current ranking.
    without: bool,
    /// For so long what an earlier run left is only replaced by what is newer. After it that run may have been wrong
    /// about the time, or have had other events.
    catch_up: Duration,
    leases: BTreeMap<Window, Lease>,
}

struct Lease {
    key: String,
    /// This job's.
    run: u64,
    /// What it writes with, at least.
    epoch: u64,
    asked: Option<Instant>,
    owner: Owner,
    /// The newest end of the window that was written.
    shown: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Unknown,
    Me { since: Instant },
    Other { run: u64 },
}

impl Leases {
    pub(super) fn new(options: &RedisOptions) -> Self {
        Leases {
            script: Script::new(include_str!("lease.lua")),
            key_prefix: options.key_prefix.clone(),
            refresh: options.refresh,
            without: options.buckets_only,
            catch_up: options.catch_up,
            leases: BTreeMap::new(),
        }
    }

    pub(super) fn script(&self) -> &Script {
        &self.script
    }

    /// Takes note of the windows that are to be written, and asks for those leases that are due.
    pub(super) fn due(&mut self, writes: &[Write], hindered: bool) -> Vec<(Window, Cmd)> {
        for snapshot in writes.iter().map(Write::snapshot) {
            self.note(&snapshot.board, &snapshot.window, snapshot.epoch);
        }
        if self.without {
            return Vec::new();
        }
        let due = |lease: &Lease| lease.asked.is_none_or(|asked| clock::since(asked) >= RENEW);
        let calls = self.leases.iter().filter(|(_, lease)| due(lease));
        calls.map(|(window, lease)| (window.clone(), self.call(lease, LEASE, hindered))).collect()
    }

    /// Takes note of a window in which the run of an epoch has something to do.
    pub(super) fn note(&mut self, board: &Arc<str>, window: &Arc<str>, epoch: u64) {
        let prefix = &self.key_prefix;
        let lease = self.leases.entry((board.clone(), window.clone())).or_insert_with(|| Lease {
            key: keys::lease(prefix, board, window),
            run: epoch,
            epoch,
            asked: None,
            owner: Owner::Unknown,
            shown: 0,
        });
        if epoch > lease.run {
            (lease.run, lease.epoch) = (epoch, lease.epoch.max(epoch));
            (lease.asked, lease.owner) = (None, Owner::Unknown);
        }
    }

    fn call(&self, lease: &Lease, time: Duration, hindered: bool) -> Cmd {
        let mut call = ::redis::cmd("EVALSHA");
        call.arg(self.script.get_hash()).arg(1).arg(&lease.key);
        call.arg(lease.run).arg(lease.epoch).arg(time.as_millis() as u64);
        call.arg("refresh").arg(self.refresh.as_millis() as u64);
        call.arg("hindered").arg(u8::from(hindered));
        call
    }

    /// Notes which run has a window's lease.
    pub(super) fn take_answer(&mut self, window: &Window, answer: &Answer, refusals: &mut Refusals) {
        let Some(lease) = self.leases.get_mut(window) else { return };
        lease.asked = Some(clock::now());
        let of = lease.key.as_str();
        match answer {
            Answer::Owner { run, epoch, before } if *run == lease.run => {
                lease.epoch = lease.epoch.max(*epoch);
                if !matches!(lease.owner, Owner::Me { .. }) {
                    refusals.note_taken(of, lease.run, *before);
                    lease.owner = Owner::Me { since: clock::now() };
                }
                refusals.clear(of);
            }
            Answer::Owner { run, .. } => {
                lease.owner = Owner::Other { run: *run };
                refusals.note_other(of, lease.run, *run);
            }
            Answer::Foreign { key, kind } => {
                lease.owner = Owner::Unknown;
                refusals.note_foreign(of, key, kind);
            }
            _ => lease.owner = Owner::Unknown,
        }
    }

    /// How the rankings of a window may be changed, if they may.
    pub(super) fn grant(&self, board: &Arc<str>, window: &Arc<str>) -> Option<Grant> {
        let lease = self.leases.get(&(board.clone(), window.clone()))?;
        let insists = match lease.owner {
            Owner::Me { since } => clock::since(since) >= self.catch_up,
            _ if self.without => true,
            _ => return None,
        };
        Some(Grant { epoch: lease.epoch, insists, shown: lease.shown })
    }

    /// A snapshot was written.
    pub(super) fn written(&mut self, snapshot: &Snapshot) {
        if let Some(lease) = self.leases.get_mut(&(snapshot.board.clone(), snapshot.window.clone())) {
            lease.shown = lease.shown.max(snapshot.window_end);
        }
    }

    /// Something was written with a greater epoch: either somebody has the lease, who is asked for now, or whoever wrote
    /// it is gone, and its epoch has to be passed.
    pub(super) fn pass(&mut self, board: &Arc<str>, window: &Arc<str>, epoch: u64) {
        if let Some(lease) = self.leases.get_mut(&(board.clone(), window.clone())) {
            lease.epoch = lease.epoch.max(epoch.saturating_add(1));
            lease.asked = None;
        }
    }

    /// Gives all of them back.
    pub(super) fn release(&mut self) -> Vec<Cmd> {
        let held = |lease: &&Lease| matches!(lease.owner, Owner::Me { .. });
        let calls = self.leases.values().filter(held).map(|lease| self.call(lease, Duration::ZERO, false));
        let calls = calls.collect();
        self.leases.clear();
        calls
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests_support::snapshot;

    fn leases(change: impl FnOnce(&mut RedisOptions)) -> Leases {
        let mut options = RedisOptions::new("redis://h".parse().unwrap());
        change(&mut options);
        Leases::new(&options)
    }

    fn write(window: &str) -> Write {
        Write::Live(Arc::new(crate::snapshot::Snapshot { epoch: 7, ..snapshot("b", window, 10, true) }))
    }

    fn grant(leases: &Leases) -> Option<Grant> {
        leases.grant(&"b".into(), &"w".into())
    }

    fn owner(run: u64, epoch: u64, before: Option<u64>) -> Answer {
        Answer::Owner { run, epoch, before }
    }

    #[test]
    fn each_window_has_a_lease_which_is_asked_for_once_in_a_while() {
        let (mut leases, mut refusals) = (leases(|_| ()), Refusals::default());
        let due = leases.due(&[write("w"), write("w"), write("v")], false);
        assert_eq!(due.len(), 2);
        assert_eq!(grant(&leases), None, "nobody has answered yet");
        due.iter().for_each(|(window, _)| leases.take_answer(window, &owner(7, 7, None), &mut refusals));
        assert_eq!(grant(&leases), Some(Grant { epoch: 7, insists: false, shown: 0 }));
        assert!(leases.due(&[write("w")], false).is_empty(), "it was a moment ago");
        assert_eq!(refusals.text(), None);
    }

    #[test]
    fn a_newer_run_is_let_pass_and_its_epoch_passed_when_it_is_gone() {
        let (mut leases, mut refusals) = (leases(|_| ()), Refusals::default());
        let (window, _) = leases.due(&[write("w")], false).remove(0);
        leases.take_answer(&window, &owner(9, 9, Some(9)), &mut refusals);
        assert_eq!(grant(&leases), None);
        let text = refusals.text().unwrap();
        assert!(text.contains("epoch 9") && text.contains("topk:b:w"), "{text}");
        leases.take_answer(&window, &owner(7, 10, None), &mut refusals);
        assert_eq!(grant(&leases).map(|grant| grant.epoch), Some(10));
        assert_eq!(refusals.text(), None);
        leases.pass(&"b".into(), &"w".into(), 12);
        assert_eq!(leases.due(&[], false).len(), 1, "it is asked for at once");
        assert_eq!(grant(&leases).map(|grant| grant.epoch), Some(13));
    }

    #[test]
    fn buckets_of_the_past_take_no_lease_and_nobody_insists_before_it_has_caught_up() {
        let mut without = leases(|options| options.buckets_only = true);
        assert!(without.due(&[write("w")], false).is_empty());
        assert_eq!(grant(&without), Some(Grant { epoch: 7, insists: true, shown: 0 }));
        without.pass(&"b".into(), &"w".into(), 20);
        assert_eq!(grant(&without).map(|grant| grant.epoch), Some(21));
        assert!(without.release().is_empty());

        for (catch_up, insists) in [(Duration::ZERO, true), (Duration::from_secs(600), false)] {
            let mut leases = leases(|options| options.catch_up = catch_up);
            let (window, _) = leases.due(&[write("w")], false).remove(0);
            leases.take_answer(&window, &owner(7, 7, None), &mut Refusals::default());
            assert_eq!(grant(&leases).map(|grant| grant.insists), Some(insists));
            assert_eq!(leases.release().len(), 1);
        }
    }
}
