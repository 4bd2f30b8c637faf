//! Where this process's snapshots go: to what was asked for, and to memory, where somebody reads it. Only process 0 has any.

use super::rising::RisingSink;
use super::state;
use crate::failure::Failure;
use crate::http;
use crate::settings::{ChangesSettings, Secret, Settings, Shard, SnapshotSettings};
use crest_connectors::Sinks;
use crest_connectors::changes::{Changes, Webhook, WebhookCourier};
use crest_connectors::endpoint::{KafkaUrl, ReceiverUrl, RedisUrl, SinkUrl};
use crest_connectors::finals::Finals;
use crest_connectors::kafka::KafkaCourier;
use crest_connectors::memory::MemoryStore;
use crest_connectors::ndjson::NdjsonSink;
use crest_connectors::outbox::Outbox;
use crest_connectors::outbox_sink::OutboxSink;
use crest_connectors::redis::{RedisOptions, RedisSink};
use crest_connectors::selection::Selected;
use crest_connectors::snapshot::{SinkError, SnapshotSink};
use crest_dataflows::status::JobView;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two looks at whether standard output is still read.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What kind of a run publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publishes {
    /// A job that goes on until it is stopped.
    Live,
    /// A job that ends by itself, and whose rankings replace whatever is there.
    Bounded,
    /// A run that writes nothing to Redis but the buckets of tumbling windows.
    BucketsOnly,
}

/// The open sinks.
pub struct Outputs {
    store: Arc<MemoryStore>,
    lines: Option<Arc<NdjsonSink>>,
    redis: Vec<(String, Arc<RedisSink>)>,
    outboxes: Vec<Arc<Outbox>>,
    all: Arc<Sinks>,
}

impl Outputs {
    /// Opens what `settings` name.
    ///
    /// # Errors
    /// A server that cannot be reached, or refuses.
    pub fn open(settings: &Settings, publishes: Publishes) -> Result<Self, Failure> {
        let store = Arc::new(MemoryStore::new());
        let (mut lines, mut redis, mut outboxes) = (None, Vec::new(), Vec::new());
        let boards: Vec<Arc<str>> = settings.spec.boards.iter().map(|b| b.name.clone()).collect();
        let (mut all, mut servers) =
            (Vec::<Arc<dyn SnapshotSink>>::new(), Vec::<Arc<dyn SnapshotSink>>::new());
        if is_read(settings) {
            all.push(store.clone());
        }
        let first = settings.shape.process == 0;
        for url in settings.snapshots.urls.iter().filter(|_| first) {
            match url {
                SinkUrl::Memory => {}
                SinkUrl::Stdout => {
                    let sink = Arc::new(NdjsonSink::stdout(&boards).map_err(Failure::of)?);
                    all.push(sink.clone());
                    lines = Some(sink);
                }
                SinkUrl::Redis(url) => {
                    let sink = Arc::new(open_redis(url, settings, publishes)?);
                    servers.push(sink.clone());
                    redis.push((url.to_string(), sink));
                }
                // What was counted anew was told when it was counted first.
                SinkUrl::Kafka(_) if publishes == Publishes::BucketsOnly => {}
                SinkUrl::Kafka(url) => {
                    let outbox = open_topic(url, settings, &boards)?;
                    all.push(Arc::new(OutboxSink::new(Finals, outbox.clone())));
                    outboxes.push(outbox);
                }
            }
        }
        for changes in
            settings.snapshots.changes.iter().filter(|_| first && publishes != Publishes::BucketsOnly)
        {
            let (sink, outbox) = open_changes(changes, settings)?;
            all.push(Arc::new(sink));
            outboxes.push(outbox);
        }
        for Shard { url, selection } in settings.snapshots.shards.iter().filter(|_| first) {
            let sink = Arc::new(open_redis(url, settings, publishes)?);
            servers.push(Arc::new(Selected { selection: selection.clone(), sink: sink.clone() }));
            redis.push((url.to_string(), sink));
        }
        // It comes first, since what it publishes is delivered by those after it.
        let past = state::past(settings.state.as_ref()).filter(|_| publishes != Publishes::BucketsOnly);
        let rising = past.map(|past| {
            let is_bounded = publishes == Publishes::Bounded;
            RisingSink::start(&settings.spec.boards, past, servers.clone(), is_bounded)
        });
        if let Some(rising) = rising.transpose()?.flatten() {
            all.push(Arc::new(rising));
        }
        all.extend(servers);
        Ok(Outputs { store, lines, redis, outboxes, all: Arc::new(Sinks(all)) })
    }

    /// All of them as one, the memory first where it is one.
    pub fn sink(&self) -> Arc<dyn SnapshotSink> {
        self.all.clone()
    }

    /// Whether there is any but the memory.
    pub fn any(&self) -> bool {
        self.lines.is_some() || !self.redis.is_empty() || !self.outboxes.is_empty()
    }

    /// Whether rankings are written where people read.
    pub fn on_terminal(&self) -> bool {
        self.lines.is_some() && std::io::stdout().is_terminal()
    }

    /// The memory. It stays empty where nobody reads it: a ranking that it keeps costs time.
    pub fn store(&self) -> Arc<MemoryStore> {
        self.store.clone()
    }

    /// The Redis sinks, by their URLs without secrets.
    pub fn redis(&self) -> Vec<(String, Arc<RedisSink>)> {
        self.redis.clone()
    }

    /// What waits for receivers that may lose nothing.
    pub fn outboxes(&self) -> Vec<Arc<Outbox>> {
        self.outboxes.clone()
    }

