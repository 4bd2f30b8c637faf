//! How far the reading of a bounded source is: a bar on a terminal, a line in the log every ten seconds otherwise; and what
//! became of all that was read, in the end. A run of files, `crest backfill` and `crest audit` tell it alike.

use crate::account::Account;
use crate::failure::Failure;
use crest_dataflows::event_time::Clock;
use crest_dataflows::job::Job;
use crest_dataflows::status::JobView;
use crest_state::pane::Pane;
use crest_state::spec::JobSpec;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const REDRAW: Duration = Duration::from_millis(250);
const LOG: Duration = Duration::from_secs(10);
const TEMPLATE: &str = "{bar:30} {pos}/{len} panes {msg} {eta} left";
/// Where nobody knows how much there is.
const ENDLESS: &str = "{spinner} {msg}";

/// Tells of a run of a job over a bounded source.
pub struct Progress {
    teller: Arc<Teller>,
    thread: JoinHandle<()>,
}

struct Teller {
    spec: Arc<JobSpec>,
    view: Arc<JobView>,
    /// The panes that are counted, where they are known.
    run: Option<Range<Pane>>,
    drawn: bool,
    began: Instant,
    over: AtomicBool,
}

impl Progress {
    /// From now on, on a thread of its own. `drawn`: whether a bar is in nobody's way.
    ///
    /// # Errors
    /// The operating system has no thread to give.
    pub fn start(job: &Job, drawn: bool) -> Result<Self, Failure> {
        let teller = Arc::new(Teller {
            spec: job.spec.clone(),
            view: job.view.clone(),
            run: job.range.clone(),
            drawn: drawn && std::io::stderr().is_terminal(),
            began: Instant::now(),
            over: AtomicBool::new(false),
        });
        let theirs = teller.clone();
        let thread = std::thread::Builder::new().name("progress".into()).spawn(move || theirs.tell());
        let thread = thread.map_err(Failure::thread("shows the progress"))?;
        Ok(Progress { teller, thread })
    }

    /// Takes the bar away, and says what was done: after a word or two, if there are such.
    pub fn finish(self, done: Option<&str>) -> Account {
        let (account, seconds) = (self.teller.account(), self.teller.began.elapsed().as_secs_f64());
        self.teller.over.store(true, Ordering::Release);
        self.thread.thread().unpark();
        let _ = self.thread.join();
        let rate = HumanCount((account.records as f64 / seconds.max(1e-9)).round() as u64);
        let state = self.teller.view.state().filter(|state| state.panes > 0);
        let stored = state.map_or_else(String::new, |state| {
            format!("; kept as {} panes with an event and {} rollups", state.panes, state.rollups)
        });
        let done = done.map_or_else(String::new, |done| format!("{done}: "));
        let line = format!("{done}{}{stored}; in {seconds:.1} s, {rate} records/s", account.headline());
        if account.is_whole() {
            tracing::info!("{line}");
        } else {
            tracing::warn!("{line}");
        }
        account
    }
}

impl Teller {
    fn tell(&self) {
        let bar = if self.drawn { self.bar() } else { ProgressBar::hidden() };
        let mut logged = Instant::now();
        while !self.over.load(Ordering::Acquire) {
            let records = self.account().records;
            let rate = HumanCount((records as f64 / self.began.elapsed().as_secs_f64().max(1e-9)) as u64);
            let records = HumanCount(records);
            let panes = self.run.as_ref().map(|run| {
                let passed = self.passed().clamp(run.start, run.end) - run.start;
                bar.set_position(passed);
                format!("{passed} of {} panes, ", run.end - run.start)
            });
            bar.tick();
            bar.set_message(format!("{records} records, {rate} records/s"));
            if !self.drawn && logged.elapsed() > LOG {
                logged = Instant::now();
                tracing::info!("{}{records} records, {rate} records/s", panes.unwrap_or_default());
            }
            // Until it is over at the latest.
            std::thread::park_timeout(REDRAW);
        }
        bar.finish_and_clear();
    }

    /// All panes before it are done with.
    fn passed(&self) -> Pane {
        let published = || self.view.boards().values().filter_map(|board| board.frontier).min();
        let time = self.view.state().map(|state| state.durable).or_else(published);
        Clock::new(&self.spec.time, true).pane(time.unwrap_or(0))
    }

    fn bar(&self) -> ProgressBar {
        let (bar, template) = match &self.run {
            Some(run) => (ProgressBar::new(run.end - run.start), TEMPLATE),
            None => (ProgressBar::new_spinner(), ENDLESS),
        };
        match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }

    fn account(&self) -> Account {
        Account::of(&self.spec, &self.view)
    }
}
