//! Event times, in milliseconds since 1970 UTC.
//!
//! An event time is in the years 1970 to 2099. A number implies its unit by its magnitude: the first of seconds,
//! milliseconds, microseconds and nanoseconds in which it is in those years. So a number of milliseconds is taken for
//! seconds in the first seven weeks of 1970. Fractions of a millisecond are cut off.
//!
//! A text is a number, or a date and time as RFC 3339 has it, with some liberty: a space for the `T`, a comma for the
//! point, `UTC` for `Z`, and an offset without its colon. Where no offset is given, the configured time zone decides.

mod civil;

use crate::digits;
use jiff::fmt::strtime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

/// 2100-01-01T00:00:00Z, in seconds.
const END_SECS: u64 = 4_102_444_800;

/// A number of more digits before its point is later than those years in any unit.
const MAX_DIGITS: usize = 19;

/// How times are written, apart from the forms that are always read.
#[derive(Clone, Debug, Default)]
pub struct TimeForm {
    /// The form of texts, for `strftime`; without one they are read as the module says.
    format: Option<String>,
    /// The zone of texts that name none.
    zone: Option<TimeZone>,
}

/// A form of times that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeFormError {
    /// No zone of this name is known.
    #[error("timezone {0:?}: must be a name of the IANA time zone database, such as Europe/Berlin")]
    Zone(String),
    /// The format has a directive that is not known.
    #[error("timestamp_format {0:?}: {1}")]
    Format(String, String),
    /// The format names no zone, and the configuration does not either.
    #[error("timestamp_format {0:?}: has no time zone (such as %z), so timezone must name it")]
    NoZone(String),
}

impl TimeForm {
    /// The form of a format and a time zone.
    ///
    /// # Errors
    /// The zone is unknown, the format has an unknown directive, or neither names a zone.
    pub fn new(format: Option<&str>, zone: Option<&str>) -> Result<Self, TimeFormError> {
        let named =
            |name: &str| TimeZoneDatabase::bundled().get(name).map_err(|_| TimeFormError::Zone(name.into()));
        let zone = zone.map(named).transpose()?;
        if let Some(format) = format {
            strtime::format(format, &jiff::Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC))
                .map_err(|error| TimeFormError::Format(format.into(), error.to_string()))?;
            if zone.is_none() && !names_zone(format) {
                return Err(TimeFormError::NoZone(format.into()));
            }
        }
        Ok(TimeForm { format: format.map(str::to_owned), zone })
    }

    /// The time that a text says; `None` where it is no time, or not in the valid years.
    #[inline]
    pub fn text(&self, text: &str) -> Option<i64> {
        match &self.format {
            Some(format) => self.formatted(format, text),
            None => match civil::plain_utc(text.as_bytes()) {
                Some(ms) => within(ms),
                None => number(text).or_else(|| self.civil(text)),
            },
        }
    }

    /// The time that a number says: in the configured form, such as `20240329` for `%Y%m%d`, or else in the unit that it
    /// implies.
    #[inline]
    pub fn number(&self, number: &str) -> Option<i64> {
        match &self.format {
            None => self::number(number),
            Some(format) => self.formatted(format, number).or_else(|| self::number(number)),
        }
    }

    #[cold]
    fn civil(&self, text: &str) -> Option<i64> {
        let (local_ms, offset) = civil::read(text.as_bytes())?;
        match offset {
            Some(secs) => within(local_ms - secs * 1000),
            None => {
                let at = jiff::Timestamp::from_millisecond(local_ms).ok()?;
                self.zoned(TimeZone::UTC.to_datetime(at))
            }
        }
    }

    fn formatted(&self, format: &str, text: &str) -> Option<i64> {
        let parts = strtime::parse(format, text).ok()?;
        if parts.offset().is_some() || parts.timestamp().is_some() || parts.iana_time_zone().is_some() {
            return within(parts.to_timestamp().ok()?.as_millisecond());
        }
        let time = parts.to_time().unwrap_or(jiff::civil::Time::midnight());
        self.zoned(parts.to_date().ok()?.to_datetime(time))
    }

    /// A local time in the zone: the earlier one of two, and none where the clocks were set forward.
    fn zoned(&self, local: jiff::civil::DateTime) -> Option<i64> {
        let offset = match self.zone.as_ref()?.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Fold { before, .. } => before,
            AmbiguousOffset::Gap { .. } => return None,
        };
        within(offset.to_timestamp(local).ok()?.as_millisecond())
    }
}

/// Whether a format has a directive that tells the offset: `%z`, `%:z`, `%Q`, `%:Q` or `%s`.
fn names_zone(format: &str) -> bool {
    let mut rest = format;
    while let Some((_, directive)) = rest.split_once('%') {
        let directive = directive.trim_start_matches([':', '-', '_', '^', '#', '0']);
        if directive.starts_with(['z', 'Q', 's']) {
            return true;
        }
        rest = directive.get(directive.chars().next().map_or(0, char::len_utf8)..).unwrap_or_default();
    }
    false
}

/// A time that is in the valid years.
#[inline]
fn within(ms: i64) -> Option<i64> {
    (0..END_SECS as i64 * 1000).contains(&ms).then_some(ms)
}

/// The time that a number says; `None` where it is in those years in no unit.
#[inline]
pub fn number(text: &str) -> Option<i64> {
    match digits::number(text.as_bytes()) {
        Some(whole) => in_ms(whole, 0),
        None => decimal(text),
    }
}

/// A number that has a point or an exponent.
#[cold]
fn decimal(text: &str) -> Option<i64> {
    if let Some((mantissa, exponent)) = text.split_once(['e', 'E']) {
        return with_exponent(mantissa, exponent);
    }
    let (whole, fraction) = text.split_once('.')?;
    if fraction.is_empty() || !digits::all_digits(fraction.as_bytes()) {
        return None;
    }
    let millionths = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
    let millionths = millionths.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    in_ms(digits::number(whole.as_bytes())?, millionths)
}

/// A number with an exponent, such as 1.7116704e9, with its point moved.
fn with_exponent(mantissa: &str, exponent: &str) -> Option<i64> {
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let point = usize::try_from(point).ok().filter(|point| (1..=MAX_DIGITS).contains(point))?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || whole.is_empty() {
        return None;
    }
    let filled = format!("{digits:0<point$}");
    let (whole, fraction) = filled.split_at(point);
    number(if fraction.is_empty() { whole.into() } else { format!("{whole}.{fraction}") }.as_str())
}

/// A number and millionths of one, in the unit that it implies.
#[inline]
fn in_ms(number: u64, millionths: u64) -> Option<i64> {
    let ms = match () {
        () if number < END_SECS => number * 1000 + millionths / 1000,
        () if number < END_SECS * 1000 => number,
        () if number < END_SECS * 1_000_000 => number / 1000,
        () if number < END_SECS * 1_000_000_000 => number / 1_000_000,
        () => return None,
    };
    Some(ms as i64)
}

#[cfg(test)]
mod tests;
