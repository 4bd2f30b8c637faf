//! What will run: flags, environment, file and defaults brought together into plain values. Impossible states
//! die here, each with one line that names the key as it was given, its value, and what is allowed.

mod boards;
mod cluster;
mod show;
mod value;

pub use cluster::Shape;

use crate::args::RunArgs;
use crate::file::{File, FileError, OneOrMore, Property};
use crest_connectors::{Start, without_secrets};
use crest_dataflows::check::SpecError;
use crest_dataflows::spec::{JobSpec, SchemaSpec, SketchSpec, TimeSpec};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Where the page and the API are unless told otherwise: nobody but this machine reaches it.
pub const DEFAULT_HTTP: &str = "127.0.0.1:8080";
/// The synthetic source.
pub const DEMO_URL: &str = "demo:";

/// A run of the job, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What is computed.
    pub spec: JobSpec,
    /// Where events come from.
    pub source: SourceSettings,
    /// Where snapshots go.
    pub snapshots: SnapshotSettings,
    /// Where this process serves HTTP, as host:port; `None` for nowhere.
    pub http: Option<String>,
    /// This process's place in its cluster.
    pub shape: Shape,
    /// Where refused records are kept.
    pub rejects: Option<PathBuf>,
}

/// Where events come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceSettings {
    /// `kafka://…`, `file:…`, `-` or `demo:`.
    pub url: String,
    /// Whether nobody chose it: a bare `crest`.
    pub by_default: bool,
    /// Where to begin in Kafka.
    pub start: Option<Start>,
    /// The consumer group to which positions are committed, for lag tools.
    pub group_id: Option<String>,
    /// Any librdkafka property.
    pub kafka: BTreeMap<String, String>,
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

/// A text with the key that it was given under.
struct Given<T = String> {
    key: String,
    value: T,
}

impl SourceSettings {
    /// Whether the source ends: files and standard input.
    pub fn bounded(&self) -> bool {
        self.url == "-" || self.url.starts_with("file:")
    }

    fn is_kafka(&self) -> bool {
        self.url.starts_with("kafka://")
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
        let File { source, time, sketch, snapshots, http, schema, board } = file;
        let time = names.time(time)?;
        let boards = boards::resolve(&names, time.pane, board)?;
        let sketch = names.sketch(sketch, boards.iter().map(|b| b.k).max().unwrap_or(0))?;
        let spec = JobSpec { boards, time, sketch, schema: resolve_schema(schema) };
        spec.check().map_err(|error| names.as_given(error))?;
        let shape = cluster::resolve(&names)?;
        let source = names.source(source)?;
        let snapshots = names.snapshots(snapshots, source.bounded())?;
        let http = names.http(http.listen, shape.process == 0, source.bounded())?;
        Ok(Settings { spec, source, snapshots, http, rejects: names.rejects(&shape), shape })
    }
}

fn resolve_schema(section: crate::file::SchemaSection) -> SchemaSpec {
    let default = SchemaSpec::default();
    let names = |given: Option<OneOrMore>, default| given.map_or(default, OneOrMore::into_vec);
    SchemaSpec {
        item: names(section.item, default.item),
        event_type: names(section.event_type, default.event_type),
        timestamp: names(section.timestamp, default.timestamp),
        weight: names(section.weight, default.weight),
    }
}

/// Knows how each value was given, so that a refusal can name it.
struct Names<'a> {
    run: &'a RunArgs,
}

