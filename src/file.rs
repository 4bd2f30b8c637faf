//! The configuration file as it is written: TOML, every key optional, none unknown. Durations and URLs stay
//! text here; [`crate::settings`] resolves them together with the flags.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

mod archive;
mod board;
mod changes;
mod cluster;
mod http;
mod one_or_more;
mod property;
mod snapshots;
mod telemetry;

pub use archive::ArchiveSection;
pub use board::{BoardSection, CountOf, DistinctSection, FilterSection, WindowSection};
pub use changes::ChangesSection;
pub use cluster::{ClusterSection, TlsSection};
pub use http::{HttpSection, LimitsSection, Switch, TokensSection};
pub use one_or_more::OneOrMore;
pub use property::Property;
pub use snapshots::{ShardSection, SnapshotsSection};
pub use telemetry::TelemetrySection;

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
    /// `[telemetry]`
    #[serde(skip_serializing_if = "TelemetrySection::is_empty")]
    pub telemetry: TelemetrySection,
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
    ///
    /// Type: URL
    /// Example: "kafka://localhost:9092/events"
    pub url: Option<String>,
    /// The consumer group to which positions are committed in Kafka, for tools that show the lag. Crest itself goes on
    /// from its state.
    ///
    /// Default: none
    /// Example: "crest"
    pub group_id: Option<String>,
    /// As `--start`.
    ///
    /// Example: "latest"
    pub start: Option<String>,
    /// As `--on-gap`.
    ///
    /// Example: "skip"
    pub on_gap: Option<String>,
    /// How files and standard input are cut into records: `auto`, `lines`, `array` or `documents`.
    ///
    /// Default: auto
    /// Example: "lines"
    pub framing: Option<String>,
    /// How files and standard input are compressed: `auto`, `none`, `gzip` or `zstd`.
    ///
    /// Default: auto
    /// Example: "gzip"
    pub compression: Option<String>,
    /// Any property of librdkafka, for reading and for `POST /events`.
    ///
    /// Default: none
    /// Example: { "fetch.max.bytes" = 52428800, "security.protocol" = "ssl" }
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kafka: BTreeMap<String, Property>,
    /// For a source of regions: by the name of a region, the options of its object store.
    ///
    /// Default: none
    /// Example: { eu = { region = "eu-west-1" } }
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub regions: BTreeMap<String, BTreeMap<String, Property>>,
    /// What a record is: `json`, `csv`, `text`, `avro` or `protobuf`.
    ///
    /// Default: json; csv for files that end in `.csv` or `.tsv`
    /// Example: "csv"
    pub format: Option<String>,
    /// How rows of CSV are written, and what their columns are: `delimiter`, `quote`, `header`, `columns`.
    ///
    /// Default: none
    /// Example: { delimiter = ";", header = true }
    pub csv: Option<CsvSection>,
    /// For `format = "text"`: a regular expression with named groups, which takes a line apart.
    ///
    /// Default: none
    /// Example: '^(?P<ip>\S+) (?P<path>\S+)$'
    pub pattern: Option<String>,
    /// For Avro and Protobuf without a registry: the file with the schema.
    ///
    /// Default: none
    /// Example: "event.avsc"
    pub schema: Option<PathBuf>,
    /// For Protobuf: which message of the schema a record is, where there are several.
    ///
    /// Default: none
    /// Example: "shop.Event"
    pub message: Option<String>,
    /// The schema registry of Avro, Protobuf or framed JSON.
    ///
    /// Type: URL
    /// Default: none
    /// Example: "http://localhost:8081"
    pub registry: Option<String>,
    /// The credentials for the registry: `user` and `password`, or `token`.
    ///
    /// Default: none
    /// Example: { user = "crest", password = "secret" }
    pub registry_auth: Option<RegistryAuthSection>,
}

/// How the rows of CSV are written.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct CsvSection {
    /// The character between fields.
    ///
    /// Default: `,`; a tab in files that end in `.tsv`
    /// Example: ";"
    pub delimiter: Option<String>,
    /// The character around fields; `""` for none.
    ///
    /// Default: `"`
    /// Example: "'"
    pub quote: Option<String>,
    /// Whether the first record of a file names the columns.
    ///
    /// Default: true, unless `columns` is given
    /// Example: true
    pub header: Option<bool>,
    /// The names of the columns, in their order. Rows from Kafka need them.
    ///
    /// Default: those of the header
    /// Example: ["at", "sku", "price"]
    pub columns: Option<Vec<String>>,
}

