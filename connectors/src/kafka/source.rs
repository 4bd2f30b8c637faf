//! A worker's reader of its partitions.

use super::batch::{Batch, PartitionQueue};
use super::client::{describe, reader_config};
use super::health::{Health, Watch};
use super::place::{Place, Taken};
use super::shared::{Known, Shared, lost, unassigned};
use super::topic_id::describe_topic;
use crate::endpoint::Topics;
use crate::gap::Gap;
use crate::source::{
    Origin, Partition, Progress, ReadToEnd, Record, Source, SourceError, SourceStats, TopicPartition,
};
use crest_host::clock;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// How often the client's reports are served.
const SERVE_INTERVAL: Duration = Duration::from_millis(10);
/// Reports served at once at most: more than librdkafka makes before it is served again.
const MAX_REPORTS: usize = 1 << 16;
/// How often positions are committed for lag tools.
const COMMIT_INTERVAL: Duration = Duration::from_secs(5);
/// While an error may last, the partition is asked for again so many times before the reader gives up.
const ASKED_AGAIN: u32 = 6;
/// How long a broker that has just refused an offset may take to say which it has.
const KEPT_TIMEOUT: Duration = Duration::from_secs(2);
/// A partition that was not read for so long may have a full queue, and then librdkafka asks its broker nothing.
const UNREAD: Duration = Duration::from_secs(1);
/// For a pattern, the memory for messages that were fetched is shared out as if there were at least so many partitions,
/// since more may come.
const MANY_PARTITIONS: usize = 64;
/// How long a stop waits for the client to end; it may wait for a broker, and nothing is lost by leaving it.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Reads a worker's share of the partitions, see [`Topics::worker`].
pub(crate) struct KafkaSource {
    shared: Arc<Shared>,
    worker: usize,
    workers: usize,
    /// The shared version up to which partitions were taken.
    version: u64,
    partitions: Vec<Partition>,
    slots: Vec<Slot>,
    batch: Batch,
    /// There is no client before there is a partition.
    client: Option<Client>,
    /// Records that were gone before they were read.
    gap_records: u64,
    /// Why new partitions could not be taken.
    failure: Option<SourceError>,
}

struct Client {
    consumer: Arc<BaseConsumer<Watch>>,
    health: Arc<Health>,
    served: Instant,
    committed: Instant,
}

/// One partition.
struct Slot {
    at: TopicPartition,
    /// None once all was read that is to be: then it is not assigned any more.
    queue: Option<PartitionQueue<Watch>>,
    place: Place,
    /// When it was last read.
    read: Instant,
    /// What was last skipped of it.
    gap: Option<Range<i64>>,
}

impl KafkaSource {
    pub(crate) fn new(shared: Arc<Shared>, worker: usize, workers: usize) -> Result<Self, SourceError> {
        let mut source = KafkaSource {
            version: shared.version(),
            shared,
            worker,
            workers,
            partitions: Vec::new(),
            slots: Vec::new(),
            batch: Batch::default(),
            client: None,
            gap_records: 0,
            failure: None,
        };
        source.take_partitions()?;
        Ok(source)
    }

    /// Takes the partitions that are this worker's and are not read yet.
    fn take_partitions(&mut self) -> Result<(), SourceError> {
        let shared = self.shared.clone();
        let topics = &shared.url().topics;
        let known = shared.known();
        let all = known.len();
        let mine = |known: &Known| topics.worker(&known.at, self.workers) == self.worker;
        let new: BTreeMap<Partition, Known> = known
            .iter()
            .filter(|(partition, known)| mine(known) && !self.partitions.contains(partition))
            .map(|(partition, known)| (*partition, known.clone()))
            .collect();
        drop(known);
        if new.values().all(|known| known.span.is_empty()) {
            new.into_iter().for_each(|(partition, known)| self.add_slot(partition, known, None));
            return Ok(());
        }
        let consumer = match &self.client {
            Some(client) => client.consumer.clone(),
            None => self.connect(all)?,
        };
        let (mut list, mut first) = (TopicPartitionList::new(), None);
        for (partition, known) in new {
            let Known { at, span } = known.clone();
            if span.is_empty() {
                self.add_slot(partition, known, None);
                continue;
            }
            let (number, start) = (at.number as i32, span.start);
            let queue = PartitionQueue::new(&consumer, &at.topic, number)
                .ok_or_else(|| lost(&at, start, "librdkafka makes no queue for it".to_owned()))?;
            let added = list.add_partition_offset(&at.topic, number, Offset::Offset(start));
            added.map_err(|error| unassigned(&at, start, &error))?;
            first.get_or_insert((at, start));
            self.add_slot(partition, known, Some(queue));
        }
        match (consumer.incremental_assign(&list), first) {
            (Err(error), Some((at, start))) => Err(unassigned(&at, start, &error)),
            _ => Ok(()),
        }
    }

