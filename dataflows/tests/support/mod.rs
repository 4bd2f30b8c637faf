//! What the tests of the dataflow share: sources that are fed by hand, a sink that keeps everything, and a
//! naive recount, which knows nothing of panes, sketches or workers.
#![allow(dead_code, clippy::unwrap_used)] // each test uses its part; a failed step is a failed test

pub mod panes;
pub mod recount;
pub mod regions;
pub mod state;

use crest_connectors::snapshot::{Snapshot, SnapshotSink};
use crest_connectors::source::{
    BrokerTime, Partition, Payload, Progress, ReadToEnd, Record, Source, SourceError, SourceFactory,
    SourceStats,
};
use crest_dataflows::audit_probe::AuditProbe;
use crest_dataflows::job::Job;
use crest_dataflows::status::JobView;
use crest_dataflows::wiring::run_worker;
use crest_formats::decode::Registry;
use crest_formats::refusal::Refusal;
use crest_formats::schema::SchemaSpec;
use crest_state::input::Input;
use crest_state::job_state::JobState;
use crest_state::pane::Pane;
use crest_state::region::Region;
use crest_state::region_feed::Regions;
use crest_state::replay::Resume;
use crest_state::spec::{BoardSpec, JobSpec, TimeSpec, WindowSpec};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// 2024-03-29T00:00:00Z, on which all windows of the tests end.
pub const T0: i64 = 1_711_670_400_000;

/// An event of the tests.
#[derive(Clone, Debug)]
pub struct Event {
    pub time: i64,
    pub item: String,
    pub weight: u32,
    pub region: Option<String>,
}

impl Event {
    pub fn new(time: i64, item: &str) -> Self {
        Event { time, item: item.into(), weight: 1, region: None }
    }

    pub fn json(&self) -> Vec<u8> {
        let mut json =
            serde_json::json!({ "item_id": self.item, "timestamp": self.time, "weight": self.weight });
        if let Some(region) = &self.region {
            json["region"] = region.as_str().into();
        }
        json.to_string().into_bytes()
    }
}

#[derive(Default)]
struct FedLog {
    log: Vec<(Option<Vec<u8>>, Option<BrokerTime>)>,
    /// The offset to read next.
    next: usize,
    /// Handed over at each read once the log is read, for ever.
    flood: Option<Vec<u8>>,
    ended: bool,
}

/// Partitions fed by the test, before or while the job runs.
#[derive(Clone)]
pub struct Feed {
    logs: Arc<Vec<Mutex<FedLog>>>,
    /// How many of them there are by now, as readers see it.
    shown: Arc<AtomicUsize>,
    bounded: bool,
    pace: Duration,
    made: Instant,
}

impl Feed {
    /// Partitions that hold these events and end.
    pub fn bounded(partitions: &[Vec<Event>]) -> Self {
        Feed::stamped(partitions, |event| event.time)
    }

    /// … where the broker has stamped each event so.
    pub fn stamped(partitions: &[Vec<Event>], mut stamp: impl FnMut(&Event) -> i64) -> Self {
        let feed = Feed::new(partitions.len(), true);
        for (partition, events) in partitions.iter().enumerate() {
            for event in events {
                feed.push_raw(partition, event.json(), Some(BrokerTime::Appended(stamp(event))));
            }
            feed.logs[partition].lock().unwrap().ended = true;
        }
        feed
    }

    /// Partitions that hold these records, without a broker's time, and end.
    pub fn raw(partitions: &[Vec<Vec<u8>>]) -> Self {
        let feed = Feed::new(partitions.len(), true);
        for (partition, records) in partitions.iter().enumerate() {
            records.iter().for_each(|record| feed.push_raw(partition, record.clone(), None));
            feed.logs[partition].lock().unwrap().ended = true;
        }
        feed
    }

    /// Empty partitions of a live stream.
    pub fn live(partitions: usize) -> Self {
        Feed::new(partitions, false)
    }

    fn new(partitions: usize, bounded: bool) -> Self {
        let logs = Arc::new((0..partitions).map(|_| Mutex::default()).collect());
        let shown = Arc::new(AtomicUsize::new(partitions));
        Feed { logs, shown, bounded, pace: Duration::ZERO, made: Instant::now() }
    }

    /// Lets readers see the first partitions only; the others are added later.
    pub fn show(&self, partitions: usize) {
        self.shown.store(partitions, Ordering::SeqCst);
    }

