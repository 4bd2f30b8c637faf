//! What a block is called: its name says on which day it was written, which offsets it covers, how many records it has, and
//! their time stamps, so that a listing tells what is there. By the day, a listing of the newest or the oldest blocks is short,
//! however many there are.

use chrono::{DateTime, NaiveDate, NaiveTime};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// What the names of blocks end with.
const ENDING: &str = ".ndjson.zst";
/// In place of time stamps, where no record has one.
const NO_TIMES: &str = "none";

/// A day in UTC, by its number since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(i64);

impl Day {
    /// That of a time, in milliseconds since 1970 UTC.
    pub(crate) fn of(ms: i64) -> Self {
        Day(ms.div_euclid(DAY_MS))
    }
}

impl fmt::Display for Day {
    /// `2026-11-29`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = DateTime::from_timestamp_millis(self.0.saturating_mul(DAY_MS)).unwrap_or_default();
        write!(f, "{}", date.format("%Y-%m-%d"))
    }
}

impl FromStr for Day {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let date: NaiveDate = text.parse().map_err(|_| ())?;
        let day = Day::of(date.and_time(NaiveTime::MIN).and_utc().timestamp_millis());
        if day.to_string() == text { Ok(day) } else { Err(()) }
    }
}

/// The last two parts of a block's name: `DAY/FROM-TO_RECORDS_OLDEST-NEWEST.ndjson.zst`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlockName {
    /// When it was written.
    pub(crate) day: Day,
    /// The offsets that it covers.
    pub(crate) offsets: Range<i64>,
    /// How many records it has.
    pub(crate) records: u64,
    /// The oldest and the newest time stamp, in milliseconds since 1970 UTC.
    pub(crate) times: Option<(i64, i64)>,
}

impl fmt::Display for BlockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BlockName { day, offsets, records, times } = self;
        write!(f, "{day}/{:020}-{:020}_{records}_", offsets.start, offsets.end)?;
        match times {
            Some((oldest, newest)) => write!(f, "{oldest}-{newest}{ENDING}"),
            None => write!(f, "{NO_TIMES}{ENDING}"),
        }
    }
}

impl FromStr for BlockName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let pair = |text: &str| {
            let (first, second) = text.split_once('-')?;
            Some((first.parse::<i64>().ok()?, second.parse::<i64>().ok()?))
        };
        let (day, rest) = text.split_once('/').ok_or(())?;
        let mut parts = rest.strip_suffix(ENDING).ok_or(())?.split('_');
        let (from, to) = parts.next().and_then(pair).filter(|(from, to)| from < to).ok_or(())?;
        let records = parts.next().and_then(|records| records.parse().ok()).ok_or(())?;
        let times = match parts.next().ok_or(())? {
            NO_TIMES => None,
            times => Some(pair(times).ok_or(())?),
        };
        let name = BlockName { day: day.parse()?, offsets: from..to, records, times };
        if parts.next().is_none() { Ok(name) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written_and_nothing_else_is_one() {
        for times in [None, Some((5, 1_711_670_400_000))] {
            let name = BlockName { day: Day::of(1_711_670_400_000), offsets: 7..4103, records: 4000, times };
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        let text = "2024-03-29/00000000000000000007-00000000000000004103_4000_none.ndjson.zst";
        let name: BlockName = text.parse().unwrap();
        assert_eq!((name.to_string().as_str(), name.day), (text, Day::of(1_711_756_799_999)));
        for other in
            ["", "7-3_1_none.ndjson.zst", "7-8_1_none.ndjson", "7-8_1_none_2.ndjson.zst", "a.ndjson.zst"]
        {
            assert!(other.parse::<BlockName>().is_err(), "{other}");
            assert!(format!("2024-03-29/{other}").parse::<BlockName>().is_err(), "{other}");
        }
        for day in ["2024-3-29", "2024-02-30", "20240329", "x"] {
            assert!(format!("{day}/7-8_1_none.ndjson.zst").parse::<BlockName>().is_err(), "{day}");
        }
    }
}
