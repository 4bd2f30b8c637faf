//! `GET /metrics`: what the job counts, in the text format of Prometheus. Counters are since the process's start. OTLP sends
//! the same.

mod archive;
mod deliveries;
mod serving;
mod telemetry;
mod text;

use super::api::{Api, Shared};
use crate::account::{Account, BoardAccount};
use crate::figures::{Family, Figures};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use crest_connectors::group_key::GroupKey;
use crest_connectors::redis::RedisStats;
use crest_dataflows::status::{BoardCounts, WorkerCounts, WorkerStatus};
use crest_formats::refusal::Refusal;
use crest_host::clock::wall_clock_ms;
use crest_state::monitor::StateCounts;
use std::fmt::Display;

/// All metrics.
pub async fn metrics(State(api): Shared) -> Response {
    let headers = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (headers, text::text(&figures(&api))).into_response()
}

/// All figures of this process.
pub fn figures(api: &Api) -> Figures {
    let mut page = Figures::default();
    page.one("build_info", "The running build; always 1.", &[("version", env!("CARGO_PKG_VERSION"))], true);
    page.one("uptime_seconds", "Since this process started.", &[], api.started.elapsed().as_secs());
    let silence = api.view.longest_silence().as_secs_f64();
    page.one(
        "worker_silence_seconds",
        "How long the most silent worker of this process was not alive.",
        &[],
        silence,
    );
    let workers: Vec<WorkerStatus> =
        api.view.workers().into_iter().flatten().map(|(_, status)| status).collect();
    worker_metrics(&mut page, &workers);
    refusal_metrics(&mut page, &workers);
    time_metrics(&mut page, &workers);
    lag_metrics(&mut page, &workers);
    board_metrics(&mut page, api);
    match_metrics(&mut page, &Account::of(&api.spec, &api.view));
    state_metrics(&mut page, api);
    archive::write(&mut page, api);
    snapshot_metrics(&mut page, api);
    redis_metrics(&mut page, api);
    deliveries::write(&mut page, api);
    serving::write(&mut page, api);
    telemetry::write(&mut page, api);
    page
}

fn worker_metrics(page: &mut Figures, workers: &[WorkerStatus]) {
    let families: [Family<WorkerCounts, u64>; 14] = [
        ("records_total", "Records read from the source.", |c| c.records),
        ("events_total", "Events counted in at least one board.", |c| c.events),
        ("replayed_total", "Records read again that an earlier run had counted or refused.", |c| c.replayed),
        ("unmatched_total", "Well-formed events that no board's filter takes.", |c| c.unmatched),
        ("tombstones_total", "Records that say only that their key is deleted.", |c| c.tombstones),
        (
            "records_without_events_total",
            "Records without an element of the array whose elements are the events.",
            |c| c.without_events,
        ),
        (
            "groups_refused_total",
            "Events counted in the whole board only, since their pane had max_groups groups in its partition.",
            |c| c.groups_refused,
        ),
        ("rejects_lost_total", "Refused records that could not be written to the rejects file.", |c| {
            c.rejects_lost
        }),
        ("sketch_bytes", "Memory of the open panes' sketches.", |c| c.sketch_bytes),
        ("open_panes", "Pane sketches that are open.", |c| c.open_panes),
        ("source_retries_total", "Errors of the source that were retried.", |c| c.source.retries),
        ("source_disconnected", "1 while the source's broker cannot be reached.", |c| {
            u64::from(c.source.disconnected)
        }),
        ("source_lag_records", "Records in the source that are not read yet, as last known.", |c| {
            c.source.lag
        }),
        (
            "gap_records_total",
            "Records that Kafka no longer had when they were to be read, and that were skipped.",
            |c| c.source.gap_records,
        ),
    ];
    let workers: Vec<_> = workers.iter().map(|status| (status.worker, &status.counts)).collect();
    page.table(&families, "worker", &workers);
}

fn refusal_metrics(page: &mut Figures, workers: &[WorkerStatus]) {
    page.family("refused_total", "Records that were not counted, by reason.");
    for (index, refusal) in Refusal::ALL.iter().enumerate() {
        let sum: u64 = workers.iter().map(|status| status.counts.refused[index]).sum();
        page.sample(&[("reason", &refusal.name())], sum);
    }
}

