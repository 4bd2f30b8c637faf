//! What the stages of one worker share, and how far the dataflow is.

use crate::control::OwnStatus;
use crate::event_batch::BatchPool;
use crate::job::JobError;
use crest_state::pane::Pane;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use timely::dataflow::operators::probe::Handle;

/// What the stages of one worker share.
#[derive(Clone)]
pub struct Local {
    /// The worker's index in the cluster.
    pub worker: usize,
    /// Workers in the cluster.
    pub workers: usize,
    /// Batches to be used again.
    pub pool: BatchPool,
    /// Bytes and number of the open pane sketches.
    pub open: Rc<Cell<(u64, u64)>>,
    /// How many of these bytes are of the late pane, which stays open to the end.
    pub late: Rc<Cell<u64>>,
    /// Closed panes of exact boards that may not be published yet, and their bytes.
    pub closed: Rc<RefCell<VecDeque<(Pane, u64)>>>,
    /// Events that were not counted in their group, see
    /// [`WorkerCounts::groups_refused`](crate::status::WorkerCounts::groups_refused).
    pub groups_refused: Rc<Cell<u64>>,
    /// The status that this worker reports to the others.
    pub status: OwnStatus,
    /// Why the worker must give up, if it must.
    pub failure: Rc<RefCell<Option<JobError>>>,
}

/// How far the panes are closed, and how far their windows are published, everywhere.
#[derive(Clone, Default)]
pub struct Frontiers {
    /// Probes the pane sketches.
    pub closed: Handle<u64>,
    /// Probes the windows.
    pub published: Handle<u64>,
}
