//! The thread that keeps the rankings fresh: a round over all that are followed once a period, and at once for those
//! that somebody waits for.

use super::asked::{Found, Waiting};
use super::shared::{Shared, State, Tended};
use crest_connectors::group_key::GroupKey;
use crest_connectors::outage::Backoff;
use crest_connectors::redis::{Damaged, RankingName, Read, RedisReader, Tending, Version};
use crest_connectors::snapshot::{SinkError, Snapshot, SnapshotSink};
use crest_host::clock::wall_clock_ms;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two attempts while Redis is away: at first, and at most.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));

/// Clocks of machines differ by so much in order.
const CLOCK_SLACK_MS: i64 = 2000;

/// Damaged rankings that are remembered as such at most.
const MAX_DAMAGED: usize = 1000;

/// What the thread that follows Redis owns.
pub(super) struct Follower {
    shared: Arc<Shared>,
    reader: RedisReader,
    every: Duration,
    /// The whole-board rankings of all windows, which are always followed.
    whole: Vec<RankingName>,
    /// The versions that were read last.
    known: HashMap<RankingName, Version>,
    /// The rankings that were logged as damaged.
    damaged: HashSet<RankingName>,
    warned_of_clock: bool,
}

/// What the thread is to do in a round.
struct Errand {
    /// Whether a period is over.
    all: bool,
    waiting: Waiting,
}

impl Follower {
    pub(super) fn new(shared: Arc<Shared>, reader: RedisReader, every: Duration) -> Self {
        let boards = shared.spec.boards.iter();
        let whole = boards
            .flat_map(|board| board.windows.iter().map(move |window| (board, window)))
            .map(|(board, window)| RankingName {
                board: board.name.clone(),
                window: window.name.clone(),
                group: GroupKey::WHOLE,
            })
            .collect();
        Follower {
            shared,
            reader,
            every,
            whole,
            known: HashMap::new(),
            damaged: HashSet::new(),
            warned_of_clock: false,
        }
    }

    /// Reads the whole-board rankings, before anybody asks.
    pub(super) fn first_round(&mut self) -> Result<(), SinkError> {
        self.round(Errand { all: true, waiting: Waiting::new() })
    }

    /// Follows Redis until the mirror is dropped.
    pub(super) fn run(mut self) {
        let mut next = Instant::now() + self.every;
        let mut backoff = BACKOFF;
        while let Some(errand) = self.wait(next) {
            let all = errand.all;
            match self.round(errand) {
                Ok(()) => {
                    self.shared.state.lock().recover();
                    backoff.reset();
                    if all {
                        // Late rounds are not made up for.
                        next = (next + self.every).max(Instant::now());
                    }
                }
                Err(error) => {
                    self.shared.state.lock().lose(&error);
                    next = Instant::now() + backoff.pause();
                }
            }
        }
    }

    /// Waits for the next round, or for somebody who waits.
    fn wait(&self, next: Instant) -> Option<Errand> {
        let mut state = self.shared.state.lock();
        // Whoever asks while Redis is away gets that answer at once, and does not wait here.
        let idle = |state: &mut State| !state.closed && !state.asked.any_waiting();
        self.shared.work.wait_while_until(&mut state, idle, next);
        if state.closed {
            return None;
        }
        Some(Errand { all: Instant::now() >= next, waiting: state.asked.take_waiting() })
    }

    fn round(&mut self, Errand { all, waiting }: Errand) -> Result<(), SinkError> {
        let began = Instant::now();
        let mut names: Vec<RankingName> = waiting.keys().cloned().collect();
        if all {
            names.extend(self.whole.iter().cloned());
            let mut state = self.shared.state.lock();
            names.extend(state.asked.followed().filter(|name| !waiting.contains_key(*name)).cloned());
            state.stats.rankings = names.len();
        }
        let known: Vec<Option<Version>> = names.iter().map(|name| self.known_version(name)).collect();
        // Where it fails, the requests that wait see their senders dropped.
        let read = self.reader.read(&names, &known)?;
        let tending = if all { self.reader.tending(&self.whole)? } else { Vec::new() };
        if all {
            self.known.clear();
        }
        let (mut reads, mut failures, mut found) = (0, 0, Vec::with_capacity(names.len()));
        for ((name, known), read) in names.into_iter().zip(known).zip(read) {
            reads += u64::from(matches!(read, Ok(Read::Changed(_))));
            failures += u64::from(read.is_err() && !self.damaged.contains(&name));
            found.push((self.take(&name, known, read), name));
        }
        let mut state = self.shared.state.lock();
        state.note_tending(&self.whole, tending);
        state.stats.reads += reads;
        state.stats.failures += failures;
        state.stats.last_read_ms = began.elapsed().as_secs_f64() * 1e3;
        state.settle(&found, waiting);
        Ok(())
    }

