//! Finds the events in a body: one object, an array of them, or objects with nothing but space between (NDJSON).
//!
//! Only their borders are found, in one pass over the bytes; whether each is JSON is for the job's parser to say, which
//! reads it next. A body whose every event that parser takes is JSON as a whole.

use memchr::memchr2;

/// The events of a body, in their order; after an error there is nothing more.
#[derive(Debug)]
pub struct Events<'a> {
    body: &'a [u8],
    at: usize,
    shape: Enclosure,
    /// Whether an event may be an array.
    arrays: bool,
    count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Enclosure {
    /// Objects after one another.
    Loose,
    /// In `[…]`.
    Array,
    Over,
}

/// Why a body is no such thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unreadable {
    /// The index of the event at which it was found, from 0.
    pub index: usize,
    /// What is wrong.
    pub reason: String,
}

impl<'a> Events<'a> {
    /// The events of a body. With `arrays`, each array is one event, so that several stand after one another.
    pub fn of(body: &'a [u8], arrays: bool) -> Self {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let mut events = Events { body, at: 0, shape: Enclosure::Loose, arrays, count: 0 };
        if !arrays && events.peek() == Some(b'[') {
            events.at += 1;
            events.shape = Enclosure::Array;
        }
        events
    }

    /// The next byte that is not space.
    fn peek(&mut self) -> Option<u8> {
        let space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.at += self.body[self.at..].iter().take_while(space).count();
        self.body.get(self.at).copied()
    }

    fn fail<T>(&mut self, reason: &str) -> Result<T, Unreadable> {
        self.shape = Enclosure::Over;
        Err(Unreadable { index: self.count, reason: reason.to_owned() })
    }

    /// What is before the next event of an array: true when there is one.
    fn enter_array(&mut self) -> Result<bool, Unreadable> {
        let next = self.peek();
        if next == Some(b']') {
            self.at += 1;
            self.shape = Enclosure::Over;
            return match self.peek() {
                None => Ok(false),
                Some(_) => self.fail("something comes after the array"),
            };
        }
        if self.count > 0 {
            if next != Some(b',') {
                return self.fail("the array has neither a comma nor its end here");
            }
            self.at += 1;
        }
        Ok(true)
    }

    fn read(&mut self) -> Result<Option<&'a [u8]>, Unreadable> {
        let more = match self.shape {
            Enclosure::Over => false,
            Enclosure::Array => self.enter_array()?,
            Enclosure::Loose => true,
        };
        if !more {
            return Ok(None);
        }
        match self.peek() {
            Some(b'{') => {}
            Some(b'[') if self.arrays => {}
            None if self.shape == Enclosure::Loose && self.count > 0 => return Ok(None),
            None if self.shape == Enclosure::Loose => {
                return self.fail("the body is empty; an event, an array of them or NDJSON is wanted");
            }
            None => return self.fail("the array does not end"),
            Some(_) => return self.fail("not an object of JSON"),
        }
        let begin = self.at;
        match end_of_container(&self.body[begin..]) {
            Some(length) => self.at += length,
            None => return self.fail("the object does not end"),
        }
        self.count += 1;
        Ok(Some(&self.body[begin..self.at]))
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Result<&'a [u8], Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// The length of the object or array that `text` begins with, if it is closed: brackets are counted, and those in strings not.
fn end_of_container(text: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'"' => at += end_of_string(&text[at..])?,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The length of a string's text with its closing quote.
fn end_of_string(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', &text[at..])?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
        if at > text.len() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn split(body: &str) -> Result<Vec<&str>, Unreadable> {
        Events::of(body.as_bytes(), false)
            .map(|event| event.map(|event| std::str::from_utf8(event).unwrap()))
            .collect()
    }

    fn refusal(body: &str) -> (usize, String) {
        let Unreadable { index, reason } = split(body).unwrap_err();
        (index, reason)
    }

    #[test]
    fn one_many_and_lines() {
        assert_eq!(split(r#" {"a":1} "#).unwrap(), [r#"{"a":1}"#]);
        assert_eq!(split("{\n \"a\": [1, {\"b\": \"}\"}]\n}").unwrap().len(), 1);
        assert_eq!(split("[]").unwrap(), [""; 0]);
        assert_eq!(
            split("\u{feff}[{}, {\"x\":\"]\\\"\"}\n,{}] \n").unwrap(),
            ["{}", "{\"x\":\"]\\\"\"}", "{}"]
        );
        assert_eq!(split("{\"a\":1}\r\n\n{\"a\":2}\n").unwrap(), ["{\"a\":1}", "{\"a\":2}"]);
    }

    #[test]
    fn what_is_none_of_these_is_told_with_its_place() {
        assert_eq!(refusal("").0, 0);
        assert!(refusal(" \n").1.contains("empty"));
        assert_eq!(refusal("[{},]"), (1, "not an object of JSON".into()));
        assert_eq!(refusal("[{}{}]"), (1, "the array has neither a comma nor its end here".into()));
        assert_eq!(refusal("[{}"), (1, "the array has neither a comma nor its end here".into()));
        assert_eq!(refusal("[{},"), (1, "the array does not end".into()));
        assert_eq!(refusal("[{}] {}"), (1, "something comes after the array".into()));
        assert_eq!(refusal("{}\n7"), (1, "not an object of JSON".into()));
        assert_eq!(refusal("{}\n{\"a\":"), (1, "the object does not end".into()));
        assert_eq!(refusal(r#"{"a":"\"#), (0, "the object does not end".into()));
        assert_eq!(refusal("nonsense"), (0, "not an object of JSON".into()));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,6}|[\"\\\\{}\\[\\],\n]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"\\\\{}]{0,3}", inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn events_are_what_a_parser_of_json_finds(
            objects in prop::collection::vec(prop::collection::btree_map("\\PC{0,3}", any_json(), 0..4), 1..6),
            pretty: bool,
        ) {
            let objects: Vec<Value> = objects.into_iter().map(|object| json!(object)).collect();
            let text = |value: &Value| if pretty { format!("{value:#}") } else { value.to_string() };
            let array = text(&json!(objects));
            let lines = objects.iter().map(|object| text(object) + "\n").collect::<String>();
            for body in [array, lines] {
                let found: Vec<Value> =
                    split(&body).unwrap().into_iter().map(|event| serde_json::from_str(event).unwrap()).collect();
                prop_assert_eq!(&found, &objects);
            }
        }

        #[test]
        fn no_bytes_do_harm(body in prop::collection::vec(prop::sample::select(b"{}[]\",\\ \n1a".to_vec()), 0..40)) {
            let found: Result<Vec<&[u8]>, _> = Events::of(&body, false).collect();
            let wanted: Result<Vec<Value>, _> = serde_json::from_slice(&body);
            // Whatever is an array of objects is split; what is not is told, or each of its parts is no JSON.
            if let Ok(wanted) = wanted && wanted.iter().all(Value::is_object) {
                let found = found.unwrap().into_iter().map(|event| serde_json::from_slice(event).unwrap());
                prop_assert_eq!(found.collect::<Vec<Value>>(), wanted);
            }
        }
    }
}
