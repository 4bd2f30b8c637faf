//! The runs over the range: one of the sketch engine, where that is judged, and one of the exact engine. Both read the
//! same records: a log that goes on meanwhile is read up to where it ended when the first of them began.

use super::examine::Examination;
use crate::account::Account;
use crate::failure::Failure;
use crate::launch::{self, Outputs, Stop};
use crate::progress::Progress;
use crate::replay::source;
use crate::settings::Settings;
use crest_connectors::snapshot::{Snapshot, SnapshotSink};
use crest_connectors::source::Partition;
use crest_connectors::{Sinks, Until};
use crest_dataflows::audit_probe::AuditProbe;
use crest_dataflows::job::Job;
use crest_dataflows::status::JobView;
use crest_state::pane::Pane;
use crest_state::spec::{Engine, JobSpec};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The runs of the engines over the range.
pub struct Counting<'a> {
    settings: &'a Settings,
    /// The boards that are judged, by their places in the spec.
    wanted: &'a [usize],
    /// The panes that are counted; all of the source where it is `None`.
    range: Option<Range<Pane>>,
    stop: &'a Stop,
    outputs: &'a Outputs,
    /// Where a log ends, once that is known.
    ends: Option<BTreeMap<Partition, i64>>,
}

impl<'a> Counting<'a> {
    /// Runs over a job's source.
    pub fn new(
        settings: &'a Settings,
        wanted: &'a [usize],
        range: Option<Range<Pane>>,
        stop: &'a Stop,
        outputs: &'a Outputs,
    ) -> Self {
        Counting { settings, wanted, range, stop, outputs, ends: None }
    }

    /// Counts by sketches; what these say is to be judged.
    ///
    /// # Errors
    /// The boards cannot be sketched, or the source cannot be read.
    pub fn sketch(&mut self, claims: &Arc<Examination>) -> Result<(), Failure> {
        let spec = spec_of(self.settings, self.wanted, Engine::Sketch);
        spec.check().map_err(|error| {
            Failure::Usage(format!("without a state, the sketch engine is judged: {error}"))
        })?;
        self.count(Engine::Sketch, Arc::new(Claimed(claims.clone())), None).map(drop)
    }

    /// Counts exactly; the examination asks for the truth. Returns what became of the input.
    ///
    /// # Errors
    /// The source cannot be read.
    pub fn exactly(&mut self, examination: &Arc<Examination>) -> Result<Account, Failure> {
        self.count(Engine::Exact, Arc::new(Sinks(Vec::new())), Some(examination))
    }

    fn count(
        &mut self,
        engine: Engine,
        sink: Arc<dyn SnapshotSink>,
        examination: Option<&Arc<Examination>>,
    ) -> Result<Account, Failure> {
        let (settings, workers) = (self.settings, self.settings.shape.workers);
        let mut spec = spec_of(settings, self.wanted, engine);
        if self.range.is_some() {
            // What is in a part of the input says nothing of the whole.
            spec.boards.iter_mut().for_each(|board| board.windows.retain(|window| !window.is_whole()));
        }
        if engine == Engine::Exact {
            // Ids that share their hash in what is judged do not here.
            spec.sketch.seed = launch::seed::drawn()?;
        }
        let all = 0..Pane::MAX;
        let until = self.ends.clone().map_or(Until::Now, Until::Offsets);
        let source = source::open(settings, self.range.as_ref().unwrap_or(&all), None, until)?;
        let ranges = source.ranges().into_iter();
        self.ends.get_or_insert(ranges.map(|(partition, range)| (partition, range.end)).collect());
        let job = Job {
            spec: Arc::new(spec),
            source: source.into(),
            sink,
            registry: launch::registry(settings)?,
            rejects: if engine == Engine::Exact { launch::rejects(settings)? } else { None },
            view: Arc::new(JobView::new(workers, workers)),
            workers_per_process: workers,
            epoch: 1,
            resume: None,
            range: self.range.clone(),
            audit: examination.map(|examination| examination.clone() as Arc<dyn AuditProbe>),
            state: None,
        };
        if let Some(examination) = examination {
            examination.begin(&job.view);
        }
        let progress = Progress::start(&job, true)?;
        let stopped = launch::work(settings, None, &job, self.stop, self.outputs)?;
        let account = progress.finish(Some(match engine {
            Engine::Sketch => "sketched",
            Engine::Exact => "counted exactly",
        }));
        if engine == Engine::Exact {
            account.tell_boards();
        }
        match (stopped, examination) {
            // What could not be read tells why.
            (Some(_), Some(examination)) if examination.failed() => Ok(account),
            (Some(_), _) => Err(Failure::Failed("stopped before all was counted: nothing was judged".into())),
            (None, _) => Ok(account),
        }
    }
}

/// Takes final rankings as claims.
struct Claimed(Arc<Examination>);

impl SnapshotSink for Claimed {
    fn publish(&self, snapshot: &Arc<Snapshot>) {
        if snapshot.is_final {
            self.0.claim(snapshot);
        }
    }

    fn shows_provisionals(&self) -> bool {
        false
    }
}

/// The spec of a run that counts these boards by this engine; the others only let time pass as they do in the job.
fn spec_of(settings: &Settings, wanted: &[usize], engine: Engine) -> JobSpec {
    let mut spec = settings.spec.clone();
    for (index, board) in spec.boards.iter_mut().enumerate() {
        board.counters = false;
        if engine == Engine::Exact {
            // The truth has all rows.
            board.min_count = 0;
        }
        if wanted.contains(&index) {
            board.engine = engine;
        } else {
            board.engine = Engine::Sketch;
            board.windows.clear();
        }
    }
    spec
}
