//! Turns records into events of a batch, or into refusals that are counted.

use crate::ahead::Ahead;
use crate::event_batch::EventBatch;
use crate::event_time::{Clock, PartitionTime, Place};
use crate::job::{Job, JobError};
use crate::record_beside::RecordBeside;
use crate::replay::ReplayLog;
use crate::route::Router;
use crate::status::WorkerCounts;
use crate::whole_input::WholeInput;
use crest_connectors::source::{Origin, Payload, Record};
use crest_formats::decode::{Decode, Undecoded};
use crest_formats::parser::{Event, Parser, utf8};
use crest_formats::record_fields;
use crest_formats::refusal::Refusal;
use crest_state::fields::{JobFields, looked_for};
use crest_state::pane::Pane;
use std::ops::Range;

/// Fields of a record that a message names.
const FIELDS_NAMED: usize = 12;
/// Fields of a record whose names are kept, to be offered in the place of a name that no event has.
const FIELDS_KEPT: usize = 64;

/// Turns records into events of a batch.
pub(crate) struct Decoder {
    parser: Parser,
    /// Turns records that are not JSON into JSON, unless each partition has a decoder of its own.
    format: Option<Box<dyn Decode>>,
    /// A record of another format, as JSON text.
    json: Vec<u8>,
    /// The members of a record that are read; `None` for all.
    members: Option<Vec<String>>,
    /// The headers of a record that are read.
    pub(crate) headers: Vec<String>,
    pub(crate) judge: Judge,
}

/// Decides which events are counted, and counts the others.
pub(crate) struct Judge {
    router: Router,
    /// The panes to count; see the module of the source for what becomes of the others.
    range: Range<Pane>,
    pub(crate) whole: WholeInput,
    pub(crate) counts: WorkerCounts,
    /// Whether the record at hand is counted as one that an earlier run has read.
    replayed: bool,
    /// The time of the last event that was too far ahead, and when it was read (both ms since 1970).
    ahead: (i64, i64),
}

/// A run of one partition's records.
pub(crate) struct Run<'r> {
    pub(crate) job: &'r Job,
    /// The name of the partition.
    pub(crate) partition: &'r str,
    /// Where its records come from.
    pub(crate) origin: &'r Origin,
    pub(crate) clock: &'r Clock,
    /// The wall clock, in milliseconds since 1970 UTC.
    pub(crate) now: i64,
    /// The first pane that the worker has not passed.
    pub(crate) floor: Pane,
    /// The partition's own decoder, if it has one.
    pub(crate) format: &'r mut Option<Box<dyn Decode>>,
    pub(crate) time: &'r mut PartitionTime,
    pub(crate) log: &'r mut ReplayLog,
    pub(crate) batch: &'r mut EventBatch,
    /// Whether an event moved time or was counted.
    pub(crate) admitted: bool,
}

/// A record, or an element of one, that is not counted.
struct Refused<'r> {
    reason: Refusal,
    /// The element's place in its array, where the events are elements.
    element: Option<usize>,
    /// The record, or the text of the element.
    payload: &'r [u8],
    /// What has decoded the record, or refused to.
    format: Option<&'r dyn Decode>,
}

impl Decoder {
    /// For the boards, the schema and the range of panes of a job, whose source is `bounded` or not.
    ///
    /// # Errors
    /// The spec names fields that make no sense.
    pub(crate) fn new(job: &Job, bounded: bool) -> Result<Self, JobError> {
        let fields = JobFields::new(&job.spec)?;
        let router = Router::new(&job.spec, &fields.boards);
        let range = job.range.clone().unwrap_or(0..Pane::MAX);
        let (whole, counts) = (WholeInput::new(&job.spec, bounded), WorkerCounts::default());
        let judge = Judge { router, range, whole, counts, replayed: false, ahead: (0, 0) };
        let (members, headers) = (fields.plan.members(), fields.plan.headers());
        let parser = Parser::new(fields.plan).untyped(job.spec.format.untyped());
        let mut decoder = Decoder { parser, format: None, json: Vec::new(), members, headers, judge };
        decoder.format = decoder.another(job)?;
        Ok(decoder)
    }

    /// A decoder for the records of one partition, where each has its own, since it begins with a header.
    ///
    /// # Errors
    /// The format cannot be read.
    pub(crate) fn with_header(&self, job: &Job) -> Result<Option<Box<dyn Decode>>, JobError> {
        let has_header = self.format.as_ref().is_some_and(|format| format.has_header());
        if has_header { self.another(job) } else { Ok(None) }
    }

    fn another(&self, job: &Job) -> Result<Option<Box<dyn Decode>>, JobError> {
        let mut format = job.spec.format.decoder(job.registry.clone())?;
        if let (Some(format), Some(members)) = (&mut format, &self.members) {
            format.only(members);
        }
        Ok(format)
    }

