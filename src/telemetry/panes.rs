//! How far the panes are whose way is followed: what the stages have noted, and when the receivers have what was made of it.

use crest_connectors::snapshot::SnapshotSink;
use crest_dataflows::job::Job;
use crest_dataflows::passage::{Passage, Passages};
use crest_state::pane::{Pane, PaneWidth};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the sinks may take to say how far they are.
const DELIVERY: Duration = Duration::from_millis(5);
/// A pane whose rankings are not delivered for so long is given up; its rankings are not.
const LONGEST: Duration = Duration::from_secs(30);

/// The panes of a job, on process 0.
pub struct Panes {
    passages: Arc<Passages>,
    sink: Arc<dyn SnapshotSink>,
    width: PaneWidth,
    /// What is ranked, and not known to be delivered.
    waiting: Vec<Passage>,
    left_out: u64,
}

/// The whole way of a pane.
pub struct Followed {
    /// Up to its ranking.
    pub passage: Passage,
    /// When it ended.
    pub end: Instant,
    /// Why its rankings are not known to be delivered, if they are not.
    pub failure: Option<&'static str>,
}

impl Panes {
    /// Follows the panes of a job from now on.
    pub fn of(job: &Job) -> Self {
        Panes {
            passages: job.view.follow_panes(),
            sink: job.sink.clone(),
            width: PaneWidth::new(job.spec.time.pane),
            waiting: Vec::new(),
            left_out: 0,
        }
    }

    /// Takes those whose way is over. With `last` the way of all is.
    pub fn look(&mut self, last: bool) -> Vec<Followed> {
        self.waiting.extend(self.passages.take());
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let delivered = self.sink.delivered(Instant::now() + DELIVERY);
        let (now, width) = (Instant::now(), self.width);
        let failure = |passage: &Passage| match end(width, passage.pane) <= delivered {
            true => Some(None),
            false if last => Some(Some("the job has ended, and its rankings were not delivered")),
            false if now.saturating_duration_since(passage.rank.1) > LONGEST => {
                Some(Some("its rankings were not delivered within 30 s"))
            }
            false => None,
        };
        let mut over = Vec::new();
        self.waiting.retain(|passage| {
            let failure = failure(passage);
            over.extend(failure.map(|failure| Followed { passage: *passage, end: now, failure }));
            failure.is_none()
        });
        over
    }

    /// How many panes have been left out since this was asked last.
    pub fn take_left_out(&mut self) -> u64 {
        let before = std::mem::replace(&mut self.left_out, self.passages.left_out());
        self.left_out - before
    }
}

/// Where a pane ends, in milliseconds since 1970 UTC.
fn end(width: PaneWidth, pane: Pane) -> i64 {
    width.start(pane + 1)
}
