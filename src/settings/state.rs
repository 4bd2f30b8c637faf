//! Where the state is kept, and of which sources it can be.

use super::given::Names;
use super::{DEMO_URL, SettingsError, SourceSettings, StateSettings, refuse};
use crate::file::{Property, StateSection};
use crest_connectors::without_secrets;

/// A flag's state, or else the file's; none where neither says so. What is kept of a source is of use only where the
/// source can be read again from there.
pub fn resolve(
    names: &Names<'_>,
    file: StateSection,
    source: &SourceSettings,
) -> Result<Option<StateSettings>, SettingsError> {
    let Some(given) = names.given("state", names.run.state.clone(), "state.url", file.url) else {
        return Ok(None);
    };
    if given.value == "off" {
        return Ok(None);
    }
    if given.value.trim().is_empty() {
        let allowed =
            "must be a folder, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, or off";
        return refuse(given.key, format!("{:?}", given.value), allowed);
    }
    let lost = match source.url.as_str() {
        "-" => Some("standard input"),
        url if url.starts_with(DEMO_URL) => Some("synthetic traffic"),
        _ => None,
    };
    if let Some(lost) = lost {
        let allowed =
            format!("must be off, since {lost} cannot be read again; state needs a kafka:// or file: source");
        return refuse(given.key, format!("{:?}", without_secrets(&given.value)), allowed);
    }
    let options = file.options.into_iter().map(|(name, value)| (name, Property::into_text(value))).collect();
    Ok(Some(StateSettings { url: given.value, options }))
}
