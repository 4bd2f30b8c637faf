//! The configuration file as it is written: TOML, every key optional, none unknown. Durations and URLs stay
//! text here; [`crate::settings`] resolves them together with the flags.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

mod archive;
mod board;
mod changes;
mod cluster;
mod one_or_more;
mod property;

pub use archive::ArchiveSection;
pub use board::{BoardSection, FilterSection, WindowSection};
pub use changes::ChangesSection;
pub use cluster::{ClusterSection, TlsSection};
pub use one_or_more::OneOrMore;
pub use property::Property;

/// The whole file.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// `[source]`
    pub source: SourceSection,
    /// `[time]`
    pub time: TimeSection,
    /// `[sketch]`
    pub sketch: SketchSection,
    /// `[state]`
    #[serde(skip_serializing_if = "StateSection::is_empty")]
    pub state: StateSection,
    /// `[archive]`
    #[serde(skip_serializing_if = "ArchiveSection::is_empty")]
    pub archive: ArchiveSection,
    /// `[snapshots]`
    pub snapshots: SnapshotsSection,
    /// `[[changes]]`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ChangesSection>,
    /// `[http]`
    pub http: HttpSection,
    /// `[cluster]`
    #[serde(skip_serializing_if = "ClusterSection::is_empty")]
    pub cluster: ClusterSection,
    /// `[schema]`
    pub schema: SchemaSection,
    /// `[[board]]`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub board: Vec<BoardSection>,
}

/// Where events come from.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceSection {
    /// As `--source`.
    pub url: Option<String>,
    /// The consumer group to which positions are committed, for lag tools.
    pub group_id: Option<String>,
    /// As `--start`.
    pub start: Option<String>,
    /// As `--on-gap`.
    pub on_gap: Option<String>,
    /// How files and standard input are cut into records: `auto`, `lines`, `array` or `documents`.
    pub framing: Option<String>,
    /// How files and standard input are compressed: `auto`, `none`, `gzip` or `zstd`.
    pub compression: Option<String>,
    /// Any librdkafka property.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kafka: BTreeMap<String, Property>,
    /// For regions whose states are merged, by name, options of a cloud's store, by the names of the `object_store` crate.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub regions: BTreeMap<String, BTreeMap<String, Property>>,
    /// `"json"`, `"csv"`, `"text"`, `"avro"` or `"protobuf"`.
    pub format: Option<String>,
    /// How rows are written, and what their columns are.
    pub csv: Option<CsvSection>,
    /// What takes a line of text apart: a regular expression with named groups.
    pub pattern: Option<String>,
    /// The file of the schema of Avro or Protobuf.
    pub schema: Option<PathBuf>,
    /// The message of the schema of Protobuf.
    pub message: Option<String>,
    /// The URL of a schema registry.
    pub registry: Option<String>,
    /// The credentials for it.
    pub registry_auth: Option<RegistryAuthSection>,
}

/// How the rows of CSV are written.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct CsvSection {
    /// Between fields: `","`, or a tab in files that end in `.tsv`, where absent.
    pub delimiter: Option<String>,
    /// Around fields: `'"'` where absent, and `""` for none.
    pub quote: Option<String>,
    /// Whether the first record of a file names the columns; where absent, whether `columns` does not.
    pub header: Option<bool>,
    /// The names of the columns.
    pub columns: Option<Vec<String>>,
}

/// Credentials for a schema registry: a user and a password, or a token.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistryAuthSection {
    /// The user, or the key of an API.
    pub user: Option<Property>,
    /// The password, or the secret of an API.
    pub password: Option<Property>,
    /// The bearer token.
    pub token: Option<Property>,
}

/// How event time moves; the keys are the flags' names.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeSection {
    /// As `--pane`.
    pub pane: Option<String>,
    /// As `--out-of-orderness`.
    pub out_of_orderness: Option<String>,
    /// As `--allowed-lateness`.
    pub allowed_lateness: Option<String>,
    /// As `--idle-timeout`.
    pub idle_timeout: Option<String>,
    /// As `--max-future-skew`.
    pub max_future_skew: Option<String>,
    /// As `--refresh`.
    pub refresh: Option<String>,
}