    /// Adds an event, stamped by the broker with its own time.
    pub fn push(&self, partition: usize, event: &Event) {
        self.push_raw(partition, event.json(), Some(BrokerTime::Appended(event.time)));
    }

    /// Adds a record; one without a payload is a tombstone.
    pub fn push_raw(&self, partition: usize, payload: impl Into<Option<Vec<u8>>>, time: Option<BrokerTime>) {
        let mut log = self.logs[partition].lock().unwrap();
        log.log.push((payload.into(), time));
    }

    /// Lets every read of a partition hand over this record, behind what it holds.
    pub fn flood(&self, partition: usize, payload: &[u8]) {
        self.logs[partition].lock().unwrap().flood = Some(payload.to_vec());
    }

    /// The same log for another run, which reads on where an earlier one left off.
    pub fn again(&self, resume: Option<&Resume>) -> Self {
        let logs = self.logs.iter().enumerate().map(|(partition, log)| {
            let log = log.lock().unwrap();
            let at = resume.and_then(|resume| resume.partitions.get(&(partition as u64)));
            let next = at.map_or(0, |at| at.replay as usize);
            Mutex::new(FedLog { log: log.log.clone(), next, flood: None, ended: log.ended })
        });
        let shown = Arc::new(AtomicUsize::new(self.shown.load(Ordering::SeqCst)));
        Feed { logs: Arc::new(logs.collect()), shown, ..self.clone() }
    }

    /// From now on partitions that are read to their end have ended, or may have more records to come.
    pub fn set_ended(&self, ended: bool) {
        self.logs.iter().for_each(|log| log.lock().unwrap().ended = ended);
    }

    /// With these in the first partition as well, which no broker has stamped.
    pub fn with_raw(self, payloads: Vec<Vec<u8>>) -> Self {
        payloads.into_iter().for_each(|payload| self.push_raw(0, payload, None));
        self
    }

    /// Waits so long in every read, so that a run lasts.
    pub fn paced(self, pace: Duration) -> Self {
        Feed { pace, ..self }
    }
}

struct FeedReader {
    feed: Feed,
    worker: usize,
    workers: usize,
    partitions: Vec<Partition>,
}

impl SourceFactory for Feed {
    fn open(&self, worker: usize, workers: usize) -> Result<Box<dyn Source>, SourceError> {
        Ok(Box::new(FeedReader { feed: self.clone(), worker, workers, partitions: Vec::new() }))
    }

    fn bounded(&self) -> bool {
        self.bounded
    }
}

impl Source for FeedReader {
    fn partitions(&mut self) -> &[Partition] {
        let next = self.worker + self.partitions.len() * self.workers;
        let new = (next..self.feed.shown.load(Ordering::SeqCst)).step_by(self.workers);
        self.partitions.extend(new.map(|partition| partition as Partition));
        &self.partitions
    }

    fn position(&self, slot: usize) -> Option<i64> {
        Some(self.feed.logs[self.partitions[slot] as usize].lock().unwrap().next as i64)
    }

    fn name(&self, slot: usize) -> String {
        format!("feed/{}", self.partitions[slot])
    }

    fn read(
        &mut self,
        slot: usize,
        limit: usize,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<Progress, SourceError> {
        let mut log = self.feed.logs[self.partitions[slot] as usize].lock().unwrap();
        let paced = if self.feed.pace.is_zero() { limit } else { limit.min(5) };
        std::thread::sleep(self.feed.pace);
        let from = log.next;
        let count = paced.min(log.log.len() - from);
        for (offset, (payload, time)) in (from as i64..).zip(&log.log[from..from + count]) {
            let payload = payload.as_deref().map_or(Payload::Tombstone, Payload::Bytes);
            each(Record { time: *time, ..Record::new(offset, payload) });
        }
        log.next += count;
        if let (0, Some(payload)) = (count, &log.flood) {
            each(Record::new(from as i64, Payload::Bytes(payload)));
            return Ok(Progress::Read(1));
        }
        Ok(match count {
            0 if log.ended => Progress::Ended,
            0 => Progress::AtEnd(self.feed.made),
            count => Progress::Read(count),
        })
    }

    fn read_to_end(&self, slot: usize) -> Option<ReadToEnd> {
        let log = self.feed.logs[self.partitions[slot] as usize].lock().unwrap();
        let end = ReadToEnd { at: Instant::now(), answering_since: self.feed.made };
        (log.next == log.log.len()).then_some(end)
    }

    fn bounded(&self) -> bool {
        self.feed.bounded
    }

    fn stats(&self) -> SourceStats {
        SourceStats::default()
    }
}

/// Keeps every snapshot that was published, and takes no more while the flag is set.
#[derive(Default)]
pub struct Kept(Mutex<Vec<Snapshot>>, AtomicBool);

impl Kept {
    /// From now on it is as a sink whose receiver is slow.
    pub fn stall(&self) {
        self.1.store(true, Ordering::SeqCst);
    }

