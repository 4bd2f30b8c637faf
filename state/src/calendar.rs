//! Units of the calendar in a time zone: the hour, day, week or month that an instant is in.
//!
//! Units leave no gap and do not overlap. A day of 23 or 25 hours is one, as the zone's rules say; a week begins on Monday; an hour
//! is cut where the zone's offset changes within it. Zones are those of the IANA database that is built in.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan, ZonedDateTime};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Offsets of time zones, and so the beginnings of their units, are multiples of this since 1972.
pub const QUARTER: Duration = Duration::from_secs(15 * 60);
const HOUR_MS: i64 = 3_600_000;
/// The bucket of a unit stays for so many units.
const UNITS_STAY: u32 = 31;

/// A unit of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// From a full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday.
    Week,
    /// From the first to the last day.
    Month,
}

impl Unit {
    const ALL: [(&str, Unit); 4] =
        [("hour", Unit::Hour), ("day", Unit::Day), ("week", Unit::Week), ("month", Unit::Month)];

    /// The unit of this name.
    pub fn named(name: &str) -> Option<Unit> {
        Unit::ALL.iter().find(|(known, _)| *known == name).map(|(_, unit)| *unit)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Unit::ALL.iter().find(|(_, unit)| unit == self);
        to.write_str(known.map_or("", |(name, _)| name))
    }
}

/// A unit in a time zone.
#[derive(Clone, Copy)]
pub struct Calendar {
    unit: Unit,
    zone: &'static Zone,
}

struct Zone {
    name: String,
    rules: TimeZone,
}

/// There is no such zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a name of the IANA time zone database, such as Europe/Berlin")]
pub struct NoZone;

impl Zone {
    /// The zone of this name. Each is kept for good once it was asked for; there are some hundreds.
    fn named(name: &str) -> Result<&'static Zone, NoZone> {
        static KNOWN: Mutex<BTreeMap<String, &'static Zone>> = Mutex::new(BTreeMap::new());
        let mut known = KNOWN.lock();
        if let Some(zone) = known.get(name) {
            return Ok(zone);
        }
        let rules = TimeZoneDatabase::bundled().get(name).map_err(|_| NoZone)?;
        let zone: &'static Zone = Box::leak(Box::new(Zone { name: name.to_owned(), rules }));
        known.insert(name.to_owned(), zone);
        Ok(zone)
    }
}

impl Calendar {
    /// This unit in the zone of this name.
    ///
    /// # Errors
    /// There is no such zone.
    pub fn new(unit: Unit, zone: &str) -> Result<Self, NoZone> {
        Ok(Calendar { unit, zone: Zone::named(zone)? })
    }

    /// The unit.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// The zone's name.
    pub fn zone(&self) -> &'static str {
        &self.zone.name
    }

    /// Longer than any of these units.
    pub fn longest(&self) -> Duration {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        match self.unit {
            Unit::Hour => hours(2),
            Unit::Day => hours(26),
            Unit::Week => hours(7 * 24 + 2),
            Unit::Month => hours(31 * 24 + 2),
        }
    }

    /// For how long the bucket of a unit stays where nobody says for how long: 31 hours, days, weeks, or months of 31 days.
    pub fn bucket_stays(&self) -> Duration {
        let hours = match self.unit {
            Unit::Hour => 1,
            Unit::Day => 24,
            Unit::Week => 7 * 24,
            Unit::Month => 31 * 24,
        };
        UNITS_STAY * Duration::from_secs(hours * 3600)
    }

    /// When the unit begins that an instant is in, in milliseconds since 1970 UTC.
    pub fn start_of(&self, ms: i64) -> i64 {
        let Some(at) = self.at(ms) else { return ms };
        let date = match self.unit {
            Unit::Hour => return self.hour(&at),
            Unit::Day => at.date(),
            Unit::Week => {
                let days = i64::from(at.date().weekday().to_monday_zero_offset());
                at.date().saturating_sub(days.days())
            }
            Unit::Month => at.date().first_of_month(),
        };
        let start = date.to_zoned_datetime(self.zone.rules.clone()).and_then(|start| start.start_of_day());
        start.map_or(ms, |start| start.timestamp().as_millisecond().min(ms))
    }

    /// When the unit that an instant is in ends, and the next one begins.
    pub fn end_of(&self, ms: i64) -> i64 {
        // The first instant that is in another unit: no unit is longer than this.
        let start = self.start_of(ms);
        let (mut within, mut beyond) = (ms, start + self.longest().as_millis() as i64);
        while beyond - within > 1 {
            let middle = within + (beyond - within) / 2;
            if self.start_of(middle) == start { within = middle } else { beyond = middle }
        }
        beyond
    }

    /// The name of the unit that an instant is in: `2026-03-10T09`, `2026-03-10`, or `2026-03`; that of a week is its Monday's.
    pub fn name_of(&self, ms: i64) -> String {
        let Some(start) = self.at(self.start_of(ms)) else { return ms.to_string() };
        let form = match self.unit {
            Unit::Hour => "%Y-%m-%dT%H%:z",
            Unit::Day | Unit::Week => "%Y-%m-%d",
            Unit::Month => "%Y-%m",
        };
        start.strftime(form).to_string()
    }

    fn at(&self, ms: i64) -> Option<ZonedDateTime> {
        Some(Timestamp::from_millisecond(ms).ok()?.to_zoned_datetime(self.zone.rules.clone()))
    }

    /// The full hour before, or the change of the offset since.
    fn hour(&self, at: &ZonedDateTime) -> i64 {
        let (ms, offset) = (at.timestamp().as_millisecond(), i64::from(at.offset().seconds()) * 1000);
        let full = (ms + offset).div_euclid(HOUR_MS) * HOUR_MS - offset;
        let after = Timestamp::from_millisecond(ms + 1).unwrap_or(at.timestamp());
        let change = self.zone.rules.preceding(after).next();
        change.map_or(full, |change| full.max(change.timestamp().as_millisecond()))
    }
}

