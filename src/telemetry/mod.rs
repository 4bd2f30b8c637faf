//! Sends the figures of this process, and the way of some panes from their close to published, to a collector: by OTLP, in
//! protobuf over HTTP.
//!
//! A thread of its own does it, which nobody waits for: what a collector does not take is told once, counted and let go.

mod collector;
mod counts;
mod messages;
mod metrics;
mod options;
mod panes;
mod traces;

pub use counts::{Counts, Signal, Tally};
pub use options::{Header, Options};

use crate::failure::Failure;
use crate::figures::Figures;
use collector::{Collector, PATIENCE};
use crest_dataflows::job::Job;
use metrics::Metrics;
use panes::Panes;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use traces::Traces;

/// How often the thread looks how far the panes are.
const LOOK: Duration = Duration::from_millis(200);
/// For the last of it to be sent by a job that has failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Under way, until it is finished. Of a job that fails, the last of it is sent when this is dropped.
pub struct Telemetry {
    /// Says by when the last of it must be sent; `None` once it is said.
    end: Option<Sender<Instant>>,
    ended: Receiver<()>,
}

/// The thread's own data.
struct Exporter {
    collector: Collector,
    interval: Duration,
    figures: Box<dyn Fn() -> Figures + Send>,
    metrics: Metrics,
    /// The way of panes, where it is followed.
    traces: Option<(Panes, Traces)>,
}

impl Telemetry {
    /// Begins to send what `figures` says every now and then, and what becomes of the panes of `job`, whose workers must not
    /// have begun. `process` is this one's place in the cluster.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        options: &Options,
        process: usize,
        job: &Job,
        tally: Arc<Tally>,
        figures: impl Fn() -> Figures + Send + 'static,
    ) -> Result<Self, Failure> {
        let resource = messages::resource(options, process);
        // Only process 0 closes panes.
        let traces = (options.traces && process == 0).then(|| {
            let boards = job.spec.boards.iter().map(|board| board.name.to_string()).collect();
            (Panes::of(job), Traces::new(resource.clone(), boards, job.spec.time.pane))
        });
        let exporter = Exporter {
            collector: Collector::new(options, tally),
            interval: options.interval,
            figures: Box::new(figures),
            metrics: Metrics::new(resource),
            traces,
        };
        let ((end, wish), (done, ended)) = (channel(), channel());
        let thread = std::thread::Builder::new().name("telemetry".into());
        let run = move || {
            exporter.run(&wish);
            // Whoever waited may have given up.
            let _ = done.send(());
        };
        thread.spawn(run).map_err(Failure::thread("sends telemetry"))?;
        Ok(Telemetry { end: Some(end), ended })
    }

    /// Has the last of it sent, and waits for that for at most so long.
    pub fn finish(mut self, limit: Duration) {
        self.end_within(limit);
    }

    fn end_within(&mut self, limit: Duration) {
        let Some(end) = self.end.take() else { return };
        let asked = end.send(Instant::now() + limit);
        if asked.is_ok() && self.ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            tracing::debug!("the last telemetry was not sent within {} ms", limit.as_millis());
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.end_within(AFTER_FAILURE);
    }
}

impl Exporter {
    fn run(mut self, wish: &Receiver<Instant>) {
        let mut next = Instant::now() + self.interval;
        loop {
            let pause = next.saturating_duration_since(Instant::now()).min(LOOK);
            match wish.recv_timeout(pause) {
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(deadline) => {
                    self.look(true);
                    return self.send(deadline);
                }
            }
            self.look(false);
            let full = self.traces.as_ref().is_some_and(|(_, traces)| traces.is_full());
            if Instant::now() >= next {
                next = Instant::now() + self.interval;
                self.send(Instant::now() + PATIENCE);
            } else if full {
                self.send_traces(Instant::now() + PATIENCE);
            }
        }
    }

    /// Looks how far the panes are; with `last`, those that are not published will not be.
    fn look(&mut self, last: bool) {
        if let Some((panes, traces)) = &mut self.traces {
            panes.look(last).into_iter().for_each(|pane| traces.add(&pane));
            self.collector.dropped(Signal::Traces, panes.take_left_out() * traces::SPANS_OF_PANE);
        }
    }

    fn send(&mut self, deadline: Instant) {
        let (body, points) = self.metrics.encode(&(self.figures)());
        self.collector.send(Signal::Metrics, &body, points, deadline);
        self.send_traces(deadline);
    }

    fn send_traces(&mut self, deadline: Instant) {
        if let Some((body, spans)) = self.traces.as_mut().and_then(|(_, traces)| traces.encode()) {
            self.collector.send(Signal::Traces, &body, spans, deadline);
        }
    }
}
