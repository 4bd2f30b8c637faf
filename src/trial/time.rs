//! Which fields are times, and how they are written.

use super::survey::Field;
use super::words;
use crest_connectors::wall_clock::wall_clock_ms;
use crest_formats::time::{TimeForm, number};

/// Forms that are read only where `timestamp_format` says so, the likelier first. Dates with the month first come before
/// those with the day first.
const FORMATS: &[&str] = &[
    "%d/%b/%Y:%H:%M:%S %z",
    "%a %b %d %H:%M:%S %z %Y",
    "%a, %d %b %Y %H:%M:%S %z",
    "%a, %d %b %Y %H:%M:%S GMT",
    "%a %b %d %H:%M:%S %Y",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%d.%m.%Y %H:%M:%S%.f",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
    "%m/%d/%Y %H:%M:%S%.f",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y",
    "%d/%m/%Y %H:%M:%S%.f",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y",
    "%d-%b-%Y %H:%M:%S",
    "%d %b %Y %H:%M:%S",
    "%b %d, %Y %H:%M:%S",
    "%Y-%m-%d",
    "%Y%m%d%H%M%S",
];
/// Names of the time of an event.
const NAMES: &str = "\
    at created created_at createdat date datetime event_time eventtime occurred_at t time timestamp ts";
/// Words in the name of a time.
const WORDS: &str = "\
    at clock created date datetime day epoch instant micro milli ms msec nano occurred time timestamp ts \
    when";
/// Words in the name of a time that is not when an event happened.
const OTHERS: &str = "\
    birth birthday deleted due expire expiry ingested modified processed received updated";
/// 1990, in milliseconds since 1970. An earlier number is rather an id or a quantity.
const EARLIEST_NUMBER_MS: i64 = 631_152_000_000;
/// How far beyond now a number may be that its name does not call a time.
const AHEAD_MS: i64 = 366 * 86_400_000;

/// How a field reads as a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Its `timestamp_format`, where it needs one.
    pub format: Option<&'static str>,
    /// Whether its texts name no zone, so that one must be given.
    pub lacks_zone: bool,
    /// Whether day and month could be the other way round.
    pub is_ambiguous: bool,
    /// How many of the values that were looked at are such times, and how many were looked at.
    pub read: (usize, usize),
    /// The first of them, and what it is in milliseconds since 1970 UTC.
    pub example: (String, i64),
    /// Whether they differ.
    pub varies: bool,
    /// Whether its name says that it is a time.
    pub is_named: bool,
    /// Whether its values are numbers, or texts of numbers.
    pub is_number: bool,
}

/// How most values of a field read as times; `None` where they do not.
pub fn reading(field: &Field) -> Option<Reading> {
    let forms = [(None, false), (None, true)].into_iter();
    let formats = FORMATS.iter().flat_map(|format| [(Some(*format), false), (Some(*format), true)]);
    let all: Vec<Reading> =
        forms.chain(formats).filter_map(|(format, lacks_zone)| read_by(field, format, lacks_zone)).collect();
    let most = all.iter().map(|reading| reading.read.0).max()?;
    let best = all.iter().find(|reading| reading.read.0 == most)?;
    let swapped =
        best.format.and_then(|format| format.strip_prefix("%m/%d")).map(|rest| format!("%d/%m{rest}"));
    let is_ambiguous = swapped.is_some_and(|other| {
        all.iter().any(|reading| reading.read.0 == most && reading.format == Some(other.as_str()))
    });
    Some(Reading { is_ambiguous, ..best.clone() })
}

fn read_by(field: &Field, format: Option<&'static str>, lacks_zone: bool) -> Option<Reading> {
    let form = TimeForm::new(format, lacks_zone.then_some("UTC")).ok()?;
    let is_named = is_named(field);
    let latest = if is_named { i64::MAX } else { wall_clock_ms().saturating_add(AHEAD_MS) };
    let time = |(text, is_number): &(String, bool)| {
        let ms = if *is_number { number(text) } else { form.text(text) }?;
        let plausible = number(text) != Some(ms) || (EARLIEST_NUMBER_MS..=latest).contains(&ms);
        plausible.then_some(ms)
    };
    let times: Vec<(&String, i64)> =
        field.first.iter().filter_map(|value| Some((&value.0, time(value)?))).collect();
    let (text, first) = *times.first()?;
    let numbers = field.first.iter().filter(|(text, _)| number(text).is_some()).count();
    let all = field.first.len();
    (2 * times.len() > all).then(|| Reading {
        format,
        lacks_zone,
        is_ambiguous: false,
        read: (times.len(), all),
        example: (text.clone(), first),
        varies: times.iter().any(|(_, at)| *at != first),
        is_named,
        is_number: 2 * numbers > all,
    })
}

