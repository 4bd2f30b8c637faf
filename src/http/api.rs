//! What the API answers from: the job or what stands in for it, the policy, and the answers that are at hand.

use super::host::Hosts;
use super::ingest::Ingest;
use super::past::PastRankings;
use super::policy::{Access, Limits, Policy};
use super::questions::Questions;
use super::rate::Rate;
use super::rendered::Answers;
use super::route_counts::RouteCounts;
use super::standby::StandbyView;
use crate::mirror::Mirror;
use crate::telemetry::Tally;
use axum::extract::State;
use axum::http::HeaderValue;
use crest_connectors::memory::MemoryStore;
use crest_connectors::outbox::Outbox;
use crest_connectors::redis::RedisSink;
use crest_connectors::tee::ArchiveWriter;
use crest_dataflows::status::JobView;
use crest_state::spec::JobSpec;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Semaphore, watch};

/// What the API shows.
pub struct Shown {
    /// What is computed.
    pub spec: Arc<JobSpec>,
    /// Where the rankings come from.
    pub rankings: Rankings,
    /// The workers.
    pub view: Arc<JobView>,
    /// The state, where there is one.
    pub past: Option<Arc<PastRankings>>,
    /// Where the job reads, without secrets.
    pub source: Option<String>,
    /// Where events that are sent here go.
    pub ingest: Option<Arc<Ingest>>,
    /// The archive that the job writes.
    pub archive: Option<ArchiveWriter>,
    /// Which process of the cluster this is.
    pub process: usize,
    /// When it started.
    pub started: Instant,
    /// The Redis sinks, by their URLs without secrets.
    pub redis: Vec<(String, Arc<RedisSink>)>,
    /// What waits for receivers that may lose nothing.
    pub outboxes: Vec<Arc<Outbox>>,
    /// What became of the telemetry, where any is sent.
    pub telemetry: Option<Arc<Tally>>,
}

/// Where rankings come from.
#[derive(Clone)]
pub enum Rankings {
    /// The job of this process, which puts them there; only process 0 has any.
    Job(Arc<MemoryStore>),
    /// The Redis in which a job publishes.
    Mirror(Arc<Mirror>),
    /// The state of a job.
    State,
    /// The state of the job that this process stands by for.
    Standby(Arc<StandbyView>),
}

/// What is shown, and what is needed to show it.
pub struct Api {
    shown: Shown,
    /// Who may do what.
    pub access: Access,
    /// The origins whose pages may read it.
    pub cors: Vec<HeaderValue>,
    /// How much of anything there may be.
    pub limits: Limits,
    /// The hosts that requests may name.
    pub hosts: Hosts,
    /// The `Cache-Control` of a current ranking.
    pub cache_control: HeaderValue,
    /// Rankings that are written as JSON already.
    pub answers: Answers,
    /// What was asked for, and can be answered without reading the question again.
    pub questions: Questions,
    /// How fast events are counted.
    pub rate: Rate,
    /// What all streams wait for.
    pub beat: watch::Sender<Beat>,
    /// The requests, by route.
    pub route_counts: RouteCounts,
    /// The rankings that are at hand; empty where they come from the state.
    pub store: Arc<MemoryStore>,
    /// Places for requests that read.
    pub reads: Semaphore,
    /// Places for requests that bring events.
    pub writes: Semaphore,
    /// Places for streams.
    pub streams: Arc<Semaphore>,
}

impl std::ops::Deref for Api {
    type Target = Shown;

    fn deref(&self) -> &Shown {
        &self.shown
    }
}

/// What all streams wait for.
#[derive(Clone, Debug, Default)]
pub struct Beat {
    /// The version of the rankings.
    pub version: u64,
    /// How many statuses there were.
    pub second: u64,
    /// The status in JSON; empty before the first.
    pub status: Arc<str>,
}

/// The API, as axum hands it to a handler.
pub type Shared = State<Arc<Api>>;

impl Api {
    /// Shows this by a policy, on a loopback address or on another one; `routes` are counted one by one.
    pub fn new(
        shown: Shown,
        policy: &Policy,
        routes: impl Iterator<Item = &'static str>,
        loopback: bool,
    ) -> Self {
        let Policy { access, cors, limits } = policy.clone();
        let refresh = shown.spec.time.refresh.as_secs();
        // A shared cache may answer for as long as a ranking stays current, unless readers need a token.
        let cache_control = match (access.read.is_empty(), refresh) {
            (false, _) => "private, no-cache".to_owned(),
            (true, 0) => "no-cache".to_owned(),
            (true, seconds) => format!("public, max-age={seconds}, stale-if-error=60"),
        };
        let store = match &shown.rankings {
            Rankings::Job(store) => store.clone(),
            Rankings::Mirror(mirror) => mirror.store(),
            Rankings::State | Rankings::Standby(_) => Arc::default(),
        };
        Api {
            shown,
            store,
            access,
            cors,
            hosts: Hosts::new(loopback),
            cache_control: HeaderValue::from_str(&cache_control)
                .unwrap_or(HeaderValue::from_static("no-cache")),
            answers: Answers::default(),
            questions: Questions::default(),
            rate: Rate::default(),
            beat: watch::Sender::default(),
            route_counts: RouteCounts::new(routes),
            reads: Semaphore::new(limits.requests),
            writes: Semaphore::new(limits.requests),
            streams: Arc::new(Semaphore::new(limits.streams)),
            limits,
        }
    }

    /// Whether a job runs here.
    pub fn live(&self) -> bool {
        matches!(self.rankings, Rankings::Job(_))
    }

    /// How many streams are open.
    pub fn open_streams(&self) -> usize {
        self.limits.streams - self.streams.available_permits()
    }
}
