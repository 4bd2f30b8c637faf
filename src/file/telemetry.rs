//! `[telemetry]`: where metrics and traces are sent.

use super::property::Property;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where metrics and traces are sent, by OTLP over HTTP.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySection {
    /// As `--otlp`.
    ///
    /// Type: URL
    /// Example: "http://collector:4318"
    pub otlp: Option<String>,
    /// Between two exports of the metrics: 100 ms to 1 h.
    ///
    /// Type: duration
    /// Default: 10s
    /// Example: "1m"
    pub interval: Option<String>,
    /// Whether traces are sent, too: the way of panes from their close to published.
    ///
    /// Default: true
    /// Example: false
    pub traces: Option<bool>,
    /// What the job is called: `service.name`.
    ///
    /// Default: crest
    /// Example: "crest-shop"
    pub service_name: Option<String>,
    /// What else is said of the sender, by the names of OpenTelemetry's resource attributes.
    ///
    /// Default: none
    /// Example: { "deployment.environment.name" = "production" }
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Property>,
    /// Headers of each request. Their values are secrets.
    ///
    /// Default: none
    /// Example: { authorization = "Bearer secret" }
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The file that holds more of them, one `NAME=VALUE` a line.
    ///
    /// Default: none
    /// Example: "/run/secrets/otlp"
    pub headers_file: Option<PathBuf>,
}

impl TelemetrySection {
    pub(super) fn is_empty(&self) -> bool {
        *self == TelemetrySection::default()
    }
}
