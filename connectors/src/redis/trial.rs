//! Tries a Redis out, as a job would use it, and leaves nothing: a ranking of a name that no job has is published by the
//! job's own script, and removed by the job's own script. It would expire by itself, should the process be killed between the
//! two.

use super::call::Calls;
use super::error::describe;
use super::keys::RankingName;
use super::lease::Grant;
use super::link::{Link, Purpose, Target};
use super::options::RedisOptions;
use super::pending::Write;
use super::refusal::Answer;
use crate::group_key::GroupKey;
use crate::snapshot::{Item, SinkError, Snapshot};
use ::redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, Value, cmd, from_redis_value};
use crest_host::clock::wall_clock_ms;
use crest_host::draw;
use std::sync::Arc;
use std::time::Duration;

/// How long what is written stays where nobody removes it.
const LIFE: Duration = Duration::from_secs(10);

/// What a Redis that can be written has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedisTrial {
    /// By how much its clock is ahead of this machine's, in milliseconds; `None` where it does not tell the time. It is wrong by
    /// half the time that the answer took at most.
    pub clock_ahead_ms: Option<i64>,
    /// Whether it removes keys by itself when it is full.
    pub evicts: bool,
}

/// Why a Redis cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum RedisFault {
    /// It cannot be reached, or the options make no sense.
    #[error(transparent)]
    Unopened(#[from] SinkError),
    /// It is a replica, which takes no writes.
    #[error("it is a read-only replica")]
    ReadOnly,
    /// It is full, and removes nothing.
    #[error("it is full: {0}")]
    Full(String),
    /// The user may not do what a job does.
    #[error("{0}")]
    Denied(String),
    /// Something else failed.
    #[error("{0}")]
    Failed(String),
}

/// Publishes a ranking and removes it, which takes about 5 s at most where nobody answers.
///
/// # Errors
/// Why a job could not publish there.
pub fn try_out(options: &RedisOptions) -> Result<RedisTrial, RedisFault> {
    let options = RedisOptions { ttl: Some(LIFE), ..options.clone() };
    let url = options.url.to_string();
    let mut target: Target = options.target(Purpose::Writing)?;
    let unreachable = |error: RedisError| SinkError::Unreachable { url, reason: describe(&error) };
    let mut link = target.connect().map_err(unreachable)?;
    let clock_ahead_ms = clock_ahead(&mut link);
    publish_and_remove(&mut link, &options).map_err(|error| fault(&error))?;
    Ok(RedisTrial { clock_ahead_ms, evicts: evicts(&mut link) })
}

fn publish_and_remove(link: &mut Link, options: &RedisOptions) -> RedisResult<()> {
    let (calls, snapshot) = (Calls::new(options), Arc::new(ranking()));
    let name = RankingName::of(&snapshot);
    let grant = Grant { epoch: snapshot.epoch, insists: true, shown: snapshot.window_end };
    let published = one(link.run(&calls.script, &[calls.of(&Write::Live(snapshot), grant)])?);
    // Also where it is not known whether it was published.
    let removed = one(link.run(&calls.removal, &[calls.removal(&name, grant)])?);
    match (published?, removed?) {
        (Answer::Written, Answer::Removed) => Ok(()),
        (published, removed) => {
            let said = format!("a ranking was {published:?}, then {removed:?}");
            Err(RedisError::from((ErrorKind::UnexpectedReturnType, "not as a job expects it", said)))
        }
    }
}

/// The only answer.
fn one(mut answers: Vec<RedisResult<Vec<String>>>) -> RedisResult<Answer> {
    answers.pop().unwrap_or_else(|| Ok(Vec::new())).and_then(|words| Answer::of(&words))
}

/// A ranking of a name that no job has.
fn ranking() -> Snapshot {
    let now = wall_clock_ms();
    let item = |rank, name: &str| Item {
        rank,
        item_id: name.into(),
        count: 1,
        lower: 0,
        upper: 1,
        exact: false,
        estimate: None,
        change: None,
    };
    Snapshot {
        board: format!("crest-doctor-{:016x}", draw::random()).into(),
        window: "trial".into(),
        group: GroupKey::WHOLE,
        window_start: now,
        window_end: now,
        computed_at: now,
        watermark: now,
        is_final: false,
        total: 1,
        error: 0,
        error_floor: 0,
        guaranteed: 0,
        partial: false,
        since: None,
        missing: Vec::new(),
        distinct: None,
        retracts: false,
        items: vec![item(1, "a"), item(2, "b")],
        rising: None,
        lacking: 0,
        removed: 0,
        unit: None,
        k: 2,
        epoch: 1,
        bucket: false,
        counters: false,
    }
}

/// By how much the server's clock is ahead, in milliseconds.
fn clock_ahead(link: &mut Link) -> Option<i64> {
    let before = wall_clock_ms();
    let told = link.ask(&[cmd("TIME")]).ok()?.pop()?.ok()?;
    let after = wall_clock_ms();
    let (seconds, micros) = from_redis_value::<(i64, i64)>(told).ok()?;
    Some(seconds * 1000 + micros / 1000 - (before + (after - before) / 2))
}

/// Whether the server removes keys by itself when it is full. One that does not say so is taken for one that does not.
fn evicts(link: &mut Link) -> bool {
    let mut info = cmd("INFO");
    info.arg("memory");
    let told: Option<Value> = link.ask(&[info]).ok().and_then(|mut told| told.pop()).and_then(Result::ok);
    let text = told.and_then(|told| from_redis_value::<String>(told).ok()).unwrap_or_default();
    text.lines().any(|line| line.starts_with("maxmemory_policy:allkeys"))
}

fn fault(error: &RedisError) -> RedisFault {
    let said = describe(error);
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::ReadOnly) => RedisFault::ReadOnly,
        ErrorKind::Server(ServerErrorKind::NoPerm) => RedisFault::Denied(said),
        // What a script has met is told in its own words.
        _ if said.contains("READONLY") => RedisFault::ReadOnly,
        _ if said.contains("NOPERM") => RedisFault::Denied(said),
        _ if said.contains("OOM") => RedisFault::Full(said),
        _ => RedisFault::Failed(said),
    }
}
