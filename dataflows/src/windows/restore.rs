//! Restores the windows of a board from the blocks that an earlier run has stored.
//!
//! **In**: for each level that some window is made of, its blocks from the first pane that the window needs; and the
//! blocks from which incomplete longer blocks will be made. Those of a level come in order. **Always holds**: final
//! snapshots are the same as in a run that is not interrupted, since each window gets the same nodes, and each of its ends
//! is ranked between the same two nodes.

use super::board::BoardWindows;
use super::group::Span;
use crest_connectors::group_key::GroupKey;
use crest_host::clock;
use crest_sketches::Digest;
use crest_state::levels::Block;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

impl BoardWindows {
    /// Ranks the windows that are made of the block's level, at their ends up to the block, and publishes those that no
    /// earlier run has published. Returns false when more of them are due at `until`, or a ranking cannot be requested
    /// yet.
    pub(super) fn publish_before(&mut self, block: Block, until: Instant) -> bool {
        let due = |span: &Span, end| span.level == block.level && end <= block.start;
        let mut done = true;
        self.kind.settle(&mut self.set);
        while done && let Some((end, window)) = self.set.next_window(due) {
            if !self.kind.may_rank(&self.set, window, end) {
                done = false;
                break;
            }
            self.publish_end(window);
            self.skip_gap(window, block.start);
            done = clock::now() < until;
        }
        self.set.job.sink.finals_complete(&self.set.board.name, self.before_next_end());
        done
    }

    /// Takes in a block. All ends before it must be ranked (see [`publish_before`](Self::publish_before)).
    pub(super) fn restore(&mut self, block: Block, groups: BTreeMap<GroupKey, Digest>) {
        let end = self.levels.end(block);
        // For a window made of longer blocks it does not matter where in its block the last event is.
        for span in self.set.spans.iter_mut().filter(|span| block.level <= span.level) {
            span.filled_to = span.filled_to.max(end);
        }
        let groups: BTreeMap<GroupKey, Rc<Digest>> =
            groups.into_iter().map(|(group, digest)| (group, Rc::new(digest))).collect();
        self.push(block, &groups);
        let above = block.level + 1;
        let complete = |above| self.levels.end(self.levels.block(above, block.start)) <= self.durable;
        if above < self.levels.count() && !complete(above) {
            self.set.pyramid.restore(block, groups);
        }
    }
}
