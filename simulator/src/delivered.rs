//! What all lives of a job have delivered, and what is wrong with it.

use crate::history::{Board, Configuration, Seen, Window};
use crate::log::Gap;
use crate::plan::Plan;
use crate::recount::{self, Events, Key, key};
use crest_connectors::snapshot::Snapshot;
use crest_connectors::state::StateStore;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What all lives have delivered, and what is wrong with it.
pub struct Delivered {
    plan: Plan,
    /// Whether panes may have a retention.
    expires: bool,
    /// What the state says is read from here, a pane being so many milliseconds.
    store: StateStore,
    pane_ms: i64,
    state: Mutex<State>,
}

struct State {
    /// The records that were deleted before they were read.
    gaps: Vec<Gap>,
    events: Events,
    finals: BTreeMap<Key, Final>,
    /// What the newest configuration owes, and nobody has delivered.
    missing: BTreeSet<Key>,
    faults: Vec<String>,
    /// The manifest that was read last.
    manifest: Vec<u8>,
    seen: Option<Seen>,
    configurations: BTreeMap<u64, Arc<Configuration>>,
}

struct Final {
    snapshot: Snapshot,
    /// When its window came in, and its K.
    of: (usize, u32),
    /// Whether it may lack what has expired.
    may_lack: bool,
}

impl Delivered {
    /// Nothing is delivered yet.
    pub fn new(plan: &Plan, store: StateStore) -> Self {
        let state = State {
            gaps: Vec::new(),
            events: Events::of(plan, &[]),
            finals: BTreeMap::new(),
            missing: BTreeSet::new(),
            faults: Vec::new(),
            manifest: Vec::new(),
            seen: None,
            configurations: BTreeMap::new(),
        };
        Delivered {
            plan: plan.clone(),
            expires: plan.lives.iter().any(|life| life.settings.kept.is_some()),
            store,
            pane_ms: plan.spec.time.pane.as_millis() as i64,
            state: Mutex::new(state),
        }
    }

    /// The finals that were delivered.
    pub fn finals(&self) -> BTreeMap<Key, Snapshot> {
        let finals = &self.state.lock().finals;
        finals.iter().map(|(key, found)| (key.clone(), found.snapshot.clone())).collect()
    }

    /// What was wrong.
    pub fn faults(&self) -> Vec<String> {
        self.state.lock().faults.clone()
    }

    /// What the newest configuration owes and was not delivered.
    pub fn missing(&self) -> Vec<Key> {
        self.state.lock().missing.iter().cloned().collect()
    }

    /// Whether all is delivered that the newest configuration owes.
    pub fn are_all(&self) -> bool {
        self.state.lock().missing.is_empty()
    }

    /// The configuration that has claimed the state in this epoch.
    pub fn configuration(&self, epoch: u64) -> Option<Arc<Configuration>> {
        self.look();
        self.state.lock().configurations.get(&epoch).cloned()
    }

    /// Notes that records were gone when a life came to them.
    pub fn note_gap(&self, gap: Gap) {
        let mut state = self.state.lock();
        state.gaps.push(gap);
        state.events = Events::of(&self.plan, &state.gaps);
        let newest = state.seen.as_ref().and_then(|seen| state.configurations.get(&seen.live.epoch).cloned());
        if let Some(newest) = newest {
            state.owe(&newest);
        }
    }

    /// How many records were gone when a life came to them.
    pub fn gone(&self, life: u32) -> u64 {
        let state = self.state.lock();
        let theirs = state.gaps.iter().filter(|gap| gap.life == life);
        theirs.map(|gap| gap.records.len() as u64).sum()
    }

    /// Looks whether there is another manifest. It must be called before each call of the store, so that it sees all.
    pub fn look(&self) {
        let mut state = self.state.lock();
        self.see(&mut state);
    }

