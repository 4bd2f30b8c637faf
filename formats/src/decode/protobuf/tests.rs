//! Protobuf that means harm. Records that are meant well are in `tests/decoders.rs`.

use super::super::json_text::MAX_JSON_BYTES;
use super::*;
use proptest::prelude::*;
use serde_json::Value;

const SCHEMA: &str = include_str!("../../../fuzz/schemas/everything.proto");

fn message(name: &str) -> Protobuf {
    let file = compile(SCHEMA, &[]).unwrap();
    Protobuf::Local(file.parent_pool().get_message_by_name(name).unwrap())
}

fn decoded(protobuf: &mut Protobuf, record: &[u8]) -> Result<String, Undecoded> {
    let mut json = Vec::new();
    let result = protobuf.decode(record, &mut json);
    assert!(result.is_ok() || json.is_empty(), "nothing is left of a record that is refused");
    assert!(json.capacity() <= 3 * MAX_JSON_BYTES);
    result.map(|()| String::from_utf8(json).unwrap())
}

/// A field of bytes: a text, or a message.
fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| (0..depth).fold(Vec::new(), |inner, _| field(1, &inner));
    let mut protobuf = message("Node");
    assert_eq!(
        decoded(&mut protobuf, &nested(2)).unwrap(),
        r#"{"next":{"next":{"many":[]},"many":[]},"many":[]}"#
    );
    let refused = decoded(&mut protobuf, &nested(20_000));
    assert_eq!(refused, Err(Undecoded::Refused(Refusal::Malformed)));
}

#[test]
fn many_empty_messages_end_where_the_text_is_too_long() {
    let empty = field(2, b"").repeat(500_000);
    let wide = decoded(&mut message("Wide"), &field(1, b"").repeat(500_000));
    assert_eq!(wide, Err(Undecoded::Refused(Refusal::TooLong)));
    assert!(decoded(&mut message("Node"), &empty).is_ok());
}

#[test]
fn fields_that_are_absent_take_no_time_without_end() {
    let fields: String = (1..=300).map(|number| format!("optional int32 f{number} = {number};")).collect();
    let schema =
        format!("syntax = \"proto3\"; message Row {{ {fields} }} message All {{ repeated Row rows = 1; }}");
    let file = compile(&schema, &[]).unwrap();
    let mut all = Protobuf::Local(file.parent_pool().get_message_by_name("All").unwrap());
    let rows = |count: usize| field(1, b"").repeat(count);
    assert_eq!(decoded(&mut all, &rows(2)).unwrap(), r#"{"rows":[{},{}]}"#);
    assert_eq!(decoded(&mut all, &rows(500_000)), Err(Undecoded::Refused(Refusal::TooLong)));
}

#[test]
fn an_index_that_names_no_message_is_malformed() {
    let file = compile(SCHEMA, &[]).unwrap();
    let named = |bytes: &[u8]| indexed(&file, bytes).map(|(message, _)| message.full_name().to_owned());
    assert_eq!(named(&[0]).unwrap(), "Everything");
    assert_eq!(named(&[2, 2]).unwrap(), "Node");
    assert_eq!(named(&[4, 4, 0]).unwrap(), "Wide.Inner");
    for wrong in [&[][..], &[2], &[2, 0x7E], &[1, 0], &[4, 2, 0], &[0xFF; 12], &[0x7E, 0, 0]] {
        assert_eq!(named(wrong), Err(Refusal::Malformed), "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_json_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(text) = decoded(&mut message("Everything"), &bytes) {
            prop_assert!(serde_json::from_str::<Value>(&text).unwrap().is_object());
        }
    }
}
