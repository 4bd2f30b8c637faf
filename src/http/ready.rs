//! `GET /healthz` and `GET /readyz`: whether the process is alive, and whether it does its work.
//!
//! A process is ready when it answers as it should: a load balancer sends nothing to one that is not. A job whose state
//! fails is not ready: no final ranking comes until it can be written; nor one with too many messages that may not be lost
//! and cannot be delivered. What is wrong elsewhere (the source, Redis) is shown
//! too, and does not count: the last known ranking, with its age, is better than none.

use super::answer::json_answer;
use super::api::{Api, Rankings, Shared};
use super::rankings::is_old;
use crate::account::{Account, BoardAccount};
use crate::mirror::{Mirror, Tended};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use crest_connectors::group_key::GroupKey;
use crest_connectors::memory::MemoryStore;
use crest_connectors::tee::{ArchiveStatus, ArchiveWriter};
use crest_dataflows::status::JobView;
use crest_host::clock::wall_clock_ms;
use crest_state::monitor::{StateCounts, Waiting};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

/// A worker that does not come round for so long is no longer well.
const WELL: Duration = Duration::from_secs(10);

/// A state that has not answered for so long holds all final rankings back.
const ANSWER: Duration = Duration::from_secs(10);

/// What was found: `ok`, or what is wrong.
type Checks = BTreeMap<&'static str, String>;

/// Whether the workers come round.
pub async fn healthz(State(api): Shared) -> Response {
    let silence = api.view.longest_silence();
    if silence < WELL {
        return json_answer(StatusCode::OK, json!({"status": "ok"}));
    }
    let seconds = silence.as_secs();
    json_answer(StatusCode::SERVICE_UNAVAILABLE, json!({"status": "stuck", "worker_silent_seconds": seconds}))
}

/// Whether it answers as it should.
pub async fn readyz(State(api): Shared) -> Response {
    let (needed, mut checks) = (needed(&api), others(&api));
    let ready = needed.values().all(|found| found == "ok");
    checks.extend(needed);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json_answer(status, json!({"ready": ready, "checks": checks}))
}

/// Without these, requests are not answered as they should be.
fn needed(api: &Api) -> Checks {
    let mut checks = Checks::new();
    if api.live() {
        checks.insert("workers", workers(api));
        if api.process == 0 {
            checks.insert("rankings", rankings(api));
        }
    }
    if let Rankings::Standby(view) = &api.rankings {
        checks.insert("job", view.account());
    }
    if let Some(counts) = api.view.state() {
        checks.insert("state", state(&counts));
    }
    if let Some(archive) = api.archive.as_ref().map(ArchiveWriter::status).filter(|status| status.held_up > 0)
    {
        checks.insert("archive", format!("{}, and the source waits", trouble(&archive)));
    }
    if let Some(full) = api.outboxes.iter().find(|outbox| !outbox.is_ready()) {
        let trouble = full.trouble().unwrap_or_else(|| format!("{} is slow", full.name()));
        checks.insert("deliveries", format!("{trouble}; no final ranking comes until they are delivered"));
    }
    if let Some(ingest) = &api.ingest {
        let unavailable = ingest.stats().unavailable;
        checks.insert("ingest", if unavailable { "the log cannot be written" } else { "ok" }.into());
    }
    checks
}

fn others(api: &Api) -> Checks {
    let mut checks = Checks::new();
    if api.live() {
        let lost = api.view.with_workers(|workers| {
            workers.iter().flatten().any(|(_, status)| status.counts.source.disconnected)
        });
        checks.insert("source", if lost { "cannot be reached" } else { "ok" }.into());
        checks.insert("boards", boards(api));
    }
    if let Some(archive) = &api.archive {
        checks.insert("archive", trouble(&archive.status()));
    }
    if let Rankings::Mirror(mirror) = &api.rankings {
        let found = match mirror.stats().disconnected_for {
            Some(time) => {
                format!("cannot be read for {} s; the last known rankings are shown", time.as_secs())
            }
            None => "ok".into(),
        };
        checks.insert("redis", found);
        checks.insert("job", job(api, mirror));
    }
    if !api.redis.is_empty() {
        let trouble = api.redis.iter().find_map(|(_, sink)| sink.trouble());
        checks.insert("redis", trouble.unwrap_or_else(|| "ok".into()));
    }
    if !api.outboxes.is_empty() {
        let trouble = api.outboxes.iter().find_map(|outbox| outbox.trouble());
        checks.insert("deliveries", trouble.unwrap_or_else(|| "ok".into()));
    }
    checks
}

