//! Compares the two paths of the parser with each other and with a model over `serde_json::Value`, on generated events
//! and damaged ones.

use super::tests::parser;
use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value as Json;

/// Checks a payload on every path.
fn check(payload: &[u8]) -> Result<(), TestCaseError> {
    let mut parser = parser();
    let Ok(text) = std::str::from_utf8(payload) else {
        prop_assert_eq!(parser.parse(payload).err(), Some(Refusal::InvalidUtf8));
        return Ok(());
    };
    let model = match serde_json::from_str(text) {
        Ok(Json::Object(object)) => Some(object),
        _ => None,
    };
    let expected: Option<Vec<String>> =
        model.as_ref().map(|object| NAMES.iter().map(|name| model_literal(object.get(*name))).collect());
    if let Some(scanned) = scanned(&parser, text) {
        prop_assert_eq!(Some(scanned), expected.clone());
    }
    prop_assert_eq!(read_slowly(&parser, text), expected);

    let expected = model.as_ref().ok_or(Refusal::Malformed).and_then(|object| {
        let item = model_first(object, ["item_id", "product"]);
        Ok((model_time(object)?, model_weight(object), item, model_first(object, ["kind", "event"])))
    });
    let shown = |value: Value<'_>| format!("{value:?}");
    let found = parser.parse(payload);
    let found =
        found.map(|event| (event.time, event.weight(), shown(event.item()), shown(event.event_type())));
    prop_assert_eq!(found, expected);
    Ok(())
}

/// The first value of these names that is text and not empty, or else the first that is not absent.
fn model_first(object: &serde_json::Map<String, Json>, names: [&str; 2]) -> String {
    let value = |name: &str| match object.get(name) {
        None | Some(Json::Null) => "Absent".to_owned(),
        Some(Json::String(text)) => format!("{:?}", Value::Text(text)),
        Some(value @ (Json::Bool(_) | Json::Number(_))) if !value.is_f64() => {
            format!("{:?}", Value::Text(&value.to_string()))
        }
        Some(_) => "Unusable".to_owned(),
    };
    let values = names.map(value);
    let usable = values.iter().find(|value| value.starts_with("Text") && *value != "Text(\"\")");
    let there = || values.iter().find(|value| *value != "Absent");
    usable.or_else(there).cloned().unwrap_or_else(|| "Absent".into())
}

/// Every name of [`parser`].
const NAMES: [&str; 9] =
    ["item_id", "product", "kind", "event", "timestamp", "weight", "live", "video_id", "region"];

fn shown(parser: &Parser, slots: &[Slot], text: &str) -> Vec<String> {
    NAMES.iter().map(|name| format!("{:?}", slots[parser.field(name).unwrap().0].read(text))).collect()
}

fn scanned(parser: &Parser, text: &str) -> Option<Vec<String>> {
    let mut slots = vec![Slot::Unusable; NAMES.len()];
    let mut scanner = Scanner::new(&parser.names);
    scanner.scan(text, &parser.names, &mut slots)?;
    let first = shown(parser, &slots, text);
    // Now it expects the very order of these members.
    scanner.scan(text, &parser.names, &mut slots).unwrap();
    assert_eq!(first, shown(parser, &slots, text));
    Some(first)
}

fn read_slowly(parser: &Parser, text: &str) -> Option<Vec<String>> {
    let (mut slots, mut arena) = (vec![Slot::Unusable; NAMES.len()], "left over".to_owned());
    let kept = fallback::read(text, &parser.names, &mut slots, &mut arena).ok()?;
    assert!(kept.len() <= text.len());
    Some(shown(parser, &slots, kept))
}

fn model_literal(value: Option<&Json>) -> String {
    match value {
        None | Some(Json::Null) => format!("{:?}", Literal::Absent),
        Some(Json::Bool(value)) => format!("{:?}", Literal::Word(&value.to_string())),
        Some(Json::String(text)) => format!("{:?}", Literal::String(text)),
        Some(Json::Number(n)) if !n.is_f64() => format!("{:?}", Literal::Integer(&n.to_string())),
        Some(Json::Number(_) | Json::Array(_) | Json::Object(_)) => format!("{:?}", Literal::Unusable),
    }
}