    /// The version that was read, where the store still holds it.
    fn known_version(&self, name: &RankingName) -> Option<Version> {
        self.known.get(name).copied().filter(|_| self.shared.holds(name))
    }

    fn take(&mut self, name: &RankingName, known: Option<Version>, read: Result<Read, Damaged>) -> Found {
        let version = match read {
            Err(damaged) => {
                self.warn_of_damage(name, &damaged);
                return Found::Unreachable;
            }
            Ok(Read::Changed(snapshot)) => {
                self.warn_of_clock(&snapshot);
                self.publish(name, &snapshot);
                Some(Version::of(&snapshot))
            }
            Ok(Read::Unchanged) => known,
            Ok(Read::Absent) => {
                self.forget(name);
                None
            }
        };
        self.damaged.remove(name);
        let Some(version) = version else { return Found::Absent };
        self.known.insert(name.clone(), version);
        Found::Here
    }

    /// A group whose ranking is gone while that of its whole board is there has left. Where both are gone somebody emptied
    /// Redis, and the last known ranking is better than none.
    fn forget(&self, name: &RankingName) {
        let whole = RankingName { group: GroupKey::WHOLE, ..name.clone() };
        if !name.group.is_whole() && self.known.contains_key(&whole) {
            self.shared.store.forget(&name.board, &name.window, &name.group);
        }
    }

    /// Logs a damaged ranking once, until it is whole again.
    fn warn_of_damage(&mut self, name: &RankingName, damaged: &Damaged) {
        if self.damaged.len() >= MAX_DAMAGED {
            self.damaged.clear();
        }
        if self.damaged.insert(name.clone()) {
            tracing::warn!("a ranking cannot be read: {damaged}");
        }
    }

    /// Warns once that the job's clock is ahead of this machine's.
    fn warn_of_clock(&mut self, snapshot: &Snapshot) {
        let ahead = snapshot.computed_at.saturating_sub(wall_clock_ms());
        if ahead > CLOCK_SLACK_MS && !self.warned_of_clock {
            self.warned_of_clock = true;
            tracing::warn!(
                "the rankings in Redis are stamped {} s ahead of this machine's clock; their ages are counted from when \
                 they are read",
                ahead / 1000
            );
        }
    }

    /// Redis never goes back by itself; where somebody emptied it for a job that began anew, the store goes with it.
    fn publish(&self, name: &RankingName, snapshot: &Arc<Snapshot>) {
        let held = self.shared.store.latest(&name.board, &name.window, &name.group);
        match held {
            Some(held) if held.epoch > snapshot.epoch => self.shared.store.replace(snapshot),
            _ => self.shared.store.publish(snapshot),
        }
    }
}

impl State {
    /// Takes in which windows have a job that is alive; nothing, where nobody was asked.
    fn note_tending(&mut self, windows: &[RankingName], tending: Vec<Option<Tending>>) {
        for (name, answer) in windows.iter().zip(tending) {
            let tended = self.tended.entry((name.board.clone(), name.window.clone()));
            let tended = tended.or_insert(Tended::Gone { refresh: None });
            *tended = match (answer, *tended) {
                (Some(job), _) => Tended::Alive(job),
                (None, Tended::Alive(job)) => Tended::Gone { refresh: Some(job.refresh) },
                (None, gone) => gone,
            };
        }
        let alive = self.tended.values().filter(|tended| matches!(tended, Tended::Alive(_))).count();
        self.stats.without_job = windows.len() - alive;
    }

    /// Answers the requests that wait.
    fn settle(&mut self, found: &[(Found, RankingName)], mut waiting: Waiting) {
        for (found, name) in found {
            if let Some(senders) = waiting.remove(name) {
                self.asked.settle(name, *found);
                for sender in senders {
                    // A request that was given up meanwhile is no failure.
                    let _ = sender.send(*found);
                }
            }
        }
    }

    fn lose(&mut self, error: &SinkError) {
        self.stats.failures += 1;
        if self.outage.begin(error.to_string()) {
            tracing::warn!("rankings cannot be read from Redis; the last known stay: {error}");
        }
        // Who came while it was tried is told at once.
        self.asked.take_waiting();
    }

    fn recover(&mut self) {
        if let Some(lasted) = self.outage.end() {
            let seconds = lasted.as_secs_f64();
            tracing::info!("rankings are read from Redis again, after {seconds:.1} s");
        }
    }
}
