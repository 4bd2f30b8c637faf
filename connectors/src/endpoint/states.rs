//! `state:URL,URL…`: the states of jobs elsewhere, whose closed panes are merged.

use super::error::EndpointError;
use super::secrets::without_secrets;
use std::fmt;
use std::str::FromStr;

/// The states of several regions, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatesUrl {
    regions: Vec<RegionUrl>,
}

/// The state of one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionUrl {
    /// Its name: what was given, or else the last part of the URL.
    pub name: String,
    /// A folder, or `s3://…` and its kin.
    pub url: String,
}

impl StatesUrl {
    /// What a state is said to be of that is made of others: regions come and go, and are known by their names.
    pub const IDENTITY: &str = "states";

    /// The regions, in the order of their names.
    pub fn regions(&self) -> &[RegionUrl] {
        &self.regions
    }
}

impl FromStr for StatesUrl {
    type Err = EndpointError;

    /// Of `state:URL,URL…` or `state:NAME=URL,NAME=URL…`.
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let invalid = |reason: String| EndpointError::invalid(text, reason);
        let rest = text.strip_prefix("state:").unwrap_or(text);
        let mut regions = Vec::new();
        for part in rest.split(',').map(str::trim) {
            let named = part.split_once('=').filter(|(name, _)| is_name(name));
            let url = named.map_or(part, |(_, url)| url).trim();
            if url.is_empty() {
                let forms = "expected state: and a folder, s3://bucket/prefix, gs:// or az://, for each region, separated by commas";
                return Err(invalid(forms.to_owned()));
            }
            let last = url.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            let name = named.map_or(last, |(name, _)| name);
            if !is_name(name) {
                let reason = format!(
                    "the region of {} needs a name, as in state:eu=s3://bucket/prefix",
                    without_secrets(url)
                );
                return Err(invalid(reason));
            }
            regions.push(RegionUrl { name: name.to_owned(), url: url.to_owned() });
        }
        regions.sort_by(|a, b| a.name.cmp(&b.name));
        match regions.windows(2).find(|pair| pair[0].name == pair[1].name) {
            Some(pair) => {
                let reason = format!(
                    "two regions are named {:?}: give each a name of its own, as in state:eu=s3://bucket/prefix",
                    pair[0].name
                );
                Err(invalid(reason))
            }
            None => Ok(StatesUrl { regions }),
        }
    }
}

/// Names are told in rankings, keys and labels.
fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= 64 && text.bytes().all(allowed)
}

impl fmt::Display for StatesUrl {
    /// With the names, and without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let region = |RegionUrl { name, url }: &RegionUrl| format!("{name}={}", without_secrets(url));
        write!(f, "state:{}", self.regions.iter().map(region).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_has_the_name_that_it_was_given_or_the_last_part_of_its_url() {
        let parse = |text: &str| text.parse::<StatesUrl>().map(|url| url.to_string());
        for (text, shown) in [
            ("state:us=s3://b/us,eu=s3://c/eu", "state:eu=s3://c/eu,us=s3://b/us"),
            ("state:/data/us/, ../eu", "state:eu=../eu,us=/data/us/"),
            ("state:one=folder", "state:one=folder"),
        ] {
            assert_eq!(parse(text).unwrap(), shown);
            assert_eq!(parse(shown).unwrap(), shown);
        }
        for (text, why) in [
            ("state:", "for each region"),
            ("state:a,,b", "for each region"),
            ("state:s3://b/crest,s3://c/crest", "two regions are named \"crest\""),
            ("state:/a b", "needs a name"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
