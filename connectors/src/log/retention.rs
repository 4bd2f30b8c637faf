//! What is deleted: the oldest blocks, by age and by the room that all take. Space of deleted blocks is used again for
//! new ones; the file itself keeps its size.

use super::block::{Head, Key};
use super::store::{Change, Extent, Failure, Store, bytes_in_file};
use redb::Error;
use std::time::Duration;

/// Deleted at once at most, so that appends never wait for long; what is left comes in the next step.
const STEP_BLOCKS: usize = 1024;
const STEP_BYTES: u64 = 64 << 20;

/// How long and how much is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retention {
    pub(super) keep: Duration,
    pub(super) keep_bytes: u64,
}

/// What a step has found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There was nothing to delete.
    Nothing,
    /// All that was to be deleted is.
    Done(Vec<Extent>),
    /// There is more.
    More(Vec<Extent>),
}

impl Retention {
    /// Deletes what is over, up to a bound. `now`: milliseconds since 1970 UTC by the log's clock.
    ///
    /// # Errors
    /// As [`Store::change`].
    pub(super) fn step(&self, store: &Store, extents: &[Extent], now: i64) -> Result<Step, Failure> {
        // Blocks are looked at only where one may be over.
        let keep_ms = i64::try_from(self.keep.as_millis()).unwrap_or(i64::MAX);
        let horizon = now.saturating_sub(keep_ms);
        if total(extents) <= self.keep_bytes && !self.any_older(store, extents, horizon)? {
            return Ok(Step::Nothing);
        }
        let mut more = false;
        let after = store.change(extents, |change| {
            let (after, rest) = self.delete(change, extents, horizon)?;
            more = rest;
            Ok(after)
        })?;
        Ok(if more { Step::More(after) } else { Step::Done(after) })
    }

    fn any_older(&self, store: &Store, extents: &[Extent], horizon: i64) -> Result<bool, Failure> {
        for (partition, extent) in (0..).zip(extents).filter(|(_, extent)| extent.first < extent.next) {
            let found = store.look(partition, extent.first);
            let found = found.map_err(|error| Failure { reason: error.to_string(), open: false })?;
            if found.is_some_and(|(_, _, appended)| appended < horizon) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What the partitions are then, and whether there is more to delete.
    fn delete(
        &self,
        change: &mut Change<'_>,
        extents: &[Extent],
        horizon: i64,
    ) -> Result<(Vec<Extent>, bool), Error> {
        let mut after = extents.to_vec();
        let mut oldest: Vec<Option<(Key, usize, Head)>> = (0..)
            .zip(extents)
            .map(|(partition, extent)| change.first_block(partition, extent.first))
            .collect::<Result<_, _>>()?;
        let (mut blocks, mut bytes) = (0, 0);
        loop {
            let first = oldest.iter().flatten().min_by_key(|(key, _, head)| (head.appended, key.0));
            let Some(&(key, length, head)) = first else { return Ok((after, false)) };
            if head.appended >= horizon && total(&after) <= self.keep_bytes {
                return Ok((after, false));
            }
            if blocks == STEP_BLOCKS || bytes >= STEP_BYTES {
                return Ok((after, true));
            }
            change.blocks.remove(key)?;
            let place = key.0 as usize;
            after[place].first = key.1 + u64::from(head.records);
            after[place].bytes = after[place].bytes.saturating_sub(bytes_in_file(length));
            oldest[place] = change.first_block(key.0, after[place].first)?;
            blocks += 1;
            bytes += bytes_in_file(length);
        }
    }
}

/// What all blocks take in the file.
fn total(extents: &[Extent]) -> u64 {
    extents.iter().map(|extent| extent.bytes).sum()
}
