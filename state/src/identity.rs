//! The identity of a job: what two runs on one state must share, since it decides what is counted. Settings that may
//! change between runs are left out, such as `refresh` and `idle_timeout`.

use crate::check::written;
use crate::spec::{BoardSpec, Engine, JobSpec, SketchSpec, WindowSpec};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// The source of a job and the part of its spec that its state depends on. It is plain JSON, so that a later build can
/// still say what differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Identity(Value);

/// What an identity says about a job, for readers that have no spec of it.
pub(super) struct Counted {
    pub(super) source: String,
    pub(super) boards: Vec<BoardSpec>,
    pub(super) pane: Duration,
    /// The seed of the item hash.
    pub(super) seed: u64,
    /// The most rows of a pane or a rollup.
    pub(super) rows: usize,
}

/// A board, as it is written in an identity.
#[derive(Deserialize)]
struct Board {
    name: Arc<str>,
    filter: BTreeMap<String, Vec<String>>,
    item: Option<String>,
    by: Vec<String>,
    max_groups: usize,
    #[serde(default)]
    engine: Engine,
    #[serde(default)]
    counters: bool,
    k: usize,
    weights: BTreeMap<String, u32>,
    windows: Vec<Window>,
}

#[derive(Deserialize)]
struct Window {
    name: Arc<str>,
    size: String,
    slide: String,
}

impl Identity {
    pub(super) fn of(spec: &JobSpec, source: &str) -> Self {
        let mut value = plain(serde_json::to_value(spec).unwrap_or_default());
        if let Some(time) = value.get_mut("time").and_then(Value::as_object_mut) {
            time.remove("refresh");
            time.remove("idle_timeout");
        }
        // States of earlier versions lack this key, and counted an event without its weight as 1. So 1 is not written,
        // and a weight that must be there is written as "none".
        if let Some(schema) = value.get_mut("schema").and_then(Value::as_object_mut) {
            match spec.schema.weight_default {
                None if !spec.schema.weight.is_empty() => {
                    schema.insert("weight_default".into(), "none".into());
                }
                None | Some(1) => drop(schema.remove("weight_default")),
                Some(_) => {}
            }
        }
        if let Some(job) = value.as_object_mut() {
            job.insert("source".into(), source.into());
        }
        Identity(value)
    }

    /// This identity with the seed of `other`. A state keeps its own seed, whichever its job would draw, and no message
    /// may show it as a difference.
    pub(super) fn with_seed_of(&self, other: &Identity) -> Self {
        let mut same = self.clone();
        same.0["sketch"]["seed"] = other.0["sketch"]["seed"].clone();
        same
    }

    /// The seed of the item hash.
    pub(super) fn seed(&self) -> Option<u64> {
        self.0["sketch"]["seed"].as_u64()
    }

    /// A hash of the identity, which objects carry.
    pub(super) fn fingerprint(&self) -> u64 {
        xxh3_64(self.0.to_string().as_bytes())
    }

    /// What the identity says about the job; `None` where it cannot be read as a job's.
    pub(super) fn counted(&self) -> Option<Counted> {
        let job = &self.0;
        let boards: Vec<Board> = serde_json::from_value(job["boards"].clone()).ok()?;
        let pane = duration(job["time"]["pane"].as_str()?)?;
        let rows_kept = usize::try_from(job["sketch"]["rows_kept"].as_u64()?).ok()?;
        Some(Counted {
            source: job["source"].as_str()?.to_owned(),
            boards: boards.into_iter().map(Board::spec).collect::<Option<_>>()?,
            pane: Some(pane).filter(|pane| !pane.is_zero())?,
            seed: self.seed()?,
            rows: SketchSpec { rows_kept, ..SketchSpec::default() }.pane_rows(),
        })
    }

    /// The first field that differs, its value here, and its value in `other`.
    pub(super) fn difference(&self, other: &Identity) -> Option<(String, String, String)> {
        difference("", &self.0, &other.0)
    }
}

impl Board {
    fn spec(self) -> Option<BoardSpec> {
        let Board { name, filter, item, by, max_groups, engine, counters, k, weights, windows } = self;
        let window = |window: Window| {
            let (size, slide) = (duration(&window.size)?, duration(&window.slide)?);
            Some(WindowSpec { name: window.name, size, slide })
        };
        let windows = windows.into_iter().map(window).collect::<Option<_>>()?;
        Some(BoardSpec { name, filter, item, by, max_groups, engine, counters, k, weights, windows })
    }
}

fn duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}

/// Writes durations as text such as `10s`, and fractions as text, whose form never changes.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(map) => match (map.len(), map.get("secs"), map.get("nanos")) {
            (2, Some(Value::Number(secs)), Some(Value::Number(nanos))) => {
                let nanos = nanos.as_u64().unwrap_or_default() as u32;
                written(Duration::new(secs.as_u64().unwrap_or_default(), nanos)).into()
            }
            _ => map.into_iter().map(|(key, value)| (key, plain(value))).collect(),
        },
        Value::Array(list) => list.into_iter().map(plain).collect(),
        Value::Number(number) if number.is_f64() => number.to_string().into(),
        other => other,
    }
}