/// Whether the name of a field says that it is a time.
pub fn is_named(field: &Field) -> bool {
    words::has(field, WORDS)
}

/// How likely a field with a reading is the time of an event of which `share` have it.
pub fn score(field: &Field, reading: &Reading, share: f64) -> f64 {
    let names = words::names(&field.path);
    let last = names.last().map(|words| words.join("_")).unwrap_or_default();
    let name = match last.as_str() {
        last if words::contains(NAMES, last) => 2.0,
        _ if reading.is_named => 1.5,
        _ => 0.0,
    };
    let other = if words::has(field, OTHERS) { 2.0 } else { 0.0 };
    let bare = if reading.is_number && !reading.is_named { 1.0 } else { 0.0 };
    let (read, of) = reading.read;
    let varies = if reading.varies { 0.5 } else { 0.0 };
    4.0 * share * read as f64 / of.max(1) as f64 + name + varies - other - bare - 0.1 * names.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(path: &str, values: &[&str]) -> Option<(Option<&'static str>, bool)> {
        reading(&Field::of_texts(path, values)).map(|reading| (reading.format, reading.lacks_zone))
    }

    #[test]
    fn times_are_known_by_their_form() {
        for (value, expected) in [
            ("2024-03-29T00:00:00Z", (None, false)),
            ("1711670400.25", (None, false)),
            ("2024-03-29 00:00:00", (None, true)),
            ("29/Mar/2024:01:00:00 +0100", (Some("%d/%b/%Y:%H:%M:%S %z"), false)),
            ("Wed Aug 27 13:08:45 +0000 2008", (Some("%a %b %d %H:%M:%S %z %Y"), false)),
            ("Fri, 29 Mar 2024 00:00:00 GMT", (Some("%a, %d %b %Y %H:%M:%S GMT"), true)),
            ("29.03.2024 10:15", (Some("%d.%m.%Y %H:%M"), true)),
            ("3/29/2024 10:15:00 PM", (Some("%m/%d/%Y %I:%M:%S %p"), true)),
            ("2024-03-29", (Some("%Y-%m-%d"), true)),
            ("20240329101500", (Some("%Y%m%d%H%M%S"), true)),
        ] {
            assert_eq!(form("x", &[value]), Some(expected), "{value}");
        }
        for value in ["7", "19.99", "soon", "7513592", "2024", "20240329", "9876543210"] {
            assert_eq!(form("x", &[value]), None, "{value}");
        }
    }

    #[test]
    fn a_day_that_no_month_has_tells_which_comes_first() {
        let american = reading(&Field::of_texts("d", &["03/04/2024", "12/31/2024"])).unwrap();
        assert_eq!((american.format, american.is_ambiguous), (Some("%m/%d/%Y"), false));
        let other = reading(&Field::of_texts("d", &["03/04/2024", "31/12/2024"])).unwrap();
        assert_eq!((other.format, other.is_ambiguous), (Some("%d/%m/%Y"), false));
        assert!(reading(&Field::of_texts("d", &["03/04/2024"])).unwrap().is_ambiguous);
    }

    #[test]
    fn the_name_tells_which_time_is_the_events() {
        let at = |path: &str| {
            let field = Field::of_texts(path, &["2024-03-29T00:00:00Z", "2024-03-29T00:00:01Z"]);
            score(&field, &reading(&field).unwrap(), 1.0)
        };
        for (better, worse) in [
            ("created_at", "updated_at"),
            ("timestamp", "x"),
            ("eventTime", "receivedTime"),
            ("time", "a.b.time"),
        ] {
            assert!(at(better) > at(worse), "{better} {worse}");
        }
    }
}
