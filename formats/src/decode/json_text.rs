//! JSON text, piece by piece: what all decoders write with.

use crate::refusal::Refusal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

/// The longest JSON text that a decoder makes of a record: 16 MiB. A record of a mebibyte may stand for any number of
/// values, such as an array of nulls.
pub const MAX_JSON_BYTES: usize = 16 << 20;

/// The deepest nesting of values that a decoder writes.
pub(super) const MAX_DEPTH: usize = 100;

/// Refuses to go on with a text that is too long. `start` is where it begins.
pub(super) fn check_length(json: &[u8], start: usize) -> Result<(), Refusal> {
    if json.len() - start > MAX_JSON_BYTES { Err(Refusal::TooLong) } else { Ok(()) }
}

/// Has `write` append to `json`, and takes back what it has written where it fails.
pub(super) fn whole<E>(
    json: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = json.len();
    let written = write(json);
    if written.is_err() {
        json.truncate(start);
    }
    written
}

/// Text in quotes.
pub(super) fn push_text(json: &mut Vec<u8>, text: &str) {
    json.push(b'"');
    push_escaped(json, text.as_bytes());
    json.push(b'"');
}

/// What stands between the quotes of a text.
pub(super) fn push_escaped(json: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte < b' ' || *byte == b'"' || *byte == b'\\') {
        json.extend_from_slice(&rest[..at]);
        match rest[at] {
            mark @ (b'"' | b'\\') => json.extend_from_slice(&[b'\\', mark]),
            control => {
                let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
                json.extend_from_slice(b"\\u00");
                json.extend_from_slice(&[digit(control >> 4), digit(control & 15)]);
            }
        }
        rest = &rest[at + 1..];
    }
    json.extend_from_slice(rest);
}

/// The name of a field with its quotes and its colon.
pub(super) fn key(name: &str) -> Box<[u8]> {
    let mut key = Vec::with_capacity(name.len() + 3);
    push_text(&mut key, name);
    key.push(b':');
    key.into()
}

/// A comma, unless `json` ends with the bracket that was opened last.
pub(super) fn push_comma(json: &mut Vec<u8>) {
    if !matches!(json.last(), Some(b'{' | b'[')) {
        json.push(b',');
    }
}

/// Bytes: the text that they are in UTF-8, or else in base64.
pub(super) fn push_bytes(json: &mut Vec<u8>, bytes: &[u8]) {
    match simdutf8::basic::from_utf8(bytes) {
        Ok(text) => push_text(json, text),
        Err(_) => push_text(json, &STANDARD.encode(bytes)),
    }
}

/// A number or a boolean; null for what JSON has no number for.
pub(super) fn push_plain(json: &mut Vec<u8>, value: impl Serialize) {
    let Ok(()) = serde_json::to_writer(json, &value) else {
        unreachable!("a buffer takes every plain value")
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn value(push: impl FnOnce(&mut Vec<u8>)) -> Value {
        let mut json = Vec::new();
        push(&mut json);
        serde_json::from_slice(&json).unwrap()
    }

    proptest! {
        #[test]
        fn text_comes_back_as_it_was(text in "\\PC*|[\\x00-\\x7f]*") {
            prop_assert_eq!(value(|json| push_text(json, &text)), Value::from(text));
        }
    }

    #[test]
    fn bytes_are_text_where_they_can_be() {
        assert_eq!(value(|json| push_bytes(json, "prix: 5 €".as_bytes())), "prix: 5 €");
        assert_eq!(value(|json| push_bytes(json, b"\xff\x00\x10")), "/wAQ");
    }

    #[test]
    fn numbers_that_json_lacks_are_null() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(value(|json| push_plain(json, number)), Value::Null);
        }
        assert_eq!(value(|json| push_plain(json, u64::MAX)), u64::MAX);
        assert_eq!(value(|json| push_plain(json, 0.1_f32)).to_string(), "0.1");
    }
}
