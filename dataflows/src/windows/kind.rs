//! The two kinds of windows: [`Sketched`](super::sketched::Sketched) ones, which keep running sums of sketches, and those of
//! an [exact](super::exact) board, which [request](super::rank_requests::RankRequests) their rankings from a differential
//! dataflow. Windows of the whole input are of neither kind, see [`whole`](super::whole).

use super::set::WindowSet;
use crest_connectors::group_key::GroupKey;
use crest_sketches::Digest;
use crest_state::levels::Block;
use crest_state::pane::{Pane, PaneDigests};
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::scheduling::Activator;

/// What the windows of a board count, and how they are ranked. A ranking may come later than it is requested; the defaults
/// are those of a kind whose rankings come at once.
pub(super) trait WindowKind {
    /// Adds a complete block to the windows that are made of its level. All windows that end before it
    /// must have been ranked, or their rankings requested.
    fn add(&mut self, set: &mut WindowSet, block: Block, groups: &BTreeMap<GroupKey, Rc<Digest>>);

    /// Ranks a window at an end, for the whole board and the groups that are due, and publishes the rankings unless an
    /// earlier run has.
    fn rank_final(&mut self, set: &mut WindowSet, window: usize, end: Pane);

    /// Ranks the groups in the open panes, which are in order, for each window at the end that follows the newest pane,
    /// and publishes the rankings. All panes before `passed` are closed.
    fn rank_provisional(&mut self, set: &mut WindowSet, open: &[&PaneDigests], newest: Pane, passed: Pane);

    /// Publishes the requested rankings that have come.
    fn settle(&mut self, _set: &mut WindowSet) {}

    /// Sends off what was requested, and returns whether all requested rankings have come.
    fn flush(&mut self) -> bool {
        true
    }

    /// Whether the board can only wait for rankings.
    fn is_waiting(&self) -> bool {
        false
    }

    /// Whether the window can be ranked at this end now.
    fn may_rank(&mut self, _set: &WindowSet, _window: usize, _end: Pane) -> bool {
        true
    }

    /// Whether provisional rankings can be requested now.
    fn may_show(&self) -> bool {
        true
    }

    /// The end of the first window whose final ranking was requested and has not come.
    fn next_end(&self) -> Option<Pane> {
        None
    }

    /// Makes the windows' operator run when rankings come.
    fn wake(&self, _activator: &dyn Fn() -> Activator) {}

    /// Memory held beside the groups, in bytes.
    fn bytes(&self) -> usize {
        0
    }
}
