//! The rankings of groups that left, which are removed: the sorted set and the meta hash of every window.
//!
//! A removal waits as a snapshot does while Redis is away. It is done after what is to be written, and a snapshot that
//! comes later cancels it, so that what was said last of a ranking holds. Like a snapshot it needs the window's lease.

use super::keys::{self, Keys, RankingName};
use super::lease::Grant;
use super::pending::MAX_LIVE;
use crate::snapshot::{Retired, Snapshot};
use ::redis::{Cmd, Script};
use std::collections::HashMap;

/// The rankings to be removed, each on the word of the run of an epoch.
#[derive(Default)]
pub(super) struct Removals(HashMap<RankingName, u64>);

impl Removals {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds all rankings of a group that left, and tells the names. Of more than can wait the others stay in Redis; they
    /// are counted.
    pub(super) fn add(&mut self, retired: &Retired, mut each: impl FnMut(&RankingName)) -> u64 {
        let mut dropped = 0;
        for window in &retired.windows {
            let name = RankingName {
                board: retired.board.clone(),
                window: window.clone(),
                group: retired.group.clone(),
            };
            each(&name);
            if self.0.len() < MAX_LIVE || self.0.contains_key(&name) {
                self.0.insert(name, retired.epoch);
            } else {
                dropped += 1;
            }
        }
        dropped
    }

    /// A ranking came back before it was removed.
    pub(super) fn cancel(&mut self, snapshot: &Snapshot) {
        if !self.0.is_empty() {
            self.0.remove(&RankingName::of(snapshot));
        }
    }

    /// Takes all.
    pub(super) fn take(&mut self) -> Vec<(RankingName, u64)> {
        self.0.drain().collect()
    }

    /// Puts back what could not be done, unless the ranking came back meanwhile.
    pub(super) fn put_back(
        &mut self,
        removals: Vec<(RankingName, u64)>,
        is_back: impl Fn(&RankingName) -> bool,
    ) {
        for (name, epoch) in removals.into_iter().filter(|(name, _)| !is_back(name)) {
            self.0.entry(name).or_insert(epoch);
        }
    }
}

/// The call that removes a ranking.
pub(super) fn call(script: &Script, prefix: &str, name: &RankingName, grant: Grant) -> Cmd {
    let Keys { ranking, meta } = keys::of_window(prefix, &name.board, &name.window, &name.group);
    let mut call = ::redis::cmd("EVALSHA");
    call.arg(script.get_hash()).arg(2).arg(ranking).arg(meta);
    call.arg(grant.epoch).arg(if grant.insists { "live" } else { "early" });
    call.arg(grant.shown);
    call
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group_key::GroupKey;
    use crate::snapshot::tests_support::snapshot;

    #[test]
    fn what_was_said_last_of_a_ranking_holds() {
        let windows = vec!["v".into(), "w".into()];
        let left = Retired { board: "b".into(), windows, group: GroupKey::WHOLE, epoch: 1 };
        let (mut removals, mut named) = (Removals::default(), Vec::new());
        assert_eq!(removals.add(&left, |name| named.push(name.window.to_string())), 0);
        assert_eq!((named, removals.len()), (vec!["v".to_owned(), "w".to_owned()], 2));
        removals.cancel(&snapshot("b", "w", 10, true));
        let taken = removals.take();
        assert_eq!(taken.iter().map(|(name, epoch)| (&*name.window, *epoch)).collect::<Vec<_>>(), [("v", 1)]);
        removals.put_back(taken.clone(), |_| true);
        assert_eq!(removals.len(), 0, "it came back while it was being removed");
        removals.put_back(taken, |_| false);
        assert_eq!(removals.len(), 1);
    }
}
