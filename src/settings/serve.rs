//! What `crest serve` needs: the job's own file says which boards there are, where their rankings are, and where its
//! events come from.

use super::error::{SettingsError, refuse};
use super::given::Names;
use super::http::{self, HttpSettings};
use super::resolved::{SnapshotSettings, SourceSettings, StateSettings};
use super::spec::spec_of;
use super::{ends, state};
use crate::args::{RunArgs, ServeArgs};
use crate::file::File;
use crest_state::spec::JobSpec;
use std::collections::BTreeMap;

/// An API node, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct ServeSettings {
    /// What the job computes, as the file says.
    pub spec: JobSpec,
    /// Whether the file says which boards there are.
    pub boards_known: bool,
    /// The Redis in which the job publishes, where that is read.
    pub snapshots: Option<SnapshotSettings>,
    /// The job's state, where that is read.
    pub state: Option<StateSettings>,
    /// Where the job reads, if the file says so.
    pub source: SourceSettings,
    /// Where it is served.
    pub listen: String,
    /// To whom.
    pub http: HttpSettings,
}

impl ServeSettings {
    /// Brings flags and the job's file together. With Redis the state is read only where it is named.
    ///
    /// # Errors
    /// The file, or the value, that cannot be used; there is nothing to serve from.
    pub fn load(args: &ServeArgs) -> Result<Self, SettingsError> {
        let run = run_args(args);
        let names = Names { run: &run };
        let file = run.config.as_deref().map(File::read).transpose()?.unwrap_or_default();
        let boards_known = !file.board.is_empty();
        let source = source(&file);
        let snapshots = snapshots(&names, &file)?;
        let default = snapshots.is_none().then_some(state::DEFAULT_STATE);
        let state = state::place(&names, file.state, default)?.map(|state| state.value);
        if state.is_none() && snapshots.is_none() {
            let allowed =
                "must say where the state is that rankings are served from, or --snapshots which Redis";
            return refuse(names.flag("state"), "off", allowed);
        }
        let http = http::resolve(&names, file.http, true, &source)?;
        let Some(listen) = http.listen.clone() else {
            return refuse(names.flag("http"), "off", "must be an address to serve at");
        };
        let spec = spec_of(&names, file.time, file.sketch, file.schema, file.board)?;
        Ok(ServeSettings { spec, boards_known, snapshots, state, source, listen, http })
    }
}

/// The job's flags that are meant here too.
fn run_args(args: &ServeArgs) -> RunArgs {
    RunArgs {
        snapshots: args.snapshots.iter().cloned().collect(),
        state: args.state.clone(),
        http: args.http.clone(),
        ingest: args.ingest.clone(),
        ingest_token: args.ingest_token.clone(),
        read_token: args.read_token.clone(),
        config: args.config.clone(),
        from_environment: args.from_environment.clone(),
        ..RunArgs::default()
    }
}

/// The first Redis of those that were given, or of the file's.
fn snapshots(names: &Names<'_>, file: &File) -> Result<Option<SnapshotSettings>, SettingsError> {
    let settings = ends::snapshots(names, file.snapshots.clone(), false)?;
    let redis = settings.urls.iter().find(|url| url.starts_with("redis")).cloned();
    match (redis, names.run.snapshots.first()) {
        (Some(url), _) => Ok(Some(SnapshotSettings { urls: vec![url], ..settings })),
        (None, Some(other)) => {
            let allowed = "must be redis://host:port/db, which is the only one that can be read from";
            refuse(names.flag("snapshots"), format!("{other:?}"), allowed)
        }
        (None, None) => Ok(None),
    }
}

/// Only a topic can be written to from here.
fn source(file: &File) -> SourceSettings {
    let url = file.source.url.clone().filter(|url| url.starts_with("kafka://")).unwrap_or_default();
    let properties = file.source.kafka.clone().into_iter();
    let kafka: BTreeMap<String, String> = properties.map(|(key, value)| (key, value.into_text())).collect();
    SourceSettings { url, kafka, ..SourceSettings::default() }
}