/// The sketch of a pane.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SketchSection {
    /// `"ledger"` or `"classic"`.
    pub kind: Option<String>,
    /// Items that one partition's pane counts exactly: 4096 in a ledger, 1024 in a classic sketch, where absent.
    pub rows: Option<usize>,
    /// Rows that a pane of a window keeps; ten times the largest K, and at least 1024, where absent.
    pub rows_kept: Option<usize>,
    /// The error of the Count-Min matrix as a part of the weight in it …
    pub epsilon: Option<f64>,
    /// … exceeded with at most this probability.
    pub delta: Option<f64>,
    /// The seed of the item hash: a whole number, a secret. Without it, a state and a live run draw one, and a run that
    /// ends has a fixed one.
    pub seed: Option<Property>,
}

/// Where the state is kept.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateSection {
    /// As `--state`.
    pub url: Option<String>,
    /// Options of a cloud's store, by the names of the `object_store` crate.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, Property>,
    /// How long the blocks of each level are kept: `pane = "1d"`, `"1h" = "400d"`, `"1d" = "forever"`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub retention: BTreeMap<String, String>,
}

impl StateSection {
    fn is_empty(&self) -> bool {
        *self == StateSection::default()
    }
}

/// Where snapshots go.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SnapshotsSection {
    /// As `--snapshots`; one or a list.
    pub url: Option<OneOrMore>,
    /// Before every Redis key.
    pub key_prefix: Option<String>,
    /// How long a key stays in Redis after it was last written; where absent, rankings stay for good, the past buckets of
    /// tumbling windows for a day, and those of the calendar for 31 of its units.
    pub ttl: Option<String>,
    /// As `--empty`; of runs over files and standard input.
    pub empty: Option<bool>,
    /// Any librdkafka property of those that write to topics.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kafka: BTreeMap<String, Property>,
    /// `[[snapshots.shard]]`: servers that are given a part of the rankings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shard: Vec<ShardSection>,
}

/// A Redis server that is given a part of the rankings.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShardSection {
    /// `redis://host:port/db`.
    pub url: String,
    /// Only rankings of these boards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boards: Option<OneOrMore>,
    /// Only rankings of these windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub windows: Option<OneOrMore>,
    /// Only rankings of groups with these values, by dimension.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, OneOrMore>,
    /// Whether the rankings of whole boards are among them: they are, unless this is false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole: Option<bool>,
}

/// The API and the page.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSection {
    /// Where process 0 listens, or `off`.
    pub listen: Option<String>,
    /// As `--ingest`: a topic, or whether events are taken.
    pub ingest: Option<Switch>,
    /// The origins whose pages may read the API, or `"*"`.
    pub cors: Option<OneOrMore>,
    /// `[http.tokens]`
    #[serde(skip_serializing_if = "TokensSection::is_empty")]
    pub tokens: TokensSection,
    /// `[http.limits]`
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
    /// For `POST /events`.
    pub ingest: Option<OneOrMore>,
    /// For all else.
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
    /// Bytes of a request's body, also when it is unpacked: `"8MiB"`.
    pub body: Option<String>,
    /// Events in one request.
    pub events: Option<usize>,
    /// Connections at one time.
    pub connections: Option<usize>,
    /// Requests at one time, of readers and of writers each.
    pub requests: Option<usize>,
    /// Streams at one time.
    pub streams: Option<usize>,
    /// For a request to come whole, and for a client to take what it is sent: `"30s"`.
    pub time: Option<String>,
}

/// Where the fields of an event are: one name, or several that are tried in order.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SchemaSection {
    /// The item's id.
    pub item: Option<OneOrMore>,
    /// The event type.
    #[serde(rename = "type")]
    pub event_type: Option<OneOrMore>,
    /// The event time.
    pub timestamp: Option<OneOrMore>,
    /// The weight.
    pub weight: Option<OneOrMore>,
    /// What an event without its weight weighs; such an event is refused where absent.
    pub weight_default: Option<u32>,
    /// In how many units one is counted.
    pub weight_scale: Option<u32>,
    /// The array whose elements are the events.
    pub each: Option<String>,
    /// How texts of times are written, for `strftime`.
    pub timestamp_format: Option<String>,
    /// The time zone of texts that name none.
    pub timezone: Option<String>,
}

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system's reason.
    #[error("{}: {error}", path.display())]
    Read {
        /// As it was given.
        path: PathBuf,
        /// What failed.
        error: std::io::Error,
    },
    /// Not the TOML that is meant.
    #[error("{} line {line}, {at:?}: {reason}", path.display())]
    Parse {
        /// As it was given.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// The line up to its value: the key or the section. Values can be secrets.
        at: String,
        /// What is wrong and what is allowed.
        reason: String,
    },
}