    fn see(&self, state: &mut State) {
        let Ok(Some(found)) = self.store.manifest() else { return };
        if found.bytes == state.manifest {
            return;
        }
        let seen: Seen = match serde_json::from_slice(&found.bytes) {
            Ok(seen) => seen,
            Err(error) => return state.faults.push(format!("the manifest cannot be read: {error}")),
        };
        let before = state.seen.take();
        let is_claimed = before.as_ref().is_none_or(|before| before.live.epoch != seen.live.epoch);
        if is_claimed {
            let last = before
                .as_ref()
                .and_then(|before| Some((&**state.configurations.get(&before.live.epoch)?, before)));
            let new = Arc::new(Configuration::next(last, &seen, self.pane_ms, self.expires));
            state.owe(&new);
            state.configurations.insert(seen.live.epoch, new);
        }
        let published = seen.published(self.pane_ms);
        if before.is_none_or(|before| before.published(self.pane_ms) != published)
            && let Some(key) = state.missing.iter().find(|(.., end)| *end <= published)
        {
            state.faults.push(format!(
                "{key:?} was not delivered, and the manifest says so of all up to {published}"
            ));
        }
        (state.manifest, state.seen) = (found.bytes, Some(seen));
    }

    /// Takes a final ranking that a life with this configuration has published.
    pub fn take(&self, configuration: &Configuration, snapshot: Snapshot) {
        let mut state = self.state.lock();
        self.see(&mut state);
        let key = key(&snapshot);
        let snapshot = Snapshot { computed_at: 0, bucket: false, epoch: 0, ..snapshot };
        let Some((board, window)) = configuration.find(&snapshot.board, &snapshot.window) else {
            return state.faults.push(format!("{key:?} was delivered, and is not configured"));
        };
        if let Err(fault) = self.check(&state, &snapshot, board, window) {
            state.faults.push(format!("{key:?}: {fault}"));
        }
        state.missing.remove(&key);
        let (of, may_lack) = ((window.came_in, snapshot.k), window.kept > i64::MIN);
        let new = Final { snapshot, of, may_lack };
        if let Some(before) = state.finals.get(&key)
            && before.contradicts(&new)
        {
            let fault =
                format!("{key:?} was delivered twice: {:?}, then {:?}", before.snapshot, new.snapshot);
            state.faults.push(fault);
        }
        state.finals.insert(key, new);
    }

    fn check(
        &self,
        state: &State,
        snapshot: &Snapshot,
        board: &Board,
        window: &Window,
    ) -> Result<(), String> {
        let (start, end) = (snapshot.window_start, snapshot.window_end);
        if end - start != window.size.as_millis() as i64 {
            return Err("it is not as long as its window".into());
        }
        let group = snapshot.group.to_string();
        let counts = |since: i64| state.events.counts(&board.spec, &group, since.max(start)..end);
        if snapshot.partial != snapshot.since.is_some() {
            return Err("it is partial without a time, or has a time and is not".into());
        }
        let due = (start < board.since).then_some(board.since.min(end));
        let since = match snapshot.since {
            since if since == due => board.since,
            // What it lacks had no event.
            None if state.events.counts(&board.spec, "", start..board.since.min(end)).is_empty() => {
                board.since
            }
            Some(since) if due.is_none_or(|due| due <= since) && since <= window.kept.min(end) => since,
            since => return Err(format!("it is said to be whole since {since:?}, and that is {due:?}")),
        };
        let counts = counts(since);
        if self.plan.bounded && (counts.is_empty() || end > state.events.may_end(window.slide)) {
            return Err("it has no event or ends after the input".into());
        }
        match state.seen.as_ref().map(|seen| seen.durable(self.pane_ms)) {
            Some(durable) if durable >= end => {}
            durable => return Err(format!("it was delivered when panes were durable up to {durable:?}")),
        }
        recount::check(snapshot, &counts, self.plan.overflows)
    }
}

impl State {
    /// Notes what a configuration owes that nobody has delivered.
    fn owe(&mut self, configuration: &Configuration) {
        self.missing = configuration.owed(&self.events);
        self.missing.retain(|key| !self.finals.contains_key(key));
    }
}

impl Final {
    /// Whether another delivery of the same ranking says something else.
    fn contradicts(&self, other: &Final) -> bool {
        let lacks_more = self.snapshot.since != other.snapshot.since && (self.may_lack || other.may_lack);
        !lacks_more && recount::contradict(&self.snapshot, &other.snapshot, self.of == other.of)
    }
}
