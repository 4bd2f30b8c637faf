//! How far a backfill is: a bar on a terminal, a line in the log every ten seconds otherwise, and the last line.

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

/// Tells of a run of panes.
pub struct Progress {
    teller: Arc<Teller>,
    thread: JoinHandle<()>,
}

struct Teller {
    view: Arc<JobView>,
    clock: Clock,
    run: Range<Pane>,
    began: Instant,
    over: AtomicBool,
}

impl Progress {
    /// From now on, on a thread of its own.
    ///
    /// # Errors
    /// The operating system has no thread to give.
    pub fn start(view: &Arc<JobView>, clock: &Clock, run: &Range<Pane>) -> std::io::Result<Self> {
        let teller = Arc::new(Teller {
            view: view.clone(),
            clock: *clock,
            run: run.clone(),
            began: Instant::now(),
            over: AtomicBool::new(false),
        });
        let theirs = teller.clone();
        let thread = std::thread::Builder::new().name("progress".into()).spawn(move || theirs.tell())?;
        Ok(Progress { teller, thread })
    }

    /// Takes the bar away, and says what was done.
    pub fn finish(self, to_the_end: bool) {
        self.teller.over.store(true, Ordering::Release);
        let _ = self.thread.join();
        let (counts, refused, late) = self.teller.counts();
        let (seconds, stored) = (self.teller.began.elapsed().as_secs_f64(), self.teller.view.state());
        let (panes, rollups) = stored.map_or((0, 0), |state| (state.panes, state.rollups));
        let rate = (counts.records as f64 / seconds.max(1e-9)).round();
        let done = if to_the_end { "counted" } else { "counted so far" };
        tracing::info!(
            "{done}: {} events, {late} late, {refused} refused, {} outside the range, into {panes} panes with an event and \
             {rollups} rollups, in {seconds:.1} s: {rate} records/s",
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
            let at = self.clock.pane(self.view.state().map_or(0, |state| state.durable));
            let panes = at.clamp(self.run.start, self.run.end) - self.run.start;
            bar.set_position(panes);
            bar.set_message(format!("{rate:.0} records/s"));
            if !terminal && logged.elapsed() > LOG {
                logged = Instant::now();
                let of = self.run.end - self.run.start;
                tracing::info!("{panes} of {of} panes, {} records, {rate:.0} records/s", counts.records);
            }
            std::thread::sleep(REDRAW);
        }
        bar.finish_and_clear();
    }

    fn bar(&self) -> ProgressBar {
        let bar = ProgressBar::new(self.run.end - self.run.start);
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