    /// Adds a record's events to the batch of the run. Returns false, and has done nothing, where the record's schema is not
    /// at hand yet.
    #[inline]
    pub(crate) fn take(&mut self, record: &Record<'_>, run: &mut Run<'_>) -> bool {
        let judge = &mut self.judge;
        let format = run.format.as_mut().or(self.format.as_mut());
        let text = match (record.payload, format) {
            (Payload::Text(text), None) => Ok(text),
            (Payload::Tombstone, _) => Ok(""),
            (Payload::TooLong, _) => Err(Refusal::TooLong),
            (payload, None) => utf8(payload.bytes().unwrap_or_default()),
            (payload, Some(format)) => {
                self.json.clear();
                match format.decode(payload.bytes().unwrap_or_default(), &mut self.json) {
                    Ok(()) => utf8(&self.json),
                    Err(Undecoded::Refused(reason)) => Err(reason),
                    Err(Undecoded::Waiting) => return false,
                }
            }
        };
        run.log.read(record.offset);
        judge.counts.records += 1;
        judge.replayed = false;
        if record.payload == Payload::Tombstone {
            judge.pass(record, run, |counts| &mut counts.tombstones);
            return true;
        }
        // A few records at first, and fewer and fewer of those to come.
        let is_sample = judge.counts.records.is_power_of_two();
        if let (true, Ok(text)) = (is_sample, text) {
            note_names(run.job, text, run.format.as_deref().or(self.format.as_deref()));
        }
        let beside = RecordBeside { record, origin: run.origin };
        let mut events = match text.and_then(|text| self.parser.read_text(text, &beside)) {
            Ok(events) => events,
            Err(reason) => {
                let payload = record.payload.bytes().unwrap_or_default();
                let format = run.format.as_deref().or(self.format.as_deref());
                judge.refuse(&Refused { reason, element: None, payload, format }, record, run);
                return true;
            }
        };
        let before = run.time.times();
        let mut any = false;
        while let Some(event) = events.next() {
            any = true;
            if is_sample && event.element == Some(0) {
                note_names(run.job, event.text(), None);
            }
            match judge.admit(&event, record, run) {
                Ok(Some(pane)) => {
                    run.admitted = true;
                    run.log.admitted(pane, record.offset, || judge.whole.reach(before, run.clock));
                }
                Ok(None) => {}
                Err(reason) => {
                    // Of a long array only the element is kept, however many of them are refused.
                    let element = event.element.map(|_| event.text().as_bytes());
                    let payload = element.or(record.payload.bytes()).unwrap_or_default();
                    let format = run.format.as_deref().or(self.format.as_deref());
                    let refused = Refused { reason, element: event.element, payload, format };
                    judge.refuse(&refused, record, run);
                }
            }
        }
        if !any {
            judge.pass(record, run, |counts| &mut counts.without_events);
        }
        true
    }
}

/// As many names as are told, and that there are more.
fn first_of(names: &[&str]) -> Vec<String> {
    let more = (names.len() > FIELDS_NAMED).then_some(&"…");
    names.iter().take(FIELDS_NAMED).chain(more).map(|name| (*name).to_owned()).collect()
}

/// Notes the names of an event's fields; where the format knows those of every record, these.
#[cold]
fn note_names(job: &Job, event: &str, format: Option<&dyn Decode>) {
    let columns = format.map(Decode::names).unwrap_or_default();
    let mut names = match columns.is_empty() {
        true => record_fields::paths(event.as_bytes(), FIELDS_KEPT),
        false => columns.into_iter().map(str::to_owned).collect(),
    };
    // Beyond them it says that there are more.
    names.truncate(FIELDS_KEPT);
    job.view.note_names(names);
}

impl Judge {
    /// The first pane after the range.
    pub(crate) fn range_end(&self) -> Pane {
        self.range.end
    }

    /// Brings the counts by board up to date, and gives all counts.
    pub(crate) fn refresh_counts(&mut self) -> &mut WorkerCounts {
        self.counts.boards = self.router.match_counts();
        &mut self.counts
    }

