//! Counts what was asked for and how it was answered, by route.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The classes of status that are told apart.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// The counts of the routes that are told apart, by their paths; the last one is of all others.
#[derive(Debug)]
pub struct RouteCounts(Vec<(&'static str, Count)>);

#[derive(Debug, Default)]
struct Count {
    /// As [`CLASSES`].
    answers: [AtomicU64; CLASSES.len()],
    nanoseconds: AtomicU64,
}

/// What was counted of a route.
#[derive(Debug)]
pub struct Counted {
    /// As it is written in the contract, or `other`.
    pub route: &'static str,
    /// Answers by the class of their status.
    pub answers: [(&'static str, u64); CLASSES.len()],
    /// From a request's head to its answer's, in all.
    pub time: Duration,
}

impl RouteCounts {
    /// Tells the routes of these paths apart.
    pub fn new(routes: impl Iterator<Item = &'static str>) -> Self {
        RouteCounts(routes.chain(["other"]).map(|route| (route, Count::default())).collect())
    }

    /// Counts an answer.
    pub fn count(&self, route: &str, status: u16, time: Duration) {
        let known = self.0.iter().find(|(path, _)| *path == route);
        let Some((_, count)) = known.or(self.0.last()) else { return };
        let class = usize::from(status / 100).clamp(2, 5) - 2;
        count.answers[class].fetch_add(1, Ordering::Relaxed);
        count.nanoseconds.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    /// All routes that were asked for.
    pub fn counted(&self) -> impl Iterator<Item = Counted> {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let all = self.0.iter().map(move |(route, count)| Counted {
            route,
            answers: std::array::from_fn(|class| (CLASSES[class], read(&count.answers[class]))),
            time: Duration::from_nanos(read(&count.nanoseconds)),
        });
        all.filter(|counted| counted.answers.iter().any(|(_, count)| *count > 0))
    }
}
