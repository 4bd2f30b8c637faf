//! The source: reads the partitions that the worker holds, parses, assigns event time, and lets time pass.
//!
//! **In**: records of the worker's partitions. **Out**: columnar batches of events, grouped by sketch.
//! **Always holds**:
//! - The worker's capability is the least watermark of its active partitions. So an event that is in time in its own
//!   partition is never too late for the dataflow (idle partitions aside).
//! - While the open panes hold more than [`OPEN_BYTES`], only partitions at the frontier are read. A lopsided backlog
//!   holds bounded memory, and the slowest partition, which all wait for, is never held up. When the windows fall behind,
//!   nothing is read until they have caught up.
//! - A run over a range of panes counts exactly the events that a run over all panes would count in them. An event before
//!   the range makes no event in it late. An event after the range moves time, until its partition has passed the range.
//!
//! **Costs**: a scan of each event.

use crate::control::Alarm;
use crate::decoder::{Decoder, Run};
use crate::event_batch::{EventBatch, News};
use crate::event_time::{Activity, Clock, Follow, Hold, PartitionTime, hold};
use crate::held_records::HeldRecords;
use crate::idleness::{self, HolderLog, Idleness};
use crate::job::{Job, JobError};
use crate::local::{Frontiers, Local};
use crate::replay::{ReplayLog, ReplaySteps};
use crate::status::{Holding, PartitionStatus};
use crest_connectors::source::{Origin, Progress, ReadToEnd, Record, Source, SourceError, SourceFactory};
use crest_formats::decode::Decode;
use crest_host::clock;
use crest_host::clock::wall_clock_ms;
use crest_state::pane::{END, Pane};
use std::time::{Duration, Instant};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator;
use timely::dataflow::operators::probe::Handle;
use timely::dataflow::{Scope, Stream};

/// How many events of one partition are read in a row, so that its sketch stays in the processor's cache.
const RUN: usize = 4096;
/// The same where records may have to wait for their schemas, in memory.
const RUN_WITH_REGISTRY: usize = 256;
/// How many panes may be closed and not yet published; beyond that, nothing more is read.
const UNPUBLISHED_PANES: u64 = 1024;
/// How many bytes the unpublished panes of exact boards may hold; such a pane grows with its number of items.
const UNPUBLISHED_BYTES: u64 = 128 << 20;
/// How many runs with a record are read before the rest of the dataflow gets its turn.
const RUNS_PER_TURN: usize = 8;
/// Bytes of open pane sketches beyond which only the partitions at the frontier are read.
pub const OPEN_BYTES: u64 = 64 << 20;
/// The shortest and the longest pause while there are no records; it doubles with each turn that reads nothing.
const NAPS: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(20)];
/// How often the worker's status is updated.
const STATUS: Duration = Duration::from_millis(100);
/// How often it is updated at most when the worker's frontier has moved.
const NEWS: Duration = Duration::from_millis(40);

/// Builds the source of one worker, which goes no further ahead of `frontiers` than memory allows.
///
/// # Errors
/// The source cannot be opened.
pub fn source<'scope>(
    scope: Scope<'scope, u64>,
    job: &Job,
    records: &dyn SourceFactory,
    local: &Local,
    frontiers: Frontiers,
) -> Result<Stream<'scope, u64, Vec<EventBatch>>, JobError> {
    let reader = records.open(local.worker, local.workers)?;
    let mut state = Intake::new(job, local, reader, frontiers)?;
    Ok(operator::source::<u64, CapacityContainerBuilder<Vec<EventBatch>>, _, _>(
        scope,
        "Source",
        |capability, info| {
            let mut alarm = Alarm::new(scope.activator_for(info.address));
            let mut nap = NAPS[0];
            state.begin(capability);
            move |output| {
                let read = state.turn(|capability, batch| output.session(capability).give(batch));
                nap = if read { NAPS[0] } else { (nap * 2).min(NAPS[1]) };
                match state.capability {
                    Some(_) if read => alarm.now(),
                    Some(_) => alarm.after(nap),
                    None => {}
                }
            }
        },
    ))
}

