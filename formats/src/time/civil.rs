//! Dates and times as texts.

/// The days before each month of a common year.
const DAYS_BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
/// The days in each month of a common year.
const DAYS_IN: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Reads `YYYY-MM-DDTHH:MM:SSZ`, with or without a fraction of three digits, as almost all programs write it, in
/// milliseconds since 1970. Every other text is `None`.
#[inline]
pub(super) fn plain_utc(text: &[u8]) -> Option<i64> {
    let (date_time, rest) = text.split_first_chunk::<19>()?;
    let ms = match *rest {
        [b'Z'] => 0,
        [b'.', a, b, c, b'Z'] => number([b'0', a, b, c])?,
        _ => return None,
    };
    let (ms_of_date, second) = date_and_time(date_time)?;
    (date_time[10] == b'T' && second < 60).then_some(ms_of_date + ms)
}

/// Reads a date and time with any separator and any offset, which may be absent. Gives the milliseconds since 1970 as if
/// the time were in UTC, and the offset in seconds.
pub(super) fn read(text: &[u8]) -> Option<(i64, Option<i64>)> {
    let (date_time, rest) = text.split_first_chunk::<19>()?;
    let (ms_of_date, _) = date_and_time(date_time)?;
    if !matches!(date_time[10], b'T' | b't' | b' ') {
        return None;
    }
    let (ms, rest) = match rest.split_first() {
        Some((b'.' | b',', fraction)) => fraction_of_second(fraction)?,
        _ => (0, rest),
    };
    let rest = rest.strip_prefix(b" ").filter(|zone| !zone.is_empty()).unwrap_or(rest);
    Some((ms_of_date + ms, offset(rest)?))
}

fn fraction_of_second(fraction: &[u8]) -> Option<(i64, &[u8])> {
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let ms = fraction[..digits].iter().chain(&[b'0'; 3]).take(3);
    let ms = ms.fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
    (digits > 0).then_some((ms, &fraction[digits..]))
}

/// The offset in seconds; `None` within where there is none, and outside where it cannot be read.
fn offset(text: &[u8]) -> Option<Option<i64>> {
    let (sign, hours, minutes) = match *text {
        [] => return Some(None),
        [b'Z' | b'z'] => return Some(Some(0)),
        [sign, a, b, b':', c, d] | [sign, a, b, c, d] => (sign, [a, b], [c, d]),
        [b'U', b'T', b'C'] | [b'G', b'M', b'T'] => return Some(Some(0)),
        [sign, a, b] => (sign, [a, b], [b'0', b'0']),
        _ => return None,
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let secs = (hours * 60 + minutes) * 60;
    match sign {
        _ if hours >= 24 || minutes >= 60 => None,
        b'+' => Some(Some(secs)),
        b'-' => Some(Some(-secs)),
        _ => None,
    }
}

/// `YYYY-MM-DD HH:MM:SS` with any byte between date and time, in milliseconds since 1970, and its second, which is 60 in
/// a leap second.
#[inline]
fn date_and_time(text: &[u8; 19]) -> Option<(i64, i64)> {
    let &[y0, y1, y2, y3, b'-', mo0, mo1, b'-', d0, d1, _, h0, h1, b':', mi0, mi1, b':', s0, s1] = text
    else {
        return None;
    };
    let days = days_since_1970(number([y0, y1, y2, y3])?, number([mo0, mo1])?, number([d0, d1])?)?;
    let (hour, minute, second) = (number([h0, h1])?, number([mi0, mi1])?, number([s0, s1])?);
    // Leap seconds end a minute of UTC; whether there was one is not checked.
    if hour >= 24 || minute >= 60 || second > 60 {
        return None;
    }
    Some(((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000, second))
}

/// The days from 1970-01-01 to a date from 1969-12-31 to 2100-01-01, between which every fourth year is a leap year. The
/// days at the edges may be within the valid years by their offset.
#[inline]
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1969..=2100).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    let leap = year % 4 == 0 && year != 2100;
    let before = DAYS_BEFORE[month as usize - 1] + i64::from(leap && month > 2);
    let length = DAYS_IN[month as usize - 1] + i64::from(leap && month == 2);
    let years = year - 1970;
    (1..=length).contains(&day).then_some(years * 365 + (years + 1).div_euclid(4) + before + day - 1)
}

/// The number with these digits.
#[inline]
fn number<const N: usize>(digits: [u8; N]) -> Option<i64> {
    let values = digits.map(|digit| digit.wrapping_sub(b'0'));
    // All digits are checked without branches.
    let good = values.iter().fold(true, |good, &value| good & (value < 10));
    good.then(|| values.iter().fold(0, |number, &value| number * 10 + i64::from(value)))
}