/// Whether panes become durable, which final rankings wait for.
fn state(counts: &StateCounts) -> String {
    if let Some(Waiting { since, reason }) = &counts.waiting {
        let since = UNIX_EPOCH + Duration::from_millis(u64::try_from(*since).unwrap_or(0));
        let since = humantime::format_rfc3339_seconds(since);
        return format!("has failed since {since}, and no final ranking comes: {reason}");
    }
    match counts.calling.map(|since| since.elapsed()) {
        Some(silence) if silence >= ANSWER => {
            format!("has not answered for {} s, and no final ranking comes", silence.as_secs())
        }
        _ => "ok".into(),
    }
}

/// Whether what is read is archived. While what is not takes little memory, the job goes on.
fn trouble(status: &ArchiveStatus) -> String {
    if let Some((since, reason)) = &status.waiting {
        let since = UNIX_EPOCH + Duration::from_millis(u64::try_from(*since).unwrap_or(0));
        return format!("has failed since {}: {reason}", humantime::format_rfc3339_seconds(since));
    }
    match status.calling.map(|since| since.elapsed()) {
        Some(silence) if silence >= ANSWER => format!("has not answered for {} s", silence.as_secs()),
        _ if status.held_up > 0 => "is written more slowly than the source is read".into(),
        _ => "ok".into(),
    }
}

/// Whether somebody writes the rankings that are shown here, and since when nothing came.
fn job(api: &Api, mirror: &Mirror) -> String {
    let (mut newest, mut without, mut alive) = (None, Vec::new(), None);
    for (board, window) in api.spec.boards.iter().flat_map(|b| b.windows.iter().map(move |w| (b, w))) {
        let shown = api
            .store
            .latest(&board.name, &window.name, &GroupKey::WHOLE)
            .map(|snapshot| snapshot.computed_at);
        newest = newest.max(shown);
        match mirror.tended(&board.name, &window.name) {
            // Redis tells of itself.
            Tended::Unknown => return "nobody can say: Redis cannot be read".into(),
            Tended::Alive(job) => alive = Some(job),
            Tended::Gone { refresh } if refresh.is_some() || shown.is_some() => {
                without.push(format!("{}/{}", board.name, window.name));
            }
            Tended::Gone { .. } => {}
        }
    }
    let Some(newest) = newest else {
        return if alive.is_some() { "ok" } else { "no job writes rankings, and there are none" }.into();
    };
    let now = wall_clock_ms();
    let (newest, age) = (newest.clamp(0, now), now.saturating_sub(newest).max(0));
    let since = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(newest as u64));
    let since = format!("nothing came since {since}, {} s ago", age / 1000);
    match (without.split_first(), alive) {
        (Some((name, rest)), _) => {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            format!("no job writes {name}{more}; {since}")
        }
        (None, Some(job)) if job.silent && is_old(age, job.refresh) => format!("silent; {since}"),
        (None, Some(job)) if job.hindered && is_old(age, job.refresh) => format!("held up; {since}"),
        (None, _) => "ok".into(),
    }
}

fn workers(api: &Api) -> String {
    let (silence, unheard) =
        (api.view.longest_silence(), api.view.with_workers(|workers| workers.iter().any(Option::is_none)));
    match (silence < WELL, unheard) {
        (false, _) => format!("silent for {} s", silence.as_secs()),
        (true, true) => "not all are there yet".into(),
        (true, false) => "ok".into(),
    }
}

/// Whether each has counted something of what was read, and most of what it took.
fn boards(api: &Api) -> String {
    let account = Account::of(&api.spec, &api.view);
    let empty: Vec<String> =
        account.boards.iter().filter_map(|board| account.nothing_of(&board.name)).collect();
    match empty.as_slice() {
        [] => {
            let lacking = account.boards.iter().find(|board| board.is_lacking());
            lacking.map_or_else(|| "ok".into(), BoardAccount::line)
        }
        [first] => first.clone(),
        [first, ..] => format!("{} boards have counted nothing: {first}", empty.len()),
    }
}

fn rankings(api: &Api) -> String {
    if ranked(&api.view, &api.store) { "ok" } else { "none yet" }.into()
}

/// Whether there is a ranking, or nothing that one could be of.
pub fn ranked(view: &JobView, store: &MemoryStore) -> bool {
    let idle = view.with_workers(|workers| {
        workers
            .iter()
            .flatten()
            .all(|(_, status)| status.counts.records == 0 && status.counts.source.lag == 0)
    });
    idle || store.version() > 0
}
