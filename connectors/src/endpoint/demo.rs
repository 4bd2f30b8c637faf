//! The settings of `demo:?rate=2000&items=1000…`, the synthetic traffic.

use super::error::EndpointError;
use rand_distr::Zipf;
use std::fmt;
use std::str::FromStr;

/// Items at most: their order is held in the rank's own number.
const MAX_ITEMS: u64 = 1 << 40;
/// Partitions at most.
const MAX_PARTITIONS: u32 = 4096;

/// Which events a generator makes. All parts are optional.
#[derive(Clone, Debug, PartialEq)]
pub struct DemoUrl {
    text: String,
    /// Events a second, over all partitions: 2000.
    pub rate: f64,
    /// Items: 1000.
    pub items: u64,
    /// The exponent of Zipf's law: 1.1.
    pub skew: f64,
    /// 7. Another seed, other events.
    pub seed: u64,
    /// 4.
    pub partitions: u32,
    /// Event types, each half as frequent as the one before: view, click, purchase.
    pub types: Vec<String>,
    /// How many events in all; without it they never end.
    pub events: Option<u64>,
    /// Zipf's law over the items.
    pub(crate) ranks: Zipf<f64>,
}

impl DemoUrl {
    fn parse(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("demo:").unwrap_or(url);
        let query = match rest.strip_prefix('?') {
            Some(query) => query,
            None if rest.is_empty() => "",
            None => return Err(format!("{rest:?} is not a list of settings such as ?rate=2000&items=1000")),
        };
        let (mut rate, mut items, mut skew, mut seed, mut partitions, mut events) =
            (2000.0, 1000, 1.1, 7, 4, None);
        let mut types: Vec<String> = ["view", "click", "purchase"].map(str::to_owned).to_vec();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "rate" => rate = number(key, value, 0.001, 1e9)?,
                "items" => items = number(key, value, 1, MAX_ITEMS)?,
                "skew" => skew = number(key, value, 0.0, 10.0)?,
                "seed" => seed = number(key, value, 0, u64::MAX)?,
                "partitions" => partitions = number(key, value, 1, MAX_PARTITIONS)?,
                "events" => events = Some(number(key, value, 0, u64::MAX)?),
                "types" => types = words(key, value)?,
                _ => {
                    let known = "rate, items, skew, seed, partitions, types, events";
                    return Err(format!("unknown setting {key:?}: expected one of {known}"));
                }
            }
        }
        let ranks = Zipf::new(items as f64, skew).map_err(|error| format!("skew={skew}: {error}"))?;
        let text = url.to_owned();
        Ok(DemoUrl { text, rate, items, skew, seed, partitions, types, events, ranks })
    }
}

impl FromStr for DemoUrl {
    type Err = EndpointError;

    /// Reads `demo:` or `demo:?key=value&…`.
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        DemoUrl::parse(text).map_err(|reason| EndpointError::invalid(text, reason))
    }
}

impl fmt::Display for DemoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn number<T>(key: &str, value: &str, least: T, most: T) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let number = value.parse().ok().filter(|number| *number >= least && *number <= most);
    number.ok_or_else(|| format!("{key}={value}: expected a number from {least} to {most}"))
}

/// Words that need no escape in JSON.
fn words(key: &str, value: &str) -> Result<Vec<String>, String> {
    let plain =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
    if value.split(',').all(plain) {
        return Ok(value.split(',').map(str::to_owned).collect());
    }
    Err(format!("{key}={value}: expected words of letters, digits, _, - or . with commas between them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_default_and_can_be_given() {
        let plain = DemoUrl::parse("demo:").unwrap();
        assert_eq!((plain.rate, plain.items, plain.partitions, plain.events), (2000.0, 1000, 4, None));
        let url = "demo:?rate=5&items=6&skew=0&seed=8&partitions=9&types=a,b_c&events=10";
        let all = DemoUrl::parse(url).unwrap();
        assert_eq!((all.rate, all.items, all.skew, all.seed), (5.0, 6, 0.0, 8));
        assert_eq!((all.partitions, all.types, all.events), (9, vec!["a".into(), "b_c".into()], Some(10)));
    }

    #[test]
    fn impossible_settings_are_refused_by_key_and_value() {
        for (url, said) in [
            ("demo:?speed=1", "unknown setting \"speed\": expected one of rate"),
            ("demo:?rate=fast", "rate=fast: expected a number from 0.001"),
            ("demo:?rate=NaN", "rate=NaN"),
            ("demo:?items=0", "items=0: expected a number from 1"),
            ("demo:?partitions=5000", "to 4096"),
            ("demo:?types=a,,b", "types=a,,b: expected words"),
            ("demo:?types=a\"", "expected words"),
            ("demo:rate=1", "is not a list"),
        ] {
            let error = DemoUrl::parse(url).unwrap_err();
            assert!(error.contains(said), "{url}: {error}");
        }
    }
}