    fn add_slot(&mut self, partition: Partition, known: Known, queue: Option<PartitionQueue<Watch>>) {
        let Known { at, span } = known;
        if let Some(gap) = span.gap {
            gap.tell(&at.to_string());
            self.gap_records += gap.lost;
        }
        let (place, read) = (Place::new(span.start, span.until), clock::now());
        let gap = span.gap.map(|gap| gap.offsets(None));
        self.slots.push(Slot { at, queue, place, read, gap });
        self.partitions.push(partition);
    }

    /// The partitions that are still read.
    fn held(&self) -> Vec<Partition> {
        let slots = self.partitions.iter().zip(&self.slots);
        slots.filter(|(_, slot)| slot.queue.is_some()).map(|(partition, _)| *partition).collect()
    }

    /// Lets librdkafka fetch no more of a slot's partition, all of which was read that is to be.
    fn end(&mut self, slot: usize) {
        let (Some(queue), Some(client)) = (self.slots[slot].queue.take(), &self.client) else { return };
        let mut list = TopicPartitionList::new();
        let TopicPartition { topic, number } = &self.slots[slot].at;
        list.add_partition(topic, *number as i32);
        if let Err(error) = client.consumer.incremental_unassign(&list) {
            tracing::debug!("Kafka: {} is fetched further: {error}", self.name(slot));
        }
        drop(queue);
    }

    fn connect(&mut self, partitions: usize) -> Result<Arc<BaseConsumer<Watch>>, SourceError> {
        let (options, url) = (&self.shared.options, self.shared.url());
        let invalid = |reason| SourceError::Invalid { url: url.to_string(), reason };
        // More may come of a pattern, and the memory is shared out for good.
        let expected = if let Topics::Pattern(..) = url.topics { MANY_PARTITIONS } else { 1 };
        let config = reader_config(
            &url.servers,
            &options.properties,
            options.group_id.as_deref(),
            partitions.max(expected),
        );
        let config = config.map_err(invalid)?;
        let wait = config.get("fetch.wait.max.ms").and_then(|wait| wait.parse().ok()).unwrap_or(0);
        let health = Arc::new(Health::new(url.topics.clone(), Duration::from_millis(wait)));
        let consumer: BaseConsumer<Watch> =
            config.create_with_context(Watch(health.clone())).map_err(|e| invalid(describe(&e)))?;
        let consumer = Arc::new(consumer);
        let now = clock::now();
        self.client = Some(Client { consumer: consumer.clone(), health, served: now, committed: now });
        Ok(consumer)
    }

    /// Serves what the client reports, from time to time.
    fn serve(&mut self) -> Result<(), SourceError> {
        let now = clock::now();
        let due = |client: &Client| now - client.served >= SERVE_INTERVAL;
        if !self.client.as_ref().is_some_and(due) {
            return Ok(());
        }
        let held = self.held();
        let Some(client) = &mut self.client else { return Ok(()) };
        client.served = now;
        client.serve_reports(&self.shared)?;
        if let Some(change) = client.health.change(&held) {
            self.shared.tell(change);
        }
        if self.shared.options.group_id.is_some() && now - client.committed >= COMMIT_INTERVAL {
            client.committed = now;
            self.commit();
        }
        self.look_after_trouble(now)
    }

    /// Tells the consumer group how far this worker is; it does not matter whether that works.
    fn commit(&self) {
        let Some(client) = &self.client else { return };
        let mut list = TopicPartitionList::new();
        for Slot { at, place, .. } in &self.slots {
            let offset = Offset::Offset(place.next);
            let _ = list.add_partition_offset(&at.topic, at.number as i32, offset);
        }
        if let Err(error) = client.consumer.commit(&list, CommitMode::Async) {
            tracing::debug!("Kafka: positions could not be committed: {error}");
        }
    }