    /// From now on it takes all again.
    pub fn go_on(&self) {
        self.1.store(false, Ordering::SeqCst);
    }

    pub fn all(&self) -> Vec<Snapshot> {
        self.0.lock().unwrap().clone()
    }

    /// The final snapshots, in the order in which they came, without the time of their computation.
    pub fn finals(&self) -> Vec<Snapshot> {
        let finals = self.all().into_iter().filter(|snapshot| snapshot.is_final);
        finals.map(|snapshot| Snapshot { computed_at: 0, bucket: false, ..snapshot }).collect()
    }

    /// The weight of all final snapshots of a tumbling window.
    pub fn counted(&self) -> u64 {
        self.finals().iter().map(|snapshot| snapshot.total).sum()
    }

    /// Waits until a snapshot answers to `wanted`, and returns it.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(found) = self.0.lock().unwrap().iter().find(|snapshot| wanted(snapshot)) {
                return found.clone();
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}; last: {:?}", self.all().last());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl SnapshotSink for Kept {
    fn publish(&self, snapshot: &Arc<Snapshot>) {
        self.0.lock().unwrap().push(Snapshot::clone(snapshot));
    }

    fn ready(&self) -> bool {
        !self.1.load(Ordering::SeqCst)
    }
}

/// A board of two windows and a short ranking.
pub fn spec() -> JobSpec {
    let window = |name: &str, size, slide| {
        WindowSpec::sliding(name, Duration::from_secs(size), Duration::from_secs(slide))
    };
    let windows = vec![window("last_1m", 60, 10), window("two_5m", 300, 120)];
    JobSpec {
        boards: vec![BoardSpec { k: 10, windows, ..BoardSpec::default() }],
        time: TimeSpec { refresh: Duration::from_millis(100), ..TimeSpec::default() },
        schema: SchemaSpec { weight: vec!["weight".into()], ..SchemaSpec::default() },
        ..JobSpec::default()
    }
}

/// One tumbling window of a second in panes of 200 ms, and timeouts as short as the pace of a test wants.
pub fn live_spec() -> JobSpec {
    let mut spec = spec();
    let second = Duration::from_secs(1);
    spec.boards[0].windows = vec![WindowSpec::sliding("second", second, second)];
    spec.time.pane = Duration::from_millis(200);
    spec.time.out_of_orderness = Duration::from_millis(100);
    spec.time.idle_timeout = Duration::from_millis(300);
    spec
}

/// A job that runs on threads of its own until it ends or is stopped.
pub struct Running {
    pub kept: Arc<Kept>,
    pub view: Arc<JobView>,
    threads: Option<std::thread::JoinHandle<Result<(), String>>>,
}

impl Running {
    pub fn start(spec: &JobSpec, feed: &Feed, workers: usize) -> Self {
        Running::with_state(spec, feed, workers, None)
    }

    pub fn with_state(spec: &JobSpec, feed: &Feed, workers: usize, state: Option<Arc<JobState>>) -> Self {
        Running::of_range(spec, feed, workers, state, None)
    }

    /// A job that counts a range of panes only.
    pub fn of_range(
        spec: &JobSpec,
        feed: &Feed,
        workers: usize,
        state: Option<Arc<JobState>>,
        range: Option<Range<Pane>>,
    ) -> Self {
        Running::of_job(spec, feed, workers, |job| Job {
            resume: state.as_ref().and_then(|state| state.resume()),
            state,
            range,
            ..job
        })
    }

    /// A job that merges the panes of regions, of all or of a range.
    pub fn of_regions(
        spec: &JobSpec,
        regions: Vec<Region>,
        workers: usize,
        state: Option<Arc<JobState>>,
        range: Option<Range<Pane>>,
    ) -> Self {
        let resume = state.as_ref().and_then(|state| state.resume());
        let counted = resume.as_ref().and_then(|resume| resume.log.as_deref());
        let regions = Regions::open(regions, spec, counted, false).unwrap();
        range.iter().for_each(|range| regions.check_range(spec, range).unwrap());
        let source = Input::Regions(Arc::new(regions));
        Running::of_job(spec, &Feed::bounded(&[]), workers, |job| Job { source, resume, state, range, ..job })
    }

