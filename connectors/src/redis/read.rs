//! Rankings, read back: from the server that a job publishes to, or from a replica of it, since nothing is written.
//!
//! What has not changed since it was read costs a look at four fields of its hash. What has is read whole, the sorted
//! set and the hash in one transaction, so that half a snapshot is never seen.

use super::error::describe;
use super::keys::{self, Keys, RankingName};
use super::lease::LEAST_LEFT;
use super::link::{Link, Purpose, Target};
use super::options::RedisOptions;
use super::rebuild::{self, FIELDS, Fault, VERSION_FIELDS, Version};
use crate::snapshot::{SinkError, Snapshot};
use ::redis::{Cmd, RedisError, RedisResult, Value, cmd, from_redis_value};
use std::sync::Arc;
use std::time::Duration;

/// Looks in one pipeline.
const LOOKS: usize = 512;
/// Rankings read in one pipeline: at most some 10 MB of them are in memory at once where K is 100.
const READS: usize = 64;
/// Items of a ranking; whatever has more was not published by a job.
const MAX_ITEMS: usize = 100_000;

/// What was found of one ranking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The version that was known.
    Unchanged,
    /// Another one.
    Changed(Arc<Snapshot>),
    /// None.
    Absent,
}

/// A key that holds something other than a job publishes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Redis key {key:?}: {reason}")]
pub struct Damaged {
    /// The sorted set or its hash.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What a job that is alive tells beside the rankings that it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tending {
    /// How often it shows open windows.
    pub refresh: Duration,
    /// Whether it is held up just now: events wait that should have been counted.
    pub hindered: bool,
    /// Whether it has missed renewing its lease, which has not run out yet: it may be dead.
    pub silent: bool,
}

/// Reads rankings on one connection, which it makes anew where it was lost.
pub struct RedisReader {
    /// Without secrets.
    url: String,
    key_prefix: String,
    target: Target,
    link: Option<Link>,
}

/// What is still to be read, by its place among what was wanted.
struct Open {
    place: usize,
    keys: Keys,
}

impl RedisReader {
    /// Connects. Of the options the URL and the key prefix matter; Sentinel is asked for a replica first.
    ///
    /// # Errors
    /// [`SinkError::Invalid`] for a URL or an option that makes no sense, [`SinkError::Unreachable`] where Redis
    /// does not answer within about 5 s, or refuses.
    pub fn open(options: RedisOptions) -> Result<Self, SinkError> {
        let target = options.target(Purpose::Reading)?;
        let url = options.url.to_string();
        let mut reader = RedisReader { url, key_prefix: options.key_prefix, target, link: None };
        match reader.target.connect_at_start() {
            Ok(link) => reader.link = Some(link),
            Err(error) => return Err(reader.unreachable(&error)),
        }
        Ok(reader)
    }

    /// Reads the rankings that are `wanted`, except those whose version is the one `known` at the same place.
    /// The answers are in the same order; one that is damaged does not hold up the others.
    ///
    /// # Errors
    /// [`SinkError::Unreachable`]: nothing can be read just now. The next call connects anew.
    pub fn read(
        &mut self,
        wanted: &[RankingName],
        known: &[Option<Version>],
    ) -> Result<Vec<Result<Read, Damaged>>, SinkError> {
        self.try_read(wanted, known).map_err(|error| {
            self.link = None;
            self.unreachable(&error)
        })
    }