/// Event time, by partition.
fn time_metrics(page: &mut Figures, workers: &[WorkerStatus]) {
    let partitions = || workers.iter().flat_map(|status| &status.partitions);
    let watermarks = || partitions().filter_map(|(name, known)| known.watermark.map(|at| (name, at)));
    page.family("watermark_seconds", "The partition's watermark, in seconds since 1970.");
    for (name, at) in watermarks() {
        page.sample(&[("partition", name)], seconds(at));
    }
    page.family("watermark_lag_seconds", "How far the partition's watermark is behind the wall clock.");
    for (name, at) in watermarks() {
        page.sample(&[("partition", name)], seconds(wall_clock_ms() - at));
    }
    page.family(
        "partition_holding_seconds",
        "For how long the partition has held the windows back, where it does: its watermark stands still or is far behind, and others are ahead.",
    );
    for (name, known) in partitions() {
        if let Some(holding) = known.holding {
            page.sample(&[("partition", name)], holding.ms as f64 / 1e3);
        }
    }
}

fn lag_metrics(page: &mut Figures, workers: &[WorkerStatus]) {
    page.family("partition_lag_records", "Records in the partition that are not read yet, as last known.");
    for (name, known) in workers.iter().flat_map(|status| &status.partitions) {
        page.sample(&[("partition", name)], known.lag);
    }
    page.family(
        "open_transaction_seconds",
        "How long the partition has waited for the end of a transaction.",
    );
    for (name, known) in workers.iter().flat_map(|status| &status.partitions) {
        if let Some(since) = known.open_transaction {
            page.sample(&[("partition", name)], seconds(wall_clock_ms() - since));
        }
    }
}

fn board_metrics(page: &mut Figures, api: &Api) {
    let boards = api.view.boards();
    let frontiers = || boards.iter().filter_map(|(name, counts)| counts.frontier.map(|at| (name, at)));
    page.family("frontier_seconds", "All panes before it are closed, in seconds since 1970.");
    for (name, at) in frontiers() {
        page.sample(&[("board", name)], seconds(at));
    }
    page.family("frontier_lag_seconds", "How far the board's frontier is behind the wall clock.");
    for (name, at) in frontiers() {
        page.sample(&[("board", name)], seconds(wall_clock_ms() - at));
    }
    page.family("snapshots_total", "Snapshots published.");
    for (name, counts) in &boards {
        for (kind, count) in [("final", counts.finals), ("provisional", counts.provisionals)] {
            page.sample(&[("board", name), ("kind", &kind)], count);
        }
    }
    let families: [Family<BoardCounts, f64>; 6] = [
        ("panes_total", "Panes merged and closed.", |c| c.panes as f64),
        (
            "groups_refused_weight_total",
            "Weight in closed panes that counts in the whole board only: of groups beyond max_groups.",
            |c| c.refused_weight as f64,
        ),
        ("merge_seconds_total", "Time spent merging panes.", |c| c.merge_ns as f64 / 1e9),
        ("rank_seconds_total", "Time spent sliding windows and ranking.", |c| c.rank_ns as f64 / 1e9),
        ("window_bytes", "Memory of the windows.", |c| c.window_bytes as f64),
        ("groups", "Groups that the windows hold.", |c| c.groups as f64),
    ];
    page.table(&families, "board", &boards.iter().collect::<Vec<_>>());
}

/// What the boards' configuration has met, where something was read.
fn match_metrics(page: &mut Figures, account: &Account) {
    let families: [Family<BoardAccount, u64>; 4] = [
        ("board_matched_total", "Events that the board's filter took, late ones among them.", |b| {
            b.match_counts.matched
        }),
        ("board_without_item_total", "Events that it took and that have no item that can be used.", |b| {
            b.match_counts.without_item
        }),
        (
            "board_without_weight_total",
            "Events that it took and that have no weight that can be used.",
            |b| b.match_counts.without_weight,
        ),
        (
            "board_without_value_total",
            "Events that it took and that have no value of which the different ones are counted.",
            |b| b.match_counts.without_value,
        ),
    ];
    let boards = || account.boards.iter().filter(|_| account.records > 0);
    page.table(&families, "board", &boards().map(|board| (&board.name, board)).collect::<Vec<_>>());
    page.family(
        "board_field_seen",
        "1 once an event had the field, which the configuration names under the key.",
    );
    for board in boards() {
        for (field, seen) in board.seen() {
            let labels: [(&str, &dyn Display); 3] =
                [("board", &board.name), ("key", &field.role.key()), ("field", &field.name)];
            page.sample(&labels, seen);
        }
    }
}

