//! Avro that means harm. Records that are meant well are in `tests/decoders.rs`.

use super::super::json_text::MAX_JSON_BYTES;
use super::*;
use crate::refusal::Refusal;
use proptest::prelude::*;
use serde_json::Value;

fn decoded(schema: &str, datum: &[u8]) -> Result<String, Undecoded> {
    let mut json = Vec::new();
    let result = Avro::local(schema).unwrap().decode(datum, &mut json);
    assert!(result.is_ok() || json.is_empty(), "nothing is left of a record that is refused");
    assert!(json.capacity() <= 3 * MAX_JSON_BYTES);
    result.map(|()| String::from_utf8(json).unwrap())
}

fn long(value: i64) -> Vec<u8> {
    let mut bits = (value << 1 ^ value >> 63).cast_unsigned();
    let mut bytes = Vec::new();
    while bits >= 0x80 {
        bytes.push((bits & 0x7F) as u8 | 0x80);
        bits >>= 7;
    }
    bytes.push(bits as u8);
    bytes
}

const MALFORMED: Result<String, Undecoded> = Err(Undecoded::Refused(Refusal::Malformed));
const TOO_LONG: Result<String, Undecoded> = Err(Undecoded::Refused(Refusal::TooLong));

#[test]
fn arrays_that_take_no_bytes_end_where_the_text_is_too_long() {
    let nulls = r#"{"type":"array","items":"null"}"#;
    assert_eq!(decoded(nulls, &[long(1 << 60), long(0)].concat()), TOO_LONG);
    assert_eq!(decoded(nulls, &[long(i64::MIN), long(0), long(0)].concat()), TOO_LONG);
    assert_eq!(decoded(nulls, &[long(-2), long(0), long(0)].concat()).unwrap(), "[null,null]");
    assert_eq!(decoded(nulls, &long(1 << 60).repeat(1000)), TOO_LONG);
    let nested =
        r#"{"type":"array","items":{"type":"array","items":{"type":"record","name":"E","fields":[]}}}"#;
    assert_eq!(decoded(nested, &long(1 << 60).repeat(100_000)), TOO_LONG);
    assert_eq!(decoded(nested, &long(0)).unwrap(), "[]");
}

#[test]
fn nesting_is_bounded() {
    let list = r#"{"type":"record","name":"List","fields":[{"name":"next","type":["null","List"]}]}"#;
    let nested = |depth: usize| decoded(list, &[long(1).repeat(depth), long(0)].concat());
    assert!(nested(20).unwrap().ends_with(r#"{"next":null}}}}}}}}}}}}}}}}}}}}}"#));
    assert_eq!(nested(100_000), MALFORMED);
    let endless =
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"R"},{"name":"b","type":"R"}]}"#;
    assert_eq!(decoded(endless, b""), MALFORMED);
}

#[test]
fn lengths_indexes_and_numbers_out_of_range_are_malformed() {
    for (schema, datum) in [
        (r#""string""#, long(i64::MAX)),
        (r#""bytes""#, long(-1)),
        (r#""int""#, long(1 << 31)),
        (r#""boolean""#, vec![2]),
        (r#""long""#, vec![0xFF; 10]),
        (r#""long""#, [vec![0x80; 9], vec![2]].concat()),
        (r#"["null","int"]"#, long(2)),
        (r#"{"type":"enum","name":"E","symbols":["A"]}"#, long(-1)),
        (r#"{"type":"fixed","name":"F","size":1000000000}"#, vec![0; 8]),
    ] {
        assert_eq!(decoded(schema, &datum), MALFORMED, "{schema}");
    }
    assert_eq!(decoded(r#""string""#, &[2, 0xFF]), Err(Undecoded::Refused(Refusal::InvalidUtf8)));
}

#[test]
fn what_json_cannot_say_is_null() {
    let decimal = r#"{"type":"bytes","logicalType":"decimal","precision":100,"scale":3}"#;
    assert_eq!(decoded(decimal, &[long(17), vec![1; 17]].concat()).unwrap(), "null");
    assert_eq!(decoded(decimal, &[long(1), vec![0xFF]].concat()).unwrap(), "-0.001");
    assert_eq!(decoded(decimal, &long(0)).unwrap(), "0.000");
    let date = r#"{"type":"int","logicalType":"date"}"#;
    assert_eq!(decoded(date, &long(i64::from(i32::MIN))).unwrap(), "null");
    let big = r#"{"type":"bytes","logicalType":"big-decimal"}"#;
    assert_eq!(decoded(big, &[long(3), long(1), vec![0x7B], long(2)].concat()).unwrap(), "1.23");
    assert_eq!(decoded(big, &[long(3), long(1), vec![0x7B], long(-2)].concat()).unwrap(), "null");
}

#[test]
fn a_uuid_and_a_duration_in_bytes() {
    let uuid = r#"{"type":{"type":"fixed","name":"U","size":16},"logicalType":"uuid"}"#;
    assert_eq!(
        decoded(uuid, &(0..16).collect::<Vec<u8>>()).unwrap(),
        r#""00010203-0405-0607-0809-0a0b0c0d0e0f""#
    );
    let duration = r#"{"type":"fixed","name":"D","size":12,"logicalType":"duration"}"#;
    assert_eq!(
        decoded(duration, &[1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]).unwrap(),
        r#"{"months":1,"days":2,"millis":3}"#
    );
}

proptest! {
    #[test]
    fn any_bytes_are_json_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let schema = include_str!("../../../fuzz/schemas/everything.avsc");
        if let Ok(text) = decoded(schema, &bytes) {
            let value: Value = serde_json::from_str(&text).unwrap();
            prop_assert!(value.is_object());
        }
    }
}
