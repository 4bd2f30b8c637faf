//! Which late events count, in the windows of a whole bounded input.

use crate::event_time::{Clock, PartitionTime, Place, Times};
use crate::late_pane::late;
use crate::replay::Reach;
use crate::status::WorkerCounts;
use crest_state::pane::Pane;
use crest_state::spec::JobSpec;

/// What a source has to know of the windows of the whole input.
pub(crate) struct WholeInput {
    /// `None` where no board has such a window.
    boards: Option<Vec<Windows>>,
}

/// Which windows a board has.
struct Windows {
    whole: bool,
    sliding: bool,
}

impl WholeInput {
    /// For the boards of a job. On a live source, which has no end, there are no windows of the whole input.
    pub(crate) fn new(spec: &JobSpec, bounded: bool) -> Self {
        let windows = spec.boards.iter().map(|board| Windows {
            whole: board.has_whole_window(),
            sliding: board.sliding_windows().next().is_some(),
        });
        WholeInput { boards: (bounded && spec.has_whole_windows()).then(|| windows.collect()) }
    }

    /// Whether late events may count.
    pub(crate) fn counts_late(&self) -> bool {
        self.boards.is_some()
    }

    /// Where the next event of a partition counts, see [`PartitionTime::admit`] and [`PartitionTime::place`].
    #[inline]
    pub(crate) fn place(
        &self,
        time: &mut PartitionTime,
        (at, broker): (i64, Option<i64>),
        clock: &Clock,
        floor: Pane,
    ) -> Place {
        if self.counts_late() {
            return time.place(at, broker, clock, floor);
        }
        time.admit(at, broker, clock, floor)
            .map_or_else(|refusal| Place::Late(clock.pane(at), refusal), Place::Open)
    }

    /// The pane of a late event, if one of these boards, which take it, has a window of the whole input.
    #[cold]
    pub(crate) fn admit_late(
        &self,
        pane: Pane,
        boards: impl Iterator<Item = u32>,
        counts: &mut WorkerCounts,
    ) -> Option<Pane> {
        let windows = self.boards.as_deref()?;
        let (mut counted, mut missed) = (false, false);
        for board in boards {
            let Windows { whole, sliding } = windows[board as usize];
            counted |= whole;
            missed |= sliding;
        }
        counts.late_in_whole += u64::from(counted && missed);
        counted.then(|| late(pane))
    }

    /// How far the times of a partition's records let its watermark go, as a run that resumes has to know it.
    pub(crate) fn reach(&self, times: Times, clock: &Clock) -> Reach {
        let newest = self.counts_late().then(|| times.newest(clock)).flatten();
        Reach { stamped: times.stamped(clock), newest }
    }
}
