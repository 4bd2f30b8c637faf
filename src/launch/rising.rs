//! What rises in the windows that ask for it, published beside their rankings.
//!
//! A thread of its own compares each window with what was before, once all its rankings of an end are out, by what the state keeps:
//! the panes of a final ranking are durable. Where it falls behind it goes on with the newest end, so that it never holds up the job.
//! Of an end that cannot be compared, since too little is kept or counted yet, nothing is published.

use crate::failure::Failure;
use crate::http::PastRankings;
use crest_connectors::group_key::GroupKey;
use crest_connectors::outage::Outage;
use crest_connectors::snapshot::{Retired, SinkError, Snapshot, SnapshotSink};
use crest_dataflows::risen::Compared;
use crest_host::condition::Condition;
use crest_state::against::Against;
use crest_state::error::StateRefusal;
use crest_state::history::{HistoryError, Interval};
use crest_state::rises::GroupRises;
use crest_state::spec::BoardSpec;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The pause before a state that could not be read is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// A board's and a window's name.
type Name = (Arc<str>, Arc<str>);

/// Publishes what rises to other sinks.
pub struct RisingSink(Arc<Shared>);

struct Shared {
    /// Whether the input ends, and the last window with it: it may be filled in part, and as much of it is compared.
    is_bounded: bool,
    windows: BTreeMap<Name, Watched>,
    past: Arc<PastRankings>,
    sinks: Vec<Arc<dyn SnapshotSink>>,
    state: Mutex<State>,
    changed: Condition,
}

/// A window that asks for it.
struct Watched {
    size_ms: i64,
    against: Vec<Against>,
    board: BoardSpec,
}

#[derive(Default)]
struct State {
    /// The newest end of each window.
    ends: BTreeMap<Name, End>,
    /// Whether the thread is comparing.
    busy: bool,
    /// The groups that have left their boards since it began to: they are not published any more.
    left: BTreeSet<(Arc<str>, GroupKey)>,
    closed: bool,
    outage: Outage,
}

#[derive(Clone)]
struct End {
    end: i64,
    epoch: u64,
    /// The groups that were ranked.
    groups: BTreeSet<GroupKey>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// Its rankings are being published.
    Coming,
    /// It is to be compared.
    Due,
    /// It was.
    Done,
}

impl RisingSink {
    /// Starts the thread, where a window of these boards asks for it.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        boards: &[BoardSpec],
        past: Arc<PastRankings>,
        sinks: Vec<Arc<dyn SnapshotSink>>,
        is_bounded: bool,
    ) -> Result<Option<Self>, Failure> {
        let windows = boards.iter().flat_map(|board| board.windows.iter().map(move |window| (board, window)));
        let watched =
            windows.filter(|(_, window)| !window.rising.is_empty()).filter_map(|(board, window)| {
                let (size_ms, against) = (window.size()?.as_millis() as i64, window.rising.clone());
                Some((
                    (board.name.clone(), window.name.clone()),
                    Watched { size_ms, against, board: board.clone() },
                ))
            });
        let windows: BTreeMap<_, _> = watched.collect();
        if windows.is_empty() || sinks.is_empty() {
            return Ok(None);
        }
        let (state, changed) = (Mutex::default(), Condition::new());
        let shared = Arc::new(Shared { is_bounded, windows, past, sinks, state, changed });
        let theirs = shared.clone();
        let thread = std::thread::Builder::new().name("rising".into()).spawn(move || theirs.run());
        thread.map_err(Failure::thread("compares windows with what was before"))?;
        Ok(Some(RisingSink(shared)))
    }
}

/// The window's name in keys: `last_1h:rising`, or `last_1h:rising-1d`.
fn key(window: &str, against: Against) -> Arc<str> {
    match against {
        Against::Previous => format!("{window}:rising").into(),
        Against::Earlier(_) => format!("{window}:rising-{against}").into(),
    }
}

