//! Times as numbers and texts, against a second implementation.

use super::*;
use chrono::DateTime;
use proptest::prelude::*;

fn text(text: &str) -> Option<i64> {
    TimeForm::default().text(text)
}

const MIDNIGHT: i64 = 1_711_670_400_000;

#[test]
fn a_number_implies_its_unit() {
    for (digits, ms) in [
        ("0", 0),
        ("1711670400", MIDNIGHT),
        ("1711670400.25", MIDNIGHT + 250),
        ("1711670400.0019", MIDNIGHT + 1),
        ("1711670400000", MIDNIGHT),
        ("1711670400000.9", MIDNIGHT),
        ("1711670400000999", MIDNIGHT),
        ("1711670400000999999", MIDNIGHT),
        ("1.7116704e9", MIDNIGHT),
        ("1.711670400001E+12", MIDNIGHT + 1),
        ("17116704000000e-4", MIDNIGHT),
        ("881250949", 881_250_949_000),
        ("4102444799", 4_102_444_799_000),
        ("4102444799999999999", 4_102_444_799_999),
    ] {
        assert_eq!(number(digits), Some(ms), "{digits}");
        assert_eq!(text(digits), Some(ms), "{digits} as text");
    }
    for digits in [
        "",
        "-1",
        "4102444800000000000",
        "18446744073709551615",
        "99999999999999999999",
        "1.",
        ".5",
        "1e",
        "1e99",
        "1e-9",
        "1x",
    ] {
        assert_eq!(number(digits), None, "{digits}");
        assert_eq!(text(digits), None, "{digits} as text");
    }
}

#[test]
fn a_number_may_be_in_the_configured_form() {
    let days = TimeForm::new(Some("%Y%m%d"), Some("UTC")).unwrap();
    assert_eq!(days.number("20240329"), Some(MIDNIGHT));
    assert_eq!(days.number("1711670400"), Some(MIDNIGHT), "it does not fit");
}

#[test]
fn texts_are_read_as_people_write_them() {
    for written in [
        "2024-03-29T00:00:00Z",
        "2024-03-29T00:00:00.000Z",
        "2024-03-29 00:00:00Z",
        "2024-03-29 00:00:00 UTC",
        "2024-03-29 00:00:00 GMT",
        "2024-03-29t00:00:00z",
        "2024-03-29T00:00:00,000999+00:00",
        "2024-03-29T05:30:00+0530",
        "2024-03-29T05:30:00+05:30",
        "2024-03-28 17:00:00.0 -07",
        "2024-03-28T23:59:60Z",
    ] {
        assert_eq!(text(written), Some(MIDNIGHT), "{written}");
    }
    assert_eq!(text("1969-12-31T23:00:00-01:00"), Some(0));
    for other in [
        "",
        "now",
        "2024-03-29",
        "2024-03-29T00:00:00",
        "2024-03-29T00:00:00 ",
        "2024-03-29T00:00:00.Z",
        "2024-03-29T00:00:00+24:00",
        "2024-03-29T00:00:00*01:00",
        "2024-03-29_00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-01-00T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:61Z",
        "2024-01-01T00:00:0\u{0662}Z",
        "1969-12-31T23:59:59Z",
        "2100-01-01T00:00:00Z",
    ] {
        assert_eq!(text(other), None, "{other}");
    }
}

#[test]
fn a_time_zone_decides_where_the_text_does_not() {
    let new_york = TimeForm::new(None, Some("America/New_York")).unwrap();
    assert_eq!(new_york.text("2024-03-28T20:00:00"), Some(MIDNIGHT));
    assert_eq!(new_york.text("2024-03-29T00:00:00Z"), Some(MIDNIGHT), "it has a zone");
    assert_eq!(new_york.text("2024-03-10T02:30:00"), None, "clocks went from 2 to 3");
    assert_eq!(new_york.text("2024-11-03 01:30:00"), Some(1_730_611_800_000), "the earlier of two");
}

#[test]
fn a_format_says_how_texts_are_written() {
    let form = |format: &str, zone: Option<&str>| TimeForm::new(Some(format), zone);
    let log = form("%d/%b/%Y:%H:%M:%S %z", None).unwrap();
    assert_eq!(log.text("29/Mar/2024:01:00:00 +0100"), Some(MIDNIGHT));
    assert_eq!(log.text("2024-03-29T00:00:00Z"), None);
    let mail = form("%a %b %d %H:%M:%S %z %Y", None).unwrap();
    assert_eq!(mail.text("Fri Mar 29 00:00:00 +0000 2024"), Some(MIDNIGHT));
    let date = form("%Y%m%d", Some("Europe/Berlin")).unwrap();
    assert_eq!(date.text("20240329"), Some(MIDNIGHT - 3_600_000));

    let error = |format: &str, zone: Option<&str>| form(format, zone).unwrap_err().to_string();
    assert!(error("%Y%m%d", None).contains("\"%Y%m%d\": has no time zone"));
    assert!(error("%Y %%z", None).contains("has no time zone"));
    assert!(error("%Y %", Some("UTC")).contains("timestamp_format \"%Y %\""));
    assert!(error("%Y", Some("Berlin")).contains("timezone \"Berlin\": must be"));
}

#[test]
fn every_day_is_the_day_after_the_one_before() {
    for day in 0..END_SECS as i64 / 86_400 {
        let ms = day * 86_400_000 + 1;
        let written = DateTime::from_timestamp_millis(ms).unwrap().format("%FT%T%.3fZ").to_string();
        assert_eq!(text(&written), Some(ms), "{written}");
    }
}

proptest! {
    #[test]
    fn rfc_3339_is_read_as_chrono_reads_it(
        written in "(19[67]|20[0-9]|210)[0-9]-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|z|[+-][0-2][0-9]:[0-5][0-9])"
    ) {
        let expected = DateTime::parse_from_rfc3339(&written).ok().and_then(|time| within(time.timestamp_millis()));
        prop_assert_eq!(text(&written), expected);
    }
}
