//! What all messages of OTLP have: who sends them, attributes, and times.

use super::options::Options;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Who sends: this process of the job.
pub fn resource(options: &Options, process: usize) -> Resource {
    let mut attributes: BTreeMap<&str, String> = BTreeMap::from([
        ("service.name", options.service_name.clone()),
        ("service.instance.id", process.to_string()),
        ("service.version", VERSION.to_owned()),
    ]);
    attributes.extend(options.attributes.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let attributes = attributes.into_iter().map(|(name, value)| text(name, value)).collect();
    Resource { attributes, ..Resource::default() }
}

/// What in the program sends.
pub fn scope() -> InstrumentationScope {
    InstrumentationScope { name: "crest".into(), version: VERSION.into(), ..InstrumentationScope::default() }
}

/// An attribute.
pub fn text(name: &str, value: impl Into<String>) -> KeyValue {
    attribute(name, Value::StringValue(value.into()))
}

/// An attribute that is a number.
pub fn number(name: &str, value: i64) -> KeyValue {
    attribute(name, Value::IntValue(value))
}

fn attribute(name: &str, value: Value) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// Brings instants to times since 1970. Those of one anchor keep their order and their distances, also where the wall clock is
/// set meanwhile.
#[derive(Clone, Copy)]
pub struct Anchor(Instant, Duration);

impl Anchor {
    /// At this moment.
    pub fn now() -> Self {
        Anchor(Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// In nanoseconds since 1970 UTC.
    pub fn nanos(&self, at: Instant) -> u64 {
        let Anchor(instant, time) = *self;
        let time = match instant.checked_duration_since(at) {
            Some(before) => time.saturating_sub(before),
            None => time + at.saturating_duration_since(instant),
        };
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
    }
}
