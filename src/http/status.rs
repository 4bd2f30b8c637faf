//! `GET /status`: how the job is doing, in one object, for people and scripts; `/metrics` has all of it.

use super::answer::json_answer;
use super::api::{Api, Shared};
use super::parts::{self, Partition, Stored, Written};
use super::rate::Lasts;
use crate::account::{Account, BoardAccount};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use crest_connectors::outbox::{Outbox, OutboxStats};
use crest_connectors::tee::ArchiveStatus;
use crest_dataflows::status::{PartitionStatus, Standing};
use crest_formats::refusal::Refusal;
use crest_host::clock::wall_clock_ms;
use crest_state::inspect::Range;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The answer. Times are milliseconds since 1970 UTC; without a job here the counts are absent.
#[derive(Debug, Serialize)]
pub struct Status {
    version: &'static str,
    /// Whether a job runs here.
    live: bool,
    uptime_seconds: f64,
    now: i64,
    /// Without secrets.
    source: Option<String>,
    /// Whether `POST /events` is taken.
    ingest: bool,
    #[serde(flatten)]
    counts: Option<Counts>,
    /// The archive that the job writes, where it writes one.
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<Archived>,
    /// What became of the state, where the job keeps one.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Stored>,
    /// Each Redis in which the job publishes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    redis: Vec<Written>,
    /// What is delivered to receivers that may lose nothing, where there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deliveries: Vec<Delivered>,
    /// What can be asked for of the past.
    past: Option<Held>,
}

/// What was delivered to a receiver since the start.
#[derive(Debug, Serialize)]
struct Delivered {
    /// Without secrets.
    to: String,
    delivered: u64,
    /// Given up, since the receiver refused them.
    refused: u64,
    pending: u64,
    pending_bytes: u64,
    /// Since when it takes nothing, and why.
    failing_since: Option<i64>,
    failure: Option<String>,
}

impl Delivered {
    fn of(outbox: &Outbox) -> Self {
        let OutboxStats { delivered, refused, pending, pending_bytes, .. } = outbox.stats();
        let since = |(reason, age): (String, Duration)| (wall_clock_ms() - age.as_millis() as i64, reason);
        let (failing_since, failure) = outbox.outage().map(since).unzip();
        let to = outbox.name().to_owned();
        Delivered { to, delivered, refused, pending, pending_bytes, failing_since, failure }
    }
}

/// What was archived since the start, by this process.
#[derive(Debug, Serialize)]
struct Archived {
    records: u64,
    blocks: u64,
    bytes: u64,
    /// Bytes of records that were read and are not archived yet.
    held_bytes: u64,
    /// Offsets that the log had let go of before they were archived.
    gap_offsets: u64,
    /// Since when its store fails, and why.
    failing_since: Option<i64>,
    failure: Option<String>,
    /// Whether the source waits for it.
    held_up: bool,
}

