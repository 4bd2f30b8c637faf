//! Which blocks have an object in the store, by level, and the epoch of the job that wrote it.
//!
//! Consecutive blocks of one epoch are one *span*, so that a day of panes is a line in the manifest. Blocks before a
//! level's `from` have expired. After it, a pane without an object had no event; a rollup without one may not have been
//! built yet, and can be, from the level below.

use crate::levels::{Block, Levels};
use crate::pane::Pane;
use crate::spans::Spans;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The blocks of all levels that have an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct BlockIndex(Vec<LevelIndex>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LevelIndex {
    /// The name of the level: `pane`, `1m`, `10m`, `1h` or `1d`.
    level: String,
    /// The width of its blocks, in panes.
    width: u64,
    /// Blocks before this pane have expired.
    from: Pane,
    /// The blocks that have an object, in order.
    blocks: Vec<BlockSpan>,
}

/// The blocks from the pane `first` to the pane `end`, whose objects were written in the run `epoch`. An older job that
/// is slow to notice that it was fenced off may still write, but never over another run's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockSpan {
    first: Pane,
    end: Pane,
    epoch: u64,
}

impl BlockIndex {
    /// The index of a state without an object.
    pub(super) fn new(levels: &Levels) -> Self {
        let level = |level| LevelIndex {
            level: levels.name(level).into(),
            width: levels.width(level),
            from: 0,
            blocks: Vec::new(),
        };
        BlockIndex((0..levels.count()).map(level).collect())
    }

    /// Whether the index has these levels, and the spans of each level are in order, are whole blocks, and end by `end`.
    pub(super) fn is_sound(&self, levels: &Levels, end: Pane) -> bool {
        let mut all = self.0.iter().enumerate();
        self.0.len() == levels.count()
            && all.all(|(index, level)| {
                let same = level.level == levels.name(index) && level.width == levels.width(index);
                same && level.is_sound(end)
            })
    }

    /// The epoch of the run that wrote the block's object; `None` where it has no object.
    pub(super) fn epoch(&self, block: Block) -> Option<u64> {
        let level = &self.0[block.level];
        let after = level.blocks.partition_point(|span| span.first <= block.start);
        let span = level.blocks[..after].last()?;
        (block.start < span.end).then_some(span.epoch)
    }

    /// The pane before which the blocks of a level have expired.
    pub(super) fn from(&self, level: usize) -> Pane {
        self.0[level].from
    }

    /// For each level, the pane before which its blocks have expired.
    pub(super) fn all_from(&self) -> impl Iterator<Item = Pane> {
        self.0.iter().map(|level| level.from)
    }

    /// Notes that the run of this epoch has written the block's object. It replaces any other.
    pub(super) fn set(&mut self, block: Block, epoch: u64) {
        let end = block.start + self.0[block.level].width;
        self.graft(block.level, block.start..end, std::iter::once((block, epoch)));
    }

    /// Replaces all blocks in a range, which is of whole blocks, by these, which are in order.
    pub(super) fn graft(
        &mut self,
        level: usize,
        range: Range<Pane>,
        blocks: impl Iterator<Item = (Block, u64)>,
    ) {
        let level = &mut self.0[level];
        let width = level.width;
        let mut old = std::mem::take(&mut level.blocks).into_iter().peekable();
        let mut kept = Vec::new();
        while let Some(span) = old.next_if(|span| span.first < range.start) {
            kept.push(BlockSpan { end: span.end.min(range.start), ..span });
            kept.extend((span.end > range.end).then_some(BlockSpan { first: range.end, ..span }));
        }
        let at = kept.partition_point(|span| span.first < range.start);
        let mut after = kept.split_off(at);
        let rest = old.filter(|span| span.end > range.end);
        after.extend(rest.map(|span| BlockSpan { first: span.first.max(range.end), ..span }));
        let new =
            blocks.map(|(block, epoch)| BlockSpan { first: block.start, end: block.start + width, epoch });
        for span in new.chain(after) {
            match kept.last_mut() {
                Some(last) if last.end == span.first && last.epoch == span.epoch => last.end = span.end,
                _ => kept.push(span),
            }
        }
        level.blocks = kept;
    }

    /// Removes the expired blocks of a level, those before `keep`, and returns them. `keep` is a multiple of the width.
    pub(super) fn drop_before(&mut self, level: usize, keep: Pane) -> Vec<(Block, u64)> {
        let gone = self.blocks(level, 0..keep).collect();
        self.graft(level, 0..keep, std::iter::empty());
        let from = &mut self.0[level].from;
        *from = keep.max(*from);
        gone
    }

