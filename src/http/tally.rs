//! Counts what was asked for and how it was answered, by route.

use axum::extract::{MatchedPath, Request};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The routes that are told apart, as they are written in the contract; all others are `other`.
const ROUTES: [&str; 8] = [
    "/events",
    "/top-k",
    "/top-k/{board}",
    "/stream/{board}",
    "/boards",
    "/boards/{board}",
    "/status",
    "other",
];

/// The place of `/top-k` among them, before `/top-k/{board}`.
const TOP_K: usize = 1;

/// The counts of all routes.
#[derive(Debug, Default)]
pub struct Tally([Count; ROUTES.len()]);

#[derive(Debug, Default)]
struct Count {
    /// By the first digit of the status: 2 to 5.
    answers: [AtomicU64; 4],
    nanoseconds: AtomicU64,
}

/// What was counted of a route.
#[derive(Debug)]
pub struct Counted {
    /// As it is written in the contract, or `other`.
    pub route: &'static str,
    /// Answers by the class of their status.
    pub answers: [(&'static str, u64); 4],
    /// From a request's head to its answer's, in all.
    pub time: Duration,
}

impl Tally {
    /// Which route a request takes.
    pub fn route(request: &Request) -> usize {
        let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
        ROUTES.iter().position(|route| *route == path).unwrap_or(ROUTES.len() - 1)
    }

    /// Which route the ranking at a path takes.
    pub fn of_board(path: &str) -> usize {
        usize::from(path.trim_start_matches("/top-k").len() > 1) + TOP_K
    }

    /// Counts an answer.
    pub fn count(&self, route: usize, status: u16, time: Duration) {
        let count = &self.0[route];
        let class = usize::from(status / 100).clamp(2, 5) - 2;
        count.answers[class].fetch_add(1, Ordering::Relaxed);
        count.nanoseconds.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    /// All routes that were asked for.
    pub fn counted(&self) -> impl Iterator<Item = Counted> {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let all = ROUTES.iter().zip(&self.0).map(move |(route, count)| {
            let [good, moved, wrong, failed] = &count.answers;
            Counted {
                route,
                answers: [
                    ("2xx", read(good)),
                    ("3xx", read(moved)),
                    ("4xx", read(wrong)),
                    ("5xx", read(failed)),
                ],
                time: Duration::from_nanos(read(&count.nanoseconds)),
            }
        });
        all.filter(|counted| counted.answers.iter().any(|(_, count)| *count > 0))
    }
}
