//! What `crest serve` needs: the job's own file says which boards there are, where their rankings are, and where its
//! events come from.

use super::error::{SettingsError, refuse};
use super::http::{self, HttpSettings};
use super::keys::{Keyed, Keys};
use super::resolved::{SnapshotSettings, StateSettings};
use super::spec::spec_of;
use super::{endpoints, sinks, state};
use crate::args::{RunArgs, ServeArgs};
use crate::file::{File, Property, SnapshotsSection, StateSection};
use crate::http::StatePlace;
use crest_connectors::endpoint::{KafkaSourceUrl, RedisUrl, RegionUrl, StatesUrl};
use crest_connectors::without_secrets;
use crest_state::spec::JobSpec;
use std::collections::BTreeMap;

/// An API node, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct ServeSettings {
    /// What the job computes, as the file says.
    pub spec: JobSpec,
    /// Whether the file says which boards there are.
    pub boards_known: bool,
    /// The Redis in which the job publishes, and what is before its keys there, where that is read.
    pub redis: Option<(RedisUrl, String)>,
    /// The job's state, where that is read, or those of several regions; or else none.
    pub states: Vec<StatePlace>,
    /// The topics that the job reads, if the file names some.
    pub topics: Option<KafkaSourceUrl>,
    /// Any librdkafka property.
    pub kafka: BTreeMap<String, String>,
    /// Where it is served.
    pub listen: String,
    /// The API, with who may ask it.
    pub http: HttpSettings,
}

impl ServeSettings {
    /// Brings flags and the job's file together. With Redis the state is read only where it is named.
    ///
    /// # Errors
    /// The file, or the value, that cannot be used; there is nothing to serve from.
    pub fn load(args: &ServeArgs) -> Result<Self, SettingsError> {
        let run = run_args(args);
        let keys = Keys { run: &run };
        let file = run.config.as_deref().map(File::read).transpose()?.unwrap_or_default();
        let boards_known = !file.board.is_empty();
        // Only a topic can be written to from here.
        let given = file.source.url.clone().map(|value| Keyed { key: keys.in_file("source.url"), value });
        let source = given.as_ref().map(endpoints::source_url).transpose()?;
        let kafka = Property::into_texts(file.source.kafka.clone());
        let redis = redis(&keys, &file)?;
        let default = redis.is_none().then_some(state::DEFAULT_STATE);
        let states = states(&keys, file.state, default, file.source.regions.clone())?;
        if states.is_empty() && redis.is_none() {
            let allowed =
                "must say where the state is that rankings are served from, or --snapshots which Redis";
            return refuse(keys.flag("state"), "off", allowed);
        }
        let mut http = http::resolve(&keys, file.http, true, false)?;
        let topics = source.and_then(|source| source.kafka().cloned());
        http.only_one_topic(&keys, topics.as_ref())?;
        let Some(listen) = http.listen.clone() else {
            return refuse(keys.flag("http"), "off", "must be an address to serve at");
        };
        let spec = spec_of(&keys, file.time, file.sketch, file.schema, file.board)?;
        Ok(ServeSettings { spec, boards_known, redis, states, topics, kafka, listen, http })
    }
}

/// Where the state is, or those of the regions that `state:` names.
fn states(
    keys: &Keys<'_>,
    file: StateSection,
    default: Option<&str>,
    regions: BTreeMap<String, BTreeMap<String, Property>>,
) -> Result<Vec<StatePlace>, SettingsError> {
    let Some(Keyed { key, value: StateSettings { url, options, .. } }) = state::place(keys, file, default)?
    else {
        return Ok(Vec::new());
    };
    if !url.starts_with("state:") {
        return Ok(vec![StatePlace { name: String::new(), url, options }]);
    }
    let states: StatesUrl = url.parse().or_else(|error| endpoints::refuse_endpoint(&key, error))?;
    let mut regions = endpoints::regions(keys, regions, &states)?;
    let place = |region: &RegionUrl| {
        let RegionUrl { name, url } = region.clone();
        StatePlace { options: regions.remove(&name).unwrap_or_default(), name, url }
    };
    Ok(states.regions().iter().map(place).collect())
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
fn redis(keys: &Keys<'_>, file: &File) -> Result<Option<(RedisUrl, String)>, SettingsError> {
    let SnapshotSettings { urls, key_prefix, .. } =
        sinks::snapshots(keys, SnapshotsSection { shard: Vec::new(), ..file.snapshots.clone() }, &[], false)?;
    let redis = urls.iter().find_map(|url| url.redis()).cloned();
    match (redis, keys.run.snapshots.first()) {
        (Some(url), _) => Ok(Some((url, key_prefix))),
        (None, Some(other)) => {
            let allowed = "must be redis://host:port/db, which is the only one that can be read from";
            refuse(keys.flag("snapshots"), format!("{other:?}"), allowed)
        }
        (None, None)
            if !file.snapshots.shard.is_empty()
                && keys.run.state.as_deref().is_none_or(|url| url == "off") =>
        {
            let url = format!("{:?}", without_secrets(&file.snapshots.shard[0].url));
            let allowed = "has a part of the rankings: --snapshots must say which server is to be read";
            refuse(keys.in_file("snapshots.shard[0].url"), url, allowed)
        }
        (None, None) => Ok(None),
    }
}
