//! Threads that decode objects while others are fetched. The blocks come back in the order of the objects, for any
//! number of threads. **Costs**: a few blocks in memory for each thread.

use crate::error::StateFailure;
use crate::levels::Block;
use crate::object::Boards;
use crest_host::thread::processors;
use crest_sketches::Digest;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

/// The most threads; there is at most one per processor. The dataflow could not take the blocks of more as fast.
const THREADS: usize = 4;
/// The most blocks in each thread's queue.
const UNDER_WAY: usize = 2;

/// A block, the name of its object, and the object's bytes; `None` where there is no such object.
pub(super) type Fetched = (Block, String, Option<Vec<u8>>);

/// A block that was read.
pub(super) struct Found {
    pub(super) block: Block,
    /// The digests by board and group. It is empty where the block had no event.
    pub(super) digests: Boards<Digest>,
    /// The length of its object in bytes; `None` where the block was built from those below it.
    pub(super) bytes: Option<u64>,
}

/// The decoding threads, as one queue.
pub(super) struct Decoders {
    threads: Vec<Decoder>,
    pushed: usize,
    popped: usize,
}

struct Decoder {
    fetched: SyncSender<Fetched>,
    decoded: Receiver<Result<Found, StateFailure>>,
}

impl Decoders {
    /// Starts at most `most` threads. They end when this is dropped.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        most: usize,
        decode: impl Fn(Fetched) -> Result<Found, StateFailure> + Clone + Send + 'scope,
    ) -> Self {
        let start = |_| {
            let (fetched, objects) = sync_channel(UNDER_WAY);
            let (done, decoded) = sync_channel(UNDER_WAY);
            let decode = decode.clone();
            scope.spawn(move || objects.into_iter().map(decode).try_for_each(|found| done.send(found)));
            Decoder { fetched, decoded }
        };
        let threads = (0..processors().min(THREADS).min(most)).map(start).collect();
        Decoders { threads, pushed: 0, popped: 0 }
    }

    /// Whether a block has to be popped before another object is pushed.
    pub(super) fn is_full(&self) -> bool {
        self.pushed - self.popped == self.threads.len() * UNDER_WAY
    }

    /// Whether all objects that were pushed have been popped.
    pub(super) fn is_empty(&self) -> bool {
        self.pushed == self.popped
    }

    /// Pushes the next object.
    pub(super) fn push(&mut self, fetched: Fetched) {
        // This fails only where the thread has panicked, and the scope passes the panic on.
        let _ = self.threads[self.pushed % self.threads.len()].fetched.send(fetched);
        self.pushed += 1;
    }

    /// Pops the next block, and waits until it is decoded; `None` where its thread has panicked.
    pub(super) fn pop(&mut self) -> Option<Result<Found, StateFailure>> {
        let decoded = self.threads[self.popped % self.threads.len()].decoded.recv();
        self.popped += 1;
        decoded.ok()
    }

    /// Drops all objects that were pushed and not popped.
    pub(super) fn clear(&mut self) {
        self.popped = self.pushed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mend::Mend;
    use std::thread;
    use std::time::Duration;

    const BLOCKS: u64 = 40;
    const MEND: Mend = Mend { from_ms: 0, to_ms: 0 };

    /// Decodes some blocks slower than others, and fails for every tenth.
    fn decode((block, name, bytes): Fetched) -> Result<Found, StateFailure> {
        thread::sleep(Duration::from_micros(block.start * 7 % 5 * 100));
        match block.start % 10 {
            9 => Err(StateFailure::Missing { url: String::new(), name, more: 0, mend: MEND }),
            _ => {
                Ok(Found { block, digests: Default::default(), bytes: bytes.map(|bytes| bytes.len() as u64) })
            }
        }
    }

    #[test]
    fn blocks_come_in_the_order_of_their_objects() {
        thread::scope(|scope| {
            let mut decoders = Decoders::start(scope, BLOCKS as usize, decode);
            let mut taken = Vec::new();
            for start in 0..BLOCKS {
                if decoders.is_full() {
                    taken.extend(decoders.pop());
                }
                decoders.push((Block { level: 0, start }, start.to_string(), Some(vec![0; start as usize])));
            }
            while !decoders.is_empty() {
                taken.extend(decoders.pop());
            }
            assert_eq!(taken.len() as u64, BLOCKS);
            for (start, found) in (0..).zip(taken) {
                match found {
                    Ok(found) => assert_eq!((found.block.start, found.bytes), (start, Some(start))),
                    Err(failure) => {
                        assert!(start % 10 == 9 && failure.to_string().contains(&start.to_string()))
                    }
                }
            }
        });
    }

    #[test]
    fn what_is_given_up_is_not_waited_for() {
        thread::scope(|scope| {
            let mut decoders = Decoders::start(scope, 1, decode);
            decoders.push((Block { level: 0, start: 1 }, "1".into(), None));
            assert!(!decoders.is_empty() && !decoders.is_full());
            decoders.clear();
            assert!(decoders.is_empty());
        });
    }
}
