//! The identity of a job: what it counts, and how. Settings that decide nothing of that are left out, such as `refresh`
//! and `idle_timeout`. What two runs on one state must share is in [`crate::changes`].

use crate::spec::{BoardSpec, JobSpec, SketchSpec};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeSet;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// The source of a job and the part of its spec that its state depends on. It is plain JSON, so that a later build can
/// still say what differs. Its text stays as the first run wrote it, since builds differ in the order of an object's
/// keys, and the manifest's checksum and the fingerprint are of the text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Identity(Box<RawValue>);

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Eq for Identity {}

/// What an identity says about a job, for readers that have no spec of it.
pub(super) struct Counted {
    pub(super) source: String,
    pub(super) boards: Vec<BoardSpec>,
    pub(super) pane: Duration,
    /// The seed of the item hash.
    pub(super) seed: u64,
    /// The most rows of a pane or a rollup.
    pub(super) rows: usize,
    /// How far an event might be ahead of its broker's time.
    pub(super) max_future_skew: Duration,
}

impl Identity {
    pub(super) fn of(spec: &JobSpec, source: &str) -> Self {
        let Ok(value) = serde_json::to_value(spec) else {
            unreachable!("a spec is plain values, and the keys of its maps are text")
        };
        let mut value = plain(value);
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
        Identity::from(value)
    }

    /// As JSON; null where it is nested too deep to be read, which no job's is.
    pub(super) fn value(&self) -> Value {
        serde_json::from_str(self.0.get()).unwrap_or_default()
    }

    /// This identity with the seed of `other`. A state keeps its own seed, whichever its job would draw, and no message
    /// may show it as a difference.
    pub(super) fn with_seed_of(&self, other: &Identity) -> Self {
        let mut same = self.value();
        same["sketch"]["seed"] = other.value()["sketch"]["seed"].clone();
        Identity::from(same)
    }

    /// The seed of the item hash.
    pub(super) fn seed(&self) -> Option<u64> {
        self.value()["sketch"]["seed"].as_u64()
    }

    /// A hash of the identity, which objects carry.
    pub(super) fn fingerprint(&self) -> u64 {
        xxh3_64(self.0.get().as_bytes())
    }

    /// What the identity says about the job; `None` where it cannot be read as a job's.
    pub(super) fn counted(&self) -> Option<Counted> {
        let job = self.value();
        let duration = |key: &str| humantime::parse_duration(job["time"][key].as_str()?).ok();
        let pane = duration("pane")?;
        let rows_kept = usize::try_from(job["sketch"]["rows_kept"].as_u64()?).ok()?;
        Some(Counted {
            source: job["source"].as_str()?.to_owned(),
            boards: serde_json::from_value(job["boards"].clone()).ok()?,
            pane: Some(pane).filter(|pane| !pane.is_zero())?,
            seed: self.seed()?,
            max_future_skew: duration("max_future_skew").unwrap_or_default(),
            rows: SketchSpec { rows_kept, ..SketchSpec::default() }.pane_rows(),
        })
    }

    /// The first field that differs, its value here, and its value in `other`.
    #[cfg(test)]
    pub(super) fn difference(&self, other: &Identity) -> Option<(String, String, String)> {
        difference("", &self.value(), &other.value())
    }
}

impl From<Value> for Identity {
    fn from(value: Value) -> Self {
        let Ok(text) = to_raw_value(&value) else { unreachable!("a JSON value has a text") };
        Identity(text)
    }
}

/// Writes fractions as text, whose form never changes; but not in conditions on fields, where a number is another value than its text.
fn plain(value: Value) -> Value {
    let member = |(key, value): (String, Value)| match key.as_str() {
        "filter" | "retract" => (key, value),
        _ => (key, plain(value)),
    };
    match value {
        Value::Object(map) => map.into_iter().map(member).collect(),
        Value::Array(list) => list.into_iter().map(plain).collect(),
        Value::Number(number) if number.is_f64() => number.to_string().into(),
        other => other,
    }
}

/// The first field below `path` that differs, with both values.
pub(super) fn difference(path: &str, was: &Value, is: &Value) -> Option<(String, String, String)> {
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
    use crate::spec::{Constant, Engine, Filter, WindowSpec};

    fn spec() -> JobSpec {
        JobSpec::default()
    }

    #[test]
    fn a_number_in_a_filter_is_another_one_than_its_text() {
        let of = |constant: Constant| {
            let mut spec = spec();
            spec.boards[0].filter.insert("price".into(), Filter::AnyOf(vec![constant]));
            Identity::of(&spec, "kafka:events")
        };
        let (number, text) = (of(Constant::Decimal(1.5)), of(Constant::Text("1.5".into())));
        assert!(number.difference(&text).unwrap().0.contains("filter.price"));
        let read = number.counted().unwrap().boards.remove(0).filter;
        assert_eq!(read["price"], Filter::AnyOf(vec![Constant::Decimal(1.5)]));
        let mut retracting = spec();
        retracting.boards[0].retract.insert("price".into(), Filter::AnyOf(vec![Constant::Decimal(1.5)]));
        let identity = Identity::of(&retracting, "kafka:events");
        assert_eq!(identity.counted().unwrap().boards, retracting.boards);
        assert!(identity.difference(&Identity::of(&spec(), "kafka:events")).unwrap().0.contains("retract"));
    }

    #[test]
    fn the_first_field_that_differs_is_named_with_both_values() {
        let old = Identity::of(&spec(), "kafka:events");
        let mut changed = spec();
        let hours = |hours: u64| Duration::from_secs(3600 * hours);
        changed.boards[0].windows[1] = WindowSpec::sliding("last_1h", hours(2), Duration::from_secs(10));
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
        let mut old = with(&[], None).value();
        old["schema"]["weight"] = vec!["weight"].into();
        assert_eq!(old["schema"].as_object().unwrap().len(), 4);
        let old = Identity::from(old);
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
        let damaged = Identity::from(serde_json::json!({ "sketch": "none" }));
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
        assert!(Identity::from(Value::Null).counted().is_none());
    }

    #[test]
    fn it_is_the_same_when_read_back_in_whatever_order_its_keys_were_written() {
        let mut fine = spec();
        fine.sketch.epsilon = 0.000_123_456_789_012_345_68;
        let identity = Identity::of(&fine, "file:/a");
        let back = |text: &str| serde_json::from_str::<Identity>(text).unwrap();
        assert_eq!(back(identity.0.get()), identity);
        for text in [r#"{"a":1,"b":{"c":2,"d":3}}"#, r#"{"b":{"d":3,"c":2},"a":1}"#] {
            let read = back(text);
            assert_eq!(
                (serde_json::to_string(&read).unwrap().as_str(), read.fingerprint()),
                (text, xxh3_64(text.as_bytes()))
            );
            assert_eq!(read.difference(&back(r#"{"a":1,"b":{"c":2,"d":3}}"#)), None);
        }
    }
}
