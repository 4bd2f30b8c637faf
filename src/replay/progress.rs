//! How far the reading of a range is: a bar on a terminal, a line in the log every ten seconds otherwise, and the last line.

use crest_dataflows::event_time::{Clock, Pane};
use crest_dataflows::status::{JobView, WorkerCounts};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const REDRAW: Duration = Duration::from_millis(250);
const LOG: Duration = Duration::from_secs(10);
const TEMPLATE: &str = "{bar:30} {pos}/{len} panes {msg} {eta} left";

/// Tells of a run of a job over a bounded source.
pub struct Progress {
    teller: Arc<Teller>,
    thread: JoinHandle<()>,
}

struct Teller {
    view: Arc<JobView>,
    clock: Clock,
    /// The panes that are counted, where they are known.
    run: Option<Range<Pane>>,
    began: Instant,
    over: AtomicBool,
}

impl Progress {
    /// From now on, on a thread of its own.
    ///
    /// # Errors
    /// The operating system has no thread to give.
    pub fn start(view: &Arc<JobView>, clock: &Clock, run: Option<&Range<Pane>>) -> std::io::Result<Self> {
        let teller = Arc::new(Teller {
            view: view.clone(),
            clock: *clock,
            run: run.cloned(),
            began: Instant::now(),
            over: AtomicBool::new(false),
        });
        let theirs = teller.clone();
        let thread = std::thread::Builder::new().name("progress".into()).spawn(move || theirs.tell())?;
        Ok(Progress { teller, thread })
    }

    /// Takes the bar away, and says what was done, in a word or two.
    pub fn finish(self, done: &str) {
        self.teller.over.store(true, Ordering::Release);
        let _ = self.thread.join();
        let (counts, refused, late) = self.teller.counts();
        let seconds = self.teller.began.elapsed().as_secs_f64();
        let rate = (counts.records as f64 / seconds.max(1e-9)).round();
        let stored = self.teller.view.state().map_or_else(String::new, |state| {
            format!(", into {} panes with an event and {} rollups", state.panes, state.rollups)
        });
        tracing::info!(
            "{done}: {} events, {late} late, {refused} refused, {} outside the range{stored}, in {seconds:.1} s: {rate} \
             records/s",
            counts.events,
            counts.outside
        );
    }
}

impl Teller {
    fn tell(&self) {
        let terminal = std::io::stderr().is_terminal();
        let bar = if terminal { self.bar() } else { ProgressBar::hidden() };
        let mut logged = Instant::now();
        while !self.over.load(Ordering::Acquire) {
            let (counts, ..) = self.counts();
            let rate = counts.records as f64 / self.began.elapsed().as_secs_f64().max(1e-9);
            let panes = self.run.as_ref().map(|run| {
                let passed = self.passed().clamp(run.start, run.end) - run.start;
                bar.set_position(passed);
                format!("{passed} of {} panes, ", run.end - run.start)
            });
            bar.set_message(format!("{rate:.0} records/s"));
            if !terminal && logged.elapsed() > LOG {
                logged = Instant::now();
                tracing::info!(
                    "{}{} records, {rate:.0} records/s",
                    panes.unwrap_or_default(),
                    counts.records
                );
            }
            std::thread::sleep(REDRAW);
        }
        bar.finish_and_clear();
    }

    /// All panes before it are done with.
    fn passed(&self) -> Pane {
        let published = || self.view.boards().values().filter_map(|board| board.frontier).min();
        let time = self.view.state().map(|state| state.durable).or_else(published);
        self.clock.pane(time.unwrap_or(0))
    }

    fn bar(&self) -> ProgressBar {
        let Some(run) = &self.run else { return ProgressBar::no_length() };
        let bar = ProgressBar::new(run.end - run.start);
        match ProgressStyle::with_template(TEMPLATE) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }

    /// Of all workers; of it how many records were refused otherwise than as late, and how many as late.
    fn counts(&self) -> (WorkerCounts, u64, u64) {
        let mut sum = WorkerCounts::default();
        let (mut refused, mut late) = (0, 0);
        for (_, status) in self.view.workers().into_iter().flatten() {
            let counts = &status.counts;
            sum.records += counts.records;
            sum.events += counts.events;
            sum.outside += counts.outside;
            let of_late = counts.refused[crest_dataflows::status::Refusal::Late as usize];
            late += of_late;
            refused += counts.refused.iter().sum::<u64>() - of_late;
        }
        (sum, refused, late)
    }
}
