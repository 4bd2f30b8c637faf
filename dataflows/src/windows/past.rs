//! The past windows of a board that have an event, ranked anew from a state as a job ranks them.
//!
//! **In**: the stored blocks that the windows are made of, each read once. **Out**: in the order of the windows' ends, the
//! final snapshots of each group that has an event, and of the whole board; of a time without events, only the first end.
//! **Always holds**: a ranking is, byte for byte, what a run of the job over the same panes publishes, except for `change`,
//! `computed_at` and the epoch. A window is not ranked where some of its panes have expired or were never counted.
//! **Costs**: what the board's windows cost in a job, without rollups, and a few dozen blocks that are read ahead; an
//! exact board keeps the panes of each window.

use super::group::{Listed, Span, mark_buckets};
use super::past_group::PastGroup;
use super::publish::Publisher;
use crate::event_time::Clock;
use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::Snapshot;
use crest_connectors::state::StateStore;
use crest_sketches::Digest;
use crest_state::error::{StateFailure, StateRefusal};
use crest_state::levels::{Block, Levels};
use crest_state::pane::Pane;
use crest_state::removed::RemovedIn;
use crest_state::rest::{Rests, rest_of};
use crest_state::spec::{BoardSpec, JobSpec};
use crest_state::stored::Stored;
use crest_state::top::Top;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// How many blocks are read in one step.
const STEP: u64 = 64;

/// Ranks the past windows of a board, one end after another.
pub struct PastWindows {
    stored: Stored,
    /// Of the items' hashes.
    seed: u64,
    board: BoardSpec,
    clock: Clock,
    levels: Levels,
    windows: Vec<Past>,
    feeds: BTreeMap<usize, Feed>,
    /// The panes that were counted: every window to rank lies in them.
    panes: Range<Pane>,
}

/// One step of the way through the ends.
#[derive(Debug)]
pub enum Step {
    /// Blocks were read; nothing can be said yet.
    Read,
    /// A window was ranked at its next end.
    Ranked(PastEnd),
    /// A window cannot be ranked at its next end, since some of its panes have expired or were never counted. It has the
    /// window's name and the end, in milliseconds since 1970 UTC.
    Unheld(Arc<str>, i64),
    /// There are no more ends.
    Over,
}

/// A window at one of its ends.
#[derive(Debug)]
pub struct PastEnd {
    /// The window's name.
    pub window: Arc<str>,
    /// Its end, in milliseconds since 1970 UTC.
    pub end: i64,
    /// The snapshot of the whole board, and of each group with an event.
    pub snapshots: Vec<Snapshot>,
}

