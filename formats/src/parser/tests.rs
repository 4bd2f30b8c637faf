//! Examples of events, of their fields, and of records that are refused.

use super::*;
/// A schema with several names for a field.
pub(super) fn schema() -> SchemaSpec {
    SchemaSpec {
        item: vec!["item_id".into(), "product".into()],
        event_type: vec!["kind".into(), "event".into()],
        weight: vec!["weight".into()],
        weight_default: Some(1),
        ..SchemaSpec::default()
    }
}

/// A parser of that schema, and of fields that a board reads.
pub(super) fn parser() -> Parser {
    Parser::new(&schema(), ["live", "video_id", "region"])
}

fn refusal(payload: impl AsRef<[u8]>) -> Option<Refusal> {
    parser().parse(payload.as_ref()).err()
}

fn weight(literal: &str) -> Option<u32> {
    weight_of(&schema(), &format!(r#","weight":{literal}"#))
}

fn weight_of(schema: &SchemaSpec, members: &str) -> Option<u32> {
    let payload = format!(r#"{{"timestamp":1711670400{members}}}"#);
    let mut parser = Parser::new(schema, []);
    parser.parse(payload.as_bytes()).unwrap().weight()
}

/// Checks a field of an event on both paths: one event that the scanner can read, and one that it cannot.
#[track_caller]
fn assert_field(name: &str, members: &str, expected: Value) {
    let mut parser = parser();
    let id = parser.field(name).unwrap();
    for other in ["1", r#"["\n"]"#] {
        let payload = format!(r#"{{"timestamp":1711670400,"other":{other},{members}}}"#);
        assert_eq!(parser.parse(payload.as_bytes()).unwrap().field(id), expected, "{payload}");
    }
}

#[test]
fn an_event_with_seconds() {
    let mut parser = Parser::new(&SchemaSpec::default(), []);
    let payload = br#"{"item_id":"product:abc123","event_type":"view","timestamp":1711670400}"#;
    let event = parser.parse(payload).unwrap();
    assert_eq!((event.time, event.weight()), (1_711_670_400_000, Some(1)));
    assert_eq!(event.item(), Value::Text("product:abc123"));
    assert_eq!(event.event_type(), Value::Text("view"));
}

#[test]
fn an_event_with_text_for_its_time() {
    let mut parser = parser();
    let (video, region) = (parser.field("video_id").unwrap(), parser.field("region").unwrap());
    let payload =
        br#"{"event":"video_view","video_id":"abc123","region":"IN","timestamp":"2026-03-10T10:15:23Z"}"#;
    let event = parser.parse(payload).unwrap();
    assert_eq!((event.time, event.weight()), (1_773_137_723_000, Some(1)));
    assert_eq!(event.item(), Value::Absent);
    assert_eq!(event.event_type(), Value::Text("video_view"));
    assert_eq!(event.field(video), Value::Text("abc123"));
    assert_eq!(event.field(region), Value::Text("IN"));
}

#[test]
fn only_named_fields_are_read() {
    let parser = parser();
    for name in ["item_id", "product", "kind", "event", "timestamp", "weight", "live", "video_id", "region"] {
        assert!(parser.field(name).is_some(), "{name}");
    }
    for name in ["event_type", "other", ""] {
        assert_eq!(parser.field(name), None, "{name}");
    }
}

#[test]
fn each_kind_of_value() {
    assert_field("region", r#""kind":"view""#, Value::Absent);
    assert_field("region", r#""region":null"#, Value::Absent);
    assert_field("region", r#""region":"""#, Value::Text(""));
    assert_field("region", r#""region":"Île-de-France""#, Value::Text("Île-de-France"));
    assert_field("region", r#""region":"\u00cele\n""#, Value::Text("Île\n"));
    assert_field("region", r#""region":"\ud83d\ude00""#, Value::Text("😀"));
    assert_field("region", r#""\u0072egion":"IN""#, Value::Text("IN"));
    assert_field("region", r#""region":true"#, Value::Text("true"));
    assert_field("region", r#""region":false"#, Value::Text("false"));
    assert_field("region", r#""region":0"#, Value::Text("0"));
    assert_field("region", r#""region":-17"#, Value::Text("-17"));
    assert_field("region", r#""region":18446744073709551615"#, Value::Text("18446744073709551615"));
    assert_field("region", r#""region":-9223372036854775808"#, Value::Text("-9223372036854775808"));
    for unusable in ["18446744073709551616", "-9223372036854775809", "-0", "1.0", "1e3", "{}", r#"["IN"]"#] {
        assert_field("region", &format!(r#""region":{unusable}"#), Value::Unusable);
    }
}

#[test]
fn of_equal_keys_the_last_counts() {
    assert_field("region", r#""region":"IN","region":"US""#, Value::Text("US"));
    assert_field("region", r#""region":"IN","region":null"#, Value::Absent);
    assert_field("region", r#""region":"IN","r\u0065gion":"US""#, Value::Text("US"));
}

#[test]
fn of_several_names_the_first_that_can_be_used_counts() {
    let mut parser = parser();
    let mut item = |members: &str| {
        let payload = format!(r#"{{"timestamp":1711670400{members}}}"#);
        match parser.parse(payload.as_bytes()).unwrap().item() {
            Value::Text(text) => text.to_owned(),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(item(r#","product":"p","item_id":"i""#), "i");
    assert_eq!(item(r#","product":"p","item_id":null"#), "p");
    assert_eq!(item(r#","product":"p""#), "p");
    for unusable in ["1.5", r#""""#, "{}", r#"["i"]"#, r#"{"id":"\n"}"#, "1e3"] {
        assert_eq!(item(&format!(r#","item_id":{unusable},"product":"p""#)), "p", "{unusable}");
        assert_eq!(item(&format!(r#","product":"p","item_id":{unusable}"#)), "p", "{unusable}");
    }
    assert_eq!(item(r#","product":"","item_id":1.5"#), "Unusable");
    assert_eq!(item(r#","product":1.5,"item_id":"""#), "");
    assert_eq!(item(""), "Absent");
}

#[test]
fn a_time_and_a_weight_are_looked_for_under_all_their_names() {
    let names = |list: &[&str]| list.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let schema = SchemaSpec {
        timestamp: names(&["ts", "at"]),
        weight: names(&["n", "weight"]),
        ..SchemaSpec::default()
    };
    for ts in ["null", r#""soon""#, r#""""#, "{}", "17", "true", "1711670400", "1711670400.5"] {
        for n in ["null", r#""""#, "0", "-1", "1.5", "[2]", "7"] {
            let payload = format!(r#"{{"ts":{ts},"at":1711670400,"n":{n},"weight":7}}"#);
            let mut parser = Parser::new(&schema, []);
            let event = parser.parse(payload.as_bytes()).unwrap();
            assert_eq!((event.time, event.weight()), (1_711_670_400_000, Some(7)), "{payload}");
        }
    }
}

#[test]
fn a_weight_that_is_named_must_be_there() {
    let named = |default| SchemaSpec { weight_default: default, ..schema() };
    for absent in ["", r#","weight":null"#, r#","other":"\n""#] {
        assert_eq!(weight_of(&named(None), absent), None, "{absent}");
        assert_eq!(weight_of(&named(Some(7)), absent), Some(7), "{absent}");
    }
    assert_eq!(weight_of(&named(None), r#","weight":3"#), Some(3));
    assert_eq!(weight_of(&named(Some(7)), r#","weight":0"#), None, "it is there, and wrong");
    let nothing = SchemaSpec { weight: Vec::new(), weight_default: None, ..schema() };
    assert_eq!(weight_of(&nothing, r#","weight":3"#), Some(1), "nobody said that this is one");
    assert_eq!(weight_of(&SchemaSpec::default(), r#","weight":3"#), Some(1));
}

#[test]
fn invalid_utf8_is_refused_wherever_it_is() {
    let inside = b"{\"timestamp\":1711670400,\"item_id\":\"\xff\"}".as_slice();
    let cut = b"{\"timestamp\":1711670400,\"item_id\":\"\xc3\"}".as_slice();
    let surrogate = b"{\"timestamp\":1711670400,\"item_id\":\"\xed\xa0\x80\"}".as_slice();
    let after = b"{\"timestamp\":1711670400}\x80".as_slice();
    let only = b"\xff".as_slice();
    for payload in [inside, cut, surrogate, after, only] {
        assert_eq!(refusal(payload), Some(Refusal::InvalidUtf8), "{payload:?}");
    }
}

#[test]
fn what_is_not_one_object_is_malformed() {
    let payloads = [
        "",
        " ",
        "null",
        "17",
        r#""timestamp""#,
        r#"[{"timestamp":1711670400}]"#,
        r#"{"timestamp":1711670400"#,
        r#"{"timestamp":1711670400,}"#,
        r#"{,"timestamp":1711670400}"#,
        r#"{"timestamp" 1711670400}"#,
        r#"{"timestamp":1711670400}}"#,
        r#"{"timestamp":1711670400} {}"#,
        r#"{"timestamp":01711670400}"#,
        r#"{"timestamp":+1711670400}"#,
        r#"{"timestamp":1711670400.}"#,
        r#"{"timestamp":1711670400,"other":1e400}"#,
        r#"{"timestamp":1711670400,"other":-}"#,
        r#"{"timestamp":1711670400,"other":.5}"#,
        r#"{"timestamp":1711670400,"other":nul}"#,
        r#"{"timestamp":1711670400,"other":True}"#,
        r#"{"timestamp":1711670400,"other":NaN}"#,
        r#"{"timestamp":1711670400,"other":'x'}"#,
        r#"{"timestamp":1711670400,"other":"x}"#,
        r#"{"timestamp":1711670400,"other":"\x"}"#,
        r#"{"timestamp":1711670400,"other":"\ud800"}"#,
        r#"{timestamp:1711670400}"#,
        "{\"timestamp\":1711670400,\"other\":\"a\tb\"}",
        "{\"timestamp\":1711670400,\"other\":\"a\nb\"}",
        "{\"timestamp\":1711670400,\"other\":\"a\0b\"}",
        "\u{feff}{\"timestamp\":1711670400}",
        "{\u{a0}\"timestamp\":1711670400}",
    ];
    for payload in payloads {
        assert_eq!(refusal(payload), Some(Refusal::Malformed), "{payload}");
    }
}

#[test]
fn nesting_ends_where_the_stack_is_safe() {
    let nested = |depth: usize| {
        format!(r#"{{"timestamp":1711670400,"other":{}{}}}"#, "[".repeat(depth), "]".repeat(depth))
    };
    assert_eq!(refusal(nested(100)), None);
    assert_eq!(refusal(nested(128)), Some(Refusal::Malformed));
    assert_eq!(refusal(nested(500_000)), Some(Refusal::Malformed));
    assert_eq!(refusal("[".repeat(1_000_000)), Some(Refusal::Malformed));
}

#[test]
fn whitespace_is_read_over() {
    assert_eq!(refusal("\r\n\t {\n\"timestamp\" :\t1711670400 ,\r\n\"weight\"\n:\n2 } \n"), None);
}

#[test]
fn a_time_that_is_none_is_refused() {
    let values = [
        "null",
        "true",
        "0",
        "-1711670400",
        "1711670400.5",
        "1.7116704e9",
        "1711670400000000000",
        "99999999999999999999",
        r#""1711670400""#,
        r#""yesterday""#,
        r#""2026-03-10""#,
        r#""2026-02-30T10:15:23Z""#,
        r#""1999-12-31T23:59:59Z""#,
        r#""2100-01-01T00:00:00Z""#,
        r#"{"secs":1711670400}"#,
        "[1711670400]",
    ];
    for value in values {
        assert_eq!(refusal(format!(r#"{{"timestamp":{value}}}"#)), Some(Refusal::Timestamp), "{value}");
    }
    assert_eq!(refusal("{}"), Some(Refusal::Timestamp));
}

#[test]
fn a_weight_is_a_whole_number_of_32_bits() {
    assert_eq!(weight("null"), Some(1));
    assert_eq!(weight("1"), Some(1));
    assert_eq!(weight("4294967295"), Some(u32::MAX));
    let others =
        ["0", "-1", "-0", "4294967296", "99999999999999999999", "1.0", "1.5", "1e2", "true", "{}", "[1]"];
    for literal in others.into_iter().chain([r#""2""#, r#""""#]) {
        assert_eq!(weight(literal), None, "{literal}");
    }
}

#[test]
fn of_several_reasons_the_first_is_given() {
    assert_eq!(refusal(b"{\"weight\":0,\xff"), Some(Refusal::InvalidUtf8));
    assert_eq!(refusal(r#"{"timestamp":0,"weight":0"#), Some(Refusal::Malformed));
    assert_eq!(refusal(r#"{"timestamp":0,"weight":0}"#), Some(Refusal::Timestamp));
    assert_eq!(refusal(r#"{"timestamp":1711670400,"weight":0}"#), None, "a board may not need it");
    assert_eq!(refusal(r#"{"timestamp":1711670400}"#), None);
}

#[test]
fn nothing_of_one_event_is_seen_in_the_next() {
    let mut parser = parser();
    let [region, video] = ["region", "video_id"].map(|name| parser.field(name).unwrap());
    let quick = br#"{"timestamp":1711670400,"weight":2,"region":"IN"}"#.as_slice();
    let slow = br#"{"timestamp":1711670401,"video_id":"\u0061"}"#.as_slice();
    let broken = br#"{"timestamp":1711670402,"region":"US","video_id":"b","weight":3,"#.as_slice();
    for payload in [quick, slow, broken, quick, broken, slow, slow, quick, quick] {
        match parser.parse(payload) {
            Ok(event) if payload == quick => {
                assert_eq!((event.time, event.weight()), (1_711_670_400_000, Some(2)));
                assert_eq!((event.field(region), event.field(video)), (Value::Text("IN"), Value::Absent));
            }
            Ok(event) => {
                assert_eq!((payload, event.time, event.weight()), (slow, 1_711_670_401_000, Some(1)));
                assert_eq!((event.field(region), event.field(video)), (Value::Absent, Value::Text("a")));
            }
            Err(refusal) => assert_eq!((payload, refusal), (broken, Refusal::Malformed)),
        }
    }
}
