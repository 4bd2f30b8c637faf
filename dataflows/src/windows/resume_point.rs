//! Where the windows of a board resume after an earlier run, by the durable state.

use crate::job::Job;
use crest_state::levels::Levels;
use crest_state::missing::Missing;
use crest_state::pane::Pane;
use crest_state::reach::Reach;
use crest_state::spans::Spans;
use crest_state::spec::Sliding;

/// Where the windows of a board resume. The default is that of a first run.
#[derive(Clone, Debug, Default)]
pub(super) struct ResumePoint {
    /// All panes before this one are stored.
    pub(super) durable: Pane,
    /// Every window that ends at or before this pane was published.
    pub(super) published: Pane,
    /// The end of the last pane with an event, where the input was counted to its end; or else 0.
    pub(super) input_end: Pane,
    /// Whether all windows were published, to the end of a bounded log.
    pub(super) finished: bool,
    /// For each window that slides, in the order of the spec, the end to go on with and the first pane of the window that ends there;
    /// `None` where the board had no event.
    pub(super) windows: Vec<Option<(Pane, Pane)>>,
    /// The panes that each of these windows lacks, see [`Restored::lacking`](crest_state::restore::Restored::lacking).
    pub(super) lacking: Vec<Spans>,
    /// The panes without the events of a region.
    pub(super) missing: Missing,
}

impl ResumePoint {
    /// The resume point of the board at this place in the spec; `None` where nothing is durable yet.
    pub(super) fn of(job: &Job, board: usize) -> Option<Self> {
        let restored = job.state.as_ref()?.restored()?;
        let (levels, engine) = (Levels::new(job.spec.time.pane), job.spec.boards[board].engine);
        let reach = |window: Sliding<'_>| Reach::of(&window, levels.pane());
        let lacking = |window| {
            let reach = reach(window);
            restored.lacking(board, reach.level(&levels, engine), &reach)
        };
        let go_on = |window| restored.go_on(board, &reach(window)).map(|go_on| (go_on.end, go_on.from));
        Some(ResumePoint {
            durable: restored.durable,
            published: restored.published,
            input_end: if restored.ended { restored.durable } else { 0 },
            finished: restored.finished,
            windows: job.spec.boards[board].sliding_windows().map(go_on).collect(),
            lacking: job.spec.boards[board].sliding_windows().map(lacking).collect(),
            missing: restored.missing[board].clone(),
        })
    }
}