fn difference(path: &str, was: &Value, is: &Value) -> Option<(String, String, String)> {
    let null = Value::Null;
    match (was, is) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                difference(&path, a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null))
            })
        }
        (Value::Array(a), Value::Array(b)) => (0..a.len().max(b.len())).find_map(|index| {
            let (was, is) = (a.get(index).unwrap_or(&null), b.get(index).unwrap_or(&null));
            difference(&format!("{path}[{}]", label(index, was, is)), was, is)
        }),
        _ if was == is => None,
        _ => Some((path.to_owned(), shown(was), shown(is))),
    }
}

/// A value as messages show it. A field at its default may be missing in an identity.
fn shown(value: &Value) -> String {
    if value.is_null() { "not set".to_owned() } else { value.to_string() }
}

/// The label of an element of a list: its name if it has one, or else its index.
fn label(index: usize, was: &Value, is: &Value) -> String {
    match (was["name"].as_str(), is["name"].as_str()) {
        (Some(was), Some(is)) if was == is => was.to_owned(),
        _ => index.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> JobSpec {
        JobSpec::default()
    }

    #[test]
    fn the_first_field_that_differs_is_named_with_both_values() {
        let old = Identity::of(&spec(), "kafka:events");
        let mut changed = spec();
        changed.boards[0].windows[1].size = Duration::from_secs(7200);
        let new = Identity::of(&changed, "kafka:events");
        let (field, was, is) = old.difference(&new).unwrap();
        assert_eq!(field, "boards[default].windows[last_1h].size");
        assert_eq!((was.as_str(), is.as_str()), ("\"1h\"", "\"2h\""));
        assert_ne!(old.fingerprint(), new.fingerprint());
        let mut exact = spec();
        exact.boards[0].engine = Engine::Exact;
        let (field, was, is) = old.difference(&Identity::of(&exact, "kafka:events")).unwrap();
        assert_eq!(
            (field.as_str(), was.as_str(), is.as_str()),
            ("boards[default].engine", "not set", "\"exact\"")
        );
        let elsewhere = old.difference(&Identity::of(&spec(), "kafka:other")).unwrap();
        assert_eq!(elsewhere.0, "source");
    }

    #[test]
    fn what_decides_nothing_that_is_counted_may_change() {
        let old = Identity::of(&spec(), "kafka:events");
        let mut changed = spec();
        changed.time.refresh = Duration::from_millis(100);
        changed.time.idle_timeout = Duration::from_secs(99);
        assert_eq!(old.difference(&Identity::of(&changed, "kafka:events")), None);
    }

    #[test]
    fn a_state_of_before_weights_could_be_required_is_that_of_a_weight_with_the_default_of_1() {
        let with = |weight: &[&str], default| {
            let mut spec = spec();
            spec.schema.weight = weight.iter().map(|name| name.to_string()).collect();
            spec.schema.weight_default = default;
            Identity::of(&spec, "kafka:events")
        };
        // As the first version wrote it, where nothing was configured.
        let mut old = with(&[], None);
        old.0["schema"]["weight"] = vec!["weight"].into();
        assert_eq!(old.0["schema"].as_object().unwrap().len(), 4);
        assert_eq!(old.difference(&with(&["weight"], Some(1))), None);
        assert_eq!(old.fingerprint(), with(&["weight"], Some(1)).fingerprint(), "its objects are known");
        let differs = |is: Identity| old.difference(&is).unwrap();
        assert_eq!(differs(with(&[], None)).0, "schema.weight[0]");
        let (field, was, is) = differs(with(&["weight"], None));
        assert_eq!(
            (field.as_str(), was.as_str(), is.as_str()),
            ("schema.weight_default", "not set", "\"none\"")
        );
        assert_eq!(differs(with(&["weight"], Some(7))).2, "7");
    }

    #[test]
    fn a_seed_is_the_states_own_and_never_shown_as_a_difference() {
        let seeded = |seed| {
            let mut spec = spec();
            spec.sketch.seed = seed;
            Identity::of(&spec, "kafka:events")
        };
        let (stored, ours) = (seeded(5), seeded(6));
        assert_eq!(ours.with_seed_of(&stored), stored);
        let damaged = Identity(serde_json::json!({ "sketch": "none" }));
        let (field, ..) = damaged.difference(&ours.with_seed_of(&damaged)).unwrap();
        assert_ne!(field, "sketch.seed");
        assert_eq!(damaged.seed(), None);
    }

    #[test]
    fn it_says_what_is_counted_without_a_spec() {
        let mut spec = spec();
        spec.time.pane = Duration::from_millis(2500);
        spec.sketch.seed = u64::MAX;
        let counted = Identity::of(&spec, "kafka:events").counted().unwrap();
        assert_eq!((counted.source.as_str(), &counted.boards), ("kafka:events", &spec.boards));
        assert_eq!((counted.pane, counted.seed), (spec.time.pane, u64::MAX));
        assert!(Identity(Value::Null).counted().is_none());
    }

    #[test]
    fn it_is_the_same_when_read_back() {
        let mut fine = spec();
        fine.sketch.epsilon = 0.000_123_456_789_012_345_68;
        let identity = Identity::of(&fine, "file:/a");
        let back: Identity = serde_json::from_slice(&serde_json::to_vec(&identity).unwrap()).unwrap();
        assert_eq!(back, identity);
    }
}
