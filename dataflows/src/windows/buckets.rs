//! The past buckets of tumbling windows, ranked anew from the panes in a state.
//!
//! **In**: the stored blocks that a board's shortest tumbling window is made of. **Out**: its final snapshots, as the job
//! has published them or would have. **Always holds**: where these blocks are kept, a bucket is the same as in a run of
//! the job over the same panes. Where they have expired, it is made of longer blocks: the counts are the same where panes
//! were exact, and the bounds are as certain. **Costs**: each block is read once.

use super::board::LONG_GAP;
use super::group::{Listed, Span, mark_buckets};
use super::past::PastError;
use super::past_group::PastGroup;
use super::publish::Publisher;
use crate::event_time::Clock;
use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::Snapshot;
use crest_connectors::state::StateStore;
use crest_state::error::{StateFailure, StateRefusal};
use crest_state::levels::Levels;
use crest_state::pane::Pane;
use crest_state::removed::RemovedIn;
use crest_state::rest::{Rests, rest_of};
use crest_state::spec::{BoardSpec, JobSpec};
use crest_state::stored::Stored;
use crest_state::top::Top;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The buckets of all boards that lie wholly in a range of panes.
pub struct PastBuckets {
    stored: Stored,
    clock: Clock,
    levels: Levels,
    epoch: u64,
    /// Of the items' hashes.
    seed: u64,
    boards: Vec<Tumbling>,
    unheld: u64,
}

/// One bucket of a board.
pub struct Bucket {
    /// The board's name.
    pub board: Arc<str>,
    /// The end of the bucket, in milliseconds since 1970 UTC.
    pub end: i64,
    /// The snapshot of the whole board, and then those of its groups in order.
    pub snapshots: Vec<Snapshot>,
}

/// The shortest tumbling window of a board.
struct Tumbling {
    board: BoardSpec,
    span: Span,
    /// The level that the window is made of in the job; longer blocks are used where this level has expired.
    own_level: usize,
    /// The end of the bucket that is ranked next.
    next: Pane,
    /// The end of the first bucket that is wanted. The one before it is ranked too, for the changes since.
    first: Pane,
    /// The last end that a bucket may have.
    last: Pane,
    groups: BTreeMap<GroupKey, PastGroup>,
    /// The weight that groups may have beyond what the bucket's blocks list.
    rests: Rests,
}

impl PastBuckets {
    /// Opens the buckets in a job's state, of one board or of all. The snapshots' epoch is `now_ms`, or that of the job's newest run if it is
    /// greater.
    ///
    /// # Errors
    /// The state cannot be read, or belongs to another job.
    pub fn open(
        store: StateStore,
        spec: &JobSpec,
        source: &str,
        board: Option<&str>,
        range: &Range<Pane>,
        now_ms: u64,
    ) -> Result<Self, StateRefusal> {
        let stored = Stored::open(store, spec, source)?;
        let (clock, levels) = (Clock::new(&spec.time, false), Levels::new(spec.time.pane));
        let tumbling = |board: &BoardSpec| Tumbling::new(board, spec, &levels, range);
        let boards = spec.boards.iter().filter(|found| board.is_none_or(|board| board == &*found.name));
        let boards = boards.filter_map(tumbling).collect();
        let epoch = stored.epoch.max(now_ms);
        let seed = spec.sketch.seed;
        Ok(PastBuckets { stored, clock, levels, epoch, seed, boards, unheld: 0 })
    }

    /// The names of the boards that have buckets in the range.
    pub fn boards(&self) -> impl Iterator<Item = Arc<str>> + '_ {
        self.boards.iter().map(|board| board.board.name.clone())
    }

    /// How many buckets so far could not be ranked, since their blocks have expired.
    pub fn unheld(&self) -> u64 {
        self.unheld
    }

    /// The next bucket, by end and then in the order of the boards; `None` when there are no more.
    ///
    /// # Errors
    /// The state cannot be read. The bucket can be asked for again.
    pub fn next_bucket(&mut self) -> Result<Option<Bucket>, PastError> {
        loop {
            let due = self.boards.iter_mut().filter(|board| board.next <= board.last);
            let Some(board) = due.min_by_key(|board| board.next) else { return Ok(None) };
            let (end, wanted) = (board.next, board.next >= board.first);
            let held = match board.take_in(&self.stored, &self.levels) {
                // The job may have deleted the object since the manifest was read.
                Err(StateFailure::Missing { .. }) => {
                    self.stored.look_again()?;
                    board.take_in(&self.stored, &self.levels)?
                }
                taken => taken?,
            };
            board.next = board.after(end, &self.stored);
            if !held {
                self.unheld += u64::from(wanted);
                continue;
            }
            let snapshots = board.publish(end, &self.clock, (self.epoch, self.seed));
            if wanted {
                let board = board.board.name.clone();
                return Ok(Some(Bucket { board, end: self.clock.start(end), snapshots }));
            }
        }
    }
}

