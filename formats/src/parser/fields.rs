//! The names of the fields that a job reads, and their values in an event.

use std::ops::Range;

/// The id of a field that a [`Parser`](super::Parser) reads. It is valid for that parser's events only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldId(pub(super) usize);

/// The value of a field in an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// The field is absent or `null`.
    Absent,
    /// A string, a whole number as its digits, or `true` or `false`.
    Text(&'a str),
    /// A number that is not whole or does not fit 64 bits, an object or an array.
    Unusable,
}

/// A value with its JSON type, since a timestamp that is a number is read differently from one that is a string of
/// digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Literal<'a> {
    Absent,
    String(&'a str),
    Integer(&'a str),
    /// `true` or `false`.
    Word(&'a str),
    Unusable,
}

/// The place of a literal. Spans refer to the event's text, which is its payload or the fallback's arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Absent,
    String(Range<usize>),
    Integer(Range<usize>),
    Word(Range<usize>),
    Unusable,
}

/// Distinct names. The index of a name is that of its slot.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<Name>);

#[derive(Debug)]
struct Name {
    text: Box<str>,
    /// The key as almost all programs write it: `"item_id":`.
    member: Box<str>,
}

impl Names {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The id of a name, which is added if it is new.
    pub(super) fn intern(&mut self, name: &str) -> FieldId {
        self.find(name.as_bytes()).unwrap_or_else(|| {
            self.0.push(Name { text: name.into(), member: format!("\"{name}\":").into() });
            FieldId(self.0.len() - 1)
        })
    }

    /// The id of a name, if it is known. A job reads a handful of fields, whose names mostly differ in length, so a
    /// linear search is faster than a hash.
    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> Option<FieldId> {
        self.0.iter().position(|known| known.text.as_bytes() == name).map(FieldId)
    }

    /// The key of a field with its quotes and colon. For a name that needs escapes this is not valid JSON, and no
    /// scanned event has it.
    #[inline]
    pub(super) fn member(&self, id: FieldId) -> &[u8] {
        self.0[id.0].member.as_bytes()
    }
}

impl Slot {
    #[inline]
    pub(super) fn read<'a>(&self, text: &'a str) -> Literal<'a> {
        match self {
            Slot::Absent => Literal::Absent,
            Slot::String(span) => Literal::String(&text[span.clone()]),
            Slot::Integer(span) => Literal::Integer(&text[span.clone()]),
            Slot::Word(span) => Literal::Word(&text[span.clone()]),
            Slot::Unusable => Literal::Unusable,
        }
    }
}

impl<'a> Literal<'a> {
    #[inline]
    pub(super) fn value(self) -> Value<'a> {
        match self {
            Literal::Absent => Value::Absent,
            Literal::String(text) | Literal::Integer(text) | Literal::Word(text) => Value::Text(text),
            Literal::Unusable => Value::Unusable,
        }
    }
}