    /// A job whose exact rankings somebody examines.
    pub fn audited(spec: &JobSpec, feed: &Feed, workers: usize, probe: Arc<dyn AuditProbe>) -> Self {
        Running::of_job(spec, feed, workers, |job| Job { audit: Some(probe), ..job })
    }

    /// A job whose records have their schemas in a registry.
    pub fn with_registry(spec: &JobSpec, feed: &Feed, workers: usize, registry: Arc<dyn Registry>) -> Self {
        Running::of_job(spec, feed, workers, |job| Job { registry: Some(registry), ..job })
    }

    /// A job that publishes elsewhere.
    pub fn into_sink(spec: &JobSpec, feed: &Feed, workers: usize, sink: Arc<dyn SnapshotSink>) -> Self {
        Running::of_job(spec, feed, workers, |job| Job { sink, ..job })
    }

    fn of_job(spec: &JobSpec, feed: &Feed, workers: usize, with: impl FnOnce(Job) -> Job) -> Self {
        let (kept, view) = (Arc::new(Kept::default()), Arc::new(JobView::new(workers, workers)));
        let job = with(Job {
            spec: Arc::new(spec.clone()),
            source: Input::Records(Arc::new(feed.clone())),
            sink: kept.clone(),
            registry: None,
            rejects: None,
            view: view.clone(),
            workers_per_process: workers,
            epoch: 1,
            range: None,
            resume: None,
            audit: None,
            state: None,
        });
        let threads = std::thread::spawn(move || {
            let guards = timely::execute(timely::Config::process(workers), move |worker| {
                let ran = run_worker(worker, &job).map_err(|error| error.to_string());
                // In the program the process ends.
                if ran.is_err() {
                    job.view.request_stop();
                    while worker.step_or_park(Some(Duration::from_millis(10))) {}
                }
                ran
            });
            guards.unwrap().join().into_iter().try_for_each(|result| result.unwrap())
        });
        Running { kept, view, threads: Some(threads) }
    }

    /// Waits until the workers' statuses tell so many refusals for a reason, and no more.
    pub fn assert_refused(&self, reason: Refusal, expected: u64) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let workers = self.view.workers();
            let told: u64 =
                workers.iter().flatten().map(|(_, status)| status.counts.refused[reason as usize]).sum();
            if told >= expected || Instant::now() > deadline {
                return assert_eq!(told, expected, "{reason:?}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until the workers' statuses tell of so many tombstones, and of no more.
    pub fn assert_tombstones(&self, expected: u64) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let workers = self.view.workers();
            let told: u64 = workers.iter().flatten().map(|(_, status)| status.counts.tombstones).sum();
            if told >= expected || Instant::now() > deadline {
                return assert_eq!(told, expected);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the final window of `live_spec` that ends `seconds` after [`T0`].
    pub fn wait_for_second(&self, seconds: i64) -> Snapshot {
        self.kept.wait_for("a final window", |s| s.is_final && s.window_end == T0 + 1000 * seconds)
    }

    /// Waits for the end of a bounded job.
    pub fn finish(mut self) -> Arc<Kept> {
        self.threads.take().unwrap().join().unwrap().unwrap();
        self.kept.clone()
    }

    /// Waits for a job that must fail: why it did.
    pub fn failure(mut self) -> String {
        self.threads.take().unwrap().join().unwrap().unwrap_err()
    }

    /// Whether all its workers have ended.
    pub fn is_over(&self) -> bool {
        self.threads.as_ref().is_none_or(|threads| threads.is_finished())
    }

    /// Waits until the workers' statuses tell that so many records were read.
    pub fn wait_for_records(&self, expected: u64) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let told =
            || -> u64 { self.view.workers().iter().flatten().map(|(_, status)| status.counts.records).sum() };
        while told() != expected {
            assert!(Instant::now() < deadline, "{} records were read, not {expected}", told());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Records that were read again, as the workers' statuses tell.
    pub fn replayed(&self) -> u64 {
        self.view.workers().iter().flatten().map(|(_, status)| status.counts.replayed).sum()
    }

    /// Stops a live job.
    pub fn stop(self) -> Arc<Kept> {
        self.view.request_stop();
        self.finish()
    }
}

/// All final snapshots of a bounded run.
pub fn finals(spec: &JobSpec, partitions: &[Vec<Event>], workers: usize) -> Vec<Snapshot> {
    Running::start(spec, &Feed::bounded(partitions), workers).finish().finals()
}
