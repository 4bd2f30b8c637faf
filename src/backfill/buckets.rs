//! The buckets of tumbling windows that lie in a range that was counted, published anew: to Redis, under their own times
//! and nowhere else, and as lines.

use crate::failure::Failure;
use crate::launch::Outputs;
use crest_connectors::state::StateStore;
use crest_dataflows::windows::buckets::PastBuckets;
use crest_host::clock::wall_clock_ms;
use crest_state::pane::Pane;
use crest_state::spec::JobSpec;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Buckets between two waits for their delivery: a sink keeps no more than it must.
const BATCH: u64 = 32;
const DELIVERY: Duration = Duration::from_secs(60);

/// Publishes all of them, of one board or of all.
///
/// # Errors
/// The state cannot be read, or they cannot be delivered. The same command publishes them again.
pub fn publish(
    store: &StateStore,
    spec: &JobSpec,
    source: &str,
    board: Option<&str>,
    range: &Range<Pane>,
    outputs: &Outputs,
) -> Result<(), Failure> {
    if !outputs.any() {
        return Ok(());
    }
    let now = wall_clock_ms().unsigned_abs();
    let mut buckets =
        PastBuckets::open(store.clone(), spec, source, board, range, now).map_err(Failure::of)?;
    let (sink, mut count) = (outputs.sink(), 0u64);
    while let Some(bucket) = buckets.next_bucket().map_err(Failure::of)? {
        bucket.snapshots.into_iter().for_each(|snapshot| sink.publish(&Arc::new(snapshot)));
        sink.finals_complete(&bucket.board, bucket.end);
        count += 1;
        if count.is_multiple_of(BATCH) {
            deliver(outputs)?;
        }
    }
    buckets.boards().for_each(|board| sink.finals_complete(&board, i64::MAX));
    deliver(outputs)?;
    tracing::info!("published {count} buckets of tumbling windows");
    match buckets.unheld() {
        0 => Ok(()),
        more => {
            tracing::warn!(
                "{more} more cannot be ranked any more: what they are made of was let go of, or counted without their boards"
            );
            Ok(())
        }
    }
}

fn deliver(outputs: &Outputs) -> Result<(), Failure> {
    outputs.flush(Instant::now() + DELIVERY).map_err(Failure::of)?;
    match outputs.redis().iter().find(|(_, sink)| sink.stats().dropped > 0) {
        Some((url, _)) => {
            Err(Failure::Failed(format!("snapshots {url}: some buckets could not be delivered")))
        }
        None => Ok(()),
    }
}