/// Credentials for a schema registry: a user and a password, or a token.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistryAuthSection {
    /// The user, or the key of an API.
    ///
    /// Default: none
    /// Example: "crest"
    pub user: Option<Property>,
    /// The password, or the secret of an API.
    ///
    /// Default: none
    /// Example: "secret"
    pub password: Option<Property>,
    /// A bearer token, in place of user and password.
    ///
    /// Default: none
    /// Example: "secret"
    pub token: Option<Property>,
}

/// How event time moves; the keys are the flags' names.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeSection {
    /// As `--pane`.
    ///
    /// Type: duration
    /// Example: "1s"
    pub pane: Option<String>,
    /// As `--out-of-orderness`.
    ///
    /// Type: duration
    /// Example: "30s"
    pub out_of_orderness: Option<String>,
    /// As `--allowed-lateness`.
    ///
    /// Type: duration
    /// Example: "1m"
    pub allowed_lateness: Option<String>,
    /// As `--idle-timeout`.
    ///
    /// Type: duration
    /// Example: "1m"
    pub idle_timeout: Option<String>,
    /// As `--max-future-skew`.
    ///
    /// Type: duration
    /// Example: "5m"
    pub max_future_skew: Option<String>,
    /// As `--refresh`.
    ///
    /// Type: duration
    /// Example: "500ms"
    pub refresh: Option<String>,
}

/// The sketch of a pane.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SketchSection {
    /// The sketch of a pane: `ledger`, or `classic` (Count-Min with Space-Saving, to compare with).
    ///
    /// Example: "classic"
    pub kind: Option<String>,
    /// How many items one partition counts exactly in one pane. A classic sketch has 1024 unless told otherwise.
    ///
    /// Example: 8192
    pub rows: Option<usize>,
    /// How many rows of a pane a window keeps. At least ten times the largest `k` is kept unless this says otherwise.
    ///
    /// Example: 4096
    pub rows_kept: Option<usize>,
    /// The error of the Count-Min tail, as a part of the weight in it.
    ///
    /// Example: 0.0005
    pub epsilon: Option<f64>,
    /// The probability that this error is exceeded. The bounds of rankings do not depend on it.
    ///
    /// Example: 0.00001
    pub delta: Option<f64>,
    /// The seed of the hash of items, a secret. Without it a state and a live run draw their own, and a run over files has a
    /// fixed one. A state keeps the seed with which it began and refuses another.
    ///
    /// Default: drawn
    /// Example: 8414512917
    pub seed: Option<Property>,
}

/// Where the state is kept.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateSection {
    /// As `--state`.
    ///
    /// Type: URL or path
    /// Example: "s3://bucket/crest"
    pub url: Option<String>,
    /// Options of the object store, by the names that the `object_store` crate gives them.
    ///
    /// Default: none
    /// Example: { region = "eu-west-1", endpoint = "https://s3.example" }
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, Property>,
    /// How long blocks of each level are kept: `pane`, `1m`, `10m`, `1h` and `1d`. What a window needs is kept in any case.
    ///
    /// Default: `{ pane = "1d", 1m = "7d", 10m = "31d", 1h = "400d", 1d = "forever" }`
    /// Example: { pane = "2d", "1h" = "forever" }
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub retention: BTreeMap<String, String>,
}

impl StateSection {
    fn is_empty(&self) -> bool {
        *self == StateSection::default()
    }
}

/// Where the fields of an event are: one name, or several that are tried in order.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SchemaSection {
    /// The fields that may hold the id of the item; the first that is usable counts.
    ///
    /// Example: ["video_id", "item_id"]
    pub item: Option<OneOrMore>,
    /// The fields that may hold the event type.
    ///
    /// Example: "kind"
    #[serde(rename = "type")]
    pub event_type: Option<OneOrMore>,
    /// The fields that may hold the event time.
    ///
    /// Example: ["occurred_at", "record:timestamp"]
    pub timestamp: Option<OneOrMore>,
    /// The fields that may hold the weight. Without it every event weighs 1.
    ///
    /// Default: none
    /// Example: "quantity"
    pub weight: Option<OneOrMore>,
    /// What an event weighs whose weight is absent. Without it such an event is refused.
    ///
    /// Default: none
    /// Example: 1
    pub weight_default: Option<u32>,
    /// In how many parts a weight of 1 is counted: 100 counts 12.99 as 1,299.
    ///
    /// Default: 1
    /// Example: 100
    pub weight_scale: Option<u32>,
    /// The array whose elements are the events.
    ///
    /// Default: none
    /// Example: "line_items"
    pub each: Option<String>,
    /// How texts of times are written, in the directives of `strftime`.
    ///
    /// Default: RFC 3339 or a number
    /// Example: "%d/%b/%Y:%H:%M:%S %z"
    pub timestamp_format: Option<String>,
    /// The time zone of texts that name none: a name of the IANA database.
    ///
    /// Default: none
    /// Example: "Europe/Berlin"
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
