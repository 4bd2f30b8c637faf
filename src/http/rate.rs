//! How many events a second are counted, over the last few seconds.

use crest_dataflows::status::JobView;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Over how long the rate is taken.
const RATE_OVER: Duration = Duration::from_secs(5);

/// The counts of the last seconds, each with its time.
#[derive(Debug, Default)]
pub struct Rate(Mutex<VecDeque<(Instant, u64)>>);

impl Rate {
    /// Notes how many events there are now.
    pub fn note(&self, view: &JobView) {
        let events = view
            .with_workers(|workers| workers.iter().flatten().map(|(_, status)| status.counts.events).sum());
        let mut seen = self.0.lock();
        seen.push_back((Instant::now(), events));
        while seen.len() > 2 && seen[1].0.elapsed() >= RATE_OVER {
            seen.pop_front();
        }
    }

    /// Events a second; 0 before there were two counts.
    pub fn per_second(&self) -> f64 {
        let seen = self.0.lock();
        match (seen.front(), seen.back()) {
            (Some((from, before)), Some((to, after))) if to > from => {
                after.saturating_sub(*before) as f64 / (*to - *from).as_secs_f64()
            }
            _ => 0.0,
        }
    }
}
