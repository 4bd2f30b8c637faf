//! Every framing against the obvious way, through buffers of any size that are filled in any steps.

use super::csv::Csv;
use super::json::Json;
use super::kind::{Framing, FramingError};
use super::lines::Lines;
use super::records::{Cut, LONGEST_LINE_BYTES, Records, Taken};
use super::splitter::Splitter;
use crate::source::{MAX_RECORD_BYTES, Payload, Record};
use proptest::prelude::*;
use serde_json::Value;

/// Records by number, without the bytes of those that are too long.
type Found = Vec<(i64, Option<Vec<u8>>)>;

/// A buffer and the turns in which it is filled and read.
#[derive(Clone, Copy, Debug)]
struct Turns {
    capacity: usize,
    step: usize,
    limit: usize,
}

fn turns() -> impl Strategy<Value = Turns> {
    (0usize..20, 1usize..16, 1usize..5).prop_map(|(capacity, step, limit)| Turns { capacity, step, limit })
}

/// Calls `split` as sources do until it is through with `bytes`.
fn read(
    bytes: &[u8],
    turns: Turns,
    mut split: impl FnMut(&[u8], bool, usize, &mut dyn FnMut(Record<'_>)) -> Result<Taken, FramingError>,
) -> Result<Found, FramingError> {
    let (mut from, mut to, mut found) = (0, 0, Found::new());
    loop {
        let end = to == bytes.len();
        let before = found.len();
        let taken = split(&bytes[from..to], end, turns.limit, &mut |record| {
            found.push((record.offset, record.payload.bytes().map(<[u8]>::to_vec)));
        })?;
        assert!(taken.records <= turns.limit && taken.records == found.len() - before);
        from += taken.bytes;
        if end && taken == Taken::default() {
            assert_eq!(from, to, "nothing may be left");
            return Ok(found);
        }
        assert!(end || taken.bytes > 0 || to - from < turns.capacity, "a full buffer must get on");
        to = (to + turns.step).min(from + turns.capacity).min(bytes.len()).max(to);
    }
}

/// The records that `cut` finds, where one of over `longest` bytes is too long.
fn cut<C: Cut>(
    cut: C,
    first: i64,
    longest: usize,
    bytes: &[u8],
    mut turns: Turns,
) -> Result<Found, FramingError> {
    turns.capacity += longest + (LONGEST_LINE_BYTES - MAX_RECORD_BYTES);
    let mut records = Records::with_longest(cut, first, longest);
    read(bytes, turns, |bytes, end, limit, each| records.split(bytes, end, limit, each))
}

/// The records of a whole stream. What is long for the test is short for the splitter.
fn split(framing: Framing, bytes: &[u8], mut turns: Turns) -> Result<Found, FramingError> {
    turns.capacity = usize::MAX / 2;
    let mut splitter = Splitter::new(framing, 1);
    read(bytes, turns, |bytes, end, limit, each| splitter.split(bytes, end, limit, each))
}

fn at_once() -> Turns {
    Turns { capacity: 100, step: usize::MAX / 4, limit: 1000 }
}

/// The texts of the records, of which none is too long.
fn texts(framing: Framing, text: &str) -> Vec<String> {
    let found = split(framing, text.as_bytes(), at_once()).unwrap();
    found.into_iter().map(|(_, record)| String::from_utf8(record.unwrap()).unwrap()).collect()
}

fn naive_lines(bytes: &[u8], longest: usize) -> Found {
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    let numbered = (1..).zip(lines.into_iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line)));
    numbered
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| (number, (line.len() <= longest).then(|| line.to_vec())))
        .collect()
}

