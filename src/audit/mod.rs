//! `crest audit`: counts a range of a source exactly, and judges by that what sketches say of it: the stored panes of a
//! job's state, rankings that were published, or what the sketch engine says of the same range.
//!
//! Costs: the range is read once by the exact engine, whose memory follows the distinct items of the longest window, and
//! once more by the sketch engine where that is judged; what is claimed, see [`board`].

mod board;
mod count;
mod examine;
mod judge;
mod published;
mod report;
mod scope;
mod spots;
mod stored;
mod table;

use crate::args::AuditArgs;
use crate::failure::{Failure, print};
use crate::launch::{self, Outputs, Publishes, Stop};
use crate::replay::range;
use crate::settings::Settings;
use crate::summary::SummaryFile;
use board::Board;
use count::Counting;
use crest_connectors::endpoint::SinkUrl;
use crest_dataflows::event_time::Clock;
use crest_state::pane::Pane;
use examine::Examination;
use report::Report;
use scope::Scope;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use stored::StoredState;

/// What is judged.
enum Judged {
    StoredState(StoredState),
    Published(PathBuf),
    /// The sketch engine, which counts the same range first.
    Sketch,
}

/// Counts, judges and prints.
///
/// # Errors
/// What is asked for cannot be counted, or something that is claimed is false.
pub fn run(args: &AuditArgs) -> Result<(), Failure> {
    let settings = load(args)?;
    let summary = settings.summary.as_deref().map(SummaryFile::prepare).transpose()?;
    launch::end_on_panic();
    let stop = Stop::of_task()?;
    launch::blocklists::read(&settings.spec)?;
    let judged = match (&args.rankings, StoredState::open(&settings, args)?) {
        (Some(path), _) => Judged::Published(path.clone()),
        (None, Some(state)) => Judged::StoredState(state),
        (None, None) => Judged::Sketch,
    };
    let range = match (&args.from, &args.to) {
        (Some(from), Some(to)) => Some(range::resolve(&settings, (from, to), || match &judged {
            Judged::StoredState(state) => state.durable(&settings).map(Some),
            _ => Ok(None),
        })?),
        _ => None,
    };
    let audit = Audit { settings, args, judged, stop, summary };
    let report = audit.judge(range)?;
    print(&if args.json { crate::text::json_line(&report.json()?) } else { table::of(&report) })?;
    report.result()
}

/// The job's settings, where they can be audited.
fn load(args: &AuditArgs) -> Result<Settings, Failure> {
    let mut settings = Settings::load(&args.run)?;
    let refuse = |text: String| Err(Failure::Usage(text));
    let source = &settings.source;
    if settings.shape.processes != 1 {
        return refuse("--processes: an audit runs in one process; -w says in how many threads".into());
    }
    crate::backfill::refuse_what_is_the_jobs(&args.run)?;
    if args.run.start.is_some() {
        return refuse("--start: an audit begins where --from says".into());
    }
    if source.url.read_once().is_some() || source.url.states().is_some() {
        return refuse(format!(
            "--source = {:?}: must be kafka://host:port/topic, log:FOLDER, archive:URL or file:GLOB, which can be read again",
            source.url.to_string()
        ));
    }
    match (&args.from, &args.to) {
        (Some(_), None) => return refuse("--to: must be given together with --from".into()),
        (None, Some(_)) => return refuse("--from: must be given together with --to".into()),
        (None, None) if source.url.is_live_log() => {
            return refuse(
                "--from and --to: must say which part of a kafka:// or log: source is audited".into(),
            );
        }
        _ => {}
    }
    let known: Vec<&str> = settings.spec.boards.iter().map(|board| &*board.name).collect();
    if let Some(unknown) = args.board.iter().find(|name| !known.contains(&name.as_str())) {
        return refuse(format!("--board = {unknown:?}: there is no such board, only {}", known.join(", ")));
    }
    // What is read here is nobody's lag, and what is found is not published.
    settings.source.group_id = None;
    settings.snapshots.urls = vec![SinkUrl::Memory];
    settings.snapshots.shards.clear();
    settings.snapshots.changes.clear();
    Ok(settings)
}

struct Audit<'a> {
    settings: Settings,
    args: &'a AuditArgs,
    judged: Judged,
    stop: Stop,
    summary: Option<SummaryFile>,
}

impl Audit<'_> {
    fn judge(&self, range: Option<Range<Pane>>) -> Result<Report, Failure> {
        let spec = &self.settings.spec;
        let wanted: Vec<usize> = (0..spec.boards.len())
            .filter(|board| {
                self.args.board.is_empty() || self.args.board.contains(&spec.boards[*board].name.to_string())
            })
            .collect();
        let (range, mut pasts) = match &self.judged {
            Judged::StoredState(state) => state.windows(&self.settings, &wanted, range)?,
            _ => (range, Vec::new()),
        };
        if range.is_some() {
            self.leave_out_whole_windows(&wanted)?;
        }
        let scope = Scope::new(range.as_ref(), &Clock::new(&spec.time, false));
        pasts.reverse();
        let board = |board: &usize| {
            let (board, past) = (&spec.boards[*board], pasts.pop());
            let spots = match (&self.judged, scope.times()) {
                (Judged::StoredState(state), Some(times)) => Some(state.spots(board, &scope, times)?),
                _ => None,
            };
            Ok(Board::new(board, scope.clone(), past, spots))
        };
        let boards = wanted.iter().map(board).collect::<Result<_, Failure>>()?;
        let examination = Arc::new(Examination::new(boards));
        let outputs = Outputs::open(&self.settings, Publishes::Bounded)?;
        let mut counting = Counting::new(&self.settings, &wanted, range.clone(), &self.stop, &outputs);
        match &self.judged {
            Judged::StoredState(_) => {}
            Judged::Published(path) => published::read(path, spec, &wanted, &examination)?,
            Judged::Sketch => counting.sketch(&examination)?,
        }
        let account = counting.exactly(&examination)?;
        if let Some(summary) = &self.summary {
            summary.write(&account, !examination.failed())?;
        }
        Ok(Report::of(self.subject(), scope.times().cloned(), spec, &examination.finish()?))
    }

    /// Says that windows of the whole input are not judged, where only a part of it is counted or a state, which does not
    /// keep them, is judged.
    fn leave_out_whole_windows(&self, wanted: &[usize]) -> Result<(), Failure> {
        for board in wanted.iter().map(|board| &self.settings.spec.boards[*board]) {
            let Some(window) = board.whole_windows().next() else { continue };
            let why = "is judged by its published rankings or with neither a state nor a range";
            let text =
                format!("board.{}.windows = {window:?}: a window of the whole input {why}", board.name);
            if board.sliding_windows().next().is_none() {
                return Err(Failure::Usage(text));
            }
            tracing::info!("{text}: it is left out");
        }
        Ok(())
    }

    /// What is judged, in a few words.
    fn subject(&self) -> String {
        match &self.judged {
            Judged::StoredState(state) => format!("the state {}", state.url()),
            Judged::Published(path) => format!("the rankings {}", path.display()),
            Judged::Sketch => "the sketch engine".into(),
        }
    }
}