impl Shared {
    fn run(&self) {
        while let Some((name, end)) = self.next() {
            let compared = self.compare(&name, &end);
            let mut state = self.state.lock();
            state.busy = false;
            match compared {
                Ok(()) => state.recover(),
                Err(error) => {
                    state.lose(&error.to_string());
                    // Unless a newer one has come.
                    if let Some(known) = state.ends.get_mut(&name).filter(|known| known.end == end.end) {
                        known.stage = Stage::Due;
                    }
                    let stays = |state: &mut State| !state.closed;
                    self.changed.wait_while_for(&mut state, stays, TRY_AGAIN);
                }
            }
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Waits for an end that is to be compared; `None` once the sink was closed.
    fn next(&self) -> Option<(Name, End)> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return None;
            }
            let due = state.ends.iter_mut().find(|(_, end)| end.stage == Stage::Due);
            if let Some((name, end)) = due {
                end.stage = Stage::Done;
                let due = (name.clone(), end.clone());
                state.busy = true;
                state.left.clear();
                return Some(due);
            }
            self.changed.wait(&mut state);
        }
    }

    fn compare(&self, name: &Name, end: &End) -> Result<(), HistoryError> {
        let Some(watched) = self.windows.get(name) else { return Ok(()) };
        let history = match self.past.history() {
            Ok(history) => history,
            Err(HistoryError::Refused(StateRefusal::NoManifest { .. })) => return Ok(()),
            Err(error) => return Err(error),
        };
        let start = end.end - watched.size_ms;
        for against in &watched.against {
            let interval = Interval::Between(start, end.end);
            match history.rises_of_groups(&watched.board, &end.groups, interval, *against, watched.board.k) {
                Ok(found)
                    if found.range.from_ms == start && (found.range.to_ms == end.end || self.is_bounded) =>
                {
                    self.publish(name, end, (*against, watched.board.k), &found);
                }
                Ok(_) => {}
                Err(error) if error.kept().is_some() || matches!(error, HistoryError::Nothing) => {
                    tracing::debug!(board = %name.0, window = %name.1, %against, %error, "is not compared");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn publish(&self, (board, window): &Name, end: &End, (against, k): (Against, usize), found: &GroupRises) {
        let GroupRises { range, before, missing, rises } = found;
        let compared = Compared { board, window, against, range: *range, before: *before, missing, k };
        for (group, rises) in rises {
            let rising = compared.rising(group, rises);
            let snapshot = Snapshot {
                board: board.clone(),
                window: key(window, against),
                group: group.clone(),
                window_start: rising.window_start,
                window_end: rising.window_end,
                computed_at: rising.computed_at,
                watermark: rising.watermark,
                is_final: true,
                total: rising.total,
                error: rising.error,
                error_floor: rising.error_floor,
                guaranteed: rising.guaranteed,
                partial: rising.partial,
                since: None,
                missing: rising.missing.clone(),
                distinct: None,
                retracts: false,
                items: Vec::new(),
                k: rising.k,
                rising: Some(Arc::new(rising)),
                epoch: end.epoch,
                unit: None,
                lacking: 0,
                removed: 0,
                bucket: false,
                counters: false,
            };
            let (snapshot, of) = (Arc::new(snapshot), (board.clone(), group.clone()));
            // Nobody leaves in between.
            let state = self.state.lock();
            if !state.left.contains(&of) {
                self.sinks.iter().for_each(|sink| sink.publish(&snapshot));
            }
        }
    }
}

impl State {
    fn is_idle(&self) -> bool {
        !self.busy && self.ends.values().all(|end| end.stage != Stage::Due)
    }

    fn lose(&mut self, why: &str) {
        if self.outage.begin(why) {
            tracing::warn!("what rises cannot be published, and is tried again: {why}");
        }
    }

    fn recover(&mut self) {
        if let Some(lasted) = self.outage.end() {
            tracing::info!("what rises is published again, after {:.1} s", lasted.as_secs_f64());
        }
    }
}

impl SnapshotSink for RisingSink {
    fn publish(&self, snapshot: &Arc<Snapshot>) {
        if !snapshot.is_final {
            return;
        }
        let name = (snapshot.board.clone(), snapshot.window.clone());
        if !self.0.windows.contains_key(&name) {
            return;
        }
        let mut state = self.0.state.lock();
        let (end, epoch) = (snapshot.window_end, snapshot.epoch);
        let new = || End { end, epoch, groups: BTreeSet::new(), stage: Stage::Coming };
        let known = state.ends.entry(name).or_insert_with(new);
        if (known.epoch, known.end) < (epoch, end) {
            *known = new();
        }
        if (known.epoch, known.end) == (epoch, end) {
            known.groups.insert(snapshot.group.clone());
        }
        state.left.remove(&(snapshot.board.clone(), snapshot.group.clone()));
    }

    fn retire(&self, group: &Retired) {
        let keys = |window: &Arc<str>| {
            let watched = self.0.windows.get(&(group.board.clone(), window.clone()));
            let against = watched.map_or(&[][..], |watched| &watched.against);
            against.iter().map(|against| key(window, *against)).collect::<Vec<_>>()
        };
        let windows: Vec<_> = group.windows.iter().flat_map(keys).collect();
        if windows.is_empty() {
            return;
        }
        let mut state = self.0.state.lock();
        let ends = state.ends.iter_mut().filter(|(name, _)| name.0 == group.board);
        ends.for_each(|(_, end)| {
            end.groups.remove(&group.group);
        });
        if state.busy {
            state.left.insert((group.board.clone(), group.group.clone()));
        }
        let retired = Retired { windows, ..group.clone() };
        self.0.sinks.iter().for_each(|sink| sink.retire(&retired));
    }

    fn shows_provisionals(&self) -> bool {
        false
    }

    fn finals_complete(&self, board: &Arc<str>, complete: i64) {
        let mut state = self.0.state.lock();
        let coming = |(name, end): &(&Name, &mut End)| {
            name.0 == *board && end.end <= complete && end.stage == Stage::Coming
        };
        let mut changed = false;
        for (_, end) in state.ends.iter_mut().filter(coming) {
            (end.stage, changed) = (Stage::Due, true);
        }
        if changed {
            self.0.changed.notify_all();
        }
    }

    /// No commit waits for what rises: where a run is killed before it is published, the next end of the window brings the
    /// newest.
    fn delivered(&self, _deadline: Instant) -> i64 {
        i64::MAX
    }

    fn flush(&self, deadline: Instant) -> Result<(), SinkError> {
        let mut state = self.0.state.lock();
        self.0.changed.wait_while_until(&mut state, |state| !state.is_idle(), deadline);
        if state.is_idle() {
            return Ok(());
        }
        let why = state.outage.reason().unwrap_or("the time for it is over");
        let reason = format!("what rises could not be published: {why}");
        Err(SinkError::Unreachable { url: "rising".into(), reason })
    }

    fn close(&self, deadline: Instant) {
        let mut state = self.0.state.lock();
        state.closed = true;
        self.0.changed.notify_all();
        self.0.changed.wait_while_until(&mut state, |state| state.busy, deadline);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_commit_waits_for_what_rises() {
        let sink = RisingSink(Arc::new(Shared {
            is_bounded: false,
            windows: BTreeMap::new(),
            past: Arc::new(PastRankings::new(Vec::new())),
            sinks: Vec::new(),
            state: Mutex::new(State { busy: true, ..State::default() }),
            changed: Condition::new(),
        }));
        let now = Instant::now();
        assert!(sink.flush(now).is_err(), "it is comparing, and the end of a run waits for that");
        assert_eq!(sink.delivered(now), i64::MAX);
    }
}
