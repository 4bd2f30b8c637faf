//! `crest backfill`: counts a range of a log's past into the state of its job, which may run meanwhile; then ranks the
//! tumbling windows in it anew, as buckets. Nothing live is touched. A run that was stopped or killed goes on when the
//! same is asked for again.

mod buckets;

use crate::account::Account;
use crate::args::{BackfillArgs, RunArgs};
use crate::failure::Failure;
use crate::launch::{self, Outputs, Publishes, Stop, regions, state};
use crate::progress::Progress;
use crate::replay::{range, source};
use crate::settings::{Settings, StateSettings};
use crate::summary::SummaryFile;
use crest_connectors::state::StateStore;
use crest_connectors::{Sinks, Until};
use crest_dataflows::event_time::Clock;
use crest_dataflows::job::Job;
use crest_dataflows::status::JobView;
use crest_host::clock::wall_clock_ms;
use crest_state::input::Input;
use crest_state::job_state::JobState;
use crest_state::pane::Pane;
use crest_state::replay::Resume;
use crest_state::spec::JobSpec;
use std::ops::Range;
use std::sync::Arc;

/// Counts what is asked for.
///
/// # Errors
/// The range, or what is there of it, cannot be counted; nothing was then, or what was is gone on with.
pub fn run(args: &BackfillArgs) -> Result<(), Failure> {
    let settings = Settings::load(&args.run)?;
    let StateSettings { url, options, .. } = check(&settings, args)?;
    let summary = settings.summary.as_deref().map(SummaryFile::prepare).transpose()?;
    launch::end_on_panic();
    let stop = Stop::of_task()?;
    let store = StateStore::open(url, options).map_err(state::cannot_open)?;
    launch::blocklists::read(&settings.spec)?;
    let (source, board) = (state::identity(&settings.source)?, args.board.as_deref());
    let backfill = Backfill { settings: &settings, store: &store, source, board };
    let durable = || range::durable(&settings, store.clone()).map(Some);
    let range = range::resolve(&settings, (&args.from, &args.to), durable)?;
    let outputs = Outputs::open(&settings, Publishes::BucketsOnly)?;
    let plan = JobState::plan_backfill(&store, &settings.spec, &backfill.source, &range, args.replace, board);
    let runs = plan.map_err(state::refused)?;
    tracing::info!(
        "backfill of {}: {} to count",
        backfill.written(&range),
        match runs.as_slice() {
            [] => "nothing that was not counted is left".to_owned(),
            runs => runs.iter().map(|run| backfill.written(run)).collect::<Vec<_>>().join(", "),
        }
    );
    let mut account = Account::of(&settings.spec.only(board), &JobView::new(0, 0));
    for run in runs {
        let (counted, over) = backfill.count(&run, &stop, &outputs)?;
        account.add(counted);
        if !over {
            tracing::info!("stopped; the same command goes on from here");
            return summary.map_or(Ok(()), |summary| summary.write(&account, false));
        }
    }
    if let Some(summary) = &summary {
        summary.write(&account, true)?;
    }
    buckets::publish(&store, &settings.spec, &backfill.source, board, &range, &outputs)
}

/// What a backfill needs, and what it has no use for.
fn check<'a>(settings: &'a Settings, args: &BackfillArgs) -> Result<&'a StateSettings, Failure> {
    let refuse = |text: &str| Err(Failure::Usage(text.into()));
    if settings.shape.processes != 1 {
        return refuse("--processes: a backfill runs in one process; -w says in how many threads");
    }
    if args.run.start.is_some() {
        return refuse("--start: a backfill begins where --from says");
    }
    refuse_what_is_the_jobs(&args.run)?;
    let boards = || settings.spec.boards.iter().map(|board| &*board.name);
    if let Some(unknown) = args.board.as_deref().filter(|name| !boards().any(|board| board == *name)) {
        return refuse(&format!(
            "--board = {unknown:?}: must be one of {}",
            boards().collect::<Vec<_>>().join(", ")
        ));
    }
    match &settings.state {
        Some(state) => Ok(state),
        None => refuse("--state: must say where the state of the job is whose past is to be counted"),
    }
}

/// Refuses to reset boards, to archive and to stand by: only the job itself does. A variable for the last two may be that of
/// the job.
///
/// # Errors
/// It is asked for.
pub(crate) fn refuse_what_is_the_jobs(run: &RunArgs) -> Result<(), Failure> {
    if run.archive.archive.as_deref().is_some_and(|url| url != "off")
        && !run.from_environment.contains("archive")
    {
        return Err(Failure::Usage("--archive: only the job itself archives what it reads".into()));
    }
    if run.standby && !run.from_environment.contains("standby") {
        return Err(Failure::Usage("--standby: only the job itself can stand by".into()));
    }
    match run.reset_board.first() {
        None => Ok(()),
        Some(board) => {
            Err(Failure::Usage(format!("--reset-board {board}: only the job itself resets boards")))
        }
    }
}

/// One command's.
struct Backfill<'a> {
    settings: &'a Settings,
    store: &'a StateStore,
    /// What the state is of.
    source: String,
    /// The only board to count.
    board: Option<&'a str>,
}

impl Backfill<'_> {
    fn clock(&self) -> Clock {
        Clock::new(&self.settings.spec.time, false)
    }

    fn written(&self, panes: &Range<Pane>) -> String {
        let clock = self.clock();
        format!("{} to {}", state::time(clock.start(panes.start)), state::time(clock.start(panes.end)))
    }

    /// What is counted of a run of panes: the records of a log, or the panes of regions.
    fn open(&self, run: &Range<Pane>, resume: Option<&Resume>, spec: &JobSpec) -> Result<Input, Failure> {
        let source = &self.settings.source;
        match source.url.states() {
            Some(states) => regions::open_range(states, source, (spec, run), resume).map(Input::Regions),
            None => source::open(self.settings, run, resume, Until::Now).map(Input::Records),
        }
    }

    /// Counts a run of panes. Returns what became of the records, and false when it was stopped before its end.
    fn count(&self, run: &Range<Pane>, stop: &Stop, outputs: &Outputs) -> Result<(Account, bool), Failure> {
        let Settings { spec, shape, .. } = self.settings;
        let retention = self.settings.state.as_ref().map(|state| state.retention).unwrap_or_default();
        let now = wall_clock_ms().unsigned_abs();
        let claimed = JobState::open_backfill(
            self.store.clone(),
            spec,
            &self.source,
            &retention,
            run.clone(),
            self.board,
            now,
        );
        let claimed = Arc::new(claimed.map_err(state::refused)?);
        let resume = claimed.resume();
        let mut spec = spec.only(self.board).without_windows();
        spec.sketch.seed = claimed.seed();
        let source = self.open(run, resume.as_ref(), &spec)?;
        let job = Job {
            spec: Arc::new(spec),
            source,
            sink: Arc::new(Sinks(Vec::new())),
            registry: launch::registry(self.settings)?,
            rejects: launch::rejects(self.settings)?,
            view: Arc::new(JobView::new(shape.workers, shape.workers)),
            workers_per_process: shape.workers,
            epoch: claimed.epoch(),
            resume,
            range: Some(run.clone()),
            audit: None,
            state: Some(claimed.clone()),
        };
        let progress = Progress::start(&job, true)?;
        launch::work(self.settings, None, &job, stop, outputs)?;
        let over = claimed.is_over();
        let account = progress.finish(Some(if over { "backfilled" } else { "so far" }));
        account.tell_boards();
        Ok((account, over))
    }
}