/// One partition of the worker.
struct Slot {
    partition: u64,
    name: String,
    origin: Origin,
    /// Its own decoder, where each partition has one.
    format: Option<Box<dyn Decode>>,
    header: Header,
    held: HeldRecords,
    time: PartitionTime,
    log: ReplayLog,
    activity: Activity,
    idleness: Idleness,
    /// Whether it had no records when it was last read in this turn.
    drained: bool,
}

/// Whether a partition's format still wants the first record of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    Wanted,
    Given,
}

/// The state of the source operator.
struct Intake {
    job: Job,
    local: Local,
    reader: Box<dyn Source>,
    frontiers: Frontiers,
    capability: Option<Capability<u64>>,
    clock: Clock,
    bounded: bool,
    /// All panes before this one were counted by an earlier run.
    durable: Pane,
    slots: Vec<Slot>,
    follow: Follow,
    decoder: Decoder,
    /// The headers of records that are read.
    headers: Vec<String>,
    reported_at: Option<Instant>,
    reported_held: Option<Pane>,
    holder_log: HolderLog,
}

impl Intake {
    fn new(
        job: &Job,
        local: &Local,
        reader: Box<dyn Source>,
        frontiers: Frontiers,
    ) -> Result<Self, JobError> {
        let bounded = reader.bounded();
        let decoder = Decoder::new(job, bounded)?;
        Ok(Intake {
            job: job.clone(),
            local: local.clone(),
            reader,
            frontiers,
            capability: None,
            clock: Clock::new(&job.spec.time, bounded),
            bounded,
            durable: job.resume.as_ref().map_or(0, |resume| resume.durable),
            slots: Vec::new(),
            follow: Follow::default(),
            headers: decoder.headers.clone(),
            decoder,
            reported_at: None,
            reported_held: None,
            holder_log: HolderLog::default(),
        })
    }

    /// Takes the capability, for the panes from the first that is not durable on. When all panes are, late events may have
    /// to be counted again, whose pane comes after them.
    fn begin(&mut self, mut capability: Capability<u64>) {
        if self.durable < END || !self.decoder.judge.whole.counts_late() {
            capability.downgrade(&self.durable);
        }
        self.capability = Some(capability);
    }

    /// Takes one turn: reads, emits batches, and lets time pass. Returns whether anything was read.
    fn turn(&mut self, mut emit: impl FnMut(&Capability<u64>, EventBatch)) -> bool {
        if self.capability.is_none() {
            return false;
        }
        if self.job.view.stopping() {
            self.halt(emit);
            return false;
        }
        match self.read(&mut emit) {
            Ok(read) => {
                self.pass_time(&mut emit);
                self.update_status(false);
                read
            }
            Err(error) => {
                *self.local.failure.borrow_mut() = Some(error);
                false
            }
        }
    }

    /// Announces that the open panes stay incomplete, and drops the capability.
    fn halt(&mut self, mut emit: impl FnMut(&Capability<u64>, EventBatch)) {
        if let Some(capability) = self.capability.take() {
            emit(&capability, EventBatch::announcing(News::Halt));
        }
        self.update_status(true);
    }

    /// Announces the last pane with an event, whether a board takes it or not, and drops the capability. A run that resumes
    /// reads that event again, unless all panes are durable.
    fn end(&mut self, emit: &mut impl FnMut(&Capability<u64>, EventBatch)) {
        let last = self.slots.iter().filter_map(|slot| slot.time.newest(&self.clock)).max();
        if let (Some(capability), Some(last)) = (self.capability.take(), last) {
            emit(&capability, EventBatch::announcing(News::End(last)));
        }
        self.update_status(true);
    }

