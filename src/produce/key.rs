//! Finds the item of a line, which is its key in Kafka: by the rules of the job's own parser, as far as the item
//! is concerned. The rest of the line is only checked to be JSON.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

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
    /// Absent, empty, or of another type.
    #[error("without an item id that is text, a whole number or a boolean")]
    NoItem,
    /// Over [`MAX_ITEM_BYTES`].
    #[error("with an item id of more than 1 KiB")]
    ItemTooLong,
}

/// Finds keys under the names of the schema's item field.
pub struct Keys {
    names: Vec<String>,
    /// What a line has under each name that can be an item.
    found: Vec<Option<String>>,
}

impl Keys {
    /// The first of `names` under which a line has something usable is its item.
    pub fn new(names: Vec<String>) -> Self {
        let found = vec![None; names.len()];
        Keys { names, found }
    }

    /// The item of a line.
    pub fn key(&mut self, line: &[u8]) -> Result<&str, Unkeyed> {
        self.found.fill(None);
        let line = std::str::from_utf8(line).map_err(|_| Unkeyed::Malformed)?;
        let mut json = serde_json::Deserializer::from_str(line);
        let object = Object { names: &self.names, found: &mut self.found };
        (&mut json).deserialize_map(object).and_then(|()| json.end()).map_err(|_| Unkeyed::Malformed)?;
        match self.found.iter().flatten().find(|text| !text.is_empty()) {
            Some(text) if text.len() > MAX_ITEM_BYTES => Err(Unkeyed::ItemTooLong),
            Some(text) => Ok(text),
            None => Err(Unkeyed::NoItem),
        }
    }
}

/// An event, of which only the named fields are kept; of equal ones the last.
struct Object<'a> {
    names: &'a [String],
    found: &'a mut [Option<String>],
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(place) = map.next_key_seed(Name(self.names))? {
            match place {
                Some(place) => self.found[place] = map.next_value_seed(AnyItem)?,
                None => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok(())
    }
}

/// The place of a field's name among those looked for.
struct Name<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Option<usize>, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|known| known == name))
    }
}

/// Any value, as an item.
struct AnyItem;

impl<'de> DeserializeSeed<'de> for AnyItem {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Option<String>, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyItem {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Option<String>, E> {
        Ok(Some(text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Option<String>, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Option<String>, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_unit<E>(self) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Option<String>, E> {
        Ok(Some(value.to_string()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<String>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<String>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_item_is_under_the_first_name_that_has_something_usable() {
        let mut keys = Keys::new(vec!["item_id".into(), "id".into()]);
        for (line, key) in [
            (r#"{"item_id":"a"}"#, Ok("a")),
            (r#"{"id":"b","x":{"item_id":"no"},"y":["item_id",1.5e3]}"#, Ok("b")),
            (r#"{"id":"b","item_id":"a"}"#, Ok("a")),
            (r#"{"id":"b","item_id":null}"#, Ok("b")),
            (r#"{"item_id":"a","item_id":"last"}"#, Ok("last")),
            (r#"{"item_id":17}"#, Ok("17")),
            (r#"{"item_id":-17}"#, Ok("-17")),
            ("{\"\\u0069tem_id\":\"\\u00e9\\n\"} \r", Ok("é\n")),
            (r#"{"item_id":""}"#, Err(Unkeyed::NoItem)),
            (r#"{"item_id":1.5}"#, Err(Unkeyed::NoItem)),
            (r#"{"item_id":{},"id":"b"}"#, Ok("b")),
            (r#"{"item_id":"","id":"b"}"#, Ok("b")),
            (r#"{"item_id":1.5,"id":""}"#, Err(Unkeyed::NoItem)),
            (r#"{"item_id":true}"#, Ok("true")),
            (r#"{"item_id":[1,{"a":2}]}"#, Err(Unkeyed::NoItem)),
            ("{}", Err(Unkeyed::NoItem)),
            ("[]", Err(Unkeyed::Malformed)),
            (r#"{"item_id":"a"} x"#, Err(Unkeyed::Malformed)),
            (r#"{"item_id":"a""#, Err(Unkeyed::Malformed)),
            ("", Err(Unkeyed::Malformed)),
        ] {
            assert_eq!(keys.key(line.as_bytes()), key, "{line}");
        }
        assert_eq!(keys.key(b"{\"item_id\":\"a\",\"x\":\"\xff\"}"), Err(Unkeyed::Malformed));
        let long = format!("{{\"item_id\":\"{}\"}}", "x".repeat(MAX_ITEM_BYTES + 1));
        assert_eq!(keys.key(long.as_bytes()), Err(Unkeyed::ItemTooLong));
    }
}
