//! Which fields are times, and how they are written.

use super::survey::Field;
use super::words;
use crest_formats::time::{TimeForm, number};
use crest_host::clock::wall_clock_ms;

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
    /// Whether it has more values than were looked at.
    pub has_more: bool,
}

/// The forms in which a field's values may be times.
pub struct Forms(Vec<Form>);

struct Form {
    form: TimeForm,
    format: Option<&'static str>,
    lacks_zone: bool,
}

impl Forms {
    /// Those that are known, or the one of the given `timestamp_format`. Times without a zone are in the given one, or
    /// else taken for UTC.
    pub fn new(format: Option<&str>, zone: Option<&str>) -> Self {
        let of = |written: Option<&str>, format, lacks_zone: bool| {
            let zone = zone.or(lacks_zone.then_some("UTC"));
            let form = TimeForm::new(written, zone).ok()?;
            Some(Form { form, format, lacks_zone })
        };
        if let Some(format) = format {
            return Forms(of(Some(format), None, false).into_iter().collect());
        }
        let all = [None].into_iter().chain(FORMATS.iter().map(|format| Some(*format)));
        let all = all.flat_map(|format| [(format, false), (format, true)]);
        Forms(all.filter_map(|(format, lacks_zone)| of(format, format, lacks_zone)).collect())
    }
}

/// How most values of a field read as times in one of these forms; `None` where they do not.
pub fn reading(field: &Field, forms: &Forms) -> Option<Reading> {
    let all: Vec<Reading> = forms.0.iter().filter_map(|form| read_by(field, form)).collect();
    let most = all.iter().map(|reading| reading.read.0).max()?;
    let best = all.iter().find(|reading| reading.read.0 == most)?;
    let swapped =
        best.format.and_then(|format| format.strip_prefix("%m/%d")).map(|rest| format!("%d/%m{rest}"));
    let is_ambiguous = swapped.is_some_and(|other| {
        all.iter().any(|reading| reading.read.0 == most && reading.format == Some(other.as_str()))
    });
    Some(Reading { is_ambiguous, ..best.clone() })
}

fn read_by(field: &Field, form: &Form) -> Option<Reading> {
    let Form { form, format, lacks_zone } = form;
    let is_named = is_named(field);
    let latest = if is_named { i64::MAX } else { wall_clock_ms().saturating_add(AHEAD_MS) };
    let time = |(text, is_number): &(String, bool)| {
        let ms = if *is_number { form.number(text) } else { form.text(text) }?;
        let plausible = number(text) != Some(ms) || (EARLIEST_NUMBER_MS..=latest).contains(&ms);
        plausible.then_some(ms)
    };
    let times: Vec<(&String, i64)> =
        field.values.iter().filter_map(|value| Some((&value.0, time(value)?))).collect();
    let (text, first) = *times.first()?;
    let numbers = field.values.iter().filter(|(text, _)| number(text).is_some()).count();
    let all = field.values.len();
    (2 * times.len() > all).then(|| Reading {
        format: *format,
        lacks_zone: *lacks_zone,
        is_ambiguous: false,
        read: (times.len(), all),
        example: (text.clone(), first),
        varies: times.iter().any(|(_, at)| *at != first),
        is_named,
        is_number: 2 * numbers > all,
        has_more: field.kinds.usable() > all as u64,
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
        reading(&Field::of_texts(path, values), &Forms::new(None, None))
            .map(|reading| (reading.format, reading.lacks_zone))
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
        let american =
            reading(&Field::of_texts("d", &["03/04/2024", "12/31/2024"]), &Forms::new(None, None)).unwrap();
        assert_eq!((american.format, american.is_ambiguous), (Some("%m/%d/%Y"), false));
        let other =
            reading(&Field::of_texts("d", &["03/04/2024", "31/12/2024"]), &Forms::new(None, None)).unwrap();
        assert_eq!((other.format, other.is_ambiguous), (Some("%d/%m/%Y"), false));
        assert!(
            reading(&Field::of_texts("d", &["03/04/2024"]), &Forms::new(None, None)).unwrap().is_ambiguous
        );
    }

    #[test]
    fn a_form_that_is_given_is_the_only_one() {
        let forms = Forms::new(Some("%d/%m/%Y %H:%M"), Some("Europe/Berlin"));
        let read = reading(&Field::of_texts("d", &["03/04/2024 12:00"]), &forms).unwrap();
        assert_eq!((read.format, read.lacks_zone, read.example.1), (None, false, 1_712_138_400_000));
        assert_eq!(reading(&Field::of_texts("d", &["2024-03-29T00:00:00Z"]), &forms), None);
    }

    #[test]
    fn the_name_tells_which_time_is_the_events() {
        let at = |path: &str| {
            let field = Field::of_texts(path, &["2024-03-29T00:00:00Z", "2024-03-29T00:00:01Z"]);
            score(&field, &reading(&field, &Forms::new(None, None)).unwrap(), 1.0)
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