impl Tumbling {
    /// The shortest tumbling window of the board; `None` where it has none, or no bucket of it fits the range.
    fn new(board: &BoardSpec, spec: &JobSpec, levels: &Levels, range: &Range<Pane>) -> Option<Self> {
        let span = |window| Span::new(window, board.engine, levels, &spec.sketch);
        let mut windows: Vec<Span> = board.sliding_windows().map(span).collect();
        mark_buckets(&mut windows);
        let span = windows.into_iter().find(|span| span.buckets)?;
        let (first, last) = (span.end_from(range.start) + span.size, range.end);
        let next = (first - span.size).max(span.size);
        let (board, own_level, groups) = (board.clone(), span.level, BTreeMap::new());
        let rests = Rests::default();
        (first <= last).then(|| Tumbling { board, span, own_level, next, first, last, groups, rests })
    }

    /// Adds the blocks of the next bucket. Returns false where neither they nor longer blocks that make up the bucket are
    /// kept, or some of it was counted without the board.
    fn take_in(&mut self, stored: &Stored, levels: &Levels) -> Result<bool, StateFailure> {
        let Tumbling { board, span, own_level, groups, rests, .. } = self;
        let panes = self.next - span.size..self.next;
        let fits = |level: &usize| {
            span.size.is_multiple_of(levels.width(*level)) && stored.keeps(*level, panes.start)
        };
        let was_counted = !stored.lacks(&board.name, &panes);
        let Some(level) = (*own_level..levels.count()).find(fits).filter(|_| was_counted) else {
            groups.clear();
            return Ok(false);
        };
        (span.level, span.node) = (level, levels.width(level));
        span.missing = stored.missing(&board.name);
        let mut blocks = Vec::new();
        stored.read(&board.name, &stored.filled(level, &panes), |block, digests| {
            blocks.push((block, digests));
        })?;
        // The nodes of the previous bucket may be longer or shorter ones, with other numbers.
        groups.values_mut().for_each(PastGroup::clear);
        rests.expire(Pane::MAX);
        if stored.next_filled(&(0..self.next)).is_some() {
            // From the first event on, the whole board has a bucket at each end.
            groups.entry(GroupKey::WHOLE).or_insert_with(|| PastGroup::new(&GroupKey::WHOLE, board));
        }
        for (block, digests) in blocks {
            let rest = rest_of(&digests);
            rests.push(block.start, rest);
            let removed = RemovedIn::of(&digests);
            for (key, digest) in digests.iter().filter(|(key, _)| key.is_group()) {
                let group = groups.entry(key.clone()).or_insert_with(|| PastGroup::new(key, board));
                let listed = Listed { counted: digest, removed: removed.of_group(key) };
                group.push(block, listed, rest, span);
            }
        }
        Ok(true)
    }

    /// The end of the bucket after the one that ends at `end`. In a long time without an event only the last bucket is
    /// ranked, and before the first event none is.
    fn after(&self, end: Pane, stored: &Stored) -> Pane {
        let size = self.span.size;
        let next = end + size;
        if self.groups.values().any(|group| group.live) {
            return next;
        }
        let filled = stored.next_filled(&(end..self.last)).unwrap_or(self.last) / size * size;
        if self.groups.is_empty() {
            filled + size
        } else if filled > next + LONG_GAP * size {
            filled
        } else {
            next
        }
    }

    /// The snapshots of the bucket that ends at `end`.
    fn publish(&mut self, end: Pane, clock: &Clock, (epoch, seed): (u64, u64)) -> Vec<Snapshot> {
        let (board, span, top) = (&self.board, &self.span, Top::of(&self.board));
        let publisher = Publisher { epoch, seed, board, clock, span, end, top };
        let due = |(key, group): &(&GroupKey, &mut PastGroup)| key.is_whole() || group.live;
        let groups = self.groups.iter_mut().filter(due);
        let snapshots = groups.map(|(_, group)| group.final_of(&publisher, &self.rests)).collect();
        self.groups.retain(|key, group| key.is_whole() || group.live);
        snapshots
    }
}