    /// What the jobs tell that write the whole-board rankings of these windows, in the same order; `None` where none is
    /// alive.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn tending(&mut self, windows: &[RankingName]) -> Result<Vec<Option<Tending>>, SinkError> {
        let ask = |name: &RankingName| {
            let key = keys::lease(&self.key_prefix, &name.board, &name.window);
            let (mut told, mut left) = (cmd("HMGET"), cmd("PTTL"));
            told.arg(&key).arg(&["refresh", "hindered"]);
            left.arg(&key);
            [told, left]
        };
        let calls: Vec<Cmd> = windows.iter().flat_map(ask).collect();
        let tending = self.on_link(|link| link.ask(&calls)).and_then(|answers| {
            let mut answers = answers.into_iter();
            let mut found = Vec::with_capacity(windows.len());
            while let (Some(told), Some(left)) = (answers.next(), answers.next()) {
                let (told, left) = (of_key(told)?, of_key(left)?);
                found.push(told.ok().zip(left.ok()).and_then(|(told, left)| tending(told, left)));
            }
            Ok(found)
        });
        tending.map_err(|error| {
            self.link = None;
            self.unreachable(&error)
        })
    }

    fn try_read(
        &mut self,
        wanted: &[RankingName],
        known: &[Option<Version>],
    ) -> RedisResult<Vec<Result<Read, Damaged>>> {
        let mut found: Vec<Result<Read, Damaged>> = vec![Ok(Read::Absent); wanted.len()];
        let mut changed = Vec::new();
        for (chunk, names) in wanted.chunks(LOOKS).enumerate() {
            let keys: Vec<Keys> = names.iter().map(|name| self.keys(name)).collect();
            let looks: Vec<Cmd> = keys.iter().map(|keys| fields(keys, VERSION_FIELDS)).collect();
            let answers = self.on_link(|link| link.ask(&looks))?;
            for ((place, keys), answer) in (chunk * LOOKS..).zip(keys).zip(answers) {
                let known = known.get(place).copied().flatten();
                match of_key(answer)?.and_then(rebuild::version) {
                    Ok(Some(version)) if Some(version) != known => changed.push(Open { place, keys }),
                    Ok(Some(_)) => found[place] = Ok(Read::Unchanged),
                    Ok(None) => {}
                    Err(reason) => found[place] = Err(Damaged { key: keys.meta, reason }),
                }
            }
        }
        for open in changed.chunks(READS) {
            let pairs: Vec<(Cmd, Cmd)> = open.iter().map(|Open { keys, .. }| whole(keys)).collect();
            let answers = self.on_link(|link| link.ask_together(&pairs))?;
            for (Open { place, keys }, answer) in open.iter().zip(answers) {
                let [set, hash] = answer?;
                found[*place] = rebuilt(&wanted[*place], keys, of_key(set)?, of_key(hash)?);
            }
        }
        Ok(found)
    }

    fn keys(&self, name: &RankingName) -> Keys {
        keys::of_window(&self.key_prefix, &name.board, &name.window, &name.group)
    }

    /// Asks on the connection there is, or on a new one. One that was closed while it was idle is no outage.
    fn on_link<T>(&mut self, ask: impl Fn(&mut Link) -> RedisResult<T>) -> RedisResult<T> {
        if let Some(link) = &mut self.link {
            match ask(link) {
                Err(error) if error.is_connection_dropped() => {}
                answer => return answer,
            }
        }
        ask(self.link.insert(self.target.connect()?))
    }

    fn unreachable(&self, error: &RedisError) -> SinkError {
        SinkError::Unreachable { url: self.url.clone(), reason: describe(error) }
    }
}

fn fields(keys: &Keys, count: usize) -> Cmd {
    let mut call = cmd("HMGET");
    call.arg(&keys.meta).arg(&FIELDS[..count]);
    call
}

/// A key of that name which holds something else tells of no job.
fn tending(told: Value, left: Value) -> Option<Tending> {
    let [refresh, hindered]: [Option<u64>; 2] = from_redis_value(told).ok()?;
    // Of a lease that ran out between the two questions the answer is negative.
    let left: i64 = from_redis_value(left).ok()?;
    let silent = left < LEAST_LEFT.as_millis() as i64;
    Some(Tending { refresh: Duration::from_millis(refresh?), hindered: hindered? != 0, silent })
}

fn whole(keys: &Keys) -> (Cmd, Cmd) {
    let mut set = cmd("ZREVRANGE");
    set.arg(&keys.ranking).arg(0).arg(MAX_ITEMS - 1).arg("WITHSCORES");
    (set, fields(keys, FIELDS.len()))
}

/// Whether the key is at fault, and not the server. A server that still loads, or has lost its master, answers
/// properly later.
fn of_key(answer: RedisResult<Value>) -> RedisResult<Result<Value, String>> {
    match answer {
        Ok(value) => Ok(Ok(value)),
        Err(error) if matches!(error.code(), Some("WRONGTYPE" | "NOPERM")) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

fn rebuilt(
    name: &RankingName,
    keys: &Keys,
    set: Result<Value, String>,
    hash: Result<Value, String>,
) -> Result<Read, Damaged> {
    let fault = |fault| match fault {
        Fault::Ranking(reason) => Damaged { key: keys.ranking.clone(), reason },
        Fault::Meta(reason) => Damaged { key: keys.meta.clone(), reason },
    };
    let (set, hash) = (set.map_err(Fault::Ranking), hash.map_err(Fault::Meta));
    let snapshot = set.and_then(|set| rebuild::snapshot(name, set, hash?)).map_err(fault)?;
    Ok(snapshot.map_or(Read::Absent, |snapshot| Read::Changed(Arc::new(snapshot))))
}