fn model_time(object: &serde_json::Map<String, Json>) -> Result<i64, Refusal> {
    let valid = 946_684_800_000_i128..4_102_444_800_000;
    let ms = match object.get("timestamp") {
        // In microseconds as many as there are.
        Some(Json::Number(number)) => number.as_i128().and_then(|number| {
            [number * 1_000_000, number * 1000, number]
                .map(|us| us.div_euclid(1000))
                .into_iter()
                .find(|ms| valid.contains(ms))
        }),
        Some(Json::String(text)) => chrono::DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|time| i128::from(time.timestamp()) * 1000 + i128::from(time.timestamp_subsec_millis())),
        _ => None,
    };
    ms.filter(|ms| valid.contains(ms)).map(|ms| ms as i64).ok_or(Refusal::Timestamp)
}

fn model_weight(object: &serde_json::Map<String, Json>) -> Option<u32> {
    match object.get("weight") {
        None | Some(Json::Null) => Some(1),
        Some(weight) => weight.as_u64().and_then(|weight| u32::try_from(weight).ok()).filter(|w| *w >= 1),
    }
}

/// White space, mostly none.
fn space() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", "", "", " ", "\n", "\t", "\r\n", "   "])
}

/// A string, in quotes: as it is, with the escapes that it needs, or all in escapes.
fn quoted(text: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (text, 0..8).prop_map(|(text, way)| match way {
        0 => format!("\"{text}\""),
        1 => text.encode_utf16().fold("\"".to_owned(), |out, unit| format!("{out}\\u{unit:04x}")) + "\"",
        _ => Json::from(text).to_string(),
    })
}

fn key() -> impl Strategy<Value = String> {
    let other = ["", "regio", "regions", "weighT", "event_type", "time", "Île"].as_slice();
    quoted(prop_oneof![4 => select(NAMES.as_slice()), 1 => select(other)].prop_map(str::to_owned))
}

fn number() -> impl Strategy<Value = String> {
    const ODD: [&str; 28] = [
        "0",
        "-0",
        "-0.0",
        "0.0",
        "1e3",
        "1E-2",
        "1e400",
        "-1e400",
        "1e-400",
        "01",
        "-01",
        "00",
        "+1",
        "1.",
        ".5",
        "-",
        "--1",
        "1e",
        "1.5e+",
        "0x10",
        "999999999999999999",
        "1000000000000000000",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
    ];
    prop_oneof![
        (946_684_000_i64..4_102_445_000, select(vec![1, 1000, 1_000_000]))
            .prop_map(|(s, unit)| (s * unit).to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        (0_u32..5).prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| Json::from(n).to_string()),
        "-?[0-9]{1,40}(\\.[0-9]{1,40})?",
        select(ODD.as_slice()).prop_map(str::to_owned),
    ]
}

fn time_text() -> impl Strategy<Value = String> {
    "\"20[0-9]{2}-(0[1-9]|1[0-3])-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{1,9})?(Z|[+-]0[0-9]:30)\""
}

fn nested() -> impl Strategy<Value = String> {
    let some = select(vec![
        "{}",
        "[]",
        r#"{"region":"IN"}"#,
        r#"[1,{"a":[null]},"\n"]"#,
        r#"[1e400]"#,
        r#"["\ud800"]"#,
    ]);
    let deep = (120..135_usize).prop_map(|depth| format!("{}1{}", "[".repeat(depth), "]".repeat(depth)));
    prop_oneof![4 => some.prop_map(str::to_owned), 1 => deep]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => number(),
        2 => quoted("[ -~]{0,20}".boxed()),
        1 => quoted(any::<String>().boxed()),
        2 => time_text(),
        2 => select(vec!["null", "true", "false"]).prop_map(str::to_owned),
        1 => nested(),
    ]
}

