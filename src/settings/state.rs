//! Where the state is kept, and of which sources it can be.

use super::error::{SettingsError, refuse};
use super::keys::{Keyed, Keys};
use super::resolved::{SourceSettings, StateSettings};
use crate::args::{RunArgs, StateArgs};
use crate::file::{File, Property, StateSection};
use crest_connectors::without_secrets;
use crest_state::retention::Retention;
use crest_state::spec::BoardSpec;
use std::collections::BTreeMap;

/// Where a job that reads a log keeps its state unless it is told to keep it elsewhere, or none.
pub const DEFAULT_STATE: &str = "./crest-data";

impl StateSettings {
    /// Where `crest state` looks: as for the job, whatever its source.
    ///
    /// # Errors
    /// The file, or the value, that cannot be used.
    pub fn load(args: &StateArgs) -> Result<Option<Self>, SettingsError> {
        let file = args.config.as_deref().map(File::read).transpose()?.unwrap_or_default();
        let run = RunArgs {
            state: args.state.clone(),
            config: args.config.clone(),
            from_environment: args.from_environment.clone(),
            ..RunArgs::default()
        };
        Ok(place(&Keys { run: &run }, file.state, Some(DEFAULT_STATE))?.map(|place| place.value))
    }
}

/// The folder for what this process keeps: that of the state, where it is one of this machine.
pub fn folder<'a>(keys: &'a Keys<'_>, file: &'a StateSection) -> &'a str {
    let given = keys.run.state.as_deref().or(file.url.as_deref());
    given
        .filter(|url| *url != "off" && !url.contains("://") && !url.trim().is_empty())
        .unwrap_or(DEFAULT_STATE)
}

/// A flag's state, or else the file's, or else that of a log in a folder here. What is kept of a source is of use only
/// where the source can be read again from there.
pub fn resolve(
    keys: &Keys<'_>,
    file: StateSection,
    source: &SourceSettings,
    boards: &[BoardSpec],
) -> Result<Option<StateSettings>, SettingsError> {
    let is_live = source.url.is_live_log() || source.url.states().is_some();
    let default = is_live.then_some(DEFAULT_STATE);
    let reset = reset(keys, boards)?;
    let Some(Keyed { key, value: state }) = place(keys, file, default)? else {
        return match reset.first() {
            None => Ok(None),
            Some(board) => refuse(
                keys.flag("reset_board"),
                format!("{board:?}"),
                "must be left out where there is no state, since all boards count anew",
            ),
        };
    };
    let state = StateSettings { reset, ..state };
    if state.url.starts_with("state:") {
        let allowed = "must be one place; what is read of the states of regions is a --source";
        return refuse(key, format!("{:?}", without_secrets(&state.url)), allowed);
    }
    let regions = source.url.states().map_or(&[][..], |states| states.regions());
    let place = |url: &str| url.trim_end_matches('/').to_owned();
    if let Some(region) = regions.iter().find(|region| place(&region.url) == place(&state.url)) {
        let allowed = format!("must be another place than the state of region {}", region.name);
        return refuse(key, format!("{:?}", without_secrets(&state.url)), allowed);
    }
    if let Some(lost) = source.url.read_once() {
        let allowed = format!(
            "must be off, since {lost} cannot be read again; state needs a kafka://, log:, archive:, state: or file: source"
        );
        return refuse(key, format!("{:?}", without_secrets(&state.url)), allowed);
    }
    Ok(Some(state))
}

/// Refuses a run that stands by where nobody can.
pub fn check_standby(
    keys: &Keys<'_>,
    source: &SourceSettings,
    state: Option<&StateSettings>,
) -> Result<(), SettingsError> {
    let why = match state {
        _ if !keys.run.standby => return Ok(()),
        _ if source.url.embedded().is_some() => {
            "needs a kafka:// source: the embedded log is in the folder of one process, and nobody else can go on with it"
        }
        _ if !source.url.is_shared() => {
            "needs a kafka:// or state: source: this one is read once, and then it is over"
        }
        None => "needs a --state that the job and those that stand by for it can reach",
        Some(_) => return Ok(()),
    };
    refuse(keys.flag("standby"), true, why)
}

/// The boards that may count something else than before.
fn reset(keys: &Keys<'_>, boards: &[BoardSpec]) -> Result<Vec<String>, SettingsError> {
    let reset = &keys.run.reset_board;
    match reset.iter().find(|name| !boards.iter().any(|board| *board.name == ***name)) {
        None => Ok(reset.clone()),
        Some(unknown) => {
            let names: Vec<&str> = boards.iter().map(|board| &*board.name).collect();
            refuse(
                keys.flag("reset_board"),
                format!("{unknown:?}"),
                format!("must be one of {}", names.join(", ")),
            )
        }
    }
}

/// What was given, of whichever source, or else the default.
pub fn place(
    keys: &Keys<'_>,
    file: StateSection,
    default: Option<&str>,
) -> Result<Option<Keyed<StateSettings>>, SettingsError> {
    let given = keys.given("state", keys.run.state.clone(), "state.url", file.url);
    let default = default.map(|url| Keyed { key: keys.flag("state"), value: url.to_owned() });
    let given = given.or(default);
    let Some(Keyed { key, value: url }) = given.filter(|given| given.value != "off") else {
        return Ok(None);
    };
    if url.trim().is_empty() {
        let allowed =
            "must be a folder, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, or off";
        return refuse(key, format!("{url:?}"), allowed);
    }
    let retention = retention(keys, file.retention)?;
    let options = Property::into_texts(file.options);
    Ok(Some(Keyed { key, value: StateSettings { url, options, retention, reset: Vec::new() } }))
}

/// How long each level is kept: as the file says, or else as usual.
fn retention(keys: &Keys<'_>, file: BTreeMap<String, String>) -> Result<Retention, SettingsError> {
    let mut retention = Retention::default();
    for (level, text) in file {
        let key = keys.in_file(&format!("state.retention.{level}"));
        let age = match text.as_str() {
            "forever" => None,
            _ => match humantime::parse_duration(&text) {
                Ok(age) => Some(age),
                Err(_) => {
                    return refuse(key, format!("{text:?}"), "must be a duration such as 7d, or forever");
                }
            },
        };
        if !retention.set(&level, age) {
            return refuse(
                key,
                format!("{text:?}"),
                format!("must be one of {}", Retention::LEVELS.join(", ")),
            );
        }
    }
    Ok(retention)
}