    fn read(&mut self, emit: &mut impl FnMut(&Capability<u64>, EventBatch)) -> Result<bool, JobError> {
        let Some(capability) = self.capability.clone() else { return Ok(false) };
        self.add_new_partitions()?;
        let mut runs = 0;
        while runs < RUNS_PER_TURN {
            let Some(slot) = self.next_slot() else { break };
            let mut batch = self.local.pool.take(self.slots[slot].partition);
            let progress = self.run(slot, *capability.time(), &mut batch)?;
            // A partition without records takes no run from the others.
            runs += usize::from(matches!(progress, Progress::Read(_)));
            if batch.is_empty() {
                self.local.pool.give(batch);
            } else {
                emit(&capability, batch);
            }
        }
        Ok(runs > 0)
    }

    fn add_new_partitions(&mut self) -> Result<(), JobError> {
        for slot in &mut self.slots {
            slot.drained = false;
        }
        let known = self.slots.len();
        let new: Vec<u64> = self.reader.partitions()[known..].to_vec();
        for (slot, partition) in (known..).zip(new) {
            let name = self.reader.name(slot);
            let resumed = self.job.resume.as_ref().and_then(|resume| resume.partitions.get(&partition));
            let log = match resumed {
                Some(at) => ReplayLog::resumed(&name, at)?,
                None => ReplayLog::new(self.reader.position(slot), self.first_open()),
            };
            let time = PartitionTime::since(log.since());
            let time = match resumed {
                Some(at) => time.resumed(at.stamped, at.newest, &self.clock),
                None => time,
            };
            let counted = self.job.range.is_some()
                && self
                    .job
                    .resume
                    .as_ref()
                    .is_some_and(|resume| resume.durable >= self.decoder.judge.range_end());
            let format = self.decoder.with_header(&self.job)?;
            self.slots.push(Slot {
                partition,
                name,
                origin: self.reader.origin(slot),
                header: if format.is_some() { Header::Wanted } else { Header::Given },
                format,
                held: HeldRecords::default(),
                time,
                log,
                activity: if counted { Activity::Ended } else { Activity::Active },
                idleness: Idleness::new(clock::now()),
                drained: false,
            });
        }
        Ok(())
    }

    /// The first pane that is still open, if any is closed: a partition that appears now cannot add to those before it.
    /// `None` for a run over a range of panes, where all are open.
    fn first_open(&self) -> Option<Pane> {
        let open = self.capability.as_ref().map_or(0, |capability| *capability.time());
        (open > 0 && self.job.range.is_none()).then_some(open)
    }

    /// The partition that is furthest behind among those that may be read.
    fn next_slot(&self) -> Option<usize> {
        let full = self.local.open.get().0 - self.local.late.get() >= OPEN_BYTES;
        let first =
            |handle: &Handle<u64>| handle.with_frontier(|panes| panes.first().copied().unwrap_or(Pane::MAX));
        let frontier = first(&self.frontiers.closed);
        let published = first(&self.frontiers.published);
        let mut closed = self.local.closed.borrow_mut();
        while closed.pop_front_if(|(pane, _)| *pane < published).is_some() {}
        let unpublished: u64 = closed.iter().map(|(_, bytes)| bytes).sum();
        // Where all panes were durable at the start, none is ahead: what is left to be found is the end.
        let far_ahead = frontier < Pane::MAX && frontier.saturating_sub(published) > UNPUBLISHED_PANES;
        // However large a pane is, one may always be waiting to be published.
        if far_ahead || (unpublished > UNPUBLISHED_BYTES && closed.len() > 1) {
            return None;
        }
        let at = |slot: &Slot| slot.time.watermark().unwrap_or(0);
        // An idle partition is read too: its events must be seen before time passes them.
        let may = |slot: &Slot| match slot.activity {
            Activity::Ended => false,
            Activity::Idle => !slot.drained,
            Activity::Active => !slot.drained && (!full || at(slot) <= frontier),
        };
        let slots = self.slots.iter().enumerate().filter(|(_, slot)| may(slot));
        slots.min_by_key(|(_, slot)| at(slot)).map(|(index, _)| index)
    }