impl From<ArchiveStatus> for Archived {
    fn from(status: ArchiveStatus) -> Self {
        let (failing_since, failure) = status.waiting.unzip();
        let ArchiveStatus { records, blocks, bytes, held_bytes, gap_offsets, .. } = status;
        let held_up = status.held_up > 0;
        Archived { records, blocks, bytes, held_bytes, gap_offsets, failing_since, failure, held_up }
    }
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Held {
    from: i64,
    to: i64,
}

/// Counts of all workers of the cluster, since its start.
#[derive(Debug, Serialize)]
struct Counts {
    records: u64,
    events: u64,
    events_per_second: f64,
    late: u64,
    refused: u64,
    refused_by_reason: BTreeMap<&'static str, u64>,
    unmatched: u64,
    tombstones: u64,
    without_events: u64,
    boards: BTreeMap<Arc<str>, Met>,
    watermark: Option<i64>,
    watermark_lag_ms: Option<i64>,
    held_by: Option<Holder>,
    lag_records: u64,
    /// When a record was last read, and an event last counted, by the wall clock.
    last_record: Option<i64>,
    last_event: Option<i64>,
    partitions_total: usize,
    /// Those furthest behind; not in the status that streams bring each second.
    #[serde(skip_serializing_if = "Option::is_none")]
    partitions: Option<Vec<Partition>>,
    /// The partitions that wait for the end of a transaction, and since when.
    open_transactions: BTreeMap<String, i64>,
}

/// The partition that all windows wait for, where its watermark does not move.
#[derive(Debug, Serialize)]
struct Holder {
    partition: String,
    watermark: Option<i64>,
    /// Since when it has not moved.
    since: i64,
    why: Standing,
}

/// What a board has met.
#[derive(Debug, Serialize)]
struct Met {
    matched: u64,
    without_item: u64,
    without_weight: u64,
    /// Of a board that counts different values.
    #[serde(skip_serializing_if = "Option::is_none")]
    without_value: Option<u64>,
    /// What its configuration names, and no event had.
    unseen: Vec<Unseen>,
    /// Why it has counted nothing, where it has not, though something was read.
    why_empty: Option<String>,
}

/// A field that no event had.
#[derive(Debug, Serialize)]
struct Unseen {
    name: String,
    /// The key of the configuration that names it.
    key: &'static str,
}

impl Met {
    fn of(account: &Account, board: &BoardAccount) -> Self {
        let unseen = board.unseen().map(|field| Unseen { name: field.name.clone(), key: field.role.key() });
        Met {
            matched: board.match_counts.matched,
            without_item: board.match_counts.without_item,
            without_weight: board.match_counts.without_weight,
            without_value: board.without_value(),
            unseen: unseen.collect(),
            why_empty: account.nothing_of(&board.name),
        }
    }
}

/// Answers with the status as it is now.
pub async fn status(State(api): Shared) -> Response {
    let mut status = of(&api).await;
    if let Some(counts) = &mut status.counts {
        counts.partitions = Some(parts::partitions(&api.view));
    }
    json_answer(StatusCode::OK, status)
}

/// The same as JSON, but for the partitions; `None`, and a line in the log, where it cannot be written.
pub async fn text(api: &Api) -> Option<String> {
    let text = serde_json::to_string(&of(api).await);
    text.inspect_err(|error| tracing::error!(%error, "the status cannot be written as JSON")).ok()
}

/// As it is now; `past` may be some seconds old.
async fn of(api: &Api) -> Status {
    let held = match &api.past {
        Some(past) => past.held().await,
        None => None,
    };
    Status {
        version: env!("CARGO_PKG_VERSION"),
        live: api.live(),
        uptime_seconds: api.started.elapsed().as_millis() as f64 / 1000.0,
        now: wall_clock_ms(),
        source: api.source.clone(),
        ingest: api.ingest.is_some(),
        counts: api.live().then(|| counts(api)),
        archive: api.archive.as_ref().map(|archive| archive.status().into()),
        state: api.view.state().map(Stored::from),
        redis: parts::redis(api),
        deliveries: api.outboxes.iter().map(|outbox| Delivered::of(outbox)).collect(),
        past: held.map(|Range { from_ms, to_ms }| Held { from: from_ms, to: to_ms }),
    }
}

fn counts(api: &Api) -> Counts {
    let account = Account::of(&api.spec, &api.view);
    let (mut watermark, mut lag_records, mut partitions_total) = (None, 0, 0);
    let mut open_transactions = BTreeMap::new();
    api.view.with_workers(|workers| {
        for status in workers.iter().flatten().map(|(_, status)| status) {
            watermark = watermark.max(status.newest);
            lag_records += status.counts.source.lag;
            partitions_total += status.partitions.len();
            let open =
                |(name, known): (&String, &PartitionStatus)| Some((name.clone(), known.open_transaction?));
            open_transactions.extend(status.partitions.iter().filter_map(open));
        }
    });
    let Lasts { record: last_record, event: last_event } = api.rate.lasts();
    let reasons = Refusal::ALL.into_iter().filter(|reason| *reason != Refusal::Late);
    let mut refused_by_reason: BTreeMap<_, _> = reasons.map(|reason| (reason.name(), 0)).collect();
    refused_by_reason.extend(account.refused.iter().map(|(reason, count)| (reason.name(), *count)));
    Counts {
        records: account.records,
        events: account.events,
        events_per_second: (api.rate.per_second() * 10.0).round() / 10.0,
        late: account.late,
        refused: refused_by_reason.values().sum(),
        refused_by_reason,
        unmatched: account.unmatched,
        tombstones: account.tombstones,
        without_events: account.without_events,
        boards: account.boards.iter().map(|b| (b.name.clone(), Met::of(&account, b))).collect(),
        watermark,
        watermark_lag_ms: watermark.map(|at| (wall_clock_ms() - at).max(0)),
        held_by: holder(api),
        lag_records,
        last_record,
        last_event,
        partitions_total,
        partitions: None,
        open_transactions,
    }
}

fn holder(api: &Api) -> Option<Holder> {
    let of = |heard: Instant, name: &str, known: &PartitionStatus| {
        let holding = known.holding?;
        let ms = i64::try_from(holding.ms).ok()? + heard.elapsed().as_millis() as i64;
        let (partition, watermark) = (name.to_owned(), known.watermark);
        Some(Holder { partition, watermark, since: wall_clock_ms() - ms, why: holding.why })
    };
    api.view.with_workers(|workers| {
        let statuses = workers.iter().flatten();
        let held = statuses.flat_map(|(heard, status)| {
            status.partitions.iter().filter_map(|(name, known)| of(*heard, name, known))
        });
        held.min_by_key(|held| (held.watermark, held.since))
    })
}
