//! Where events come from, and where rejects go.

use super::cluster::ClusterShape;
use super::error::{SettingsError, refuse};
use super::keys::{Keyed, Keys};
use super::resolved::{DEMO_URL, SourceSettings};
use super::value;
use crate::file::{Property, SourceSection};
use crest_connectors::endpoint::{EndpointError, LogUrl, SourceUrl, StatesUrl};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A flag's source, or else the file's, or else the embedded log in `folder`, which one process can have; or else the
/// demo.
pub fn source(
    keys: &Keys<'_>,
    file: SourceSection,
    shape: &ClusterShape,
    folder: &str,
) -> Result<SourceSettings, SettingsError> {
    let run = keys.run;
    if run.demo && run.source.is_some() {
        return refuse(
            keys.flag("demo"),
            true,
            format!("cannot be given together with {}", keys.flag("source")),
        );
    }
    let demo = run.demo.then(|| DEMO_URL.to_owned());
    let given = keys.given("source", demo.or(run.source.clone()), "source.url", file.url);
    let (alone, by_default) = (shape.processes == 1, given.is_none());
    let url = match &given {
        Some(given) => source_url(given)?,
        None if alone => SourceUrl::Log(LogUrl::of_folder(&format!("{folder}/log"))),
        None => source_url(&Keyed { key: keys.flag("source"), value: DEMO_URL.to_owned() })?,
    };
    if let (Some(given), Some(_), false) = (given, url.embedded(), alone) {
        let allowed = "must be kafka://host:port/topic in a cluster: one process has an embedded log";
        return refuse(given.key, format!("{:?}", given.value), allowed);
    }
    let mut source = SourceSettings { by_default, ..SourceSettings::new(url) };
    // Events may be sent on to Kafka, whatever is read.
    source.kafka = Property::into_texts(file.kafka);
    let (framing, compression) = (file.framing.as_deref(), file.compression.as_deref());
    if source.url.is_stream() {
        source.framing = read_key(keys, "source.framing", framing, value::framing)?;
        source.compression = read_key(keys, "source.compression", compression, value::compression)?;
    } else if source.url.is_log() {
        for (key, value) in [("source.framing", framing), ("source.compression", compression)] {
            if let Some(value) = value {
                let allowed = "only file: and standard input have it";
                return refuse(keys.in_file(key), format!("{value:?}"), allowed);
            }
        }
    }
    if let Some(states) = source.url.states() {
        source.regions = regions(keys, file.regions, states)?;
    }
    // What the file says of a log is for logs: another source may be tried with the same file.
    if !source.url.is_log() {
        return match (&run.start, &run.on_gap) {
            (Some(start), _) => refuse(
                keys.flag("start"),
                start,
                "only a kafka://, log: or archive: source can begin elsewhere",
            ),
            (None, Some(on_gap)) => {
                refuse(keys.flag("on_gap"), on_gap, "only a kafka://, log: or archive: source can have gaps")
            }
            (None, None) => Ok(source),
        };
    }
    source.group_id = file.group_id.filter(|_| source.url.kafka().is_some());
    let start = keys.given("start", run.start.clone(), "source.start", file.start);
    source.start = start.map(|start| value::start(&start.key, &start.value)).transpose()?;
    let on_gap = keys.given("on_gap", run.on_gap.clone(), "source.on_gap", file.on_gap);
    source.on_gap =
        on_gap.map(|on_gap| value::on_gap(&on_gap.key, &on_gap.value)).transpose()?.unwrap_or_default();
    Ok(source)
}

/// The options of the regions' stores, by the names of the regions.
pub fn regions(
    keys: &Keys<'_>,
    file: BTreeMap<String, BTreeMap<String, Property>>,
    states: &StatesUrl,
) -> Result<BTreeMap<String, BTreeMap<String, String>>, SettingsError> {
    let names: Vec<&str> = states.regions().iter().map(|region| region.name.as_str()).collect();
    match file.keys().find(|name| !names.contains(&name.as_str())) {
        Some(unknown) => refuse(
            keys.in_file("source.regions"),
            format!("{unknown:?}"),
            format!("must be of the regions of source.url: {}", names.join(", ")),
        ),
        None => Ok(file.into_iter().map(|(name, options)| (name, Property::into_texts(options))).collect()),
    }
}

/// The file's value of a key, or else the default.
fn read_key<T: Default>(
    keys: &Keys<'_>,
    key: &str,
    value: Option<&str>,
    read: impl Fn(&str, &str) -> Result<T, SettingsError>,
) -> Result<T, SettingsError> {
    value.map_or_else(|| Ok(T::default()), |value| read(&keys.in_file(key), value))
}

/// Reads the URL of a source.
pub fn source_url(given: &Keyed<String>) -> Result<SourceUrl, SettingsError> {
    given.value.parse().or_else(|error| refuse_endpoint(&given.key, error))
}

pub fn refuse_endpoint<T>(key: &str, error: EndpointError) -> Result<T, SettingsError> {
    let (url, why) = error.into_parts();
    refuse(key, format!("{url:?}"), why)
}

/// Whether windows without an event are published by a run that ends; live ones do so while time goes on.
pub fn empty(keys: &Keys<'_>, file: Option<bool>, source: &SourceSettings) -> Result<bool, SettingsError> {
    match keys.run.empty {
        true if !source.url.is_bounded() => refuse(
            keys.flag("empty"),
            true,
            "only a run over file: or standard input leaves out windows without an event",
        ),
        typed => Ok(source.url.is_bounded() && (typed || file.unwrap_or(false))),
    }
}

/// Processes that share a machine, and so a command line, must not write to one file.
pub fn rejects(keys: &Keys<'_>, shape: &ClusterShape) -> Option<PathBuf> {
    let path = keys.run.rejects.clone()?;
    if shape.processes == 1 {
        return Some(path);
    }
    let mut name = path.into_os_string();
    name.push(format!(".{}", shape.process));
    Some(name.into())
}
