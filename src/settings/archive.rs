//! Where what a log delivers is archived.

use super::error::{SettingsError, refuse};
use super::keys::{Keyed, Keys};
use super::resolved::{ArchiveSettings, SourceSettings, StateSettings};
use crate::args::ArchiveArgs;
use crate::file::{ArchiveSection, File, Property};
use crest_connectors::without_secrets;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How long a record waits at most until its block is written.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);
const INTERVALS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);
/// What is deleted sooner was hardly worth to be written.
const LEAST_RETENTION: Duration = Duration::from_secs(60);

impl ArchiveSettings {
    /// Where `crest archive` looks.
    ///
    /// # Errors
    /// The file, or the value, that cannot be used.
    pub fn load(args: &ArchiveArgs) -> Result<Option<Self>, SettingsError> {
        let file = args.config.as_deref().map(File::read).transpose()?.unwrap_or_default().archive;
        let given = args.url.clone().map(|url| url.strip_prefix("archive:").unwrap_or(&url).to_owned());
        let Some(url) = given.or(file.url).filter(|url| url != "off") else { return Ok(None) };
        let options = Property::into_texts(file.options);
        Ok(Some(ArchiveSettings { url, options, retention: None, interval: DEFAULT_INTERVAL }))
    }
}

/// The flag's archive, or else the file's. What the file says is for logs: another source may be tried with the same file.
pub fn resolve(
    keys: &Keys<'_>,
    file: ArchiveSection,
    source: &SourceSettings,
    state: Option<&StateSettings>,
) -> Result<Option<ArchiveSettings>, SettingsError> {
    let typed = keys.run.archive.archive.clone();
    let asked = typed.is_some();
    let given = keys.given("archive", typed, "archive.url", file.url);
    let Some(Keyed { key, value: url }) = given.filter(|given| given.value != "off") else {
        return Ok(None);
    };
    let shown = format!("{:?}", without_secrets(&url));
    if !source.url.is_live_log() {
        let allowed = "must be off: only what a kafka:// or log: source delivers is archived";
        return if asked { refuse(key, shown, allowed) } else { Ok(None) };
    }
    if url.trim().is_empty() {
        let allowed =
            "must be a folder, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, or off";
        return refuse(key, shown, allowed);
    }
    if state.is_some_and(|state| state.url.trim_end_matches('/') == url.trim_end_matches('/')) {
        return refuse(key, shown, "must be another place than that of the state");
    }
    let retention = match file.retention.as_deref() {
        None | Some("forever") => None,
        Some(text) => match humantime::parse_duration(text) {
            Ok(age) if age >= LEAST_RETENTION => Some(age),
            _ => {
                let allowed = "must be a duration such as 400d, of 1m at least, or forever";
                return refuse(keys.in_file("archive.retention"), format!("{text:?}"), allowed);
            }
        },
    };
    let interval = match file.interval.as_deref() {
        None => DEFAULT_INTERVAL,
        Some(text) => match humantime::parse_duration(text) {
            Ok(interval) if INTERVALS.contains(&interval) => interval,
            _ => {
                let allowed = "must be a duration from 100ms to 1h, such as 1m";
                return refuse(keys.in_file("archive.interval"), format!("{text:?}"), allowed);
            }
        },
    };
    Ok(Some(ArchiveSettings { url, options: Property::into_texts(file.options), retention, interval }))
}
