//! Where rankings go: all of them, or to each server a part.

use super::endpoints::refuse_endpoint;
use super::error::{SettingsError, refuse};
use super::keys::{Keyed, Keys};
use super::resolved::{Shard, SnapshotSettings, SourceSettings};
use super::value;
use crate::file::{OneOrMore, Property, ShardSection, SnapshotsSection};
use crest_connectors::endpoint::{KafkaUrl, RedisUrl, SinkUrl};
use crest_connectors::selection::Selection;
use crest_connectors::without_secrets;
use crest_state::spec::BoardSpec;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The flags' sinks, or else the file's, or else what suits the source.
pub fn snapshots(
    keys: &Keys<'_>,
    file: SnapshotsSection,
    boards: &[BoardSpec],
    bounded: bool,
) -> Result<SnapshotSettings, SettingsError> {
    let typed = Some(keys.run.snapshots.clone()).filter(|urls| !urls.is_empty());
    let given = keys.given("snapshots", typed, "snapshots.url", file.url.map(OneOrMore::into_vec));
    // Flags replace all that the file has.
    let shards = if keys.run.snapshots.is_empty() { shards(keys, file.shard, boards)? } else { Vec::new() };
    let by_default = if bounded && shards.is_empty() { "-" } else { "memory" };
    let given = given.unwrap_or(Keyed { key: String::new(), value: vec![by_default.into()] });
    if given.value.is_empty() {
        return refuse(
            given.key,
            "[]",
            "must name at least one of redis://host:port/db, kafka://host:port/topic, - and memory",
        );
    }
    let mut urls: Vec<SinkUrl> = Vec::new();
    for text in &given.value {
        let url = match text.parse() {
            Ok(url) if urls.contains(&url) => {
                return refuse(given.key, format!("{:?}", without_secrets(text)), "is there twice");
            }
            Ok(url) => url,
            Err(error) => return refuse_endpoint(&given.key, error),
        };
        urls.push(url);
    }
    if let Some((place, shard)) = shards.iter().enumerate().find(|(place, shard)| {
        let is_same = |other: &RedisUrl| *other == shard.url;
        urls.iter().filter_map(SinkUrl::redis).any(is_same)
            || shards[..*place].iter().any(|other| is_same(&other.url))
    }) {
        return refuse(
            keys.in_file(&format!("snapshots.shard[{place}].url")),
            format!("{:?}", shard.url.to_string()),
            "is there twice",
        );
    }
    let ttl_key = keys.in_file("snapshots.ttl");
    let ttl = file.ttl.map(|ttl| value::duration(&ttl_key, &ttl)).transpose()?;
    if let Some(short) = ttl.filter(|ttl| *ttl < Duration::from_secs(1)) {
        return refuse(ttl_key, humantime::format_duration(short), "must be at least 1s");
    }
    let key_prefix = file.key_prefix.unwrap_or_else(|| "topk:".into());
    Ok(SnapshotSettings {
        urls,
        shards,
        key_prefix,
        ttl,
        kafka: Property::into_texts(file.kafka),
        changes: Vec::new(),
    })
}

/// Refuses topics whose records the job reads: it would read what it writes.
pub fn check_topics(
    keys: &Keys<'_>,
    snapshots: &SnapshotSettings,
    source: &SourceSettings,
) -> Result<(), SettingsError> {
    let is_read = |topic: &&KafkaUrl| source.url.kafka().is_some_and(|read| read.reads(topic));
    match snapshots.urls.iter().filter_map(SinkUrl::kafka).find(is_read) {
        None => Ok(()),
        Some(topic) => {
            let typed = !keys.run.snapshots.is_empty();
            let key = if typed { keys.flag("snapshots") } else { keys.in_file("snapshots.url") };
            refuse(key, format!("{:?}", topic.to_string()), "must not be a topic that is read")
        }
    }
}

fn shards(
    keys: &Keys<'_>,
    file: Vec<ShardSection>,
    boards: &[BoardSpec],
) -> Result<Vec<Shard>, SettingsError> {
    let shard = |(place, section): (usize, ShardSection)| {
        let key = |name: &str| keys.in_file(&format!("snapshots.shard[{place}].{name}"));
        let url = match section.url.parse() {
            Ok(SinkUrl::Redis(url)) => url,
            Ok(SinkUrl::Stdout | SinkUrl::Memory | SinkUrl::Kafka(_)) => {
                return refuse(key("url"), format!("{:?}", section.url), "must be redis://host:port/db");
            }
            Err(error) => return refuse_endpoint(&key("url"), error),
        };
        let of_boards = |all: &mut dyn Iterator<Item = String>| all.collect::<BTreeSet<String>>();
        let known = of_boards(&mut boards.iter().map(|board| board.name.to_string()));
        let chosen = names(key("boards"), section.boards, &known)?;
        let meant = || boards.iter().filter(|board| chosen.is_empty() || chosen.contains(&*board.name));
        let known =
            of_boards(&mut meant().flat_map(|board| &board.windows).map(|window| window.name.to_string()));
        let windows = names(key("windows"), section.windows, &known)?;
        let known = of_boards(&mut meant().flat_map(|board| &board.by).map(ToString::to_string));
        let groups = groups(section.groups, &known, |dimension| key(&format!("groups.{dimension}")))?;
        let whole = section.whole.unwrap_or(true);
        let selection = Selection { boards: chosen, windows, groups, whole };
        Ok(Shard { url, selection })
    };
    file.into_iter().enumerate().map(shard).collect()
}

/// The values that are meant of each dimension, which must be one of those that are known.
pub fn groups(
    given: BTreeMap<String, OneOrMore>,
    known: &BTreeSet<String>,
    key: impl Fn(&str) -> String,
) -> Result<BTreeMap<String, BTreeSet<String>>, SettingsError> {
    let checked = |(dimension, values): (String, OneOrMore)| {
        let values: BTreeSet<String> = values.into_vec().into_iter().collect();
        if values.is_empty() {
            return refuse(key(&dimension), "[]", "must name at least one value");
        }
        if !known.contains(&dimension) {
            let allowed = no_such(known, "no board that is meant is grouped by it");
            return refuse(key(&dimension), format!("{values:?}"), allowed);
        }
        Ok((dimension, values))
    };
    given.into_iter().map(checked).collect()
}

/// Names of which each must be known; none where all are meant.
fn names(
    key: String,
    given: Option<OneOrMore>,
    known: &BTreeSet<String>,
) -> Result<BTreeSet<String>, SettingsError> {
    let Some(given) = given.map(OneOrMore::into_vec) else { return Ok(BTreeSet::new()) };
    if given.is_empty() {
        return refuse(key, "[]", "must name at least one, or be left out where all are meant");
    }
    match given.iter().find(|name| !known.contains(*name)) {
        Some(unknown) => refuse(key, format!("{unknown:?}"), no_such(known, "there is none of that name")),
        None => Ok(given.into_iter().collect()),
    }
}

fn no_such(known: &BTreeSet<String>, why: &str) -> String {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    format!("{why}; there are {}", if known.is_empty() { "none".to_owned() } else { known.join(", ") })
}
