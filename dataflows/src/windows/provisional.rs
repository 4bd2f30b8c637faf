//! Provisional snapshots: the windows as they are now, with the panes that are still open.

use super::board::BoardWindows;
use crest_host::clock::wall_clock_ms;
use crest_state::pane::{Pane, PaneDigests};
use std::rc::Rc;

impl BoardWindows {
    /// Publishes the provisional snapshots of the groups that the open panes hold, for each window at the end that
    /// follows the newest pane shown. Panes ahead of the [present](Self::present) are not shown. The panes
    /// that come as open include those that are closed but not durable yet (see [`persist`](crate::persist)).
    pub(super) fn publish_provisionals(&mut self, panes: &[Rc<PaneDigests>]) {
        let passed = self.frontier.unwrap_or(Pane::MAX);
        let waits = |pane: &PaneDigests| self.waiting.contains_key(&pane.pane);
        let present = self.present();
        let shown = panes
            .iter()
            .map(Rc::as_ref)
            .filter(|pane| (passed..=present).contains(&pane.pane) && !waits(pane));
        let mut open: Vec<&PaneDigests> = self.waiting.values().chain(shown).collect();
        open.sort_by_key(|pane| pane.pane);
        let Some(newest) = open.last().map(|pane| pane.pane) else { return };
        self.kind.rank_provisional(&mut self.set, &open, newest, passed);
    }

    /// The last pane that is shown. The present of a live stream is the later of this machine's clock and the time that
    /// the watermarks have reached. Events that are ahead of it count in their own panes, and a window that ends there
    /// would no longer show what is popular now.
    fn present(&self) -> Pane {
        if self.bounded {
            return Pane::MAX;
        }
        let newest =
            self.set.job.view.with_workers(|workers| {
                workers.iter().flatten().filter_map(|(_, status)| status.newest).max()
            });
        let by_events = newest.map_or(i64::MIN, |watermark| self.set.clock.newest_at(watermark));
        self.set.clock.pane(wall_clock_ms().max(by_events))
    }
}
