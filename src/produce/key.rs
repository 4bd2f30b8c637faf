//! Finds the item of a line, which is its key in Kafka: by the job's own parser and schema. Where the schema takes the
//! elements of an array for events, the first item of a line is its key.

use crest_formats::parser::Parser;
use crest_formats::plan::{FieldError, FieldId};
use crest_formats::plan_builder::PlanBuilder;
use crest_formats::schema::SchemaSpec;

/// The longest item id, in bytes.
const MAX_ITEM_BYTES: usize = 1024;

/// Why a line has no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Unkeyed {
    /// Or not UTF-8.
    #[error("not an object of JSON")]
    Malformed,
    /// Not held in memory.
    #[error("longer than 1 MiB")]
    TooLong,
    /// Absent, empty, or an object or array.
    #[error("without an item id that is text, a number or a boolean")]
    NoItem,
    /// Over [`MAX_ITEM_BYTES`].
    #[error("with an item id of more than 1 KiB")]
    ItemTooLong,
}

/// Reads the keys and the times of lines.
pub struct Keys {
    parser: Parser,
    item: FieldId,
    key: String,
}

/// What a line has for a topic.
pub struct Keyed<'k> {
    /// Its key.
    pub key: Result<&'k str, Unkeyed>,
    /// The time of its first event that has one.
    pub time: Option<i64>,
}

impl Keys {
    /// Finds keys where the schema finds items.
    ///
    /// # Errors
    /// The schema makes no sense.
    pub fn new(schema: &SchemaSpec) -> Result<Self, FieldError> {
        let mut plan = PlanBuilder::new(schema)?;
        let view = plan.view(schema.each.as_deref(), &schema.timestamp)?;
        let item = plan.field(view, &schema.item)?;
        Ok(Keys { parser: Parser::new(plan.finish()), item, key: String::new() })
    }

    /// Reads a line.
    pub fn read(&mut self, line: &[u8]) -> Keyed<'_> {
        self.key.clear();
        let Ok(mut events) = self.parser.read(line, &()) else {
            return Keyed { key: Err(Unkeyed::Malformed), time: None };
        };
        let mut time = None;
        while let Some(event) = events.next() {
            time = time.or(event.time);
            match event.field(self.item).text() {
                Some(item) if self.key.is_empty() => self.key.push_str(item),
                _ => {}
            }
        }
        let key = match self.key.len() {
            0 => Err(Unkeyed::NoItem),
            1..=MAX_ITEM_BYTES => Ok(self.key.as_str()),
            _ => Err(Unkeyed::ItemTooLong),
        };
        Keyed { key, time }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_item_is_under_the_first_name_that_has_something_usable() {
        let item = vec!["item_id".into(), "id".into()];
        let mut keys = Keys::new(&SchemaSpec { item, ..SchemaSpec::default() }).unwrap();
        for (line, key) in [
            (r#"{"item_id":"a"}"#, Ok("a")),
            (r#"{"id":"b","x":{"item_id":"no"},"y":["item_id",1.5e3]}"#, Ok("b")),
            (r#"{"id":"b","item_id":"a"}"#, Ok("a")),
            (r#"{"id":"b","item_id":null}"#, Ok("b")),
            (r#"{"item_id":"a","item_id":"last"}"#, Ok("last")),
            (r#"{"item_id":17}"#, Ok("17")),
            (r#"{"item_id":-17.50}"#, Ok("-17.50")),
            ("{\"\\u0069tem_id\":\"\\u00e9\\n\"} \r", Ok("é\n")),
            (r#"{"item_id":""}"#, Err(Unkeyed::NoItem)),
            (r#"{"item_id":{},"id":"b"}"#, Ok("b")),
            (r#"{"item_id":"","id":"b"}"#, Ok("b")),
            (r#"{"item_id":true}"#, Ok("true")),
            (r#"{"item_id":[1,{"a":2}]}"#, Err(Unkeyed::NoItem)),
            ("{}", Err(Unkeyed::NoItem)),
            ("[]", Err(Unkeyed::Malformed)),
            (r#"{"item_id":"a"} x"#, Err(Unkeyed::Malformed)),
            (r#"{"item_id":"a""#, Err(Unkeyed::Malformed)),
            ("", Err(Unkeyed::Malformed)),
        ] {
            assert_eq!(keys.read(line.as_bytes()).key, key, "{line}");
        }
        assert_eq!(keys.read(b"{\"item_id\":\"a\",\"x\":\"\xff\"}").key, Err(Unkeyed::Malformed));
        let long = format!("{{\"item_id\":\"{}\"}}", "x".repeat(MAX_ITEM_BYTES + 1));
        assert_eq!(keys.read(long.as_bytes()).key, Err(Unkeyed::ItemTooLong));
    }

    #[test]
    fn the_first_item_of_a_record_of_several_events_is_its_key() {
        let schema = SchemaSpec {
            each: Some("lines".into()),
            item: vec!["sku".into()],
            timestamp: vec!["$.at".into()],
            ..SchemaSpec::default()
        };
        let mut keys = Keys::new(&schema).unwrap();
        let Keyed { key, time } = keys.read(br#"{"at":1711670400,"lines":[{},{"sku":"a"},{"sku":"b"}]}"#);
        assert_eq!((key, time), (Ok("a"), Some(1_711_670_400_000)));
    }
}
