//! From a worker's reader to the store: blocks that are full wait in a queue of bounded size, and a thread of their own
//! compresses and writes them, one after the other. So of each partition a killed run lacks the last blocks, and never one
//! between others.

use super::shared::Shared;
use crate::archive::{Day, Encoder, RawRecords, object};
use crate::outage::Backoff;
use crate::source::Origin;
use crest_host::condition::Condition;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Written blocks whose memory is kept.
const SPARE: usize = 4;
/// How soon a wish to stop is noticed.
const NAP: Duration = Duration::from_millis(50);

/// A block whose records are complete.
pub(super) struct Closed {
    /// The partition's name.
    pub(super) name: Arc<str>,
    pub(super) origin: Origin,
    /// When it was complete.
    pub(super) day: Day,
    /// What it covers.
    pub(super) offsets: Range<i64>,
    pub(super) raw: RawRecords,
}

/// A worker's queue.
pub(super) struct Outlet {
    shared: Arc<Shared>,
    waiting: Mutex<Waiting>,
    changed: Condition,
    /// Bytes that may wait.
    limit: usize,
}

#[derive(Default)]
struct Waiting {
    blocks: VecDeque<Closed>,
    /// With those of the block that is being written.
    bytes: usize,
    closed: bool,
    /// Memory of blocks that were written, for others: new memory costs the reader's thread as much as the copy into it.
    spare: Vec<RawRecords>,
}

impl Outlet {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(shared: Arc<Shared>, worker: usize, limit: usize) -> io::Result<Arc<Outlet>> {
        let encoder = Encoder::new()?;
        let outlet = Arc::new(Outlet {
            shared: shared.clone(),
            waiting: Mutex::default(),
            changed: Condition::new(),
            limit,
        });
        let theirs = outlet.clone();
        shared.writer_starts();
        let started = crest_host::thread::spawn(&format!("archive-{worker}"), move || {
            theirs.write_all(encoder);
            theirs.shared.writer_ends();
        });
        if let Err(error) = started {
            shared.writer_ends();
            return Err(error);
        }
        Ok(outlet)
    }

    /// Whether more may wait.
    pub(super) fn accepts(&self) -> bool {
        self.waiting.lock().bytes < self.limit
    }

    /// Adds a block, whatever waits: who fills it asks [`accepts`](Self::accepts) first.
    pub(super) fn push(&self, block: Closed) {
        let mut waiting = self.waiting.lock();
        waiting.bytes += block.raw.bytes();
        waiting.blocks.push_back(block);
        self.changed.notify_one();
    }

    /// Memory for the records of another block.
    pub(super) fn spare(&self) -> RawRecords {
        self.waiting.lock().spare.pop().unwrap_or_default()
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.changed.notify_one();
    }

    fn next(&self) -> Option<Closed> {
        let mut waiting = self.waiting.lock();
        loop {
            if self.shared.gives_up() {
                return None;
            }
            match waiting.blocks.pop_front() {
                Some(block) => return Some(block),
                None if waiting.closed => return None,
                None => self.changed.wait_for(&mut waiting, Duration::from_secs(1)),
            }
        }
    }

    fn write_all(&self, mut encoder: Encoder) {
        while let Some(mut block) = self.next() {
            if !self.write(&mut encoder, &block) {
                return;
            }
            let bytes = block.raw.bytes();
            block.raw.clear();
            let mut waiting = self.waiting.lock();
            waiting.bytes -= bytes;
            if waiting.spare.len() < SPARE {
                waiting.spare.push(block.raw);
            }
            drop(waiting);
            self.shared.let_go(bytes);
        }
    }

    /// Writes a block, however often that has to be tried. Returns false where the process stops before it is written.
    fn write(&self, encoder: &mut Encoder, block: &Closed) -> bool {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let encoded = encoder.encode((&block.origin, block.day), block.offsets.clone(), &block.raw);
            let written = encoded.map_err(|error| error.to_string()).and_then(|(name, packed)| {
                let bytes = packed.len() as u64;
                self.shared.put(&object(&block.name, &name), packed)?;
                Ok((name.records, bytes))
            });
            match written {
                Ok((records, bytes)) => {
                    self.shared.wrote(records, bytes);
                    return true;
                }
                Err(reason) => self.shared.failed(reason),
            }
            if !self.pause(backoff.pause()) {
                return false;
            }
        }
    }

    /// Waits, unless the process stops.
    fn pause(&self, mut left: Duration) -> bool {
        while !left.is_zero() && !self.shared.gives_up() {
            let nap = left.min(NAP);
            crest_host::thread::sleep(nap);
            left -= nap;
        }
        !self.shared.gives_up()
    }
}
