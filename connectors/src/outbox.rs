//! An outbox: messages that wait for a receiver and may not be lost, on their way in the order in which they came.
//!
//! In: messages, from any thread, and the ends up to which each board is complete. Out: the messages, handed to a
//! [`Courier`] by a thread of the outbox until they are delivered or refused for good. Always holds: the receiver gets each
//! message at least once, and after a message those that came after it; what waits is bounded, since whoever publishes asks
//! [`is_ready`](Outbox::is_ready); how far all boards are delivered is known at any time. **Costs**: a message is kept once,
//! until it is delivered.

mod progress;

use crate::outage::{Backoff, Outage};
use crate::snapshot::SinkError;
use crest_host::condition::Condition;
use parking_lot::Mutex;
use progress::Progress;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of messages that wait before the outbox is not ready for more. Nothing may be lost, so the windows then wait for
/// the receiver.
const MAX_WAITING_BYTES: usize = 64 << 20;
/// What a message takes beside its texts, more or less.
const OVERHEAD: usize = 128;
/// Messages that a courier is handed at a time, where it says nothing else.
const BATCH: usize = 1000;
/// The pauses after a failure: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is known by: the same in every run that sends it.
    pub id: String,
    /// What it tells of; of two with the same key, the later one replaces the one before.
    pub key: String,
    /// JSON.
    pub body: Vec<u8>,
}

impl Message {
    fn bytes(&self) -> usize {
        OVERHEAD + self.id.len() + self.key.len() + self.body.len()
    }
}

/// What became of the messages that a courier was handed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// So many of them, the first ones, are done with: delivered, or refused for good.
    pub done: usize,
    /// So many of these were refused for good.
    pub refused: u64,
    /// Why the next one could not be delivered, if it could not.
    pub trouble: Option<Trouble>,
}

/// Why a message could not be delivered just now.
#[derive(Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In words.
    pub reason: String,
    /// How long the receiver asks to be left alone.
    pub pause: Option<Duration>,
}

/// Brings messages to a receiver.
pub trait Courier: Send {
    /// How many messages it is handed at a time at most.
    fn most(&self) -> usize {
        BATCH
    }

    /// Delivers the messages in their order, as far as it can, and says how far it came. It returns soon once the link is
    /// [closed](Link::is_closed). What it did not finish, it is handed again.
    fn deliver(&mut self, messages: &[Arc<Message>], link: &Link<'_>) -> Delivery;
}

/// What a courier can ask and tell while it is under way.
pub struct Link<'a>(&'a Shared);

impl Link<'_> {
    /// Whether nothing more is to be delivered.
    pub fn is_closed(&self) -> bool {
        self.0.state.lock().closed
    }

    /// Tells that the receiver does not answer, while the courier goes on trying.
    pub fn tell_of_trouble(&self, reason: &str) {
        self.0.state.lock().begin_outage(&self.0.url, reason);
    }
}

/// What became of the messages so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct OutboxStats {
    /// Delivered.
    pub delivered: u64,
    /// Refused by the receiver for good, and given up.
    pub refused: u64,
    /// Attempts that failed; what they were to deliver is tried again.
    pub failures: u64,
    /// Waiting or on their way just now.
    pub pending: u64,
    /// Their size.
    pub pending_bytes: u64,
    /// Whether the receiver takes nothing just now.
    pub disconnected: bool,
}

/// Messages on their way to one receiver.
pub struct Outbox {
    shared: Arc<Shared>,
}

struct Shared {
    /// Of the receiver, without secrets.
    url: String,
    state: Mutex<State>,
    work: Condition,
    done: Condition,
}

struct State {
    waiting: VecDeque<Arc<Message>>,
    bytes: usize,
    progress: Progress,
    outage: Outage,
    stats: OutboxStats,
    /// How many were refused for good since the last one that was delivered.
    lost: u64,
    closed: bool,
    ended: bool,
}