    /// Waits for the reader of standard output for as long as it reads, unless a stop is wished: the lines are what a
    /// bounded job was run for.
    pub fn wait_for_reader(&self, stop_wished: impl Fn() -> bool) {
        let Some(lines) = &self.lines else { return };
        while !stop_wished() {
            match lines.flush(Instant::now() + LOOK_AGAIN) {
                Err(SinkError::Write(error)) if error.kind() == std::io::ErrorKind::TimedOut => {}
                _ => return,
            }
        }
    }

    /// Waits for receivers that may lose nothing for as long as they take something at least every `patience`, unless a
    /// stop is wished: what they are told is what a bounded job was run for.
    pub fn wait_for_receivers(&self, patience: Duration, stop_wished: impl Fn() -> bool) {
        for outbox in &self.outboxes {
            let (mut heard, mut pending) = (Instant::now(), outbox.stats().pending);
            while heard.elapsed() < patience && !stop_wished() {
                if outbox.flush(Instant::now() + LOOK_AGAIN).is_ok() {
                    break;
                }
                let left = outbox.stats().pending;
                if left < pending {
                    (heard, pending) = (Instant::now(), left);
                }
            }
        }
    }

    /// Waits until all is delivered, at most until `deadline`; tries all before it tells of the first that failed.
    /// A reader of standard output that has seen enough is no failure.
    ///
    /// # Errors
    /// As [`SnapshotSink::flush`].
    pub fn flush(&self, deadline: Instant) -> Result<(), SinkError> {
        let flush = |sink: &Arc<dyn SnapshotSink>| match sink.flush(deadline) {
            Err(SinkError::Write(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        };
        self.all.0.iter().map(flush).fold(Ok(()), Result::and)
    }

    /// Tells the readers of Redis from now on whether the job is held up.
    pub fn tell_of(&self, view: &Arc<JobView>) {
        for (_, redis) in &self.redis {
            let view = view.clone();
            redis.tell_whether(move || http::is_hindered(&view));
        }
    }

    /// Closes all sinks, at most until `deadline`. Nothing more is written.
    pub fn close(&self, deadline: Instant) {
        self.all.close(deadline);
    }

    /// Stops a job whose lines are its only output, once nobody reads them any more, as after `| head`, or they
    /// cannot be written.
    ///
    /// # Errors
    /// A thread that cannot be started.
    pub fn stop_when_nobody_reads(&self, view: &Arc<JobView>) -> Result<(), Failure> {
        let Some(lines) = self.lines.clone().filter(|_| self.redis.is_empty() && self.outboxes.is_empty())
        else {
            return Ok(());
        };
        let view = view.clone();
        let watch = move || {
            while !lines.broken() {
                std::thread::sleep(LOOK_AGAIN);
            }
            view.request_stop();
        };
        let thread = std::thread::Builder::new().name("stdout-watch".into());
        thread.spawn(watch).map(drop).map_err(Failure::thread("watches standard output"))
    }
}

/// Whether somebody reads the memory: the API, the file that says that there is a ranking, or a caller that asked for it.
fn is_read(settings: &Settings) -> bool {
    let asked = settings.snapshots.urls.iter().any(|url| matches!(url, SinkUrl::Memory));
    asked || settings.http.listen.is_some() || settings.ready_file.is_some()
}

/// Opens the outbox of what goes to a topic.
fn open_topic(url: &KafkaUrl, settings: &Settings, boards: &[Arc<str>]) -> Result<Arc<Outbox>, Failure> {
    let courier = KafkaCourier::connect(url, &settings.snapshots.kafka)?;
    Ok(Outbox::start(&url.to_string(), boards, courier)?)
}

/// Opens the outbox of changes, and the sink that tells it of them.
fn open_changes(
    changes: &ChangesSettings,
    settings: &Settings,
) -> Result<(OutboxSink<Changes>, Arc<Outbox>), Failure> {
    let ChangesSettings { watch, to, secret } = changes;
    let boards: Vec<Arc<str>> = watch.selection.boards.iter().map(|board| board.as_str().into()).collect();
    let name = format!("changes {} to {to}", watch.name);
    let outbox = match to {
        ReceiverUrl::Kafka(url) => {
            Outbox::start(&name, &boards, KafkaCourier::connect(url, &settings.snapshots.kafka)?)
        }
        ReceiverUrl::Webhook(url) => {
            let secret = secret.as_ref().map_or(&[][..], Secret::bytes).into();
            Outbox::start(&name, &boards, WebhookCourier::new(Webhook { url: url.clone(), secret }))
        }
    }?;
    Ok((OutboxSink::new(Changes::new(watch.clone()), outbox.clone()), outbox))
}

fn open_redis(url: &RedisUrl, settings: &Settings, publishes: Publishes) -> Result<RedisSink, Failure> {
    Ok(RedisSink::open(redis_options(url, settings, publishes))?)
}

/// How rankings go to a Redis.
pub fn redis_options(url: &RedisUrl, settings: &Settings, publishes: Publishes) -> RedisOptions {
    let SnapshotSettings { key_prefix, ttl, .. } = &settings.snapshots;
    let default = RedisOptions::new(url.clone());
    RedisOptions {
        key_prefix: key_prefix.clone(),
        ttl: *ttl,
        buckets_only: publishes == Publishes::BucketsOnly,
        // What ends by itself has the last word.
        catch_up: if publishes == Publishes::Live { default.catch_up } else { Duration::ZERO },
        refresh: settings.spec.time.refresh,
        ..default
    }
}