    /// Reads a run of one partition into a batch. `floor` is the first pane that the worker has not passed.
    fn run(&mut self, index: usize, floor: Pane, batch: &mut EventBatch) -> Result<Progress, JobError> {
        let slot = &mut self.slots[index];
        let (clock, job, decoder) = (&self.clock, &self.job, &mut self.decoder);
        let now = wall_clock_ms();
        let Slot { time, log, name: partition, origin, format, header, held, .. } = slot;
        let floor = floor.max(self.durable);
        if *header == Header::Wanted
            && let (Some(format), Some(record)) = (&mut *format, self.reader.header(index))
        {
            *header = Header::Given;
            if let Err(reason) = format.header(record) {
                let reason = reason.name();
                tracing::warn!(%partition, reason, "the header cannot be read, so that all rows of the file are refused");
            }
        }
        let mut run =
            Run { job, partition, origin, clock, now, floor, format, time, log, batch, admitted: false };
        let mut beyond_the_end = None;
        let mut take = |record: &Record<'_>| {
            if decoder.judge.has_passed(run.time) {
                return true;
            }
            if floor == Pane::MAX && !run.log.is_replayed(record.offset) {
                beyond_the_end.get_or_insert(record.offset);
            }
            decoder.take(record, &mut run)
        };
        held.give(&mut take);
        let mut progress = Progress::Waiting;
        if held.is_empty() {
            let limit = if job.registry.is_some() { RUN_WITH_REGISTRY } else { RUN };
            progress = self.reader.read(index, limit, &mut |record| {
                if !held.is_empty() || !take(&record) {
                    held.push(&record, &self.headers);
                }
            })?;
        }
        if !held.is_empty() {
            progress = Progress::Waiting;
        }
        let is_waiting = !held.is_empty();
        let admitted = run.admitted;
        if let Some(offset) = beyond_the_end {
            let reason =
                "the state has counted these files to their end; what came later needs another --state"
                    .into();
            return Err(SourceError::Lost { partition: slot.name.clone(), offset, reason }.into());
        }
        let now = clock::now();
        let end = match progress {
            Progress::AtEnd(answering_since) => Some(ReadToEnd { at: now, answering_since }),
            // What waits for its schema is before the end.
            Progress::Waiting if is_waiting => None,
            Progress::Read(_) | Progress::Waiting => self.reader.read_to_end(index),
            Progress::Ended => None,
        };
        slot.idleness.note(progress, admitted, slot.time.watermark(), end, now);
        slot.activity = match progress {
            Progress::Ended => Activity::Ended,
            _ if decoder.judge.has_passed(&slot.time) => Activity::Ended,
            _ if self.bounded => Activity::Active,
            _ => slot.idleness.activity(job.spec.time.idle_timeout),
        };
        // An idle partition is read once a turn, since no other waits for it.
        slot.drained = !matches!(progress, Progress::Read(_)) || slot.activity == Activity::Idle;
        Ok(progress)
    }

    fn pass_time(&mut self, emit: &mut impl FnMut(&Capability<u64>, EventBatch)) {
        let states = self.slots.iter().map(|slot| (slot.activity, &slot.time));
        let target = match hold(states, self.bounded) {
            Hold::Pane(pane) => {
                self.follow = Follow::default();
                Some(pane)
            }
            Hold::Ended => {
                self.end(emit);
                None
            }
            Hold::Follow => self.follow_target(),
        };
        // When all panes are durable, time has nothing to pass but the end, at which late events are ranked.
        if let (Some(capability), Some(pane)) = (&mut self.capability, target)
            && pane > *capability.time()
            && self.durable < END
        {
            capability.downgrade(&pane);
        }
    }

    fn follow_target(&mut self) -> Option<Pane> {
        let follow = &mut self.follow;
        let target = self.job.view.with_workers(|workers| {
            let states = workers.iter().map(|worker| {
                worker.as_ref().map(|(_, status)| (status.holding, status.active, status.newest))
            });
            follow.target(states, clock::now())
        });
        target.map(|time| self.clock.pane(time))
    }

    /// Updates the status that the control dataflow reports to the others.
    fn update_status(&mut self, at_once: bool) {
        let held = self.capability.as_ref().map(|capability| *capability.time());
        let pause = if held == self.reported_held { STATUS } else { NEWS };
        if !at_once && self.reported_at.is_some_and(|at| clock::since(at) < pause) {
            return;
        }
        (self.reported_at, self.reported_held) = (Some(clock::now()), held);
        let read = self.read_so_far(held);
        let holder = self.holder();
        if let Some(rejects) = &self.job.rejects {
            self.decoder.judge.counts.rejects_lost += rejects.flush();
        }
        let counts = self.decoder.judge.refresh_counts();
        (counts.sketch_bytes, counts.open_panes) = self.local.open.get();
        counts.groups_refused = self.local.groups_refused.get();
        counts.source = self.reader.stats();
        let ms = |time: &PartitionTime| time.watermark().map(|pane| self.clock.start(pane));
        let active = || self.slots.iter().filter(|slot| slot.activity == Activity::Active);
        let mut status = self.local.status.borrow_mut();
        status.worker = self.local.worker;
        status.holding = active().next().is_some();
        status.active = active().map(|slot| ms(&slot.time).unwrap_or(0)).min();
        let resumed = self.job.resume.as_ref().map(|resume| self.clock.start(resume.durable));
        status.newest = self.slots.iter().filter_map(|slot| ms(&slot.time)).chain(resumed).max();
        status.ended = self.capability.is_none();
        let partition = |(place, slot): (usize, &Slot)| {
            let holding = holder.filter(|(holder, _)| *holder == place).map(|(_, holding)| holding);
            let (lag, open_transaction) = (self.reader.lag(place), self.reader.open_transaction(place));
            let known = PartitionStatus { watermark: ms(&slot.time), lag, holding, open_transaction };
            (slot.name.clone(), known)
        };
        status.partitions = self.slots.iter().enumerate().map(partition).collect();
        (status.held, status.read) = (held, read);
        status.durable = self.job.state.as_ref().map(|state| state.queue().durable().unwrap_or(Pane::MAX));
        status.counts = self.decoder.judge.counts.clone();
    }

    /// The place of the slot that holds the windows of all back, if one does; logs it when it changes.
    fn holder(&mut self) -> Option<(usize, Holding)> {
        let (slowest, newest) = self.job.view.watermarks();
        let pane = |time: Option<i64>| self.clock.pane(time.unwrap_or(0));
        let active = self.slots.iter_mut().enumerate().filter(|(_, slot)| slot.activity == Activity::Active);
        let active = active.filter(|_| !self.bounded).map(|(place, slot)| (place, &mut slot.idleness));
        let holder = idleness::holder(active, pane(slowest), pane(newest), self.job.spec.time.pane);
        self.holder_log.report(holder.map(|(place, holding)| (self.slots[place].name.as_str(), holding)));
        holder
    }

    /// The replay steps of each partition; empty when it is known that no state is kept.
    fn read_so_far(&mut self, held: Option<Pane>) -> Vec<ReplaySteps> {
        let durable = self.job.view.durable();
        let durable = match durable {
            Some(durable) => durable.unwrap_or(Pane::MAX),
            None => self.durable,
        };
        self.slots.iter_mut().for_each(|slot| slot.log.prune(durable));
        if durable == Pane::MAX {
            return Vec::new();
        }
        let held = held.unwrap_or(Pane::MAX);
        let reach = |slot: &Slot| self.decoder.judge.whole.reach(slot.time.times(), &self.clock);
        let steps = |slot: &Slot| slot.log.report(slot.partition, &slot.name, held, reach(slot));
        self.slots.iter().filter_map(steps).collect()
    }
}
