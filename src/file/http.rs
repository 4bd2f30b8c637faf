//! The `[http]` section of the configuration file.

use super::one_or_more::OneOrMore;
use serde::{Deserialize, Serialize};

/// The API and the page.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSection {
    /// As `--http`.
    ///
    /// Type: address or `off`
    /// Example: "0.0.0.0:8080"
    pub listen: Option<String>,
    /// As `--ingest`.
    ///
    /// Type: URL or boolean
    /// Example: "kafka://localhost:9092/events"
    pub ingest: Option<Switch>,
    /// The origins whose pages may read the API, or `"*"`.
    ///
    /// Default: none
    /// Example: ["https://shop.example"]
    pub cors: Option<OneOrMore>,
    /// Who may send and who may read.
    #[serde(skip_serializing_if = "TokensSection::is_empty")]
    pub tokens: TokensSection,
    /// How much of anything the API takes.
    pub limits: LimitsSection,
}

/// Whether, and maybe where.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(untagged, expecting = "true, false or a URL")]
pub enum Switch {
    /// `true`
    On(bool),
    /// `"kafka://…"`
    To(String),
}

/// Bearer tokens; without any, everybody may.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokensSection {
    /// As `--ingest-token`; one or a list. They are for `POST /events`.
    ///
    /// Default: none: everybody may
    /// Example: "a-long-secret-for-senders"
    pub ingest: Option<OneOrMore>,
    /// As `--read-token`; one or a list. They are for everything else but the probes and the page.
    ///
    /// Default: none: everybody may
    /// Example: ["a-long-secret-for-readers"]
    pub read: Option<OneOrMore>,
}

impl TokensSection {
    fn is_empty(&self) -> bool {
        *self == TokensSection::default()
    }
}

/// How much of anything the API takes.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSection {
    /// The largest body of a request, also after it is unpacked: 1 KiB to 64 MiB.
    ///
    /// Type: size
    /// Example: "16MiB"
    pub body: Option<String>,
    /// Events in one request.
    ///
    /// Example: 50000
    pub events: Option<usize>,
    /// Connections at one time.
    ///
    /// Example: 10000
    pub connections: Option<usize>,
    /// Requests at one time, of readers and of writers each.
    ///
    /// Example: 256
    pub requests: Option<usize>,
    /// Streams (`/stream/…`) at one time.
    ///
    /// Example: 5000
    pub streams: Option<usize>,
    /// How long a request may take to arrive, and a client to take its answer: 1 s to 1 h.
    ///
    /// Type: duration
    /// Example: "10s"
    pub time: Option<String>,
}
