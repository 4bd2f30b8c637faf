//! On what terms the API answers: who may ask, for whose pages, and how much of anything there may be.

use super::{Access, IngestLimits};
use axum::http::HeaderValue;
use std::time::Duration;

/// All of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms {
    /// Who may do what.
    pub access: Access,
    /// The origins whose pages may read it; `*` alone for all.
    pub cors: Vec<HeaderValue>,
    /// How much of anything there may be.
    pub limits: Limits,
}

/// How much of anything there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What a request with events may be.
    pub ingest: IngestLimits,
    /// Connections at one time; further ones wait.
    pub connections: usize,
    /// Requests at one time, of readers and of writers each; further ones are told to come again.
    pub requests: usize,
    /// Streams at one time; likewise.
    pub streams: usize,
    /// For a request to come whole, and for a client to take what it is sent.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let time = Duration::from_secs(30);
        Limits {
            ingest: IngestLimits { body: 8 << 20, events: 100_000, time },
            connections: 4096,
            requests: 512,
            streams: 1024,
            time,
        }
    }
}
