//! Which groups' rankings are wanted: those that are followed, those that were missing a moment ago, and those that
//! somebody waits for.
//!
//! Always holds: at most [`MAX_GROUPS`] of each, so that no flood of names fills the memory, and names that are not in
//! Redis never push out those that are.

use crest_connectors::redis::RankingName;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Groups that are followed at most; the longest unasked go first.
const MAX_GROUPS: usize = 10_000;
/// A group that nobody has asked for in so long is no longer followed.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Whether a ranking that was asked for can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is in the store.
    Here,
    /// There is none: no event of that group, or no such board, window or group.
    Absent,
    /// Nobody can say: Redis is away or slow, or what it holds there is damaged, and none was read before.
    Unreachable,
}

/// The groups by what is known of them.
pub(super) struct Asked {
    every: Duration,
    /// Each with when it was last asked for.
    followed: HashMap<RankingName, Instant>,
    /// Each with when it was looked for, and what was found instead of it.
    missing: HashMap<RankingName, (Instant, Found)>,
    waiting: Waiting,
}

/// The requests that wait, by the ranking that they wait for.
pub(super) type Waiting = HashMap<RankingName, Vec<oneshot::Sender<Found>>>;

/// The answer to a request for a ranking.
pub(super) enum Answer {
    /// At once.
    Known(Found),
    /// When it has been read.
    Wait(oneshot::Receiver<Found>),
}

impl Asked {
    /// Nothing; what was missing is looked for again after `every`.
    pub(super) fn new(every: Duration) -> Self {
        Asked { every, followed: HashMap::new(), missing: HashMap::new(), waiting: HashMap::new() }
    }

    /// Somebody asks for a group's ranking; `lost`: Redis is away.
    pub(super) fn ask(&mut self, name: &RankingName, lost: bool) -> Answer {
        if let Some(asked) = self.followed.get_mut(name) {
            *asked = Instant::now();
            return Answer::Known(Found::Here);
        }
        if let Some((looked, found)) = self.missing.get(name)
            && looked.elapsed() < self.every
        {
            return Answer::Known(*found);
        }
        let full = self.waiting.len() >= MAX_GROUPS && !self.waiting.contains_key(name);
        if lost || full {
            return Answer::Known(Found::Unreachable);
        }
        let (sender, receiver) = oneshot::channel();
        self.waiting.entry(name.clone()).or_default().push(sender);
        Answer::Wait(receiver)
    }

    /// Whether a request waits.
    pub(super) fn any_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes the requests that wait.
    pub(super) fn take_waiting(&mut self) -> Waiting {
        std::mem::take(&mut self.waiting)
    }

    /// The groups that are still wanted; the others are forgotten.
    pub(super) fn followed(&mut self) -> impl Iterator<Item = &RankingName> {
        self.followed.retain(|_, asked| asked.elapsed() < FORGOTTEN);
        self.missing.retain(|_, (looked, _)| looked.elapsed() < self.every);
        self.followed.keys()
    }

    /// A group that somebody waited for was found or not.
    pub(super) fn settle(&mut self, name: &RankingName, found: Found) {
        if found == Found::Here {
            self.missing.remove(name);
            if self.followed.len() >= MAX_GROUPS {
                self.let_go(MAX_GROUPS / 16);
            }
            self.followed.insert(name.clone(), Instant::now());
        } else if self.missing.len() < MAX_GROUPS || self.missing.contains_key(name) {
            self.missing.insert(name.clone(), (Instant::now(), found));
        }
    }

    /// Forgets those that were longest not asked for, at least `count` of them.
    fn let_go(&mut self, count: usize) {
        let mut times: Vec<Instant> = self.followed.values().copied().collect();
        let (_, last, _) = times.select_nth_unstable(count);
        let last = *last;
        self.followed.retain(|_, asked| *asked > last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_connectors::group_key::GroupKey;

    fn name(number: usize) -> RankingName {
        let group = GroupKey::from_values([("region", number.to_string())]);
        RankingName { board: "b".into(), window: "w".into(), group }
    }

    fn known(answer: Answer) -> Option<Found> {
        match answer {
            Answer::Known(found) => Some(found),
            Answer::Wait(_) => None,
        }
    }

    #[test]
    fn a_group_is_read_once_and_then_followed() {
        let mut asked = Asked::new(Duration::from_secs(100));
        assert_eq!(known(asked.ask(&name(1), true)), Some(Found::Unreachable));
        assert!(!asked.any_waiting());
        let Answer::Wait(mut answer) = asked.ask(&name(1), false) else { panic!("it was never read") };
        for (name, waiting) in asked.take_waiting() {
            waiting.into_iter().for_each(|sender| sender.send(Found::Here).unwrap());
            asked.settle(&name, Found::Here);
        }
        assert_eq!(answer.try_recv(), Ok(Found::Here));
        assert_eq!(known(asked.ask(&name(1), false)), Some(Found::Here));
        assert_eq!(asked.followed().cloned().collect::<Vec<_>>(), [name(1)]);
    }

    #[test]
    fn what_was_absent_a_moment_ago_is_not_looked_for_again() {
        let mut asked = Asked::new(Duration::from_secs(100));
        asked.settle(&name(1), Found::Absent);
        assert_eq!(known(asked.ask(&name(1), false)), Some(Found::Absent));
        let mut impatient = Asked::new(Duration::ZERO);
        impatient.settle(&name(1), Found::Absent);
        assert_eq!(known(impatient.ask(&name(1), false)), None, "a period is over");
    }

    #[test]
    fn no_flood_fills_the_memory_or_pushes_out_what_is_there() {
        let mut asked = Asked::new(Duration::from_secs(100));
        asked.settle(&name(0), Found::Here);
        for number in 1..3 * MAX_GROUPS {
            asked.settle(&name(number), Found::Absent);
            drop(asked.ask(&name(number), false));
        }
        assert_eq!(known(asked.ask(&name(0), false)), Some(Found::Here));
        assert_eq!((asked.missing.len(), asked.waiting.len()), (MAX_GROUPS, MAX_GROUPS));

        for number in 1..2 * MAX_GROUPS {
            asked.settle(&name(number), Found::Here);
        }
        assert!(asked.followed.len() <= MAX_GROUPS);
        assert_eq!(known(asked.ask(&name(2 * MAX_GROUPS - 1), false)), Some(Found::Here));
        assert!(!asked.followed.contains_key(&name(0)), "the longest unasked went first");
    }
}
