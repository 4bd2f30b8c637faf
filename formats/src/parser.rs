//! The parser: it reads the fields of an event that a job needs, and refuses records that are not events.
//!
//! **In**: the bytes of one record, which should be one JSON object. **Out**: an [`Event`] with its time and the values
//! of the fields that the schema and the boards name, or the reason why the record is refused. The reasons are checked
//! in this order: [`Refusal::InvalidUtf8`], [`Refusal::Malformed`], [`Refusal::Timestamp`]. Where the schema has
//! several names for a field, the first one with a usable value counts. Item and weight are checked by the boards that
//! take the event.
//!
//! A scanner reads common events (a flat object, strings without escapes, plain numbers) in one pass. All others are
//! left to `serde_json`. Both give the same result for the same bytes, that of `serde_json::Value`: what it cannot read
//! is malformed, and of equal keys the last counts. The scanner allocates nothing. The fallback keeps unescaped text in
//! a buffer that is reused.
//!
//! ```
//! use crest_formats::parser::{Parser, Value};
//! use crest_formats::refusal::Refusal;
//! use crest_formats::schema::SchemaSpec;
//!
//! let mut parser = Parser::new(&SchemaSpec::default(), ["video_id", "region"]);
//! let (video, region) = (parser.field("video_id").unwrap(), parser.field("region").unwrap());
//!
//! let event = parser
//!     .parse(br#"{"event":"video_view","video_id":"abc123","region":"IN","timestamp":"2026-03-10T10:15:23Z"}"#)
//!     .unwrap();
//! assert_eq!((event.time, event.weight()), (1_773_137_723_000, Some(1)));
//! assert_eq!(event.event_type(), Value::Text("video_view"));
//! assert_eq!((event.field(video), event.field(region)), (Value::Text("abc123"), Value::Text("IN")));
//! assert_eq!(event.item(), Value::Absent); // The schema's item is `item_id`.
//!
//! assert_eq!(parser.parse(br#"{"video_id":"abc123"}"#).unwrap_err(), Refusal::Timestamp);
//! ```

#[cfg(test)]
mod agreement;
mod fallback;
mod fields;
mod scan;
#[cfg(test)]
mod tests;
mod timestamp;

pub use fields::{FieldId, Value};

use crate::refusal::Refusal;
use crate::schema::SchemaSpec;
use fields::{Literal, Names, Slot};
use scan::Scanner;

/// A reader of events, one after another. Each worker has its own.
#[derive(Debug)]
pub struct Parser {
    names: Names,
    scanner: Scanner,
    schema: Schema,
    /// The value of each name in the last event.
    slots: Vec<Slot>,
    /// The text of the last event's values, where the fallback has read it.
    arena: String,
    saw_timestamp: bool,
}

/// The fields that the schema names. Each has several names, which are tried in order.
#[derive(Debug)]
struct Schema {
    item: Vec<FieldId>,
    event_type: Vec<FieldId>,
    timestamp: Vec<FieldId>,
    weight: Vec<FieldId>,
    weight_default: Option<u32>,
}

/// An event with a valid time. It borrows its payload and the parser, until the next event is parsed.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The event time, in milliseconds since 1970 UTC, in the years 2000 to 2099.
    pub time: i64,
    fields: Fields<'a>,
}

/// The values of an event under all names.
#[derive(Clone, Copy, Debug)]
struct Fields<'a> {
    slots: &'a [Slot],
    /// The text that the slots' spans refer to.
    text: &'a str,
    schema: &'a Schema,
}