/// The metrics of the state, in process 0 of a job that has one.
fn state_metrics(page: &mut Figures, api: &Api) {
    let Some(state) = api.view.state() else { return };
    let families: [Family<StateCounts, f64>; 8] = [
        (
            "state_durable_seconds",
            "All that is before this event time is durable, in seconds since 1970.",
            |s| seconds(s.durable),
        ),
        ("state_commits_total", "Manifests written.", |s| s.commits as f64),
        (
            "state_commit_seconds_total",
            "Time that they took, with the objects that they name, in all.",
            |s| s.commit_ns as f64 / 1e9,
        ),
        ("state_panes_total", "Objects of panes written.", |s| s.panes as f64),
        ("state_rollups_total", "Objects of rollups written.", |s| s.rollups as f64),
        ("state_bytes_total", "Bytes written, of objects and manifests.", |s| s.bytes as f64),
        ("state_retries_total", "Calls of the store that failed and were repeated.", |s| s.retries as f64),
        ("state_unreachable", "1 while the store cannot be written and the job waits for it.", |s| {
            f64::from(u8::from(s.waiting.is_some()))
        }),
    ];
    for (name, help, count) in families {
        page.one(name, help, &[], count(&state));
    }
}

/// The age of each window's freshest ranking, of whole boards: there can be many groups.
fn snapshot_metrics(page: &mut Figures, api: &Api) {
    page.family("snapshot_age_seconds", "Since the window's freshest ranking was computed.");
    for board in &api.spec.boards {
        for window in &board.windows {
            if let Some(held) = api.store.held(&board.name, &window.name, &GroupKey::WHOLE, false) {
                let labels: [(&str, &dyn Display); 2] = [("board", &board.name), ("window", &window.name)];
                page.sample(&labels, held.age().as_secs_f64());
            }
        }
    }
}

fn redis_metrics(page: &mut Figures, api: &Api) {
    if api.redis.is_empty() {
        return;
    }
    let families: [Family<RedisStats, f64>; 11] = [
        ("redis_written_total", "Rankings and buckets written to Redis.", |s| s.written as f64),
        ("redis_outdated_total", "Rankings not written, since Redis held newer ones.", |s| s.outdated as f64),
        ("redis_removed_total", "Rankings removed from Redis, since their groups had left.", |s| {
            s.removed as f64
        }),
        ("redis_failures_total", "Attempts to write to Redis that failed; each is tried again.", |s| {
            s.failures as f64
        }),
        ("redis_dropped_total", "Rankings lost, since too many waited for Redis.", |s| s.dropped as f64),
        ("redis_rounds_total", "Pipelines sent to Redis and answered.", |s| s.rounds as f64),
        ("redis_round_seconds_total", "Time that they took, in all.", |s| s.round_time.as_secs_f64()),
        ("redis_pending", "Rankings that wait for Redis.", |s| s.pending as f64),
        ("redis_disconnected", "1 while Redis cannot be written to.", |s| {
            f64::from(u8::from(s.disconnected))
        }),
        ("redis_fenced_windows", "Windows whose keys a newer job writes; this one's rankings wait.", |s| {
            s.fenced as f64
        }),
        ("redis_foreign_keys", "Rankings not written, since no job has written what their keys hold.", |s| {
            s.foreign as f64
        }),
    ];
    let stats: Vec<(&String, RedisStats)> = api.redis.iter().map(|(url, sink)| (url, sink.stats())).collect();
    let stats: Vec<_> = stats.iter().map(|(url, stats)| (url, stats)).collect();
    page.table(&families, "url", &stats);
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
