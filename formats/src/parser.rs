//! Reads the fields of an event that a job needs, and refuses what is no event.
//!
//! In: the bytes of one record, which should be one object of JSON. Out: an [`Event`] with its time, and the values
//! of the fields that the schema and the boards name, or the reason why it is none. The reasons are checked in this
//! order: [`Refusal::InvalidUtf8`], [`Refusal::Malformed`], [`Refusal::Timestamp`]. Of the names that the schema has
//! for a field, the first counts that holds something usable. Whether there is an item and a weight is asked by the
//! boards that take the event.
//!
//! A scanner reads the common event (a flat object, strings without escapes, plain numbers) in one pass; what
//! it is not certain of it leaves to `serde_json`. Both give the same answer for the same bytes, which is that
//! of `serde_json::Value`: what it cannot read is malformed, and of equal keys the last counts. The scanner
//! allocates nothing; the fallback keeps unescaped text in a buffer that is used again.
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

/// Reads one event after another. Each worker has its own.
#[derive(Debug)]
pub struct Parser {
    names: Names,
    scanner: Scanner,
    schema: Schema,
    /// What the last event has under each of the names.
    slots: Vec<Slot>,
    /// Text of the last event that is not in its payload as such.
    arena: String,
    saw_timestamp: bool,
}

/// The fields with a meaning of their own: for each, those tried in order.
#[derive(Debug)]
struct Schema {
    item: Vec<FieldId>,
    event_type: Vec<FieldId>,
    timestamp: Vec<FieldId>,
    weight: Vec<FieldId>,
    weight_default: Option<u32>,
}

/// An event whose time is good. It lives as long as its payload, and until the next is parsed.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Its event time, in milliseconds since 1970 UTC; of the years 2000 to 2099.
    pub time: i64,
    fields: Fields<'a>,
}

/// What an event has under each name.
#[derive(Clone, Copy, Debug)]
struct Fields<'a> {
    slots: &'a [Slot],
    /// What the slots' spans are of.
    text: &'a str,
    schema: &'a Schema,
}

impl Parser {
    /// For the fields that the schema names, and `others`.
    pub fn new<'n>(schema: &SchemaSpec, others: impl IntoIterator<Item = &'n str>) -> Self {
        let mut names = Names::default();
        let schema = Schema::new(schema, &mut names);
        for name in others {
            names.intern(name);
        }
        let (scanner, slots) = (Scanner::new(&names), vec![Slot::Absent; names.len()]);
        Parser { names, scanner, schema, slots, arena: String::new(), saw_timestamp: false }
    }

    /// The field of this name; `None` where the parser was not made to read it.
    pub fn field(&self, name: &str) -> Option<FieldId> {
        self.names.find(name.as_bytes())
    }

    /// Whether an event that was refused for its time had anything in a field of the schema's timestamp.
    pub fn saw_timestamp(&self) -> bool {
        self.saw_timestamp
    }

    /// Reads an event.
    ///
    /// # Errors
    /// [`Refusal::InvalidUtf8`], [`Refusal::Malformed`] or [`Refusal::Timestamp`]: of those that apply, the first.
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
    /// The schema's item.
    #[inline]
    pub fn item(&self) -> Value<'a> {
        self.fields.first(&self.fields.schema.item)
    }

    /// The schema's event type.
    #[inline]
    pub fn event_type(&self) -> Value<'a> {
        self.fields.first(&self.fields.schema.event_type)
    }

    /// How much it counts, before a board's factors: at least 1. `None` where the schema says where the weight is,
    /// and there is none that can be used there.
    #[inline]
    pub fn weight(&self) -> Option<u32> {
        if self.fields.schema.weight.is_empty() { Some(1) } else { self.fields.weight() }
    }

    /// Whether there is anything in a field of the schema's weight.
    pub fn has_weight(&self) -> bool {
        self.fields.has(&self.fields.schema.weight)
    }

    /// The value of a field of the same parser.
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

    /// The first of the fields that holds text; where none does, what the first holds that is there.
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

    /// Whether any of the fields is there.
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