    /// Gives up where an error that might have passed has not, and asks again until then.
    fn look_after_trouble(&mut self, now: Instant) -> Result<(), SourceError> {
        let Some(client) = &self.client else { return Ok(()) };
        let patience = self.shared.options.error_patience;
        let denied = client.health.denied().filter(|(lasted, _)| *lasted >= patience);
        let mut refused = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| slot.queue.is_some()) {
            let partition = self.partitions[index];
            let lost = |reason: &str| lost(&slot.at, slot.place.next, reason.to_owned());
            if let Some((_, why)) = &denied {
                return Err(lost(why));
            }
            if client.health.gone(partition).is_some_and(|lasted| lasted >= patience) {
                return Err(lost("unknown topic or partition: the brokers no longer have it"));
            }
            let Some(trouble) = &mut slot.place.trouble else { continue };
            if trouble.met - trouble.since >= patience {
                return Err(lost(&trouble.reason));
            }
            if now - trouble.asked < patience / ASKED_AGAIN {
                continue;
            }
            trouble.asked = now;
            if slot.place.refused.is_some() {
                refused.push(index);
                continue;
            }
            // To seek is to fetch anew, which meets the error or the end again.
            let (topic, number) = (&slot.at.topic, slot.at.number as i32);
            let sought = client.consumer.seek(topic, number, Offset::Offset(slot.place.next), Duration::ZERO);
            tracing::debug!("Kafka: asked again for {topic}/{number}: {sought:?}");
        }
        refused.into_iter().try_for_each(|slot| self.pass_gap(slot))
    }

    /// The broker has refused the next offset of a slot: fails, or reads on from the first one that it keeps. This
    /// may wait for the broker, which has answered just now; where it does not, it is asked again later.
    fn pass_gap(&mut self, slot: usize) -> Result<(), SourceError> {
        let Some(client) = &self.client else { return Ok(()) };
        let Slot { at, place, gap: skipped, .. } = &mut self.slots[slot];
        let name = at.to_string();
        let (wanted, until) = (place.next, place.until);
        let why = place.refused.clone().unwrap_or_default();
        let kept = match client.kept(&self.shared, at) {
            Ok(kept) => kept,
            Err(error) => {
                place.meet(&format!("{why}; which offsets can be read is not known: {error}"));
                client.health.count_retry();
                return Ok(());
            }
        };
        // Another topic of this name has offsets of its own.
        self.shared.check(at, wanted)?;
        let Some(gap) = Gap::find(self.shared.options.on_gap, &name, wanted, until, kept)? else {
            // It was not there, and is now: what was read before it may not be what is there now.
            let reason = format!("{why}; by now offsets {} to {} can be read", kept.0, kept.1);
            return Err(lost(at, wanted, reason));
        };
        gap.tell(&name);
        self.gap_records += gap.lost;
        *skipped = Some(gap.offsets(skipped.as_ref()));
        place.skip_to(gap.first);
        if place.ended() {
            return Ok(());
        }
        // librdkafka does not seek in a partition that it has given up; the queue stays the same.
        let mut list = TopicPartitionList::new();
        let assigned = list.add_partition_offset(&at.topic, at.number as i32, Offset::Offset(place.next));
        let assigned = assigned.and_then(|()| client.consumer.incremental_unassign(&list));
        let assigned = assigned.and_then(|()| client.consumer.incremental_assign(&list));
        assigned.map_err(|error| unassigned(at, gap.first, &error))
    }
}

impl Client {
    /// The offsets of a partition that are kept, after a look at whether the topic is still the same.
    fn kept(&self, shared: &Shared, partition: &TopicPartition) -> Result<(i64, i64), String> {
        let TopicPartition { topic, number } = partition;
        let has_id = shared.ids().get(&**topic).is_some_and(Option::is_some);
        if has_id {
            let found = describe_topic(&self.consumer, topic, KEPT_TIMEOUT).map_err(|why| why.to_string())?;
            shared.compare(topic, found.id);
        }
        let kept = self.consumer.fetch_watermarks(topic, *number as i32, KEPT_TIMEOUT);
        kept.map_err(|error| describe(&error))
    }

    /// Lets librdkafka report errors, statistics and its log.
    fn serve_reports(&self, shared: &Shared) -> Result<(), SourceError> {
        for _ in 0..MAX_REPORTS {
            let before = self.health.reports();
            match self.consumer.poll(Duration::ZERO) {
                None if self.health.reports() == before => break,
                None => {}
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    let (partition, offset) = (shared.url().topics.to_string(), -1);
                    let reason = format!("the client of {} has failed: {code}", shared.url().servers);
                    return Err(SourceError::Lost { partition, offset, reason });
                }
                // The watch has heard of it as well.
                Some(Err(_)) => {}
                Some(Ok(message)) => {
                    // Each partition's queue was split off before it was assigned: a message here would be one
                    // that its slot never sees.
                    let partition = format!("{}/{}", message.topic(), message.partition());
                    let reason = "librdkafka delivered it outside of its partition's queue".to_owned();
                    return Err(SourceError::Lost { partition, offset: message.offset(), reason });
                }
            }
        }
        for (topic, id) in self.health.told_ids() {
            shared.compare(&topic, Some(id));
        }
        Ok(())
    }
}

