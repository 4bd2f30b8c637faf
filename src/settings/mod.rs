//! What will run: flags, environment, file and defaults brought together into plain values. Impossible states
//! die here, each with one line that names the key as it was given, its value, and what is allowed.

mod archive;
mod boards;
mod changes;
mod cluster;
mod cluster_access;
mod cluster_tls;
mod endpoints;
mod error;
mod format;
mod http;
mod keys;
mod resolved;
mod secrets;
mod serve;
mod show;
mod sinks;
mod spec;
mod state;
mod telemetry;
mod value;

pub use cluster::ClusterShape;
pub use cluster_access::{ClusterAccess, Secret};
pub use cluster_tls::ClusterTls;
pub use error::SettingsError;
pub use format::ending;
pub use http::{HttpSettings, IngestTo};
pub use resolved::{
    ArchiveSettings, ChangesSettings, Shard, SnapshotSettings, SourceSettings, StateSettings,
};
pub use secrets::without_secrets_of;
pub use serve::ServeSettings;
pub use spec::schema;

use crate::args::RunArgs;
use crate::file::{File, Property};
use crate::telemetry::Options;
use crest_state::spec::JobSpec;
use keys::Keys;
use std::path::PathBuf;

/// A run of the job, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What is computed.
    pub spec: JobSpec,
    /// Where events come from.
    pub source: SourceSettings,
    /// Where the state is kept; `None` for nowhere.
    pub state: Option<StateSettings>,
    /// Where what the source delivers is archived; `None` for nowhere.
    pub archive: Option<ArchiveSettings>,
    /// Where snapshots go.
    pub snapshots: SnapshotSettings,
    /// The API of this process.
    pub http: HttpSettings,
    /// This process's place in its cluster.
    pub shape: ClusterShape,
    /// Where telemetry is sent; `None` for nowhere.
    pub telemetry: Option<Options>,
    /// Where refused records are kept.
    pub rejects: Option<PathBuf>,
    /// Where the summary of the input is written at the end.
    pub summary: Option<PathBuf>,
    /// Made when the job does its work.
    pub ready_file: Option<PathBuf>,
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

    /// The same, for the job itself, which may stand by.
    ///
    /// # Errors
    /// As [`load`](Self::load); or nobody can stand by where the job reads or keeps its state.
    pub fn load_job(run: &RunArgs) -> Result<Self, SettingsError> {
        let settings = Self::load(run)?;
        state::check_standby(&Keys { run }, &settings.source, settings.state.as_ref())?;
        Ok(settings)
    }

    /// Brings flags and file together.
    ///
    /// # Errors
    /// The first value that is impossible.
    pub fn resolve(run: &RunArgs, file: File) -> Result<Self, SettingsError> {
        let keys = Keys { run };
        let File {
            source,
            time,
            sketch,
            state,
            archive,
            snapshots,
            changes,
            http,
            cluster,
            telemetry,
            schema,
            board,
        } = file;
        let mut spec = spec::spec_of(&keys, time, sketch, schema, board)?;
        let shape = cluster::resolve(&keys, cluster)?;
        let records = source.clone();
        let mut source = endpoints::source(&keys, source, &shape, state::folder(&keys, &state))?;
        if source.url.archive().is_some() {
            source.archive = Property::into_texts(archive.options.clone());
        }
        spec.format = format::resolve(&keys, records, &mut source)?;
        boards::check_whole_windows(&keys, &spec, &source)?;
        spec.time.guards_files &= source.url.is_stream();
        spec.empty = endpoints::empty(&keys, snapshots.empty, &source)?;
        let state = state::resolve(&keys, state, &source, &spec.boards)?;
        boards::check_rising(&keys, &spec, state.is_some())?;
        let archive = archive::resolve(&keys, archive, &source, state.as_ref())?;
        let mut snapshots = sinks::snapshots(&keys, snapshots, &spec.boards, source.url.is_bounded())?;
        sinks::check_topics(&keys, &snapshots, &source)?;
        snapshots.changes = changes::resolve(&keys, changes, &spec.boards, (&source, &snapshots.urls))?;
        let mut http = http::resolve(&keys, http, shape.process == 0, source.url.is_bounded())?;
        http.only_json(&keys, &spec.format)?;
        http.only_one_topic(&keys, source.url.kafka())?;
        let telemetry = telemetry::resolve(&keys, telemetry)?;
        let rejects = endpoints::rejects(&keys, &shape);
        let (summary, ready_file) = (run.summary.clone(), run.ready_file.clone());
        refuse_one_file([("--rejects", &rejects), ("--summary", &summary), ("--ready-file", &ready_file)])?;
        Ok(Settings {
            spec,
            source,
            state,
            archive,
            snapshots,
            http,
            telemetry,
            rejects,
            summary,
            ready_file,
            shape,
        })
    }
}

#[cfg(test)]
mod tests;

/// Refuses files to be written that are one.
fn refuse_one_file(files: [(&str, &Option<PathBuf>); 3]) -> Result<(), SettingsError> {
    let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let mut known: Vec<(&str, PathBuf)> = Vec::new();
    for (flag, path) in files {
        let Some(path) = path else { continue };
        let place = absolute(path);
        if let Some((other, _)) = known.iter().find(|(_, known)| *known == place) {
            return error::refuse(
                flag,
                format!("{:?}", path.display()),
                format!("must not be the file of {other}"),
            );
        }
        known.push((flag, place));
    }
    Ok(())
}
