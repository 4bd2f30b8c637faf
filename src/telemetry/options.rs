//! Where telemetry is sent, and as what.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use ureq::http::{HeaderName, HeaderValue};

/// Where telemetry is sent, how often, and what is said of its sender.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The collector, without a slash at its end: `http://collector:4318`.
    pub url: String,
    /// What requests say besides, such as who sends them.
    pub headers: Vec<Header>,
    /// Between two exports of the metrics.
    pub interval: Duration,
    /// Whether the way of panes is sent, too.
    pub traces: bool,
    /// What the job is called.
    pub service_name: String,
    /// What else is said of the sender; these replace what would be said otherwise.
    pub attributes: BTreeMap<String, String>,
}

/// A header of requests. Its value may be a secret, and is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: HeaderName,
    /// Its value.
    pub value: HeaderValue,
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ***", self.name)
    }
}
