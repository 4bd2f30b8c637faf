//! What will run: flags, environment, file and defaults brought together into plain values. Impossible states
//! die here, each with one line that names the key as it was given, its value, and what is allowed.

mod boards;
mod cluster;
mod ends;
mod given;
mod http;
mod serve;
mod show;
mod spec;
mod state;
mod value;

pub use cluster::Shape;
pub use http::{HttpSettings, IngestTo};
pub use serve::ServeSettings;

use crate::args::RunArgs;
use crate::file::{BoardSection, File, FileError, SchemaSection, SketchSection, TimeSection};
use crest_connectors::{OnGap, Start};
use crest_dataflows::spec::JobSpec;
use crest_dataflows::state::Retention;
use given::Names;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Where the page and the API are unless told otherwise: nobody but this machine reaches it.
pub const DEFAULT_HTTP: &str = "127.0.0.1:8080";
/// The synthetic source.
pub const DEMO_URL: &str = "demo:";
/// An embedded log, before its folder.
pub const LOG_URL: &str = "log:";

/// A run of the job, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What is computed.
    pub spec: JobSpec,
    /// Where events come from.
    pub source: SourceSettings,
    /// Where the state is kept; `None` for nowhere.
    pub state: Option<StateSettings>,
    /// Where snapshots go.
    pub snapshots: SnapshotSettings,
    /// The API of this process.
    pub http: HttpSettings,
    /// This process's place in its cluster.
    pub shape: Shape,
    /// Where refused records are kept.
    pub rejects: Option<PathBuf>,
    /// Made when the job does its work.
    pub ready_file: Option<PathBuf>,
}

/// Where events come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceSettings {
    /// `kafka://…`, `log:…`, `file:…`, `-` or `demo:`.
    pub url: String,
    /// Whether nobody chose it: a bare `crest`.
    pub by_default: bool,
    /// Where to begin in a log.
    pub start: Option<Start>,
    /// What to do where records are gone that were to be read.
    pub on_gap: OnGap,
    /// The consumer group to which positions are committed, for lag tools.
    pub group_id: Option<String>,
    /// Any librdkafka property.
    pub kafka: BTreeMap<String, String>,
}

/// Where the state is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct StateSettings {
    /// A folder, or `s3://…` and its kin.
    pub url: String,
    /// Of a cloud's store, by the names of the `object_store` crate.
    pub options: BTreeMap<String, String>,
    /// How long panes and rollups are kept.
    pub retention: Retention,
}

/// Where snapshots go.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotSettings {
    /// At least one of `redis://…` (and its kin), `-` and `memory`.
    pub urls: Vec<String>,
    /// Before every Redis key.
    pub key_prefix: String,
    /// How long a key stays in Redis after it was last written; where it is not said, rankings stay for good and
    /// the past buckets of tumbling windows for a day.
    pub ttl: Option<Duration>,
}

/// Why there is nothing to run.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The configuration file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A value that cannot run.
    #[error("{key} = {value}: {allowed}")]
    Refused {
        /// As it was given: `--pane`, `CREST_PANE` or `crest.toml: time.pane`.
        key: String,
        /// What it was given, without secrets.
        value: String,
        /// What is allowed.
        allowed: String,
    },
}

/// A refusal of `key`.
fn refuse<T>(
    key: impl Into<String>,
    value: impl ToString,
    allowed: impl Into<String>,
) -> Result<T, SettingsError> {
    Err(SettingsError::Refused { key: key.into(), value: value.to_string(), allowed: allowed.into() })
}

impl SourceSettings {
    /// Whether the source ends: files and standard input.
    pub fn bounded(&self) -> bool {
        self.url == "-" || self.url.starts_with("file:")
    }

    /// Whether it is a topic of Kafka.
    pub fn is_kafka(&self) -> bool {
        self.url.starts_with("kafka://")
    }

    /// Whether it is the embedded log.
    pub fn is_embedded(&self) -> bool {
        self.url.starts_with(LOG_URL)
    }

    /// Whether events are added to it while it is read, and kept for a time.
    pub fn is_log(&self) -> bool {
        self.is_kafka() || self.is_embedded()
    }
}

impl Settings {
    /// Reads the configuration file that `run` names, if any, and resolves.
    ///
    /// # Errors
    /// The file, or the first value, that cannot be used.
    pub fn load(run: &RunArgs) -> Result<Self, SettingsError> {
        let file = run.config.as_deref().map(File::read).transpose()?;
        Self::resolve(run, file.unwrap_or_default())
    }

    /// Brings flags and file together.
    ///
    /// # Errors
    /// The first value that is impossible.
    pub fn resolve(run: &RunArgs, file: File) -> Result<Self, SettingsError> {
        let names = Names { run };
        let File { source, time, sketch, state, snapshots, http, schema, board } = file;
        let mut spec = spec_of(&names, time, sketch, schema, board)?;
        let shape = cluster::resolve(&names)?;
        let source = ends::source(&names, source, &shape, state::folder(&names, &state))?;
        spec.time.guards_files &= source.bounded();
        spec.empty = ends::empty(&names, snapshots.empty, &source)?;
        let state = state::resolve(&names, state, &source)?;
        let snapshots = ends::snapshots(&names, snapshots, source.bounded())?;
        let http = http::resolve(&names, http, shape.process == 0, &source)?;
        let rejects = ends::rejects(&names, &shape);
        let ready_file = run.ready_file.clone();
        Ok(Settings { spec, source, state, snapshots, http, rejects, ready_file, shape })
    }
}

/// What is computed.
fn spec_of(
    names: &Names<'_>,
    time: TimeSection,
    sketch: SketchSection,
    schema: SchemaSection,
    board: Vec<BoardSection>,
) -> Result<JobSpec, SettingsError> {
    let time = spec::time(names, time)?;
    let boards = boards::resolve(names, time.pane, board)?;
    let sketch = spec::sketch(
        names,
        sketch,
        boards.iter().filter(|b| b.engine.is_sketch()).map(|b| b.k).max().unwrap_or(0),
    )?;
    let spec = JobSpec { boards, time, sketch, schema: spec::schema(schema), empty: false };
    spec.check().map_err(|error| names.as_given(error))?;
    Ok(spec)
}

#[cfg(test)]
mod tests;