impl Names<'_> {
    /// The key of a flag, by its field's name: `--idle-timeout`, or `CREST_IDLE_TIMEOUT` where that gave it.
    fn flag(&self, id: &str) -> String {
        match id {
            id if self.run.from_environment.contains(id) => format!("CREST_{}", id.to_uppercase()),
            "k" => "-k".into(),
            id => format!("--{}", id.replace('_', "-")),
        }
    }

    /// The key of a value of the file: `crest.toml: time.pane`.
    fn in_file(&self, key: &str) -> String {
        match &self.run.config {
            Some(path) => format!("{}: {key}", path.display()),
            None => key.into(),
        }
    }

    /// The flag's value, or else the file's.
    fn given<T>(&self, id: &str, flag: Option<T>, key: &str, file: Option<T>) -> Option<Given<T>> {
        let flag = flag.map(|value| Given { key: self.flag(id), value });
        flag.or_else(|| file.map(|value| Given { key: self.in_file(key), value }))
    }

    /// A refusal of the resolved job, under the key that its value was given by.
    fn as_given(&self, error: SpecError) -> SettingsError {
        let run = self.run;
        let windows = error.key.starts_with("board.") && error.key.contains(".window");
        let flag = match error.key.strip_prefix("time.") {
            Some(id) => self
                .time_flags()
                .into_iter()
                .find(|(name, value)| *name == id && value.is_some())
                .map(|f| f.0),
            None if windows && !run.window.is_empty() => Some("window"),
            None if error.key.ends_with(".k") && run.k.is_some() => Some("k"),
            None => None,
        };
        let key = match flag {
            Some("window") => format!("{} ({})", self.flag("window"), error.key),
            Some(id) => self.flag(id),
            None => self.in_file(&error.key),
        };
        SettingsError::Refused { key, value: error.value, allowed: error.allowed }
    }

    fn time_flags(&self) -> [(&'static str, &Option<String>); 6] {
        let run = self.run;
        [
            ("pane", &run.pane),
            ("out_of_orderness", &run.out_of_orderness),
            ("allowed_lateness", &run.allowed_lateness),
            ("idle_timeout", &run.idle_timeout),
            ("max_future_skew", &run.max_future_skew),
            ("refresh", &run.refresh),
        ]
    }

    fn time(&self, file: crate::file::TimeSection) -> Result<TimeSpec, SettingsError> {
        let in_file = [
            file.pane,
            file.out_of_orderness,
            file.allowed_lateness,
            file.idle_timeout,
            file.max_future_skew,
            file.refresh,
        ];
        let mut time = TimeSpec::default();
        let fields = [
            &mut time.pane,
            &mut time.out_of_orderness,
            &mut time.allowed_lateness,
            &mut time.idle_timeout,
            &mut time.max_future_skew,
            &mut time.refresh,
        ];
        for (((id, flag), file), field) in self.time_flags().into_iter().zip(in_file).zip(fields) {
            if let Some(given) = self.given(id, flag.clone(), &format!("time.{id}"), file) {
                *field = value::duration(&given.key, &given.value)?;
            }
        }
        Ok(time)
    }

    fn sketch(&self, file: crate::file::SketchSection, most_k: usize) -> Result<SketchSpec, SettingsError> {
        let default = SketchSpec::default();
        if let Some(kind) = file.kind.filter(|kind| kind != "ledger") {
            return refuse(self.in_file("sketch.kind"), format!("{kind:?}"), "must be \"ledger\"");
        }
        Ok(SketchSpec {
            rows: file.rows.unwrap_or(default.rows),
            rows_kept: file.rows_kept.unwrap_or(default.rows_kept.max(most_k.saturating_mul(10))),
            epsilon: file.epsilon.unwrap_or(default.epsilon),
            delta: file.delta.unwrap_or(default.delta),
            seed: default.seed,
        })
    }

    fn source(&self, file: crate::file::SourceSection) -> Result<SourceSettings, SettingsError> {
        let run = self.run;
        if run.demo && run.source.is_some() {
            return refuse(
                self.flag("demo"),
                true,
                format!("cannot be given together with {}", self.flag("source")),
            );
        }
        let demo = run.demo.then(|| DEMO_URL.to_owned());
        let url = self.given("source", demo.or(run.source.clone()), "source.url", file.url);
        let mut source = SourceSettings { by_default: url.is_none(), ..SourceSettings::default() };
        let url = url.unwrap_or(Given { key: String::new(), value: DEMO_URL.into() });
        let known = ["kafka://", "file:", DEMO_URL].iter().any(|scheme| url.value.starts_with(scheme));
        if !known && url.value != "-" {
            let allowed = "must be kafka://host:port/topic, file:GLOB, or - for standard input";
            return refuse(url.key, format!("{:?}", without_secrets(&url.value)), allowed);
        }
        source.url = url.value;
        // What the file says of Kafka is for Kafka: another source may be tried with the same file.
        if !source.is_kafka() {
            return match &run.start {
                Some(start) => {
                    refuse(self.flag("start"), start, "only a kafka:// source can begin elsewhere")
                }
                None => Ok(source),
            };
        }
        source.group_id = file.group_id;
        source.kafka = file.kafka.into_iter().map(|(key, value)| (key, Property::into_text(value))).collect();
        let start = self.given("start", run.start.clone(), "source.start", file.start);
        source.start = start.map(|start| value::start(&start.key, &start.value)).transpose()?;
        Ok(source)
    }

    fn snapshots(
        &self,
        file: crate::file::SnapshotsSection,
        bounded: bool,
    ) -> Result<SnapshotSettings, SettingsError> {
        let typed = Some(self.run.snapshots.clone()).filter(|urls| !urls.is_empty());
        let given = self.given("snapshots", typed, "snapshots.url", file.url.map(OneOrMore::into_vec));
        let by_default = if bounded { "-" } else { "memory" };
        let given = given.unwrap_or(Given { key: String::new(), value: vec![by_default.into()] });
        if given.value.is_empty() {
            return refuse(given.key, "[]", "must name at least one of redis://host:port/db, - and memory");
        }
        for url in &given.value {
            if !(url == "-" || url == "memory" || url.starts_with("redis")) {
                let allowed = "must be redis://host:port/db, - for standard output, or memory";
                return refuse(given.key, format!("{:?}", without_secrets(url)), allowed);
            }
        }
        let ttl_key = self.in_file("snapshots.ttl");
        let ttl = file.ttl.map(|ttl| value::duration(&ttl_key, &ttl)).transpose()?;
        if let Some(short) = ttl.filter(|ttl| *ttl < Duration::from_secs(1)) {
            return refuse(ttl_key, humantime::format_duration(short), "must be at least 1s");
        }
        Ok(SnapshotSettings {
            urls: given.value,
            key_prefix: file.key_prefix.unwrap_or_else(|| "topk:".into()),
            ttl,
        })
    }

    /// The file is shared by all processes, so what it says is for process 0; a flag is for its own process.
    fn http(
        &self,
        listen: Option<String>,
        first: bool,
        bounded: bool,
    ) -> Result<Option<String>, SettingsError> {
        let given = self.given("http", self.run.http.clone(), "http.listen", listen.filter(|_| first));
        match given {
            Some(given) if given.value == "off" => Ok(None),
            Some(given) => value::address(&given.key, &given.value, " (or off)").map(Some),
            None => Ok((first && !bounded).then(|| DEFAULT_HTTP.to_owned())),
        }
    }

    /// Processes that share a machine, and so a command line, must not write to one file.
    fn rejects(&self, shape: &Shape) -> Option<PathBuf> {
        let path = self.run.rejects.clone()?;
        if shape.processes == 1 {
            return Some(path);
        }
        let mut name = path.into_os_string();
        name.push(format!(".{}", shape.process));
        Some(name.into())
    }
}

#[cfg(test)]
mod tests;
