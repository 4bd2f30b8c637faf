//! The names of the fields that a job reads, and what an event has under them.

use std::ops::Range;

/// A field that a [`Parser`](super::Parser) reads; of use with that parser's events only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldId(pub(super) usize);

/// What an event has under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Nothing, or `null`.
    Absent,
    /// A string, a whole number as its digits, or `true` or `false`.
    Text(&'a str),
    /// A number that is not whole or does not fit 64 bits, an object or an array.
    Unusable,
}

/// A value that still knows what it was in JSON. A time stamp tells a number from the text of its digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Literal<'a> {
    Absent,
    String(&'a str),
    Integer(&'a str),
    /// `true` or `false`.
    Word(&'a str),
    Unusable,
}

/// Where a literal is: spans are of the event's text, which is its payload or the fallback's arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Absent,
    String(Range<usize>),
    Integer(Range<usize>),
    Word(Range<usize>),
    Unusable,
}

/// Different names, each with the number of its slot.
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

    /// The number of a name, which is new or known.
    pub(super) fn intern(&mut self, name: &str) -> FieldId {
        self.find(name.as_bytes()).unwrap_or_else(|| {
            self.0.push(Name { text: name.into(), member: format!("\"{name}\":").into() });
            FieldId(self.0.len() - 1)
        })
    }

    /// A job reads a handful of fields, whose names mostly differ in length: a search from the first on takes
    /// less time than a hash.
    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> Option<FieldId> {
        self.0.iter().position(|known| known.text.as_bytes() == name).map(FieldId)
    }

    /// The key of a field with its quotes and colon. No JSON for a name that must be escaped, which is never
    /// found in a scanned event.
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
