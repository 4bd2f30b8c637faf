//! A job, ready to run: what it computes, where it reads and publishes, and the entry point of each worker.

use crate::audit_probe::AuditProbe;
use crate::rejects::Rejects;
use crate::status::JobView;
use crest_connectors::snapshot::SnapshotSink;
use crest_connectors::source::SourceError;
use crest_formats::decode::{FormatError, Registry};
use crest_state::check::SpecError;
use crest_state::error::StateFailure;
use crest_state::input::Input;
use crest_state::job_state::JobState;
use crest_state::monitor::JobLink;
use crest_state::pane::Pane;
use crest_state::region::RegionError;
use crest_state::replay::Resume;
use crest_state::spec::JobSpec;
use std::ops::Range;
use std::sync::Arc;

/// All that the workers of one process share.
#[derive(Clone)]
pub struct Job {
    /// What the job computes.
    pub spec: Arc<JobSpec>,
    /// Where events come from, or panes that were counted elsewhere.
    pub source: Input,
    /// Where snapshots go. Only process 0 publishes.
    pub sink: Arc<dyn SnapshotSink>,
    /// Where the schemas of the records are, if they are in a registry.
    pub registry: Option<Arc<dyn Registry>>,
    /// Where refused records are kept, if anywhere.
    pub rejects: Option<Arc<Rejects>>,
    /// What is known of the job's workers.
    pub view: Arc<JobView>,
    /// Workers in each process; the aggregation operators live on those of process 0.
    pub workers_per_process: usize,
    /// The number of this run, which is greater than that of any earlier run.
    pub epoch: u64,
    /// The panes to count; `None` counts all. Only for bounded sources. Events of earlier panes are skipped, and a
    /// partition is read no further once it has passed the last pane.
    pub range: Option<Range<Pane>>,
    /// Where an earlier run left off. Every process has it, and the source must begin at its offsets.
    pub resume: Option<Resume>,
    /// Asks the exact boards for the counts of certain items beside their rankings.
    pub audit: Option<Arc<dyn AuditProbe>>,
    /// The durable state, on process 0. Without one, a window is final as soon as its panes are closed.
    pub state: Option<Arc<JobState>>,
}

impl Job {
    /// The part of the job that its durable state needs.
    pub fn link(&self) -> JobLink {
        JobLink {
            spec: self.spec.clone(),
            source: self.source.clone(),
            sink: self.sink.clone(),
            monitor: self.view.clone(),
            aggregators: self.workers_per_process.min(self.spec.boards.len()),
        }
    }
}

impl Job {
    /// Whether final rankings may be published now: the sink takes them, and no other run can have taken the state over.
    pub(crate) fn may_publish(&self) -> bool {
        self.sink.ready() && self.state.as_ref().is_none_or(|state| state.may_publish())
    }
}

/// Why a worker gave up.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The source cannot be read any further.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The spec cannot run.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The format of the records cannot be read.
    #[error("{}: {}", .0.key, .0.reason)]
    Format(FormatError),
    /// The sketch's sizes are out of range.
    #[error("sketch: {0}")]
    Sketch(#[from] crest_sketches::ShapeError),
    /// A message of another process was damaged on its way.
    #[error("a message from another process is damaged: {0}")]
    Frame(#[from] crate::frame::FrameError),
    /// The state of a region cannot be merged.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// The durable state can be kept no longer.
    #[error(transparent)]
    State(#[from] StateFailure),
}

impl From<FormatError> for JobError {
    fn from(error: FormatError) -> Self {
        JobError::Format(error)
    }
}
