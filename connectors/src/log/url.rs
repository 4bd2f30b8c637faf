//! The parts of an embedded log's URL.

use std::path::PathBuf;
use std::time::Duration;

/// Partitions of a log that is made without saying how many.
pub(super) const DEFAULT_PARTITIONS: u32 = 4;
/// Partitions at most: each commit may write a block of each.
pub(super) const MAX_PARTITIONS: u32 = 256;
/// For how long events are kept where it is not said.
const DEFAULT_KEEP: Duration = Duration::from_secs(7 * 86_400);
/// How many bytes are kept where it is not said.
const DEFAULT_KEEP_BYTES: u64 = 10 << 30;
/// A log holds a block of each partition at least, whatever is said.
const MIN_KEEP_BYTES: u64 = 1 << 20;
/// A hundred years, so that no arithmetic on times overflows.
const MAX_KEEP_SECONDS: u64 = 36_500 * 86_400;

const FORM: &str = "expected log:PATH?partitions=4&keep=7d&keep_bytes=10GiB";

/// What the URL of an embedded log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// The folder of its file.
    pub(super) folder: PathBuf,
    /// How many partitions it has; of a log that is there already, as many as it was made with.
    pub(super) partitions: Option<u32>,
    /// Blocks older than this are deleted.
    pub(super) keep: Duration,
    /// The oldest blocks are deleted while all take more than this in the file.
    pub(super) keep_bytes: u64,
}

impl Settings {
    /// Reads `log:PATH` or `log:PATH?key=value&…`.
    ///
    /// # Errors
    /// What is wrong and what is allowed.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("log:").ok_or(FORM)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        if path.is_empty() {
            return Err(FORM.to_owned());
        }
        let mut settings = Settings {
            folder: path.into(),
            partitions: None,
            keep: DEFAULT_KEEP,
            keep_bytes: DEFAULT_KEEP_BYTES,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let refused = |expected: String| format!("{key}={value}: expected {expected}");
            match key {
                "partitions" => {
                    let expected = || refused(format!("a number from 1 to {MAX_PARTITIONS}"));
                    let number = value.parse().ok().filter(|number| (1..=MAX_PARTITIONS).contains(number));
                    settings.partitions = Some(number.ok_or_else(expected)?);
                }
                "keep" => {
                    let expected = || refused("a time such as 90s, 30m, 12h or 7d, of 36500d at most".into());
                    settings.keep = time(value).ok_or_else(expected)?;
                }
                "keep_bytes" => {
                    let expected =
                        || refused("a size such as 500MiB, 10GiB or 1TiB, of 1MiB at least".to_owned());
                    settings.keep_bytes = size(value).ok_or_else(expected)?;
                }
                _ => {
                    return Err(format!(
                        "unknown option {key:?}: expected one of partitions, keep, keep_bytes"
                    ));
                }
            }
        }
        Ok(settings)
    }
}

/// `7d`; whole numbers, not 0.
fn time(text: &str) -> Option<Duration> {
    let seconds = scaled(text, &[("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)])?;
    (1..=MAX_KEEP_SECONDS).contains(&seconds).then(|| Duration::from_secs(seconds))
}

/// `10GiB`; without a unit it is bytes.
fn size(text: &str) -> Option<u64> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("", 1)];
    scaled(text, &units).filter(|size| *size >= MIN_KEEP_BYTES)
}

/// A whole number with one of these units behind it.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_a_default_and_can_be_given() {
        let plain = Settings::parse("log:crest-data/log").unwrap();
        assert_eq!((plain.folder, plain.partitions), (PathBuf::from("crest-data/log"), None));
        assert_eq!((plain.keep, plain.keep_bytes), (Duration::from_secs(604_800), 10_737_418_240));
        let all = Settings::parse("log:/var/l?partitions=9&keep=90m&keep_bytes=3MiB").unwrap();
        assert_eq!((all.folder, all.partitions), (PathBuf::from("/var/l"), Some(9)));
        assert_eq!((all.keep, all.keep_bytes), (Duration::from_secs(5400), 3 << 20));
        assert_eq!(Settings::parse("log:l?keep_bytes=2000000").unwrap().keep_bytes, 2_000_000);
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
            ("log:l?keep_bytes=10GB", "keep_bytes=10GB"),
            ("log:l?keep_bytes=99999999999TiB", "keep_bytes=9999"),
        ] {
            let error = Settings::parse(url).unwrap_err();
            assert!(error.contains(said), "{url}: {error}");
        }
    }
}