impl File {
    /// The same, for a command that meets no other process, and so needs no secret and no key to be there.
    pub fn without_cluster(&self) -> File {
        File { cluster: ClusterSection::default(), ..self.clone() }
    }

    /// Reads and parses `path`.
    ///
    /// # Errors
    /// It cannot be read, or holds an unknown key or a value of another type.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let text =
            std::fs::read_to_string(path).map_err(|error| FileError::Read { path: path.into(), error })?;
        Self::parse(path, &text)
    }

    /// Parses `text`, which was read from `path`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(path: &Path, text: &str) -> Result<Self, FileError> {
        toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start).min(text.len());
            let line = text.get(..offset).unwrap_or("").matches('\n').count();
            let at = text.lines().nth(line).unwrap_or("").split('=').next().unwrap_or("").trim().to_owned();
            let reason = error.message().trim().replace('\n', " ");
            FileError::Parse { path: path.into(), line: line + 1, at, reason }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        File::parse(Path::new("crest.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn the_example_of_the_design_is_understood() {
        let text = r#"
            [source]
            url = "kafka://localhost:9092/events"
            start = "latest"
            kafka = { "fetch.min.bytes" = 1, "enable.ssl.certificate.verification" = true, "client.id" = "c" }
            [time]
            pane = "10s"
            [sketch]
            kind = "ledger"
            epsilon = 0.001
            [snapshots]
            url = ["redis://localhost/0", "-"]
            [schema]
            item = ["item_id"]
            type = "event"
            [[board]]
            name = "videos"
            filter = { event_type = "video_view", region = ["IN", "US"] }
            item = "video_id"
            by = ["region"]
            k = 100
            weights = { purchase = 5 }
            windows = [ { name = "last_1m", size = "1m", slide = "10s" } ]
        "#;
        let file = File::parse(Path::new("crest.toml"), text).unwrap();
        let board = &file.board[0];
        assert_eq!(board.filter["region"], FilterSection::More(vec!["IN".into(), "US".into()]));
        assert_eq!(board.windows.as_ref().unwrap()[0].slide.as_deref(), Some("10s"));
        let kafka: Vec<String> = file.source.kafka.into_values().map(Property::into_text).collect();
        assert_eq!(kafka, ["c", "true", "1"]);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_the_known_ones() {
        assert_eq!(
            refusal("[time]\npane = \"10s\"\npain = \"5s\"\n"),
            "crest.toml line 3, \"pain\": unknown field `pain`, expected one of `pane`, `out_of_orderness`, \
             `allowed_lateness`, `idle_timeout`, `max_future_skew`, `refresh`"
        );
        assert!(refusal("[state]\nkept = \"1d\"\n").contains("unknown field `kept`"));
        assert!(refusal("[http.limits]\nbodies = 1\n").contains("unknown field `bodies`"));
    }

    #[test]
    fn a_value_of_another_type_is_refused_without_showing_it() {
        let text = refusal("[[board]]\nname = \"a\"\nfilter = { region = [[7]] }\n");
        assert!(text.starts_with("crest.toml line 3, \"filter\":"), "{text}");
        assert!(text.ends_with("a value, a list of values, or a table with not, prefix or exists"), "{text}");
        let text = refusal("[source]\nkafka = { \"sasl.password\" = [\"hunter2\"] }\n");
        assert!(
            !text.contains("hunter2") && text.contains("a string, a whole number or a boolean"),
            "{text}"
        );
    }

    #[test]
    fn broken_toml_is_one_line() {
        let text = refusal("[time\npane = 1");
        assert!(text.starts_with("crest.toml line 1") && !text.contains('\n'), "{text}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let text = File::read(Path::new("/nowhere/crest.toml")).unwrap_err().to_string();
        assert!(text.starts_with("/nowhere/crest.toml: No such file"), "{text}");
    }
}