    /// Adds an event to the batch. Returns its pane if it moved time or was counted.
    #[inline]
    fn admit(
        &mut self,
        event: &Event<'_>,
        record: &Record<'_>,
        run: &mut Run<'_>,
    ) -> Result<Option<Pane>, Refusal> {
        let Some(at) = event.time else {
            self.counts.saw_timestamp |= event.has_timestamp();
            return Err(Refusal::Timestamp);
        };
        let broker = run.clock.broker_time(record.time, run.now);
        if run.clock.too_far_ahead(at, broker) {
            self.ahead = (at, run.now);
            return Err(Refusal::Future);
        }
        let item = self.router.select(event)?;
        if !self.range.contains(&run.clock.pane(at)) {
            return Ok(self.pass_over(at, broker, run));
        }
        let place = self.whole.place(run.time, (at, broker), run.clock, run.floor);
        let Some(item) = item else {
            self.counts.unmatched += 1;
            return Ok(place.open());
        };
        let pane = match place {
            Place::Open(pane) => pane,
            Place::Late(pane, refusal) => {
                let boards = self.router.selected();
                self.whole.admit_late(pane, boards, &mut self.counts).ok_or(refusal)?
            }
            // An event of before, which counts as replayed.
            Place::Durable => return Err(Refusal::Late),
        };
        self.router.push(event, item, pane, run.batch);
        self.counts.events += 1;
        Ok(Some(pane))
    }

    /// Counts a record without any event. It moves no time, and is not refused.
    #[cold]
    fn pass(&mut self, record: &Record<'_>, run: &Run<'_>, kind: impl FnOnce(&mut WorkerCounts) -> &mut u64) {
        if !self.is_replayed(record, run) {
            *kind(&mut self.counts) += 1;
        }
    }

    /// Whether an earlier run has read the record. Such a one is counted as replayed, once for all of its elements.
    fn is_replayed(&mut self, record: &Record<'_>, run: &Run<'_>) -> bool {
        let replayed = run.log.is_replayed(record.offset);
        if replayed && !std::mem::replace(&mut self.replayed, true) {
            self.counts.replayed += 1;
        }
        replayed
    }

    /// Takes an event outside the range, and returns its pane if it moved time. An event before the range never does.
    #[cold]
    fn pass_over(&mut self, at: i64, broker: Option<i64>, run: &mut Run<'_>) -> Option<Pane> {
        self.counts.outside += 1;
        if run.clock.pane(at) < self.range.start {
            run.time.stamp(at, broker, run.clock);
            return None;
        }
        run.time.admit(at, broker, run.clock, run.floor).ok()
    }

    /// Whether a partition has passed all panes of the range.
    pub(crate) fn has_passed(&self, time: &PartitionTime) -> bool {
        time.watermark().is_some_and(|pane| pane >= self.range.end)
    }

    /// Counts what was refused, logs the first of its kind, and keeps it where rejects are kept. What an earlier run has
    /// read was refused by it.
    #[cold]
    fn refuse(&mut self, refused: &Refused<'_>, record: &Record<'_>, run: &Run<'_>) {
        let Refused { reason, element, payload, .. } = *refused;
        let Run { job, partition, .. } = *run;
        if self.is_replayed(record, run) {
            return;
        }
        self.counts.refused[reason as usize] += 1;
        if job.view.first_of_kind(reason) {
            self.warn(refused, record, run);
        }
        if let Some(rejects) = &job.rejects {
            self.counts.rejects_lost += rejects.keep(reason, partition, (record.offset, element), payload);
        }
    }

    fn warn(&self, refused: &Refused<'_>, record: &Record<'_>, run: &Run<'_>) {
        let Refused { reason, element, payload, format } = *refused;
        let (time, now) = self.ahead;
        let ahead = Ahead { time, stamp: record.time, now, skew: run.job.spec.time.max_future_skew };
        let because = (reason == Refusal::Future).then(|| ahead.to_string());
        let because = because.or_else(|| {
            let columns = format.map(Decode::names).unwrap_or_default();
            match reason {
                Refusal::Schema => return format.and_then(Decode::why).map(str::to_owned),
                Refusal::Malformed if !columns.is_empty() => {
                    let names = first_of(&columns).join(", ");
                    return Some(format!("a row has {} fields: {names}", columns.len()));
                }
                _ => {}
            }
            let looked_for = looked_for(&run.job.spec, reason);
            let mut has = record_fields::paths(payload, FIELDS_NAMED);
            if has.is_empty() && element.is_none() {
                has = first_of(&columns);
            }
            if element.is_some() && looked_for.iter().all(|field| field.starts_with("$.")) {
                // What the record has is not at hand, but for its element.
                return (!looked_for.is_empty())
                    .then(|| format!("{} {}", looked_for.join(" or "), reason.requirement()));
            }
            (!looked_for.is_empty() && !has.is_empty()).then(|| {
                let which = if element.is_some() { "element" } else { "record" };
                let field = looked_for.join(" or ");
                format!("{field} {}; the {which} has: {}", reason.requirement(), has.join(", "))
            })
        });
        let payload = String::from_utf8_lossy(&payload[..payload.len().min(200)]);
        tracing::warn!(
            reason = reason.name(),
            partition = run.partition,
            offset = record.offset,
            element,
            because,
            ?payload,
            "refused an event, the first of its kind; further ones are only counted"
        );
    }
}
