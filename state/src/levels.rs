//! The levels of the time pyramid: panes, and rollups of 1 min, 10 min, 1 h and 1 d over them.
//!
//! A *block* of a level is a run of panes as long as the level is wide, which begins at a multiple of that. A rollup is
//! the digest of a block: the merged digests of its blocks of the level below, cut to as many rows as a pane keeps.
//! Each window is made of the blocks of one level.

use crate::pane::{END, Pane, PaneWidth};
use crate::spec::Engine;
use std::time::Duration;

/// The names and widths, in seconds, of the levels of rollups. A job has those that are wider than the level below, and
/// a multiple of it.
const ROLLUPS: [(&str, u64); 4] = [("1m", 60), ("10m", 600), ("1h", 3600), ("1d", 86_400)];
/// The fewest blocks of a rollup level that a window is made of. A window of fewer would take out much at once as it
/// slides, and the block at its end, while it is not complete, is merged again for each provisional ranking.
const LEAST_NODES: u64 = 32;

/// The levels of a job, which depend on the width of its panes. Level 0 is that of panes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    /// The widths in panes. Each is a multiple of the one before.
    widths: [u64; 1 + ROLLUPS.len()],
    names: [&'static str; 1 + ROLLUPS.len()],
    count: usize,
    pane: PaneWidth,
}

/// A run of panes as long as its level is wide: a pane or a rollup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    /// The number of its level in [`Levels`].
    pub level: usize,
    /// Its first pane.
    pub start: Pane,
}

impl Levels {
    /// The levels over panes of this width.
    pub fn new(pane: Duration) -> Self {
        let pane = PaneWidth::new(pane);
        let (widths, names) = ([1; 1 + ROLLUPS.len()], ["pane"; 1 + ROLLUPS.len()]);
        let mut levels = Levels { widths, names, count: 1, pane };
        for (name, seconds) in ROLLUPS {
            let below = levels.widths[levels.count - 1];
            let (ms, pane_ms) = (seconds * 1000, pane.ms() as u64);
            let panes = ms / pane_ms;
            if ms.is_multiple_of(pane_ms) && panes > below && panes.is_multiple_of(below) {
                (levels.widths[levels.count], levels.names[levels.count]) = (panes, name);
                levels.count += 1;
            }
        }
        levels
    }

    /// The number of levels, with that of panes.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The first pane of the block above a level that is not complete when all panes before `durable` are; [`END`] for the top
    /// level.
    pub(crate) fn incomplete_above(&self, level: usize, durable: Pane) -> Pane {
        let above = (level + 1 < self.count).then(|| self.block(level + 1, durable).start);
        above.unwrap_or(END)
    }

    /// The width of a level's blocks, in panes.
    pub fn width(&self, level: usize) -> u64 {
        self.widths[..self.count][level]
    }

    /// The name of a level: `pane`, `1m`, `10m`, `1h` or `1d`.
    pub fn name(&self, level: usize) -> &'static str {
        self.names[..self.count][level]
    }

    /// The level of this name.
    pub fn named(&self, name: &str) -> Option<usize> {
        (0..self.count).find(|level| self.name(*level) == name)
    }

    /// The block of a level that a pane is in.
    pub fn block(&self, level: usize, pane: Pane) -> Block {
        let width = self.width(level);
        Block { level, start: pane / width * width }
    }

    /// The first pane after a block.
    pub fn end(&self, block: Block) -> Pane {
        block.start + self.width(block.level)
    }

    /// The width of a pane.
    pub fn pane(&self) -> PaneWidth {
        self.pane
    }

    /// The names of all levels of rollups that a job can have.
    pub fn rollups() -> impl Iterator<Item = &'static str> {
        ROLLUPS.iter().map(|(name, _)| *name)
    }

    /// The blocks of the level below that a block is made of. A pane has none.
    pub fn children(&self, block: Block) -> impl Iterator<Item = Block> + use<> {
        let level = block.level.saturating_sub(1);
        let (width, end) = (self.width(level), if block.level == 0 { block.start } else { self.end(block) });
        (block.start..end).step_by(width as usize).map(move |start| Block { level, start })
    }

    /// The level whose blocks a window of `size` and `slide` panes is made of. A window of an exact board is made of
    /// panes, since rollups are cut.
    pub fn of_window(&self, engine: Engine, size: u64, slide: u64) -> usize {
        if engine == Engine::Exact {
            return 0;
        }
        let fits = |level: &usize| {
            let width = self.width(*level);
            size.is_multiple_of(width)
                && slide.is_multiple_of(width)
                && (size / width >= LEAST_NODES || *level == 0)
        };
        (0..self.count).rev().find(fits).unwrap_or(0)
    }

    /// As [`of_window`](Self::of_window), where the window may begin at any multiple of `part` panes.
    pub fn of_parts(&self, engine: Engine, (size, slide): (u64, u64), part: u64) -> usize {
        if engine == Engine::Exact {
            return 0;
        }
        let fits = |level: &usize| {
            let width = self.width(*level);
            let divides = part.is_multiple_of(width) && slide.is_multiple_of(width);
            divides && (size / width >= LEAST_NODES || *level == 0)
        };
        (0..self.count).rev().find(fits).unwrap_or(0)
    }

    /// The highest level whose blocks begin wherever any multiple of these numbers of panes does.
    pub fn dividing(&self, panes: &[u64]) -> usize {
        let fits = |level: &usize| panes.iter().all(|panes| panes.is_multiple_of(self.width(*level)));
        (0..self.count).rev().find(fits).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn levels(seconds: u64) -> Levels {
        Levels::new(Duration::from_secs(seconds))
    }

    #[test]
    fn levels_are_multiples_of_each_other() {
        let of = |seconds| {
            let levels = levels(seconds);
            (0..levels.count()).map(|level| (levels.name(level), levels.width(level))).collect::<Vec<_>>()
        };
        assert_eq!(of(10), [("pane", 1), ("1m", 6), ("10m", 60), ("1h", 360), ("1d", 8640)]);
        assert_eq!(of(60), [("pane", 1), ("10m", 10), ("1h", 60), ("1d", 1440)]);
        assert_eq!(of(7), [("pane", 1)]);
        assert_eq!(of(24), [("pane", 1), ("10m", 25), ("1h", 150), ("1d", 3600)]);
        assert_eq!(of(86_400), [("pane", 1)]);
    }

    #[test]
    fn a_window_is_the_sum_of_not_too_few_blocks() {
        let levels = levels(10);
        for (size, slide, level) in [
            (6, 1, "pane"),
            (360, 1, "pane"),
            (360, 6, "1m"),
            (8640, 6, "1m"),
            (8640, 360, "10m"),
            (90, 90, "pane"),
        ] {
            assert_eq!(levels.name(levels.of_window(Engine::Sketch, size, slide)), level, "{size} / {slide}");
            assert_eq!(levels.of_window(Engine::Exact, size, slide), 0);
        }
    }

    proptest! {
        #[test]
        fn children_make_up_their_block(level in 1usize..5, start in 0u64..1000) {
            let levels = levels(10);
            let block = Block { level, start: start * levels.width(level) };
            let children: Vec<Block> = levels.children(block).collect();
            prop_assert_eq!(children[0].start, block.start);
            prop_assert!(children.windows(2).all(|pair| levels.end(pair[0]) == pair[1].start));
            prop_assert_eq!(children.last().map(|last| levels.end(*last)), Some(levels.end(block)));
        }
    }
}