    /// The blocks of a level that begin in a range and have an object, in order, with the epoch of each.
    pub(super) fn blocks(&self, level: usize, range: Range<Pane>) -> impl Iterator<Item = (Block, u64)> + '_ {
        let held = &self.0[level];
        let width = held.width;
        let first = held.blocks.partition_point(|span| span.end <= range.start);
        let spans = held.blocks[first..].iter().take_while(move |span| span.first < range.end);
        spans.flat_map(move |span| {
            let from = span.first.max(range.start.next_multiple_of(width));
            let starts = (from..span.end.min(range.end)).step_by(width as usize);
            starts.map(move |start| (Block { level, start }, span.epoch))
        })
    }

    /// All blocks that have an object, level by level, with the epoch of each.
    pub(super) fn all(&self) -> impl Iterator<Item = (Block, u64)> + '_ {
        (0..self.0.len()).flat_map(|level| self.blocks(level, 0..Pane::MAX))
    }

    /// The ranges of panes of a level whose blocks have an object, in order. Adjoining spans are joined.
    pub(super) fn ranges(&self, level: usize) -> Spans {
        let mut ranges = Spans::default();
        self.0[level].blocks.iter().for_each(|span| ranges.add(span.first..span.end));
        ranges
    }

    /// The greatest epoch of all objects; 0 where there is none.
    pub(super) fn newest_epoch(&self) -> u64 {
        let spans = self.0.iter().flat_map(|level| &level.blocks);
        spans.map(|span| span.epoch).max().unwrap_or(0)
    }
}

impl LevelIndex {
    fn is_sound(&self, end: Pane) -> bool {
        let (whole, mut at) = (|pane: Pane| pane.is_multiple_of(self.width), self.from);
        let sound = |span: &BlockSpan| {
            let follows = span.first >= at && span.first < span.end && span.end <= end;
            at = span.end;
            follows && whole(span.first) && whole(span.end)
        };
        whole(self.from) && self.blocks.iter().all(sound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn levels() -> Levels {
        Levels::new(Duration::from_secs(10))
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(u64, u64),
        Graft(u64, u64, Vec<u64>, u64),
        Drop(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0u64..60, 1u64..4).prop_map(|(at, epoch)| Step::Set(at, epoch)),
            1 => (0u64..60, 0u64..20, prop::collection::vec(0u64..20, 0..6), 1u64..4)
                .prop_map(|(first, len, some, epoch)| Step::Graft(first, len, some, epoch)),
            1 => (0u64..40).prop_map(Step::Drop),
        ];
        prop::collection::vec(step, 1..60)
    }

    proptest! {
        #[test]
        fn it_is_a_map_from_blocks_to_runs(steps in steps(), level in 0usize..3) {
            let (levels, mut held, mut model) = (levels(), BlockIndex::new(&levels()), BTreeMap::new());
            let width = levels.width(level);
            let block = |number: u64| Block { level, start: number * width };
            for step in steps {
                match step {
                    // A block that has expired is not set again.
                    Step::Set(at, epoch) if at * width >= held.from(level) => {
                        held.set(block(at), epoch);
                        model.insert(at, epoch);
                    }
                    Step::Graft(first, len, mut some, epoch) if first * width >= held.from(level) => {
                        some.retain(|at| *at < len);
                        some.sort_unstable();
                        some.dedup();
                        let blocks = some.iter().map(|at| (block(first + at), epoch));
                        held.graft(level, first * width..(first + len) * width, blocks);
                        model.retain(|at, _| !(first..first + len).contains(at));
                        model.extend(some.iter().map(|at| (first + at, epoch)));
                    }
                    Step::Drop(before) => {
                        let gone = held.drop_before(level, before * width);
                        let left = model.split_off(&before);
                        let expected: Vec<_> = model.into_iter().map(|(at, epoch)| (block(at), epoch)).collect();
                        prop_assert_eq!(gone, expected);
                        model = left;
                    }
                    _ => {}
                }
                prop_assert!(held.is_sound(&levels, 100 * width), "{:?}", held);
                let all: Vec<_> = held.all().collect();
                let expected: Vec<_> = model.iter().map(|(at, epoch)| (block(*at), *epoch)).collect();
                prop_assert_eq!(all, expected);
                for at in 0..90 {
                    prop_assert_eq!(held.epoch(block(at)), model.get(&at).copied());
                }
                let some: Vec<_> = held.blocks(level, 7..31 * width).map(|(block, _)| block.start / width).collect();
                let expected: Vec<_> = model.range(7u64.div_ceil(width)..31).map(|(at, _)| *at).collect();
                prop_assert_eq!(some, expected);
            }
        }
    }

    #[test]
    fn a_day_of_panes_of_one_run_is_one_span() {
        let mut held = BlockIndex::new(&levels());
        (0..8640).for_each(|start| held.set(Block { level: 0, start }, 7));
        assert!(held.ranges(0).iter().eq([&(0..8640)]));
        assert_eq!((held.0[0].blocks.len(), held.newest_epoch()), (1, 7));
    }

    #[test]
    fn what_is_not_in_order_or_of_other_levels_is_not_sound() {
        let mut held = BlockIndex::new(&levels());
        held.set(Block { level: 1, start: 12 }, 7);
        assert!(held.is_sound(&levels(), 18) && !held.is_sound(&levels(), 17));
        assert!(!held.is_sound(&Levels::new(Duration::from_secs(60)), 18));
        held.0[1].blocks[0].first = 11;
        assert!(!held.is_sound(&levels(), 18));
    }
}
