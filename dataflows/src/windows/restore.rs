//! How the windows of a board take in what an earlier run has stored.
//!
//! **In**: the blocks of each level that some window is made of, from the first pane that it needs on, and those below a
//! block that is not complete; those of a level in order. **Always holds**: final snapshots are what they are in a run
//! that is not interrupted, since each window gets the same nodes, and is ranked at each end between the same two.

use super::board::BoardWindows;
use super::group::Span;
use crest_sketches::Digest;
use crest_state::levels::Block;
use crest_state::pane::PaneDigests;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

impl BoardWindows {
    /// Ranks the windows made of a block's level at their ends before it, and publishes those that no earlier run has.
    /// False when there are more of them after `until`.
    pub(super) fn publish_before(&mut self, block: Block, until: Instant) -> bool {
        let due = |span: &Span, end| span.level == block.level && end <= block.start;
        let mut done = true;
        self.settle();
        while done && let Some((end, window)) = self.next_window(due) {
            if !self.may_rank(window, end) {
                done = false;
                break;
            }
            self.publish_end(window);
            self.skip_gap(window, block.start);
            done = Instant::now() < until;
        }
        self.job.sink.finals_complete(&self.board.name, self.before_next_end());
        done
    }

    /// Takes in a block before which all is published.
    pub(super) fn restore(&mut self, block: Block, groups: BTreeMap<String, Digest>) {
        let end = self.levels.end(block);
        // In a window made of longer blocks it is no matter where in the block the last event is.
        for span in self.windows.iter_mut().filter(|span| block.level <= span.level) {
            span.filled_to = span.filled_to.max(end);
        }
        let groups: BTreeMap<String, Rc<Digest>> =
            groups.into_iter().map(|(text, digest)| (text, Rc::new(digest))).collect();
        if block.level == 0 {
            self.count_exactly(&PaneDigests { pane: block.start, groups: groups.clone() });
        }
        self.push(block, &groups);
        let above = block.level + 1;
        let complete = |above| self.levels.end(self.levels.block(above, block.start)) <= self.earlier.durable;
        if above < self.levels.count() && !complete(above) {
            self.pyramid.restore(block, groups);
        }
    }
}
