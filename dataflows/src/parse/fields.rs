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
    Bool(bool),
    Unusable,
}

/// Where a literal is: spans are of the event's text, which is its payload or the fallback's arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Absent,
    String(Range<usize>),
    Integer(Range<usize>),
    Bool(bool),
    Unusable,
}

/// Different names, each with the number of its slot.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<Name>);

#[derive(Debug)]
struct Name {
    /// Its length and first bytes, which tell most names apart without a look at the text.
    length: usize,
    head: u64,
    text: Box<str>,
}

impl Names {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The number of a name, which is new or known.
    pub(super) fn intern(&mut self, name: &str) -> FieldId {
        self.find(name.as_bytes()).unwrap_or_else(|| {
            self.0.push(Name { length: name.len(), head: head(name.as_bytes()), text: name.into() });
            FieldId(self.0.len() - 1)
        })
    }

    /// A job reads a handful of fields, whose names mostly differ in length: a search from the first on takes
    /// less time than a hash.
    pub(super) fn find(&self, name: &[u8]) -> Option<FieldId> {
        let (length, head) = (name.len(), head(name));
        let same = |known: &Name| {
            known.length == length && known.head == head && (length <= 8 || known.text.as_bytes() == name)
        };
        self.0.iter().position(same).map(FieldId)
    }
}

/// The first eight bytes of a name, or all of a shorter one and zeros.
#[inline]
fn head(name: &[u8]) -> u64 {
    match name.first_chunk() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => name.iter().rev().fold(0, |head, &byte| head << 8 | u64::from(byte)),
    }
}

impl Slot {
    pub(super) fn read<'a>(&self, text: &'a str) -> Literal<'a> {
        match self {
            Slot::Absent => Literal::Absent,
            Slot::String(span) => Literal::String(&text[span.clone()]),
            Slot::Integer(span) => Literal::Integer(&text[span.clone()]),
            Slot::Bool(value) => Literal::Bool(*value),
            Slot::Unusable => Literal::Unusable,
        }
    }
}

impl<'a> Literal<'a> {
    pub(super) fn value(self) -> Value<'a> {
        match self {
            Literal::Absent => Value::Absent,
            Literal::String(text) | Literal::Integer(text) => Value::Text(text),
            Literal::Bool(true) => Value::Text("true"),
            Literal::Bool(false) => Value::Text("false"),
            Literal::Unusable => Value::Unusable,
        }
    }
}
