//! What each configuration of a job is entitled to count, and has to publish. It is told by the configurations that have
//! claimed the state, one after the other, and by how far the state was when each of them did.

use crate::boards::counts_alike;
use crate::plan::LEAST_KEPT;
use crate::recount::{Events, Key};
use crest_state::spec::{BoardSpec, Sliding};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Before all time.
const ALWAYS: i64 = i64::MIN;

/// What is looked at here of what a manifest says.
#[derive(Deserialize)]
pub struct Seen {
    /// How far the job is.
    pub live: Live,
    published: i64,
    /// Whether the input is to its end, and all is published.
    pub finished: bool,
    job: Job,
}

/// How far a job is.
#[derive(Deserialize)]
pub struct Live {
    /// Of the run that has claimed the state.
    pub epoch: u64,
    durable: i64,
    ended: bool,
}

#[derive(Deserialize)]
struct Job {
    boards: Vec<BoardSpec>,
}

impl Seen {
    /// Up to which time (ms) all is durable; without an end where the input is to its end.
    pub fn durable(&self, pane_ms: i64) -> i64 {
        if self.live.ended { i64::MAX } else { self.live.durable * pane_ms }
    }

    /// Up to which time (ms) all is said to be delivered; without an end where the input is to its end.
    pub fn published(&self, pane_ms: i64) -> i64 {
        if self.finished { i64::MAX } else { self.published * pane_ms }
    }
}

/// A configuration that has claimed the state.
pub struct Configuration {
    /// How many have before it.
    number: usize,
    /// Its boards.
    pub boards: Vec<Board>,
}

/// A board of a configuration.
#[derive(Clone)]
pub struct Board {
    /// As it is configured.
    pub spec: BoardSpec,
    /// From when on it has every event, in milliseconds.
    pub since: i64,
    /// Its windows.
    pub windows: Vec<Window>,
}

/// A window of a board.
#[derive(Clone)]
pub struct Window {
    /// Its name.
    pub name: Arc<str>,
    /// How long it is.
    pub size: Duration,
    /// How far apart its ends are.
    pub slide: Duration,
    /// Which configuration it came in with.
    pub came_in: usize,
    /// What ends until then (ms) is not owed, since it was published before the window came in.
    after: i64,
    /// What was before this time (ms) may have expired when the window came in.
    pub kept: i64,
}

impl Configuration {
    /// The configuration that a manifest is the first one of, after another configuration and the last manifest of that.
    /// Where `expires`, panes may have a retention.
    pub fn next(before: Option<(&Configuration, &Seen)>, seen: &Seen, pane_ms: i64, expires: bool) -> Self {
        let number = before.map_or(0, |(before, _)| before.number + 1);
        let board = |spec: &BoardSpec| {
            let same = |board: &&Board| board.spec.name == spec.name && counts_alike(&board.spec, spec);
            let kept = before.and_then(|(before, _)| before.boards.iter().find(same));
            let since = match (kept, before) {
                (Some(kept), _) => kept.since,
                (None, Some((_, seen))) if seen.live.durable > 0 => seen.live.durable * pane_ms,
                _ => ALWAYS,
            };
            let window = |Sliding { name, size, slide, .. }: Sliding<'_>| {
                let there = kept.and_then(|board| {
                    let same = |window: &&Window| {
                        window.name == *name && (window.size, window.slide) == (size, slide)
                    };
                    board.windows.iter().find(same)
                });
                let (after, kept) = match before {
                    Some((_, seen)) if kept.is_some() => {
                        let oldest = seen.live.durable * pane_ms - LEAST_KEPT.as_millis() as i64;
                        (seen.published(pane_ms), if expires { oldest } else { ALWAYS })
                    }
                    _ => (ALWAYS, ALWAYS),
                };
                let new = Window { name: name.clone(), size, slide, came_in: number, after, kept };
                there.cloned().unwrap_or(new)
            };
            Board { since, windows: spec.sliding_windows().map(window).collect(), spec: spec.clone() }
        };
        Configuration { number, boards: seen.job.boards.iter().map(board).collect() }
    }

    /// The rankings that it has to publish, unless an earlier one has: of its windows up to the end of the input.
    pub fn owed(&self, events: &Events) -> BTreeSet<Key> {
        let mut owed = BTreeSet::new();
        for board in &self.boards {
            for window in &board.windows {
                let since = board.since.max(window.kept);
                let of = (&*window.name, window.size, window.slide);
                let rankings = events.rankings(&board.spec, of, since);
                owed.extend(rankings.into_iter().filter(|(.., end)| *end > window.after));
            }
        }
        owed
    }

    /// The board and the window of these names.
    pub fn find(&self, board: &str, window: &str) -> Option<(&Board, &Window)> {
        let board = self.boards.iter().find(|found| &*found.spec.name == board)?;
        Some((board, board.windows.iter().find(|found| &*found.name == window)?))
    }
}
