//! How many events a second are counted, over the last few seconds, and when there were any.

use crest_dataflows::status::JobView;
use crest_host::clock::wall_clock_ms;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Over how long the rate is taken.
const RATE_OVER: Duration = Duration::from_secs(5);

/// The counts of the last seconds, and when they last rose.
#[derive(Debug, Default)]
pub struct Rate(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// Events, each count with its time.
    lately: VecDeque<(Instant, u64)>,
    records: u64,
    lasts: Lasts,
}

/// When something last came, in milliseconds since 1970 by the wall clock, to about a second; `None` where nothing has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lasts {
    /// A record was read.
    pub record: Option<i64>,
    /// An event was counted.
    pub event: Option<i64>,
}

impl Rate {
    /// Notes how many records and events there are now.
    pub fn note(&self, view: &JobView) {
        let (records, events) = view.with_workers(|workers| {
            let counts = workers.iter().flatten().map(|(_, status)| &status.counts);
            counts.fold((0, 0), |(records, events), c| (records + c.records, events + c.events))
        });
        let mut seen = self.0.lock();
        let before = seen.lately.back().map_or(0, |(_, events)| *events);
        if records > seen.records {
            seen.lasts.record = Some(wall_clock_ms());
        }
        if events > before {
            seen.lasts.event = Some(wall_clock_ms());
        }
        seen.records = records;
        let lately = &mut seen.lately;
        lately.push_back((Instant::now(), events));
        while lately.len() > 2 && lately[1].0.elapsed() >= RATE_OVER {
            lately.pop_front();
        }
    }

    /// Events a second; 0 before there were two counts.
    pub fn per_second(&self) -> f64 {
        let seen = self.0.lock();
        match (seen.lately.front(), seen.lately.back()) {
            (Some((from, before)), Some((to, after))) if to > from => {
                after.saturating_sub(*before) as f64 / (*to - *from).as_secs_f64()
            }
            _ => 0.0,
        }
    }

    /// When records and events last came.
    pub fn lasts(&self) -> Lasts {
        self.0.lock().lasts
    }
}
