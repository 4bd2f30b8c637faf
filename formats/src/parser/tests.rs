//! Reads records of every kind, field by field.

use super::*;
use crate::plan_builder::PlanBuilder;
use crate::schema::SchemaSpec;

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

/// The values of one field in all events of a record.
fn values(schema: &SchemaSpec, field: &[&str], record: &str, beside: &dyn Beside) -> Vec<String> {
    let mut plan = PlanBuilder::new(schema).unwrap();
    let view = plan.view(schema.each.as_deref(), &schema.timestamp).unwrap();
    let field = plan.field(view, &names(field)).unwrap();
    let mut parser = Parser::new(plan.finish());
    let mut events = parser.read(record.as_bytes(), beside).unwrap();
    let mut values = Vec::new();
    while let Some(event) = events.next() {
        values.push(event.field(field).text().unwrap_or("-").to_owned());
    }
    values
}

fn value(field: &[&str], record: &str) -> String {
    values(&SchemaSpec::default(), field, record, &()).concat()
}

#[test]
fn a_list_passes_over_what_is_not_usable() {
    for sku in ["null", "\"\"", "{}", "[1]", "\"\\ud800\""] {
        assert_eq!(value(&["sku", "id"], &format!(r#"{{"sku":{sku},"id":7}}"#)), "7", "{sku}");
    }
    assert_eq!(value(&["sku", "id"], r#"{"sku":false,"id":7}"#), "false");
}

#[test]
fn a_name_that_is_the_whole_text_comes_before_the_path() {
    assert_eq!(value(&["url.path"], r#"{"url.path":"/a","url":{"path":"/wrong"}}"#), "/a");
    assert_eq!(value(&["url.path"], r#"{"url":{"path":"/b"}}"#), "/b");
    assert_eq!(value(&["url.path"], r#"{"url.path":null,"url":{"path":"/c"}}"#), "/c");
    assert_eq!(value(&["['url.path']"], r#"{"url":{"path":"/b"}}"#), "-");
}

#[test]
fn of_equal_names_the_last_counts_with_all_in_it() {
    assert_eq!(value(&["a.x"], r#"{"a":{"x":1},"a":{"y":2}}"#), "-");
    assert_eq!(value(&["a.x"], r#"{"a":{"x":1},"a":3}"#), "-");
    assert_eq!(value(&["a.x"], r#"{"a":{"x":1,"x":2}}"#), "2");
    assert_eq!(value(&["a[0]"], r#"{"a":[1],"a":[2]}"#), "2");
}

#[test]
fn a_template_needs_all_of_its_fields() {
    let record = r#"{"from":{"city":"SFO"},"to":"B\u004fS","n":1.50}"#;
    assert_eq!(value(&["{from.city}-{to} ({n})"], record), "SFO-BOS (1.50)");
    assert_eq!(value(&["{from.city}-{via}", "to"], record), "BOS");
    for wrong in ["{a", "{}", "a{b{c}}"] {
        let mut plan = PlanBuilder::new(&SchemaSpec::default()).unwrap();
        let view = plan.view(None, &[]).unwrap();
        let error = plan.field(view, &names(&[wrong])).unwrap_err();
        assert!(error.to_string().contains(&format!("{wrong:?}: each {{")), "{error}");
    }
}

#[test]
fn elements_are_events_with_their_own_values_and_those_of_the_record() {
    let schema = SchemaSpec { each: Some("o[*].lines".into()), ..SchemaSpec::default() };
    let record = r#"{"id":"r\t","o":[{"lines":[{"id":1},{"id":"é"}]},{},{"lines":[{}, 5, {"id":{"x":2}}]},{"lines":7}]}"#;
    assert_eq!(values(&schema, &["id"], record, &()), ["1", "é", "-", "-", "-"]);
    assert_eq!(values(&schema, &["id.x", "$.id"], record, &()), ["r\t", "r\t", "r\t", "r\t", "2"]);
    assert_eq!(values(&schema, &["@"], record, &()), ["-", "-", "-", "5", "-"]);
    assert_eq!(values(&schema, &["{$.id}{id}"], record, &())[1], "r\té");
    assert_eq!(values(&schema, &["id"], r#"{"o":"lines"}"#, &()), [""; 0]);
    let dotted = r#"{"a.b":"r","a":{"b":"wrong"},"o":[{"lines":[{"a.b":"e"}]}]}"#;
    assert_eq!(values(&schema, &["{$.a.b}{a.b}"], dotted, &()), ["re"]);

    let batch = SchemaSpec { each: Some("$[*]".into()), ..SchemaSpec::default() };
    assert_eq!(values(&batch, &["id"], r#" [{"id":"a"},{"id":"b"}] "#, &()), ["a", "b"]);
}

#[test]
fn several_views_of_a_record_follow_each_other() {
    let mut plan = PlanBuilder::new(&SchemaSpec::default()).unwrap();
    let posts = plan.view(None, &names(&["at"])).unwrap();
    let tags = plan.view(Some("tags"), &names(&["$.at"])).unwrap();
    assert_eq!(plan.view(Some("tags"), &names(&["$.at"])), Ok(tags));
    let author = plan.field(posts, &names(&["author"])).unwrap();
    let tag = plan.field(tags, &names(&["@"])).unwrap();
    assert_eq!(plan.field(tags, &names(&["@"])), Ok(tag));
    let mut parser = Parser::new(plan.finish());
    for _ in 0..2 {
        let mut events = parser.read(br#"{"at":1711670400,"author":"x","tags":["a","b\\"]}"#, &()).unwrap();
        let event = events.next().unwrap();
        assert_eq!((event.view, event.element, event.field(author).text()), (posts, None, Some("x")));
        for (element, text) in ["a", "b\\"].into_iter().enumerate() {
            let event = events.next().unwrap();
            assert_eq!(
                (event.view, event.element, event.time),
                (tags, Some(element), Some(1_711_670_400_000))
            );
            assert_eq!(event.field(tag), Value::Text(text));
            assert_eq!(event.text(), ["\"a\"", "\"b\\\\\""][element]);
        }
        assert!(events.next().is_none());
    }
}

#[test]
fn weights_and_times_are_the_first_usable_ones() {
    let schema = SchemaSpec { weight_scale: 100, weight_default: Some(5), ..SchemaSpec::default() };
    let mut plan = PlanBuilder::new(&schema).unwrap();
    let view = plan.view(None, &names(&["ts", "at"])).unwrap();
    let weight = plan.field(view, &names(&["n", "price"])).unwrap();
    let mut parser = Parser::new(plan.finish());
    let mut read = |record: &str| {
        let mut events = parser.read(record.as_bytes(), &()).unwrap();
        let event = events.next().unwrap();
        (event.time, event.weight(weight))
    };
    assert_eq!(
        read(r#"{"ts":"soon","at":"1711670400","n":"-1","price":"0.33"}"#),
        (Some(1_711_670_400_000), Some(33))
    );
    assert_eq!(read(r#"{"ts":true}"#), (None, Some(5)), "none at all: the default");
    assert_eq!(read(r#"{"n":"","price":null}"#).1, Some(5), "nothing in it: the default");
    assert_eq!(read(r#"{"n":{}}"#).1, None, "one that is not usable: no default");
}

#[test]
fn what_came_beside_a_record_is_a_field() {
    struct Kafka;
    impl Beside for Kafka {
        fn append(&self, field: &RecordField, to: &mut String) -> bool {
            match field {
                RecordField::Key => to.push_str("k1"),
                RecordField::Timestamp => to.push_str("1711670400000"),
                RecordField::Header(name) if &**name == "trace" => to.push_str("t1"),
                _ => return false,
            }
            true
        }
    }
    let default = SchemaSpec { timestamp: names(&["at", "record:timestamp"]), ..SchemaSpec::default() };
    let of = |field: &[&str]| values(&default, field, "{}", &Kafka).concat();
    assert_eq!(of(&["record:key"]), "k1");
    assert_eq!(of(&["{record:header:trace}/{record:key}"]), "t1/k1");
    assert_eq!(of(&["record:file"]), "-");
    let mut plan = PlanBuilder::new(&default).unwrap();
    plan.view(None, &default.timestamp).unwrap();
    let mut parser = Parser::new(plan.finish());
    assert_eq!(parser.read(b"{}", &Kafka).unwrap().next().unwrap().time, Some(1_711_670_400_000));
}

#[test]
fn what_is_no_event_is_refused() {
    let mut plan = PlanBuilder::new(&SchemaSpec::default()).unwrap();
    plan.view(None, &[]).unwrap();
    let mut parser = Parser::new(plan.finish());
    let mut refusal = |record: &[u8]| parser.read(record, &()).err();
    for record in [
        "",
        " ",
        "[]",
        "7",
        "{\"a\":1",
        "{\"a\":01}",
        "{\"a\":\"\n\"}",
        "{} {}",
        "{\"a\":\"\\x\"}",
        "\u{feff}{}",
    ] {
        assert_eq!(refusal(record.as_bytes()), Some(Refusal::Malformed), "{record}");
    }
    assert_eq!(refusal(b"{\"a\":\"\xff\"}"), Some(Refusal::InvalidUtf8));
    assert_eq!(refusal(b"\"\xff"), Some(Refusal::InvalidUtf8), "both");
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(refusal(deep.as_bytes()), None);
    assert_eq!(refusal(&deep.as_bytes()[..deep.len() - 1]), Some(Refusal::Malformed));
    assert_eq!(refusal(br#"{"a":"\ud800","\udc00":1e999}"#), None);
}

#[test]
fn nothing_is_taken_for_a_name_that_was_too_long_to_be_remembered() {
    let mut plan = PlanBuilder::new(&SchemaSpec::default()).unwrap();
    plan.view(None, &names(&["at"])).unwrap();
    let mut parser = Parser::new(plan.finish());
    let long = "x".repeat(40);
    assert!(parser.read(format!("{{\"{long}\":1,\"at\":2}}").as_bytes(), &()).is_ok());
    for filler in ["\0", " ", "\""] {
        let record = format!("{{{}1}}", filler.repeat(32));
        assert_eq!(parser.read(record.as_bytes(), &()).err(), Some(Refusal::Malformed), "{filler:?}");
    }
}