impl PartialEq for Calendar {
    fn eq(&self, other: &Self) -> bool {
        (self.unit, &self.zone.name) == (other.unit, &other.zone.name)
    }
}

impl Eq for Calendar {}

impl fmt::Debug for Calendar {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{:?} in {}", self.unit, self.zone.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn spans(unit: Unit, zone: &str, at: &str) -> (i64, f64, String) {
        let calendar = Calendar::new(unit, zone).unwrap();
        let (start, end) = (calendar.start_of(ms(at)), calendar.end_of(ms(at)));
        (start, (end - start) as f64 / HOUR_MS as f64, calendar.name_of(ms(at)))
    }

    #[test]
    fn days_are_as_long_as_the_zone_says() {
        let day = |at, zone| spans(Unit::Day, zone, at);
        let berlin = "Europe/Berlin";
        assert_eq!(
            day("2026-03-10T12:00:00Z", berlin),
            (ms("2026-03-09T23:00:00Z"), 24.0, "2026-03-10".into())
        );
        assert_eq!(
            day("2026-03-29T12:00:00Z", berlin),
            (ms("2026-03-28T23:00:00Z"), 23.0, "2026-03-29".into())
        );
        assert_eq!(
            day("2026-10-25T22:30:00Z", berlin),
            (ms("2026-10-24T22:00:00Z"), 25.0, "2026-10-25".into())
        );
        assert_eq!(
            day("2026-03-10T00:00:00Z", "UTC"),
            (ms("2026-03-10T00:00:00Z"), 24.0, "2026-03-10".into())
        );
        assert_eq!(day("2026-03-10T00:00:00Z", "Asia/Kathmandu").0, ms("2026-03-09T18:15:00Z"));
        // Where midnight is skipped, the day begins at one.
        assert_eq!(
            day("2018-11-04T12:00:00Z", "America/Sao_Paulo"),
            (ms("2018-11-04T03:00:00Z"), 23.0, "2018-11-04".into())
        );
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_their_first() {
        let berlin = "Europe/Berlin";
        let week = spans(Unit::Week, berlin, "2026-03-29T12:00:00Z");
        assert_eq!(week, (ms("2026-03-22T23:00:00Z"), 167.0, "2026-03-23".into()));
        let month = spans(Unit::Month, berlin, "2026-02-28T23:30:00Z");
        assert_eq!(month, (ms("2026-02-28T23:00:00Z"), 31.0 * 24.0 - 1.0, "2026-03".into()));
        assert_eq!(spans(Unit::Month, "UTC", "2024-02-29T01:00:00Z").1, 29.0 * 24.0);
    }

    #[test]
    fn hours_are_full_ones_of_the_zone() {
        assert_eq!(spans(Unit::Hour, "Asia/Kolkata", "2026-03-10T10:40:00Z").0, ms("2026-03-10T10:30:00Z"));
        // The hour that comes twice is two.
        let first = spans(Unit::Hour, "Europe/Berlin", "2026-10-25T00:30:00Z");
        let second = spans(Unit::Hour, "Europe/Berlin", "2026-10-25T01:30:00Z");
        assert_eq!((first.1, second.1, second.0 - first.0), (1.0, 1.0, HOUR_MS));
        assert_ne!(first.2, second.2);
        // An offset that changes by half an hour cuts one.
        assert_eq!(spans(Unit::Hour, "Australia/Lord_Howe", "2026-10-03T15:40:00Z").1, 0.5);
    }

    #[test]
    fn a_zone_that_is_none_is_refused() {
        assert_eq!(Calendar::new(Unit::Day, "Berlin").unwrap_err(), NoZone);
    }

    proptest! {
        #[test]
        fn units_leave_no_gap_and_do_not_overlap(
            at in 94_694_400_000i64..4_000_000_000_000,
            unit in prop::sample::select(vec![Unit::Hour, Unit::Day, Unit::Week, Unit::Month]),
            zone in prop::sample::select(vec![
                "UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe",
                "Pacific/Apia", "Asia/Tehran", "Africa/Casablanca",
            ]),
        ) {
            let calendar = Calendar::new(unit, zone).unwrap();
            let (start, end) = (calendar.start_of(at), calendar.end_of(at));
            prop_assert!(start <= at && at < end && end - start < calendar.longest().as_millis() as i64);
            prop_assert_eq!(calendar.start_of(start), start);
            prop_assert_eq!((calendar.start_of(end - 1), calendar.start_of(end)), (start, end));
            let quarter = QUARTER.as_millis() as i64;
            prop_assert_eq!((start % quarter, end % quarter), (0, 0));
        }
    }
}