impl Parser {
    /// A parser that reads the fields which the schema names, and `others`.
    pub fn new<'n>(schema: &SchemaSpec, others: impl IntoIterator<Item = &'n str>) -> Self {
        let mut names = Names::default();
        let schema = Schema::new(schema, &mut names);
        for name in others {
            names.intern(name);
        }
        let (scanner, slots) = (Scanner::new(&names), vec![Slot::Absent; names.len()]);
        Parser { names, scanner, schema, slots, arena: String::new(), saw_timestamp: false }
    }

    /// The field of this name; `None` where the parser does not read it.
    pub fn field(&self, name: &str) -> Option<FieldId> {
        self.names.find(name.as_bytes())
    }

    /// Whether any event that was refused for its time had a value in a timestamp field of the schema.
    pub fn saw_timestamp(&self) -> bool {
        self.saw_timestamp
    }

    /// Reads an event.
    ///
    /// # Errors
    /// The first that applies of [`Refusal::InvalidUtf8`], [`Refusal::Malformed`] and [`Refusal::Timestamp`].
    #[inline]
    pub fn parse<'a>(&'a mut self, payload: &'a [u8]) -> Result<Event<'a>, Refusal> {
        let payload = simdutf8::basic::from_utf8(payload).map_err(|_| Refusal::InvalidUtf8)?;
        let text = match self.scanner.scan(payload, &self.names, &mut self.slots) {
            Some(()) => payload,
            None => fallback::read(payload, &self.names, &mut self.slots, &mut self.arena)
                .map_err(|_| Refusal::Malformed)?,
        };
        let fields = Fields { slots: &self.slots, text, schema: &self.schema };
        match fields.time() {
            Some(time) => Ok(Event { time, fields }),
            None => {
                self.saw_timestamp |= fields.has(&self.schema.timestamp);
                Err(Refusal::Timestamp)
            }
        }
    }
}

impl Schema {
    fn new(spec: &SchemaSpec, names: &mut Names) -> Self {
        let mut ids = |list: &[String]| list.iter().map(|name| names.intern(name)).collect();
        Schema {
            item: ids(&spec.item),
            event_type: ids(&spec.event_type),
            timestamp: ids(&spec.timestamp),
            weight: ids(&spec.weight),
            weight_default: spec.weight_default,
        }
    }
}

impl<'a> Event<'a> {
    /// The value of the schema's item.
    #[inline]
    pub fn item(&self) -> Value<'a> {
        self.fields.first(&self.fields.schema.item)
    }

    /// The value of the schema's event type.
    #[inline]
    pub fn event_type(&self) -> Value<'a> {
        self.fields.first(&self.fields.schema.event_type)
    }

    /// The weight of the event before a board's factors, at least 1. `None` where the schema names a weight and the
    /// event has no usable one.
    #[inline]
    pub fn weight(&self) -> Option<u32> {
        if self.fields.schema.weight.is_empty() { Some(1) } else { self.fields.weight() }
    }

    /// Whether the event has a value in a weight field of the schema.
    pub fn has_weight(&self) -> bool {
        self.fields.has(&self.fields.schema.weight)
    }

    /// The value of a field. The id must be one of the same parser.
    #[inline]
    pub fn field(&self, id: FieldId) -> Value<'a> {
        self.fields.get(id).value()
    }
}

impl<'a> Fields<'a> {
    #[inline]
    fn get(&self, id: FieldId) -> Literal<'a> {
        self.slots[id.0].read(self.text)
    }

    /// The first value of these fields that is text and not empty; where there is none, the first that is not absent.
    #[inline]
    fn first(&self, ids: &[FieldId]) -> Value<'a> {
        match ids {
            [only] => self.get(*only).value(),
            _ => self.first_of_several(ids),
        }
    }

    fn first_of_several(&self, ids: &[FieldId]) -> Value<'a> {
        let mut there = Value::Absent;
        for &id in ids {
            match self.get(id).value() {
                Value::Text(text) if !text.is_empty() => return Value::Text(text),
                value if there == Value::Absent => there = value,
                _ => {}
            }
        }
        there
    }

    /// Whether any of these fields is present.
    #[inline]
    fn has(&self, ids: &[FieldId]) -> bool {
        ids.iter().any(|id| self.slots[id.0] != Slot::Absent)
    }

    #[inline]
    fn time(&self) -> Option<i64> {
        self.schema.timestamp.iter().find_map(|&id| match self.get(id) {
            Literal::Integer(digits) => timestamp::from_integer(digits),
            Literal::String(text) => timestamp::from_text(text),
            Literal::Absent | Literal::Word(_) | Literal::Unusable => None,
        })
    }

    fn weight(&self) -> Option<u32> {
        let ids = &self.schema.weight;
        let usable = ids.iter().find_map(|&id| match self.get(id) {
            Literal::Integer(digits) => digits.parse().ok().filter(|&weight| weight > 0),
            Literal::Absent | Literal::String(_) | Literal::Word(_) | Literal::Unusable => None,
        });
        usable.or_else(|| self.schema.weight_default.filter(|_| !self.has(ids)))
    }
}
