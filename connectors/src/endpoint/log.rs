//! The folder and the options of `log:FOLDER?partitions=4&keep=7d&keep_bytes=10GiB`.

use super::error::EndpointError;
use bytesize::ByteSize;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Partitions at most: each commit may write a block of each.
pub(crate) const MAX_PARTITIONS: u32 = 256;
/// For how long events are kept where it is not said.
const DEFAULT_KEEP: Duration = Duration::from_secs(7 * 86_400);
/// How many bytes are kept where it is not said.
const DEFAULT_KEEP_BYTES: u64 = 10 << 30;
/// A log holds a block of each partition at least, whatever is said.
const MIN_KEEP_BYTES: u64 = 1 << 20;
/// More than any disk holds, and far from where arithmetic on sizes overflows.
const MAX_KEEP_BYTES: u64 = 1 << 60;
const MIN_KEEP: Duration = Duration::from_secs(1);
/// A hundred years, so that no arithmetic on times overflows.
const MAX_KEEP: Duration = Duration::from_secs(36_500 * 86_400);

const FORM: &str = "expected log:PATH?partitions=4&keep=7d&keep_bytes=10GiB";

/// An embedded log: its folder, and how its events are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogUrl {
    text: String,
    /// The folder of its file.
    pub folder: PathBuf,
    /// How many partitions it has; of a log that is there already, as many as it was made with.
    pub(crate) partitions: Option<u32>,
    /// Blocks older than this are deleted.
    pub(crate) keep: Duration,
    /// The oldest blocks are deleted while all take more than this in the file.
    pub(crate) keep_bytes: u64,
}

impl LogUrl {
    /// The log of a folder, with the defaults.
    pub fn of_folder(folder: &str) -> Self {
        LogUrl {
            text: format!("log:{folder}"),
            folder: folder.into(),
            partitions: None,
            keep: DEFAULT_KEEP,
            keep_bytes: DEFAULT_KEEP_BYTES,
        }
    }

    /// The same log, from which nothing is deleted.
    #[must_use]
    pub(crate) fn keep_all(self) -> Self {
        LogUrl { keep: MAX_KEEP, keep_bytes: u64::MAX, ..self }
    }

    fn parse(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("log:").ok_or(FORM)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        if path.is_empty() {
            return Err(FORM.to_owned());
        }
        let mut log = LogUrl { text: url.to_owned(), ..LogUrl::of_folder(path) };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let refused = |expected: String| format!("{key}={value}: expected {expected}");
            match key {
                "partitions" => {
                    let expected = || refused(format!("a number from 1 to {MAX_PARTITIONS}"));
                    let number = value.parse().ok().filter(|number| (1..=MAX_PARTITIONS).contains(number));
                    log.partitions = Some(number.ok_or_else(expected)?);
                }
                "keep" => {
                    let expected = || refused("a time such as 90s, 30m, 12h or 7d, of 36500d at most".into());
                    log.keep = time(value).ok_or_else(expected)?;
                }
                "keep_bytes" => {
                    let expected =
                        || refused("a size such as 500MiB, 10GiB or 1TiB, from 1MiB to 1EiB".to_owned());
                    log.keep_bytes = size(value).ok_or_else(expected)?;
                }
                _ => {
                    return Err(format!(
                        "unknown option {key:?}: expected one of partitions, keep, keep_bytes"
                    ));
                }
            }
        }
        Ok(log)
    }
}

impl FromStr for LogUrl {
    type Err = EndpointError;

    /// Reads `log:FOLDER` or `log:FOLDER?key=value&…`.
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        LogUrl::parse(text).map_err(|reason| EndpointError::invalid(text, reason))
    }
}

impl fmt::Display for LogUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `7d`.
fn time(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok().filter(|time| (MIN_KEEP..=MAX_KEEP).contains(time))
}

/// `10GiB`; without a unit it is bytes.
fn size(text: &str) -> Option<u64> {
    let size = text.parse::<ByteSize>().ok()?.as_u64();
    (MIN_KEEP_BYTES..=MAX_KEEP_BYTES).contains(&size).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_a_default_and_can_be_given() {
        let plain = LogUrl::parse("log:crest-data/log").unwrap();
        assert_eq!((plain.folder, plain.partitions), (PathBuf::from("crest-data/log"), None));
        assert_eq!((plain.keep, plain.keep_bytes), (Duration::from_secs(604_800), 10_737_418_240));
        let all = LogUrl::parse("log:/var/l?partitions=9&keep=90m&keep_bytes=3MiB").unwrap();
        assert_eq!((all.folder, all.partitions), (PathBuf::from("/var/l"), Some(9)));
        assert_eq!((all.keep, all.keep_bytes), (Duration::from_secs(5400), 3 << 20));
        assert_eq!(LogUrl::parse("log:l?keep_bytes=2000000").unwrap().keep_bytes, 2_000_000);
    }

    #[test]
    fn impossible_options_are_refused_by_key_and_value() {
        for (url, said) in [
            ("log:", "expected log:PATH"),
            ("log:?keep=1d", "expected log:PATH"),
            ("log:l?retain=1d", "unknown option \"retain\": expected one of partitions, keep"),
            ("log:l?partitions=0", "partitions=0: expected a number from 1 to 256"),
            ("log:l?partitions=257", "partitions=257"),
            ("log:l?partitions", "partitions=: expected"),
            ("log:l?keep=0s", "keep=0s: expected a time such as"),
            ("log:l?keep=7", "keep=7: expected"),
            ("log:l?keep=99999999999999999d", "keep=9999"),
            ("log:l?keep=-1d", "keep=-1d"),
            ("log:l?keep_bytes=1KiB", "keep_bytes=1KiB: expected a size such as"),
            ("log:l?keep_bytes=10 apples", "keep_bytes=10 apples"),
            ("log:l?keep_bytes=99999999999TiB", "keep_bytes=9999"),
        ] {
            let error = LogUrl::parse(url).unwrap_err();
            assert!(error.contains(said), "{url}: {error}");
        }
    }
}