fn good_time() -> impl Strategy<Value = String> {
    select(vec!["1711670400", "1711670400123", "1711670400123456", r#""2026-03-10T10:15:23.5Z""#])
        .prop_map(str::to_owned)
}

fn object(members: impl Strategy<Value = (String, String)>) -> impl Strategy<Value = String> {
    let member = (space(), members, space(), space(), space())
        .prop_map(|(a, (key, value), b, c, d)| format!("{a}{key}{b}:{c}{value}{d}"));
    (vec(member, 0..8), space(), space())
        .prop_map(|(members, a, b)| format!("{a}{{{}}}{b}", members.join(",")))
}

/// Events, many of which are valid.
fn event() -> impl Strategy<Value = String> {
    let time = (Just("\"timestamp\"".to_owned()), good_time());
    object(prop_oneof![1 => time, 2 => (key(), value())])
}

/// Events as most programs write them.
fn plain_event() -> impl Strategy<Value = String> {
    let key = "[a-z_é]{0,12}".prop_map(|key| format!("\"{key}\""));
    let known = select(NAMES.as_slice()).prop_map(|key| format!("\"{key}\""));
    let value = prop_oneof![
        "\"[^\"\\\\\\x00-\\x1f]{0,40}\"",
        "-?[1-9][0-9]{0,17}",
        "-?(0|[1-9][0-9]{0,9})\\.[0-9]{1,9}",
        select(vec!["0", "true", "false", "null"]).prop_map(str::to_owned),
    ];
    object((prop_oneof![key, known], value))
}

/// A change of one byte: replaced, inserted or removed.
#[derive(Clone, Debug)]
enum Damage {
    Replace(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let byte = || prop_oneof![4 => select(b"{}[]:,\"\\ \n\t0159.eE+-tfnu\x1f".as_slice()), 1 => any::<u8>()];
    prop_oneof![
        4 => (any::<Index>(), byte()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        4 => (any::<Index>(), byte()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        4 => any::<Index>().prop_map(Damage::Remove),
        1 => any::<Index>().prop_map(Damage::Cut),
    ]
}

fn damaged(text: String, damage: &[Damage]) -> Vec<u8> {
    let mut bytes = text.into_bytes();
    for one in damage {
        let length = bytes.len();
        match one {
            Damage::Insert(at, byte) => bytes.insert(at.index(length + 1), *byte),
            Damage::Cut(at) => bytes.truncate(at.index(length + 1)),
            Damage::Replace(at, byte) if length > 0 => bytes[at.index(length)] = *byte,
            Damage::Remove(at) if length > 0 => drop(bytes.remove(at.index(length))),
            Damage::Replace(..) | Damage::Remove(_) => {}
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_event_has_one_answer(event in event()) {
        check(event.as_bytes())?;
    }

    #[test]
    fn a_damaged_event_has_one_answer(event in event(), damage in vec(damage(), 1..4)) {
        check(&damaged(event, &damage))?;
    }

    #[test]
    fn a_damaged_plain_event_has_one_answer(event in plain_event(), damage in vec(damage(), 1..4)) {
        check(&damaged(event, &damage))?;
    }

    #[test]
    fn a_plain_event_takes_the_fast_path(event in plain_event()) {
        prop_assert!(scanned(&parser(), &event).is_some());
        check(event.as_bytes())?;
    }
}

#[test]
fn every_change_of_one_byte_has_one_answer() {
    let events = [
        r#"{"event":"video_view","region":"IN","timestamp":"2026-03-10T10:15:23Z"}"#,
        r#"{"item_id":"abc123", "weight":20,"timestamp":1711670400,"a":-0.5,"b":true,"c":null}"#,
    ];
    for event in events {
        for at in 0..event.len() {
            check(&event.as_bytes()[..at]).unwrap();
            for byte in 0..=u8::MAX {
                let mut bytes = event.as_bytes().to_vec();
                bytes[at] = byte;
                check(&bytes).unwrap();
                bytes.insert(at, event.as_bytes()[at]);
                check(&bytes).unwrap();
            }
        }
    }
}
