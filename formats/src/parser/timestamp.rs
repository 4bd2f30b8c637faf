//! Event times: whole numbers of seconds, milliseconds or microseconds since 1970 UTC, or RFC 3339 text.
//!
//! An event time is in the years 2000 to 2099. The numbers of these years do not overlap between the units, so that a
//! number implies its unit. Fractions of a millisecond are cut off.

use chrono::DateTime;
use std::ops::Range;

/// 2000-01-01T00:00:00Z to 2100-01-01T00:00:00Z.
const VALID_SECS: Range<i64> = 946_684_800..4_102_444_800;

/// The days before each month of a common year.
const DAYS_BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
/// The days in each month of a common year.
const DAYS_IN: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// A number of this many digits is later than those years in any unit. One of fewer digits fits 64 bits.
const TOO_MANY_DIGITS: usize = 17;

/// A number as milliseconds since 1970; `None` where it is no time in those years in any unit.
#[inline]
pub(super) fn from_integer(digits: &str) -> Option<i64> {
    if digits.len() >= TOO_MANY_DIGITS {
        return None;
    }
    let number = digits.bytes().try_fold(0, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + i64::from(digit))
    })?;
    let valid = |per_sec: i64| (VALID_SECS.start * per_sec..VALID_SECS.end * per_sec).contains(&number);
    match () {
        () if valid(1) => Some(number * 1000),
        () if valid(1000) => Some(number),
        () if valid(1_000_000) => Some(number / 1000),
        () => None,
    }
}

/// Text as milliseconds since 1970; `None` where it is not RFC 3339, or no time in those years.
pub(super) fn from_text(text: &str) -> Option<i64> {
    from_plain_utc(text.as_bytes()).or_else(|| from_rfc3339(text))
}

fn from_rfc3339(text: &str) -> Option<i64> {
    let ms = DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis();
    VALID_SECS.contains(&ms.div_euclid(1000)).then_some(ms)
}

/// Reads `YYYY-MM-DDTHH:MM:SSZ`, with or without a fraction of three digits, as almost all programs write it. Every
/// other text, such as a leap second, is `None`.
fn from_plain_utc(text: &[u8]) -> Option<i64> {
    let (text, rest) = text.split_first_chunk::<19>()?;
    let ms = match *rest {
        [b'Z'] => 0,
        [b'.', a, b, c, b'Z'] => number([b'0', a, b, c])?,
        _ => return None,
    };
    let &[y0, y1, y2, y3, b'-', mo0, mo1, b'-', d0, d1, b'T', h0, h1, b':', mi0, mi1, b':', s0, s1] = text
    else {
        return None;
    };
    let days = days_since_2000(number([y0, y1, y2, y3])?, number([mo0, mo1])?, number([d0, d1])?)?;
    let (hour, minute, second) = (number([h0, h1])?, number([mi0, mi1])?, number([s0, s1])?);
    if hour >= 24 || minute >= 60 || second >= 60 {
        return None;
    }
    let secs = VALID_SECS.start + ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(secs * 1000 + ms)
}

/// The days from 2000-01-01 to a date in the years 2000 to 2099, in which every fourth year is a leap year.
#[inline]
fn days_since_2000(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(2000..2100).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    let leap = year % 4 == 0;
    let before = DAYS_BEFORE[month as usize - 1] + i64::from(leap && month > 2);
    let length = DAYS_IN[month as usize - 1] + i64::from(leap && month == 2);
    let years = year - 2000;
    (1..=length).contains(&day).then_some(years * 365 + (years + 3) / 4 + before + day - 1)
}

/// The number with these digits.
#[inline]
fn number<const N: usize>(digits: [u8; N]) -> Option<i64> {
    let values = digits.map(|digit| digit.wrapping_sub(b'0'));
    // All digits are checked without branches.
    let good = values.iter().fold(true, |good, &value| good & (value < 10));
    good.then(|| values.iter().fold(0, |number, &value| number * 10 + i64::from(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_years_2000_to_2099_are_valid_in_every_unit_and_as_text() {
        for digits in ["946684800", "946684800000", "946684800000000", "946684800000999"] {
            assert_eq!(from_integer(digits), Some(946_684_800_000), "{digits}");
        }
        assert_eq!(from_integer("4102444799"), Some(4_102_444_799_000));
        assert_eq!(from_integer("4102444799999"), Some(4_102_444_799_999));
        assert_eq!(from_integer("4102444799999999"), Some(4_102_444_799_999));
        assert_eq!(from_text("2000-01-01T00:00:00Z"), Some(946_684_800_000));
        assert_eq!(from_text("2099-12-31T23:59:59.999Z"), Some(4_102_444_799_999));
    }

    #[test]
    fn other_times_are_refused() {
        let numbers = [
            "0",
            "-1711670400",
            "946684799",
            "4102444800",
            "946684799999",
            "4102444800000",
            "946684799999999",
            "4102444800000000",
            "1711670400000000000",
            "18446744073709551615",
        ];
        for digits in numbers {
            assert_eq!(from_integer(digits), None, "{digits}");
        }
        let texts = [
            "",
            "now",
            "1711670400",
            "1999-12-31T23:59:59.999Z",
            "2100-01-01T00:00:00Z",
            "2000-01-01T00:00:00+00:01",
            "2099-12-31T23:59:60Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01",
            "2026-01-01T00:00:0\u{0662}Z",
        ];
        for text in texts {
            assert_eq!(from_text(text), None, "{text}");
        }
    }

    #[test]
    fn other_forms_of_rfc_3339_are_read() {
        let ten = from_text("2026-03-10T10:15:23Z");
        assert_eq!(ten, Some(1_773_137_723_000));
        assert_eq!(from_text("2026-03-10T15:45:23+05:30"), ten);
        assert_eq!(from_text("2026-03-10T02:15:23-08:00"), ten);
        assert_eq!(from_text("2026-03-10t10:15:23z"), ten);
        assert_eq!(from_text("2026-03-10T10:15:23.0009Z"), ten);
        assert_eq!(from_text("2026-03-10T10:15:23.123456789Z"), Some(1_773_137_723_123));
        assert_eq!(from_text("2016-12-31T23:59:60Z"), from_text("2017-01-01T00:00:00Z"));
    }

    #[test]
    fn every_day_is_the_day_after_the_one_before() {
        let mut ms = VALID_SECS.start * 1000;
        while ms < VALID_SECS.end * 1000 {
            let text = DateTime::from_timestamp_millis(ms).unwrap().to_rfc3339().replace("+00:00", "Z");
            assert_eq!(from_plain_utc(text.as_bytes()), Some(ms), "{text}");
            ms += 86_400_000;
        }
    }

    proptest! {
        #[test]
        fn the_fast_path_agrees_with_chrono(
            text in "(19|20|21)[0-9]{2}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,4})?(Z|z|)"
        ) {
            if let Some(ms) = from_plain_utc(text.as_bytes()) {
                prop_assert_eq!(Some(ms), from_rfc3339(&text));
            }
        }
    }
}
