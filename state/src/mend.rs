//! Which panes have to be counted again where a block is damaged or gone, so that all rollups over it can be built.

use crate::block_index::BlockIndex;
use crate::levels::{Block, Levels};
use crate::pane::Pane;
use std::fmt::{self, Write};
use std::ops::Range;
use std::time::{Duration, UNIX_EPOCH};

/// The panes to count again where a block is damaged or gone. Times are in milliseconds since 1970 UTC. Its text names
/// the command that does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mend {
    /// The start of the first pane to count again.
    pub from_ms: i64,
    /// The end of the last pane to count again.
    pub to_ms: i64,
}

impl Mend {
    /// The panes of a block, and those around it that a rollup at its edges could not be built without.
    pub(super) fn of(held: &BlockIndex, levels: &Levels, block: Block) -> Self {
        let panes = with_whole_edges(held, levels, block.start..levels.end(block));
        Mend { from_ms: levels.pane().start(panes.start), to_ms: levels.pane().start(panes.end) }
    }
}

impl fmt::Display for Mend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (written(self.from_ms), written(self.to_ms));
        write!(
            f,
            "`crest backfill --replace --from {from} --to {to}`, with the job's own options, counts it again from the \
             source; or bring the whole state back from a backup"
        )
    }
}

/// The first and the last block of a level with panes of a range.
pub(super) fn edges(levels: &Levels, level: usize, range: &Range<Pane>) -> [Block; 2] {
    [levels.block(level, range.start), levels.block(level, range.end - 1)]
}

/// Whether some panes of a block are outside a range.
pub(super) fn reaches_beyond(levels: &Levels, block: Block, range: &Range<Pane>) -> bool {
    block.start < range.start || range.end < levels.end(block)
}

/// The shortest run of panes that contains this one and needs no expired block to build the rollups at its edges.
pub(super) fn with_whole_edges(held: &BlockIndex, levels: &Levels, mut run: Range<Pane>) -> Range<Pane> {
    let lacks = |run: &Range<Pane>| {
        let edges = (1..levels.count()).flat_map(|level| edges(levels, level, run));
        edges.map(|block| (block, block.start..levels.end(block))).find(|(block, panes)| {
            let is_kept = held.from(block.level) <= panes.start;
            is_kept && reaches_beyond(levels, *block, run) && held.from(block.level - 1) > panes.start
        })
    };
    while let Some((_, panes)) = lacks(&run) {
        run = run.start.min(panes.start)..run.end.max(panes.end);
    }
    run
}

/// A time in RFC 3339.
pub(super) fn written(ms: i64) -> String {
    let time = UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    // RFC 3339 has no years after 9999.
    let mut text = String::new();
    match write!(text, "{}", humantime::format_rfc3339_millis(time)) {
        Ok(()) => text,
        Err(_) => format!("{ms} ms"),
    }
}