impl Outbox {
    /// Starts the thread that delivers to the receiver of this URL, which has no secrets. `boards` are all that will ever
    /// be complete.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        url: &str,
        boards: &[Arc<str>],
        courier: impl Courier + 'static,
    ) -> Result<Arc<Self>, SinkError> {
        let state = State {
            waiting: VecDeque::new(),
            bytes: 0,
            progress: Progress::new(boards),
            outage: Outage::default(),
            stats: OutboxStats::default(),
            lost: 0,
            closed: false,
            ended: false,
        };
        let (work, done) = (Condition::new(), Condition::new());
        let shared = Arc::new(Shared { url: url.to_owned(), state: Mutex::new(state), work, done });
        let theirs = shared.clone();
        crest_host::thread::spawn("outbox", move || theirs.deliver_all(courier)).map_err(|error| {
            let reason = format!("the thread that delivers to {url} cannot be started: {error}");
            io::Error::new(error.kind(), reason)
        })?;
        Ok(Arc::new(Outbox { shared }))
    }

    /// The receiver, without secrets.
    pub fn name(&self) -> &str {
        &self.shared.url
    }

    /// Takes a message.
    pub fn push(&self, message: Message) {
        let mut state = self.shared.state.lock();
        state.bytes += message.bytes();
        state.progress.take();
        state.waiting.push_back(Arc::new(message));
        self.shared.work.notify_one();
    }

    /// Whether it takes more just now.
    pub fn is_ready(&self) -> bool {
        self.shared.state.lock().bytes < MAX_WAITING_BYTES
    }

    /// Notes that all of a board's messages of windows that end at or before `end` (ms) have been taken.
    pub fn complete(&self, board: &str, end: i64) {
        self.shared.state.lock().progress.complete(board, end);
    }

    /// The end (ms) up to which all messages of all boards are done with.
    pub fn delivered(&self) -> i64 {
        self.shared.state.lock().progress.delivered()
    }

    /// What became of the messages so far.
    pub fn stats(&self) -> OutboxStats {
        let state = self.shared.state.lock();
        OutboxStats {
            pending: state.waiting.len() as u64,
            pending_bytes: state.bytes as u64,
            disconnected: state.outage.is_on(),
            ..state.stats
        }
    }

    /// Why nothing is delivered just now, and for how long that has been so.
    pub fn outage(&self) -> Option<(String, Duration)> {
        let state = self.shared.state.lock();
        Some((state.outage.reason()?.to_owned(), state.outage.age()?))
    }

    /// What keeps messages from being delivered just now, in words.
    pub fn trouble(&self) -> Option<String> {
        let (state, url) = (self.shared.state.lock(), &self.shared.url);
        match state.outage.reason() {
            Some(why) => Some(format!("{url}: {} messages wait: {why}", state.waiting.len())),
            None if state.lost > 0 => {
                let lost = state.lost;
                Some(format!("{url}: refuses what it is sent, of which {lost} are lost; the log says why"))
            }
            None => None,
        }
    }

    /// Waits until all that was taken is done with, at most until `deadline`.
    ///
    /// # Errors
    /// How many messages still wait, and why.
    pub fn flush(&self, deadline: Instant) -> Result<(), SinkError> {
        let mut state = self.shared.state.lock();
        let busy = |state: &mut State| !state.waiting.is_empty();
        self.shared.done.wait_while_until(&mut state, busy, deadline);
        if state.waiting.is_empty() {
            return Ok(());
        }
        let why = state.outage.reason().unwrap_or("the time for it is over");
        let reason = format!("{} messages could not be delivered: {why}", state.waiting.len());
        Err(SinkError::Unreachable { url: self.shared.url.clone(), reason })
    }

    /// Ends the delivery, and waits for its end at most until `deadline`.
    pub fn close(&self, deadline: Instant) {
        let mut state = self.shared.state.lock();
        state.closed = true;
        self.shared.work.notify_all();
        self.shared.done.wait_while_until(&mut state, |state| !state.ended, deadline);
    }
}

impl Drop for Outbox {
    /// Lets the thread go; call `flush` first to know that all was delivered.
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    /// The thread that delivers, until the outbox is closed.
    fn deliver_all(&self, mut courier: impl Courier) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        while let Some(batch) = self.next_batch(courier.most()) {
            let delivery = courier.deliver(&batch, &Link(self));
            drop(batch);
            let mut state = self.state.lock();
            state.settle(&delivery);
            self.done.notify_all();
            if delivery.done > 0 {
                backoff.reset();
            }
            match delivery.trouble {
                None if state.closed => {}
                None => state.end_outage(&self.url, delivery.done as u64 > delivery.refused),
                Some(Trouble { reason, pause }) => {
                    state.stats.failures += 1;
                    state.begin_outage(&self.url, &reason);
                    let pause = pause.unwrap_or_else(|| backoff.pause());
                    self.work.wait_while_for(&mut state, |state| !state.closed, pause);
                }
            }
        }
        self.state.lock().ended = true;
        self.done.notify_all();
    }

    /// The first messages that wait, once there are any; `None` after the outbox is closed.
    fn next_batch(&self, most: usize) -> Option<Vec<Arc<Message>>> {
        let mut state = self.state.lock();
        while state.waiting.is_empty() && !state.closed {
            self.work.wait(&mut state);
        }
        (!state.closed).then(|| state.waiting.iter().take(most).cloned().collect())
    }
}

impl State {
    fn settle(&mut self, delivery: &Delivery) {
        let done = delivery.done.min(self.waiting.len());
        self.bytes -= self.waiting.drain(..done).map(|message| message.bytes()).sum::<usize>();
        self.progress.settle(done as u64);
        self.stats.refused += delivery.refused;
        let delivered = (done as u64).saturating_sub(delivery.refused);
        self.stats.delivered += delivered;
        self.lost = if delivered > 0 { 0 } else { self.lost + delivery.refused };
    }

    fn begin_outage(&mut self, url: &str, reason: &str) {
        if self.outage.begin(reason) {
            tracing::warn!("{url}: nothing is delivered, and messages wait: {reason}");
        }
    }

    /// The receiver answers; what it refused was not delivered, and that was told already.
    fn end_outage(&mut self, url: &str, delivered: bool) {
        if let Some(lasted) = self.outage.end().filter(|_| delivered) {
            tracing::info!("{url}: messages are delivered again after {:.1} s", lasted.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests;
