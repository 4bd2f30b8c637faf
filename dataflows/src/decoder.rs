//! Turns records into events of a batch, or into refusals that are counted.

use crate::ahead::Ahead;
use crate::event_batch::EventBatch;
use crate::event_time::{Clock, PartitionTime};
use crate::job::Job;
use crate::route::Router;
use crate::status::WorkerCounts;
use crest_connectors::source::Record;
use crest_formats::parser::Parser;
use crest_formats::refusal::Refusal;
use crest_state::pane::Pane;
use std::ops::Range;

/// Turns records into events of a batch.
pub(crate) struct Decoder {
    parser: Parser,
    router: Router,
    /// The panes to count; see the module of the source for what becomes of the others.
    range: Range<Pane>,
    pub(crate) counts: WorkerCounts,
    /// The time of the last event that was too far ahead, and when it was read (both ms since 1970).
    ahead: (i64, i64),
}

impl Decoder {
    /// For the boards, the schema and the range of panes of a job.
    pub(crate) fn new(job: &Job) -> Self {
        let parser = Parser::new(&job.spec.schema, job.spec.fields());
        let router = Router::new(&job.spec, &parser);
        let range = job.range.clone().unwrap_or(0..Pane::MAX);
        Decoder { parser, router, range, counts: WorkerCounts::default(), ahead: (0, 0) }
    }

    /// The first pane after the range.
    pub(crate) fn range_end(&self) -> Pane {
        self.range.end
    }

    /// Brings the counts by board up to date, and gives all counts.
    pub(crate) fn refresh_counts(&mut self) -> &mut WorkerCounts {
        self.counts.boards.clear();
        self.counts.boards.extend(self.router.match_counts().cloned());
        self.counts.saw_timestamp = self.parser.saw_timestamp();
        &mut self.counts
    }

    /// Adds a record's event to the batch. Returns its pane if the event moved time or was counted.
    #[inline]
    pub(crate) fn take(
        &mut self,
        record: &Record<'_>,
        time: &mut PartitionTime,
        clock: &Clock,
        floor: Pane,
        now: i64,
        batch: &mut EventBatch,
    ) -> Result<Option<Pane>, Refusal> {
        self.counts.records += 1;
        let event = self.parser.parse(record.payload.ok_or(Refusal::TooLong)?)?;
        let broker = clock.broker_time(record.time, now);
        if clock.too_far_ahead(event.time, broker) {
            self.ahead = (event.time, now);
            return Err(Refusal::Future);
        }
        let (item, at) = (self.router.select(&event)?, event.time);
        if !self.range.contains(&clock.pane(at)) {
            return Ok(self.pass_over(at, broker, time, clock, floor));
        }
        let Some(item) = item else {
            self.counts.unmatched += 1;
            return Ok(time.admit(at, broker, clock, floor).ok());
        };
        let pane = time.admit(at, broker, clock, floor)?;
        self.router.push(&event, item, pane, batch);
        self.counts.events += 1;
        Ok(Some(pane))
    }

    /// Takes an event outside the range, and returns its pane if it moved time. An event before the range never does.
    #[cold]
    fn pass_over(
        &mut self,
        at: i64,
        broker: Option<i64>,
        time: &mut PartitionTime,
        clock: &Clock,
        floor: Pane,
    ) -> Option<Pane> {
        self.counts.outside += 1;
        if clock.pane(at) < self.range.start {
            time.stamp(at, broker, clock);
            return None;
        }
        time.admit(at, broker, clock, floor).ok()
    }

    /// Whether a partition has passed all panes of the range.
    pub(crate) fn has_passed(&self, time: &PartitionTime) -> bool {
        time.watermark().is_some_and(|pane| pane >= self.range.end)
    }

    /// Counts a refused record, logs the first of its kind, and keeps it where rejects are kept.
    #[cold]
    pub(crate) fn refuse(&mut self, job: &Job, reason: Refusal, partition: &str, record: &Record<'_>) {
        self.counts.refused[reason as usize] += 1;
        let payload = record.payload.unwrap_or_default();
        if job.view.first_of_kind(reason) {
            let payload = String::from_utf8_lossy(&payload[..payload.len().min(200)]);
            let (time, now) = self.ahead;
            let ahead = Ahead { time, stamp: record.time, now, skew: job.spec.time.max_future_skew };
            let because = (reason == Refusal::Future).then(|| tracing::field::display(ahead));
            let (reason, offset) = (reason.name(), record.offset);
            tracing::warn!(
                reason,
                partition,
                offset,
                because,
                ?payload,
                "refused an event, the first of its kind; further ones are only counted"
            );
        }
        if let Some(rejects) = &job.rejects {
            self.counts.rejects_lost += rejects.keep(reason, partition, record.offset, payload);
        }
    }
}