/// Any JSON value, of strings that hold what could be taken for structure.
fn value() -> impl Strategy<Value = Value> {
    let text = "[a-c\\\\\"{}\\[\\],: \n\u{e9}]{0,8}";
    let leaf = prop_oneof![
        any::<i32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((text, inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

fn parsed(found: &Found) -> Vec<(i64, Value)> {
    found.iter().map(|(n, record)| (*n, serde_json::from_slice(record.as_ref().unwrap()).unwrap())).collect()
}

proptest! {
    #[test]
    fn lines_equal_the_naive_split(
        pieces in prop::collection::vec(prop_oneof![
            4 => "[a-c]{0,12}", 3 => Just("\n".to_owned()), 1 => Just("\r\n".to_owned()), 1 => Just("\r".to_owned()),
        ], 0..60),
        longest in 1usize..10, turns in turns(), first in 1i64..20,
    ) {
        let bytes = pieces.concat().into_bytes();
        let mut expected = naive_lines(&bytes, longest);
        prop_assert_eq!(&cut(Lines, 1, longest, &bytes, turns).unwrap(), &expected);
        expected.retain(|(number, _)| *number >= first);
        prop_assert_eq!(cut(Lines, first, longest, &bytes, turns).unwrap(), expected);
    }

    #[test]
    fn values_are_found_however_they_are_written(
        values in prop::collection::vec(value(), 0..8), between in "[ \t\r\n]{1,3}", turns in turns(), first in 1i64..5,
        longest in 1usize..60,
    ) {
        let compact: Vec<String> = values.iter().map(Value::to_string).collect();
        let long: Vec<String> = values.iter().map(pretty).collect();
        let expected = |texts: &[String]| -> Found {
            let whole = |text: &String| (text.len() <= longest).then(|| text.clone().into_bytes());
            (1..).zip(texts.iter().map(whole)).filter(|(number, _)| *number >= first).collect()
        };
        for texts in [&compact, &long] {
            let documents = texts.join(&between);
            let array = format!("{between}[{between}{}{between}]{between}", texts.join(&format!("{between},")));
            prop_assert_eq!(cut(Json::documents(), first, longest, documents.as_bytes(), turns).unwrap(), expected(texts));
            prop_assert_eq!(cut(Json::elements(), first, longest, array.as_bytes(), turns).unwrap(), expected(texts));
            let open = array.trim_end().strip_suffix(']').unwrap();
            prop_assert_eq!(cut(Json::elements(), first, longest, open.as_bytes(), turns), Err(FramingError::OpenArray));
        }
    }

    #[test]
    fn auto_finds_the_objects_of_every_writing(
        objects in prop::collection::vec(prop::collection::vec(("[a-c{}\\[\"\\\\]{0,4}", value()), 1..4), 2..6),
        mark in any::<bool>(), line_end in prop_oneof![Just("\n"), Just("\r\n")], turns in turns(),
    ) {
        let objects: Vec<Value> =
            objects.into_iter().map(|members| Value::Object(members.into_iter().collect())).collect();
        let expected: Vec<(i64, Value)> = (1..).zip(objects.iter().cloned()).collect();
        let compact: Vec<String> = objects.iter().map(Value::to_string).collect();
        let long: Vec<String> = objects.iter().map(|object| pretty(object).replace('\n', line_end)).collect();
        let array = Value::from(objects.clone());
        let writings = [
            compact.join(line_end),
            compact.join(line_end) + line_end,
            compact.concat(),
            long.join(line_end),
            array.to_string(),
            array.to_string() + line_end + " ",
            pretty(&array).replace('\n', line_end),
        ];
        for writing in writings {
            let text = if mark { format!("\u{feff}{writing}") } else { writing };
            let found = split(Framing::Auto, text.as_bytes(), turns).unwrap();
            prop_assert_eq!(parsed(&found), expected.clone(), "{}", text);
        }
    }

    #[test]
    fn what_is_no_json_is_a_record_and_the_rest_is_found(
        values in prop::collection::vec(prop_oneof![
            value().prop_map(|value| value.to_string()), "[a-z}=;]{1,4}",
        ], 0..8),
        turns in turns(),
    ) {
        let expected: Found = (1..).zip(values.iter().map(|text| Some(text.clone().into_bytes()))).collect();
        let documents = values.join("\n");
        prop_assert_eq!(cut(Json::documents(), 1, 1000, documents.as_bytes(), turns).unwrap(), expected.clone());
        let array = format!("[{}]", values.join(" "));
        prop_assert_eq!(cut(Json::elements(), 1, 1000, array.as_bytes(), turns).unwrap(), expected);
    }

    #[test]
    fn csv_is_cut_where_a_reader_of_whole_fields_cuts_it(
        rows in prop::collection::vec(prop::collection::vec(prop_oneof![
            "[a-c]{0,5}", "[a-c]{1,2}\"[a-c]{0,2}", "[a-c\n\r,\"]{0,6}".prop_map(|t| format!("\"{}\"", t.replace('"', "\"\""))),
        ], 1..5), 0..8),
        line_end in prop_oneof![Just("\n"), Just("\r\n")], turns in turns(),
    ) {
        let rows: Vec<String> = rows.iter().map(|fields| fields.join(",")).collect();
        let expected: Found =
            (1..).zip(&rows).filter(|(_, row)| !row.is_empty()).map(|(n, row)| (n, Some(row.clone().into_bytes()))).collect();
        let bytes = rows.iter().map(|row| format!("{row}{line_end}")).collect::<String>();
        prop_assert_eq!(cut(Csv::new(b',', Some(b'"')), 1, 1000, bytes.as_bytes(), turns).unwrap(), expected);
    }
}

#[test]
fn empty_lines_are_numbered_and_the_last_needs_no_end() {
    let lines = split(Framing::Lines, b"\n{1}\r\n\r\n\n{2}", at_once()).unwrap();
    assert_eq!(lines, [(2, Some(b"{1}".to_vec())), (5, Some(b"{2}".to_vec()))]);
}

#[test]
fn auto_tells_an_array_from_lines_of_arrays_and_documents_from_lines() {
    let auto = |text| texts(Framing::Auto, text);
    assert_eq!(auto("[1,2]"), ["1", "2"]);
    assert_eq!(auto("[1,2]\n[3]\n"), ["[1,2]", "[3]"]);
    assert_eq!(auto("[\n1]\n"), ["1"]);
    assert_eq!(
        auto("[2024-03-29] GET /a\n[2024-03-29] GET /b"),
        ["[2024-03-29] GET /a", "[2024-03-29] GET /b"]
    );
    assert_eq!(auto("{\n}\n{}"), ["{\n}", "{}"]);
    assert_eq!(auto("{\"a\":\"}\\\"\"}\n{\n}"), ["{\"a\":\"}\\\"\"}", "{", "}"], "the first line is whole");
    assert_eq!(auto("\n \n{}\n7"), [" ", "{}", "7"]);
    assert_eq!(auto("{broken\n{}\n{}"), ["{broken", "{}", "{}"], "a first line that was damaged");
    assert_eq!(auto("{\"a\n{}"), ["{\"a", "{}"], "a first line that was cut in a string");
    assert_eq!(auto(" \n "), [" ", " "]);
    assert_eq!(auto(""), [] as [&str; 0]);
    assert_eq!(split(Framing::Auto, b"[{}", at_once()), Err(FramingError::OpenArray));
    assert_eq!(split(Framing::Array, b"[{},{", at_once()), Err(FramingError::OpenArray));
}

#[test]
fn arrays_follow_each_other_and_what_is_beside_them_is_not_lost() {
    assert_eq!(texts(Framing::Array, "[1,,2]\n[[3]]x ]{}"), ["1", "2", "[3]", "x", "]", "{}"]);
    assert_eq!(texts(Framing::Documents, "{}]1\"a\"[2]tru,e"), ["{}", "]1", "\"a\"", "[2]", "tru", "e"]);
    assert_eq!(
        texts(Framing::Documents, "{} {\"a\":"),
        ["{}", "{\"a\":"],
        "refused as malformed where it is cut off"
    );
}

#[test]
fn an_array_in_one_line_that_is_longer_than_a_record_is_an_array() {
    let elements = vec!["1".repeat(1000); MAX_RECORD_BYTES / 1000 + 1];
    let found = texts(Framing::Auto, &format!("[{}]", elements.join(",")));
    assert!(found == elements);
}

#[test]
fn a_quote_that_is_never_closed_takes_no_more_than_a_record() {
    let text = b"a,\"b\nc\n123456789\nd,e\nf";
    let found =
        cut(Csv::new(b',', Some(b'"')), 1, 8, text, Turns { capacity: 0, step: 1, limit: 9 }).unwrap();
    assert_eq!(found, [(1, None), (2, Some(b"d,e".to_vec())), (3, Some(b"f".to_vec()))]);
}

#[test]
fn the_header_of_csv_comes_before_the_first_record() {
    let csv = |header| Framing::Csv { delimiter: b';', quote: Some(b'"'), header };
    let text = "\u{feff}\r\na;\"b\nc\"\r\n1;2\n\n3;4";
    let mut splitter = Splitter::new(csv(true), 4);
    let mut record = |_: Record<'_>| panic!("nothing may come with the header");
    let mut from = 0;
    while splitter.header().is_none() {
        from += splitter.split(&text.as_bytes()[from..], true, 10, &mut record).unwrap().bytes;
    }
    assert_eq!(splitter.header().unwrap(), b"a;\"b\nc\"");
    let mut found = Vec::new();
    let mut record = |record: Record<'_>| found.push((record.offset, record.payload == Payload::Text("3;4")));
    splitter.split(&text.as_bytes()[from..], true, 10, &mut record).unwrap();
    assert_eq!(found, [(5, true)], "from the fourth on, of which the third is empty");
    assert_eq!(texts(csv(false), text), ["a;\"b\nc\"", "1;2", "3;4"]);

    let long = "x".repeat((64 << 10) + 1);
    let error = split(csv(true), long.as_bytes(), at_once()).unwrap_err();
    assert_eq!(error.to_string(), "the header is longer than 65536 bytes");
}
