//! Texts from outside, made fit for a terminal: nothing in them moves the cursor, turns the direction or hides, and
//! they fill the columns that they are given.

use crest_connectors::snapshot::{Estimate, Item};
use std::time::{Duration, UNIX_EPOCH};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Marks on one character beyond which they are a prank.
const MAX_MARKS: usize = 2;

/// Stands for what was cut off.
const ELLIPSIS: char = '…';

/// The text with what a terminal would obey, or not show, as `\u{1b}`.
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut marks = MAX_MARKS;
    for c in text.chars() {
        let width = c.width();
        marks = if width == Some(0) { marks + 1 } else { 0 };
        match width {
            Some(0) if !is_obeyed(c) && marks <= MAX_MARKS => out.push(c),
            Some(1..) if !is_obeyed(c) => out.push(c),
            _ => out.extend(c.escape_unicode()),
        }
        // A mark needs a character of its own to stand on, and an escape is none.
        if is_obeyed(c) {
            marks = MAX_MARKS;
        }
    }
    out
}

/// Controls, characters that change the direction of others, and such as show nothing.
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0e}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// A line of JSON, in which such characters are escaped as JSON does it: the values stay the same.
pub fn json_line(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 1);
    for c in json.trim_end().chars() {
        if is_obeyed(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    out
}

/// The columns that a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text in exactly so many columns: cut off or filled up.
pub fn fit(text: &str, columns: usize) -> String {
    let taken = text.width();
    if taken <= columns {
        return format!("{text}{}", " ".repeat(columns - taken));
    }
    let mut out = String::new();
    for c in text.chars() {
        out.push(c);
        if out.width() + 1 > columns {
            out.pop();
            break;
        }
    }
    if columns > 0 {
        out.push(ELLIPSIS);
    }
    let left = columns.saturating_sub(out.width());
    out + &" ".repeat(left)
}

/// `12,345`.
pub fn count(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// What the rank has done since the window's previous final ranking.
pub fn change(change: Option<i32>) -> String {
    match change {
        None => "new".into(),
        Some(0) => "–".into(),
        Some(up @ 1..) => format!("▲{up}"),
        Some(down) => format!("▼{}", down.unsigned_abs()),
    }
}

/// How much less than the count it may truly be; empty where that is nothing.
pub fn apart(lower: u64, upper: u64) -> String {
    match upper.saturating_sub(lower) {
        0 => String::new(),
        apart => format!("−{}", count(apart)),
    }
}

/// How far the count of a row may be from the truth: its standard error where it is an estimate, or else how much less it may
/// truly be; empty where that is nothing.
pub fn doubt(item: &Item) -> String {
    match item.estimate {
        Some(Estimate { standard_error, .. }) => format!("±{}", count(standard_error)),
        // Of different values, the count is what is known to be there.
        None if item.count < item.upper => format!("+{}", count(item.upper - item.count)),
        None => apart(item.lower, item.upper),
    }
}

/// `850 ms`, `6.0 s`, `3 min`, `2.5 h`.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 0.9995 => format!("{:.0} ms", s.max(0.0) * 1e3),
        s if s < 99.95 => format!("{s:.1} s"),
        s if s < 5970.0 => format!("{:.0} min", s / 60.0),
        s if s < 48.0 * 3600.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}

/// Two instants in milliseconds since 1970, in UTC: `2026-03-10 10:15:00 – 11:15:00 UTC`, without the first date
/// where `short`.
pub fn interval(start: i64, end: i64, short: bool) -> String {
    let ((first_day, first), (last_day, last)) = (instant(start), instant(end));
    match (short, first_day == last_day) {
        (true, true) => format!("{first} – {last} UTC"),
        (false, true) => format!("{first_day} {first} – {last} UTC"),
        (_, false) => format!("{first_day} {first} – {last_day} {last} UTC"),
    }
}

/// The day and the time of the day of an instant in milliseconds since 1970, in UTC.
pub fn instant(ms: i64) -> (String, String) {
    // Beyond the year 9999 there are no events.
    let ms = ms.clamp(0, 253_402_300_799_000) as u64;
    let text = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(ms)).to_string();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    (day.to_owned(), time.trim_end_matches('Z').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        assert_eq!(shown("\u{1b}[31mred\u{7}\n"), "\\u{1b}[31mred\\u{7}\\u{a}");
        assert_eq!(shown("a\u{202e}b\u{9b}c\u{200d}d\u{feff}"), "a\\u{202e}b\\u{9b}c\\u{200d}d\\u{feff}");
        assert_eq!(shown("käse 東京 🎉 e\u{301}"), "käse 東京 🎉 e\u{301}");
        assert_eq!(shown("\u{301}"), "\\u{301}", "it has nothing to stand on");
        assert_eq!(shown("a\u{301}\u{301}\u{301}"), "a\u{301}\u{301}\\u{301}");
        for c in (0..=0x1f).chain(0x7f..=0x9f).chain(0x2028..=0x202e).chain(0xe_0000..=0xe_007f) {
            let c = char::from_u32(c).unwrap();
            assert!(!shown(&format!("a{c}b")).contains(c), "{c:?}");
            let json = serde_json::to_string(&c.to_string()).unwrap();
            let line = json_line(&json);
            assert!(!line.trim_end().contains(c) && line.ends_with('\n'), "{c:?}");
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), c.to_string());
        }
    }

    #[test]
    fn every_text_takes_the_columns_that_it_is_given() {
        let long = "x".repeat(1000);
        let tall = "e\u{301}\u{301}".repeat(20);
        for text in
            ["", "abc", "東京タワー", "🎉🎉🎉", "e\u{301}a\u{308}", "❤\u{fe0f}❤\u{fe0f}", &long, &tall]
        {
            for columns in 0..12 {
                let fitted = fit(text, columns);
                assert_eq!(fitted.width(), columns, "{text:?} in {columns}: {fitted:?}");
                assert_eq!(fitted.contains(ELLIPSIS), text.width() > columns && columns > 0);
            }
        }
    }

    #[test]
    fn numbers_and_times_are_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([None, Some(0), Some(3), Some(-2)].map(change), ["new", "–", "▲3", "▼2"]);
        assert_eq!((apart(7, 7), apart(0, 1200)), (String::new(), "−1,200".to_owned()));
        let times = [-1.0, 0.25, 6.0, 99.0, 100.0, 9000.0, 1e6].map(seconds);
        assert_eq!(times, ["0 ms", "250 ms", "6.0 s", "99.0 s", "2 min", "2.5 h", "11.6 days"]);
        let end = 1_773_137_700_000;
        assert_eq!(interval(end - 3_600_000, end, false), "2026-03-10 09:15:00 – 10:15:00 UTC");
        assert_eq!(interval(end - 3_600_000, end, true), "09:15:00 – 10:15:00 UTC");
        assert_eq!(interval(end - 86_400_000, end, true), "2026-03-09 10:15:00 – 2026-03-10 10:15:00 UTC");
        interval(i64::MIN, i64::MAX, false);
    }
}
