//! Up to which event time a job has passed all its partitions: an event of before that is answered as late.
//!
//! Which partition an event goes to is the log's to say, so that an event which only its own partition has passed is not
//! known to be late here.

use crest_dataflows::event_time::Clock;
use crest_dataflows::status::{JobView, PartitionStatus, WorkerStatus};
use crest_state::spec::TimeSpec;
use std::collections::btree_map::Values;

/// In milliseconds since 1970; `i64::MIN` where it is not known of each worker.
pub fn by_all(view: &JobView, time: &TimeSpec) -> i64 {
    let clock = Clock::new(time, false);
    view.with_workers(|workers| {
        let passed = workers.iter().map(|worker| match worker {
            Some((_, status)) => by_one(status, &clock),
            None => Some(i64::MIN),
        });
        passed.flatten().min().unwrap_or(i64::MIN)
    })
}

/// A partition is passed by its own watermark, or by its worker's time after it was idle. `None` without partitions.
fn by_one(status: &WorkerStatus, clock: &Clock) -> Option<i64> {
    let floor = status.held.map_or(i64::MIN, |pane| clock.start(pane));
    let watermarks = |partitions: Values<'_, String, PartitionStatus>| {
        partitions.map(|partition| partition.watermark.unwrap_or(i64::MIN)).min()
    };
    Some(watermarks(status.partitions.values())?.max(floor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(workers: &[(Option<u64>, &[Option<i64>])]) -> JobView {
        let view = JobView::new(1, workers.len());
        for (worker, (held, watermarks)) in workers.iter().enumerate() {
            let partition = |(n, watermark): (usize, &Option<i64>)| {
                (n.to_string(), PartitionStatus { watermark: *watermark, ..PartitionStatus::default() })
            };
            let partitions = watermarks.iter().enumerate().map(partition).collect();
            view.note(WorkerStatus { worker, held: *held, partitions, ..WorkerStatus::default() });
        }
        view
    }

    #[test]
    fn late_is_what_every_partition_has_passed() {
        let by_all = |workers: &[(Option<u64>, &[Option<i64>])]| by_all(&view(workers), &TimeSpec::default());
        assert_eq!(by_all(&[(Some(2), &[Some(50_000), Some(40_000)])]), 40_000);
        assert_eq!(by_all(&[(Some(5), &[Some(90_000), None])]), 50_000, "an idle one has its worker's time");
        assert_eq!(by_all(&[(Some(9), &[]), (Some(1), &[Some(30_000)])]), 30_000);
        assert_eq!(by_all(&[(Some(0), &[None])]), 0);
        assert_eq!(by_all(&[(Some(9), &[])]), i64::MIN, "there is no partition yet");
        assert_eq!(super::by_all(&JobView::new(1, 1), &TimeSpec::default()), i64::MIN);
    }
}