/// Why past windows cannot be ranked.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// The state cannot be opened.
    #[error(transparent)]
    Refused(#[from] StateRefusal),
    /// An object that the state names cannot be read.
    #[error(transparent)]
    Failed(#[from] StateFailure),
}

/// One window.
struct Past {
    span: Span,
    /// The end at which it is ranked next.
    next: Pane,
    groups: BTreeMap<GroupKey, PastGroup>,
    /// The weight that groups may have beyond what the window's blocks list.
    rests: Rests,
}

/// The blocks of one level that were read ahead, for the windows that are made of them.
struct Feed {
    /// All blocks before this pane were read.
    at: Pane,
    ahead: VecDeque<(Block, BTreeMap<GroupKey, Digest>)>,
}

impl PastWindows {
    /// Opens the past windows of the board at this place in the spec: those whose panes all lie in `range`, between the
    /// first pane that was counted and the last.
    ///
    /// # Errors
    /// The state cannot be read, or belongs to another job.
    pub fn open(
        store: StateStore,
        spec: &JobSpec,
        source: &str,
        board: usize,
        range: &Range<Pane>,
    ) -> Result<Self, StateRefusal> {
        let stored = Stored::open(store, spec, source)?;
        let (clock, levels) = (Clock::new(&spec.time, false), Levels::new(spec.time.pane));
        let board = spec.boards[board].clone();
        let span = |window| Span::new(window, board.engine, &levels, &spec.sketch);
        let mut spans: Vec<Span> = board.sliding_windows().map(span).collect();
        mark_buckets(&mut spans);
        let counted = stored.counted_of(&board.name, range).unwrap_or(0..0);
        let mut past = PastWindows {
            stored,
            seed: spec.sketch.seed,
            board,
            clock,
            levels,
            windows: Vec::new(),
            feeds: BTreeMap::new(),
            panes: counted.clone(),
        };
        for mut span in spans {
            span.missing = past.stored.missing(&past.board.name);
            let first = span.first_whole(counted.start);
            span.from = span.start(first);
            let feed = past.feeds.entry(span.level).or_insert(Feed { at: span.from, ahead: VecDeque::new() });
            feed.at = feed.at.min(span.from);
            past.windows.push(Past { next: first, span, groups: BTreeMap::new(), rests: Rests::default() });
        }
        Ok(past)
    }

    /// The panes of the range between the first that was counted and the last. Every window to rank lies in them.
    pub fn panes(&self) -> Range<Pane> {
        self.panes.clone()
    }

    /// The next end, in milliseconds since 1970 UTC; `None` when there are no more.
    pub fn next_end(&self) -> Option<i64> {
        self.next_window().map(|window| self.clock.start(self.windows[window].next))
    }

    /// Takes one step.
    ///
    /// # Errors
    /// The state cannot be read. The step can be taken again.
    pub fn step(&mut self) -> Result<Step, PastError> {
        let Some(index) = self.next_window() else { return Ok(Step::Over) };
        let Past { span, next: end, .. } = &self.windows[index];
        let (level, end, panes) = (span.level, *end, span.panes(*end));
        if !self.stored.keeps(level, panes.start) || !self.stored.has_counted(&self.board.name, &panes) {
            let past = &mut self.windows[index];
            past.next += past.span.slide;
            return Ok(Step::Unheld(past.span.name.clone(), self.clock.start(end)));
        }
        if self.feeds.get(&level).is_some_and(|feed| feed.at < end) {
            self.read(level)?;
            return Ok(Step::Read);
        }
        self.push_before(level, end);
        Ok(Step::Ranked(self.rank(index)))
    }

    fn next_window(&self) -> Option<usize> {
        let due = self.windows.iter().enumerate().filter(|(_, past)| past.next <= self.panes.end);
        due.min_by_key(|(index, past)| (past.next, *index)).map(|(index, _)| index)
    }

    /// Reads the next blocks of a level.
    fn read(&mut self, level: usize) -> Result<(), PastError> {
        let Some(feed) = self.feeds.get_mut(&level) else { return Ok(()) };
        let width = self.levels.width(level);
        let last = self.panes.end / width * width;
        let filled = self.stored.next_filled(&(feed.at..last)).map_or(last, |pane| pane / width * width);
        let from = filled.max(feed.at);
        let end = (from + STEP * width).min(last);
        let panes = from..end;
        let read = |stored: &Stored| {
            let mut blocks = Vec::new();
            stored.read(&self.board.name, &stored.filled(level, &panes), |block, digests| {
                blocks.push((block, digests));
            })?;
            Ok(blocks)
        };
        let blocks = match read(&self.stored) {
            // The job may have deleted the object since the manifest was read.
            Err(StateFailure::Missing { .. }) => {
                self.stored.look_again()?;
                read(&self.stored)?
            }
            blocks => blocks?,
        };
        feed.ahead.extend(blocks);
        feed.at = end;
        Ok(())
    }

    /// Adds the blocks of a level before `end` to the windows that are made of them. None of these windows is still to be
    /// ranked at an earlier end.
    fn push_before(&mut self, level: usize, end: Pane) {
        let Some(feed) = self.feeds.get_mut(&level) else { return };
        while let Some((block, digests)) = feed.ahead.pop_front_if(|(block, _)| block.start < end) {
            let removed = RemovedIn::of(&digests);
            for past in self.windows.iter_mut().filter(|past| past.span.is_made_of(block)) {
                let rest = rest_of(&digests);
                past.rests.push(block.start, rest);
                for (key, digest) in digests.iter().filter(|(key, _)| key.is_group()) {
                    let group = past.groups.entry(key.clone());
                    let group = group.or_insert_with(|| PastGroup::new(key, &self.board));
                    let listed = Listed { counted: digest, removed: removed.of_group(key) };
                    group.push(block, listed, rest, &past.span);
                }
            }
        }
    }

    /// Ranks a window at its next end.
    fn rank(&mut self, index: usize) -> PastEnd {
        let Past { span, next, groups, rests } = &mut self.windows[index];
        let end = std::mem::replace(next, *next + span.slide);
        groups.entry(GroupKey::WHOLE).or_insert_with(|| PastGroup::new(&GroupKey::WHOLE, &self.board));
        let (epoch, seed) = (self.stored.epoch, self.seed);
        let (board, clock, top) = (&self.board, &self.clock, Top::of(&self.board));
        let publisher = Publisher { epoch, seed, board, clock, span, end, top };
        rests.expire(span.start(end));
        let ranked = groups.iter_mut().filter_map(|(key, group)| {
            let snapshot = group.final_of(&publisher, rests);
            (key.is_whole() || group.live).then_some(snapshot)
        });
        let snapshots = ranked.collect();
        groups.retain(|_, group| group.live);
        let ranked = PastEnd { window: span.name.clone(), end: self.clock.start(end), snapshots };
        self.skip_gap(index);
        ranked
    }

    /// Skips the ends at which a window is empty.
    fn skip_gap(&mut self, index: usize) {
        let Past { span, next, groups, .. } = &mut self.windows[index];
        let Some(feed) = self.feeds.get(&span.level).filter(|_| groups.is_empty()) else { return };
        let ahead = feed.ahead.front().map(|(block, _)| block.start);
        let unread = || self.stored.next_filled(&(feed.at..self.panes.end));
        let filled = ahead.or_else(unread).unwrap_or(self.panes.end);
        // Panes that were not counted are not known to be empty.
        if self.stored.has_counted(&self.board.name, &(span.start(*next)..filled)) {
            *next = (*next).max((filled + 1).next_multiple_of(span.slide));
        }
    }
}
