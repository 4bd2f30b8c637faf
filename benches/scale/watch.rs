//! What the aggregating worker takes, noted on its own thread: processor time of decoding, of the windows and in all, and
//! when a pane came and was ranked.

use crate::feed::PaneShares;
use crest_connectors::snapshot::{SinkError, Snapshot, SnapshotSink};
use crest_dataflows::frame::Frames;
use crest_dataflows::share::PaneShare;
use crest_state::pane::Pane;
use nix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use timely::bytes::arc::{Bytes, BytesMut};
use timely::container::PushInto;
use timely::dataflow::channels::ContainerBytes;

pub const PANE_MS: i64 = 10_000;

/// User and system time of this thread.
pub fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

/// The bytes of a message between processes.
pub fn wire(share: PaneShare) -> Bytes {
    let mut message = Frames::default();
    message.push_into(share);
    let mut bytes = Vec::with_capacity(message.length_in_bytes());
    message.into_bytes(&mut bytes);
    BytesMut::from(bytes).freeze()
}

/// Instant and processor time at once.
#[derive(Clone, Copy)]
pub struct Mark {
    pub at: Instant,
    pub cpu: Duration,
}

impl Mark {
    fn now() -> Self {
        Mark { at: Instant::now(), cpu: cpu() }
    }
}

/// A pane on its way.
#[derive(Clone, Default)]
pub struct Passed {
    pub first: Option<Mark>,
    /// When its last share was decoded.
    pub last: Option<Mark>,
    /// When its last final ranking was with the sink.
    pub ranked: Option<Mark>,
    pub decode: Duration,
    pub windows: Duration,
}

/// The sink of the job, and the notes.
#[derive(Default)]
pub struct Watch {
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    panes: BTreeMap<Pane, Passed>,
    /// Up to where each board has published.
    boards: BTreeMap<Arc<str>, i64>,
    /// Processor time when the windows began.
    turn: Duration,
    rankings: BTreeMap<(Arc<str>, Arc<str>), Arc<Snapshot>>,
    refreshed: Option<Refreshed>,
}

/// A refresh on its way.
struct Refreshed {
    begun: Mark,
    /// When the last of so many provisional rankings came.
    shown: Mark,
    rankings: usize,
}

/// What a ranking says, without when it was made: its total, its floor, and the items with their bounds.
pub type Ranking = (u64, u64, Vec<String>);

impl Watch {
    /// All shares of a pane, decoded when the worker takes them.
    pub fn closed(self: &Arc<Self>, pane: Pane, messages: Vec<Bytes>) -> PaneShares {
        let watch = self.clone();
        let shares = messages.into_iter().map(move |bytes| {
            let before = Mark::now();
            let message = Frames::from_bytes(bytes);
            let after = Mark::now();
            let mut notes = watch.notes.lock().unwrap();
            let passed = notes.panes.entry(pane).or_default();
            passed.first.get_or_insert(before);
            passed.last = Some(after);
            passed.decode += after.cpu - before.cpu;
            message
        });
        PaneShares { pane, close: true, shares: Box::new(shares) }
    }

    /// The extracts of an open pane.
    pub fn open(self: &Arc<Self>, pane: Pane, messages: Vec<Bytes>) -> PaneShares {
        let watch = self.clone();
        let shares = messages.into_iter().map(move |bytes| {
            let before = Mark::now();
            watch.notes.lock().unwrap().refreshed.get_or_insert(Refreshed {
                begun: before,
                shown: before,
                rankings: 0,
            });
            Frames::from_bytes(bytes)
        });
        PaneShares { pane, close: false, shares: Box::new(shares) }
    }

    /// What was shown of extracts, once it is so many rankings, and what that took the worker. It begins anew then.
    pub fn refreshed(&self, rankings: usize) -> Option<Duration> {
        let mut notes = self.notes.lock().unwrap();
        let done = notes.refreshed.take_if(|refreshed| refreshed.rankings >= rankings)?;
        Some(done.shown.cpu - done.begun.cpu)
    }

    /// How a pane passed, once all of it is ranked.
    pub fn passed(&self, pane: Pane) -> Option<Passed> {
        self.notes.lock().unwrap().panes.get(&pane).filter(|passed| passed.ranked.is_some()).cloned()
    }

    /// The newest ranking of each board and window.
    pub fn rankings(&self) -> Vec<Ranking> {
        let of = |snapshot: &Arc<Snapshot>| {
            let items = snapshot.items.iter().map(|item| format!("{item:?}")).collect();
            (snapshot.total, snapshot.error_floor, items)
        };
        self.notes.lock().unwrap().rankings.values().map(of).collect()
    }
}

impl SnapshotSink for Watch {
    fn publish(&self, snapshot: &Arc<Snapshot>) {
        let of = (snapshot.board.clone(), snapshot.window.clone());
        let mut notes = self.notes.lock().unwrap();
        if snapshot.is_final {
            notes.rankings.insert(of, snapshot.clone());
        } else if let Some(refreshed) = &mut notes.refreshed {
            refreshed.shown = Mark::now();
            refreshed.rankings += 1;
        }
    }

    /// Asked before a turn.
    fn ready(&self) -> bool {
        self.notes.lock().unwrap().turn = cpu();
        true
    }

    /// Said after a turn.
    fn finals_complete(&self, board: &Arc<str>, end: i64) {
        let (now, mut notes) = (Mark::now(), self.notes.lock().unwrap());
        let spent = now.cpu - std::mem::replace(&mut notes.turn, now.cpu);
        notes.boards.insert(board.clone(), end);
        let to = notes.boards.values().copied().min().unwrap_or(end);
        for (pane, passed) in notes.panes.iter_mut().filter(|(_, passed)| passed.ranked.is_none()) {
            passed.windows += spent;
            passed.ranked = Some(now).filter(|_| (*pane as i64 + 1) * PANE_MS <= to);
        }
    }

    fn flush(&self, _deadline: Instant) -> Result<(), SinkError> {
        Ok(())
    }
}
