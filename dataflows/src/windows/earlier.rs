//! What an earlier run left to the windows of a board, as the state tells.

use crate::event_time::Clock;
use crate::job::Job;
use crest_state::pane::Pane;
use crest_state::spec::WindowSpec;

/// What an earlier run left to the windows of a board. Default: there was none.
#[derive(Clone, Debug, Default)]
pub(super) struct Earlier {
    /// All panes before it are stored.
    pub(super) durable: Pane,
    /// Every window that ends at or before it was published.
    pub(super) published: Pane,
    /// So was everything, to the end of a bounded log.
    pub(super) finished: bool,
    /// Of each window, in the order of the spec: the end to go on with, and the first pane in it; none where the board
    /// had no event.
    pub(super) windows: Vec<Option<(Pane, Pane)>>,
}

impl Earlier {
    /// What the state tells of the board at this place in the spec; `None` where nothing is durable yet.
    pub(super) fn of(job: &Job, board: usize) -> Option<Self> {
        let restored = job.state.as_ref()?.restored()?;
        let clock = Clock::new(&job.spec.time, job.source.bounded());
        let go_on = |window: &WindowSpec| {
            let go_on = restored.go_on(board, clock.panes(window.size), clock.panes(window.slide));
            go_on.map(|go_on| (go_on.end, go_on.from))
        };
        Some(Earlier {
            durable: restored.durable,
            published: restored.published,
            finished: restored.finished,
            windows: job.spec.boards[board].windows.iter().map(go_on).collect(),
        })
    }
}
