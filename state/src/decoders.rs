//! Threads that decode objects while others are fetched, and give back the blocks in the order of the objects, whatever
//! the number of the threads. **Costs**: a few blocks on their way through each.

use crate::error::StateFailure;
use crate::levels::Block;
use crate::object::Boards;
use crest_sketches::Digest;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, available_parallelism};

/// As many as there are processors, and no more: others could not take the blocks as fast.
const THREADS: usize = 4;
/// Blocks on their way through each.
const UNDER_WAY: usize = 2;

/// A block, the name of its object, and what was there.
pub(super) type Fetched = (Block, String, Option<Vec<u8>>);

/// A block that was read.
pub(super) struct Found {
    pub(super) block: Block,
    /// Empty where no event was.
    pub(super) digests: Boards<Digest>,
    /// The bytes of its object; `None` where it has none.
    pub(super) bytes: Option<u64>,
}

/// See the module.
pub(super) struct Decoders {
    threads: Vec<Decoder>,
    given: usize,
    taken: usize,
}

struct Decoder {
    fetched: SyncSender<Fetched>,
    decoded: Receiver<Result<Found, StateFailure>>,
}

impl Decoders {
    /// Starts the threads, at most `most`; they end when this is dropped.
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
        let processors = available_parallelism().map_or(1, NonZero::get);
        let threads = (0..processors.min(THREADS).min(most)).map(start).collect();
        Decoders { threads, given: 0, taken: 0 }
    }

    /// Whether a block has to be taken before another is given.
    pub(super) fn is_full(&self) -> bool {
        self.given - self.taken == self.threads.len() * UNDER_WAY
    }

    /// Whether all that were given are taken.
    pub(super) fn is_empty(&self) -> bool {
        self.given == self.taken
    }

    /// Gives the next object.
    pub(super) fn give(&mut self, fetched: Fetched) {
        // Only a thread that panics does not take it, which the scope passes on.
        let _ = self.threads[self.given % self.threads.len()].fetched.send(fetched);
        self.given += 1;
    }

    /// Takes the next block, of those that were given; `None` where its thread has panicked.
    pub(super) fn take(&mut self) -> Option<Result<Found, StateFailure>> {
        let decoded = self.threads[self.taken % self.threads.len()].decoded.recv();
        self.taken += 1;
        decoded.ok()
    }

    /// Takes none of those that were given.
    pub(super) fn forget(&mut self) {
        self.taken = self.given;
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

    /// Blocks of which some take longer; every tenth is none.
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
                    taken.extend(decoders.take());
                }
                decoders.give((Block { level: 0, start }, start.to_string(), Some(vec![0; start as usize])));
            }
            while !decoders.is_empty() {
                taken.extend(decoders.take());
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
            decoders.give((Block { level: 0, start: 1 }, "1".into(), None));
            assert!(!decoders.is_empty() && !decoders.is_full());
            decoders.forget();
            assert!(decoders.is_empty());
        });
    }
}