impl Source for KafkaSource {
    fn partitions(&mut self) -> &[Partition] {
        let version = self.shared.version();
        if self.version != version {
            self.version = version;
            self.failure = self.take_partitions().err();
        }
        &self.partitions
    }

    fn name(&self, slot: usize) -> String {
        self.slots[slot].at.to_string()
    }

    fn origin(&self, slot: usize) -> Origin {
        let TopicPartition { topic, number } = &self.slots[slot].at;
        Origin { topic: Some(topic.to_string()), partition: Some(*number), file: None }
    }

    fn read(
        &mut self,
        slot: usize,
        limit: usize,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<Progress, SourceError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if self.slots[slot].place.ended() {
            self.end(slot);
            return Ok(Progress::Ended);
        }
        let gap = self.slots[slot].gap.clone();
        self.serve()?;
        self.slots[slot].read = clock::now();
        if self.slots[slot].gap != gap {
            // What is behind the gap comes with the next call.
            return Ok(Progress::Read(0));
        }
        let partition = self.partitions[slot];
        let (Some(client), Slot { at, queue: Some(queue), place, .. }) =
            (&self.client, &mut self.slots[slot])
        else {
            return Ok(Progress::Waiting);
        };
        let (mut records, mut refused, mut fatal) = (0, false, None);
        let messages = queue.take(&mut self.batch, limit);
        if !messages.is_empty() {
            // That they are of another topic was said before they came.
            client.serve_reports(&self.shared)?;
        }
        self.shared.check(at, place.next)?;
        messages.hand_out(&mut |delivery| match place.take(delivery, &client.health, each) {
            Taken::Record => records += 1,
            Taken::Nothing => {}
            Taken::Refused => refused = true,
            Taken::Fatal(reason) => fatal = Some(reason),
        });
        let high = queue.high();
        if let Some(reason) = fatal {
            return Err(lost(at, place.next, reason));
        }
        if refused {
            self.pass_gap(slot)?;
        }
        if records > 0 {
            return Ok(Progress::Read(records));
        }
        let place = &self.slots[slot].place;
        if place.ended() {
            self.end(slot);
            return Ok(Progress::Ended);
        }
        let Some(client) = &self.client else { return Ok(Progress::Waiting) };
        // librdkafka's end is before the first transaction that is open: what is behind it is there, and will come.
        let end = place.end.filter(|end| high.is_none_or(|high| high <= *end));
        let since = end.and_then(|end| client.health.at_end_since(partition, end));
        Ok(since.map_or(Progress::Waiting, Progress::AtEnd))
    }

    fn bounded(&self) -> bool {
        self.shared.bounded()
    }

    fn read_to_end(&self, slot: usize) -> Option<ReadToEnd> {
        let health = &self.client.as_ref()?.health;
        health.read_to_end(self.partitions[slot], self.slots[slot].place.next)
    }

    fn lag(&self, slot: usize) -> u64 {
        let (Slot { place, read, .. }, partition) = (&self.slots[slot], self.partitions[slot]);
        let Some(client) = &self.client else { return 0 };
        let unread = clock::since(*read) >= UNREAD && !place.ended();
        let asked = if unread { self.shared.ends.of(partition) } else { None };
        place.lag(client.health.high(partition).max(asked))
    }

    fn position(&self, slot: usize) -> Option<i64> {
        Some(self.slots[slot].place.next)
    }

    fn gap(&self, slot: usize) -> Option<Range<i64>> {
        self.slots[slot].gap.clone()
    }

    fn open_transaction(&self, slot: usize) -> Option<i64> {
        self.client.as_ref()?.health.open_transaction(self.partitions[slot])
    }

    fn stats(&self) -> SourceStats {
        let gap_records = self.gap_records;
        let Some(client) = &self.client else { return SourceStats { gap_records, ..SourceStats::default() } };
        SourceStats {
            retries: client.health.retries(),
            disconnected: client.health.lost(),
            lag: (0..self.slots.len()).map(|slot| self.lag(slot)).sum(),
            gap_records,
        }
    }
}

impl Drop for KafkaSource {
    /// Ends the client, whose queues go first. It may wait for a broker that does not answer, so that it ends
    /// by itself where it takes long.
    fn drop(&mut self) {
        self.slots.clear();
        let Some(client) = self.client.take() else { return };
        if client.health.lost() {
            self.shared.forget_lost();
        }
        let (ended, wait) = channel::<()>();
        let closing = crest_host::thread::spawn("kafka-close", move || {
            drop(client);
            drop(ended);
        });
        if closing.is_ok() {
            let _ = wait.recv_timeout(CLOSE_TIMEOUT);
        }
    }
}
