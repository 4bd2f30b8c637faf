//! The values of fields: how they lie in a record, and what they are to whoever counts.

use std::ops::Range;

/// The value of a field in an event, with the kind that the record gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// The field is absent or `null`.
    Absent,
    /// A text.
    Text(&'a str),
    /// A text of a format that knows no other kinds, such as CSV: it is whatever it reads as.
    Untyped(&'a str),
    /// A number, as it is written.
    Number(&'a str),
    /// `true` or `false`.
    Bool(&'a str),
    /// An object, an array, or a text that no Unicode text is (with half a surrogate pair).
    Unusable,
}

impl<'a> Value<'a> {
    /// The text of an id: texts as they are, numbers and booleans as they are written.
    #[inline]
    pub fn text(self) -> Option<&'a str> {
        match self {
            Value::Text(text) | Value::Untyped(text) | Value::Number(text) | Value::Bool(text) => Some(text),
            Value::Absent | Value::Unusable => None,
        }
    }

    /// Whether it can be an id: a text that is not empty, a number or a boolean.
    #[inline]
    pub fn is_usable(self) -> bool {
        self.text().is_some_and(|text| !text.is_empty())
    }
}

/// What kind of value a slot holds, and in which of two texts its span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Absent,
    /// In the record, without escapes.
    Text,
    /// In the arena, as are [`Kind::KeptUntyped`] and [`Kind::KeptNumber`].
    KeptText,
    Untyped,
    KeptUntyped,
    Number,
    KeptNumber,
    Bool,
    /// An object or an array. The span begins where it does, and is empty.
    Container,
    Unusable,
}

/// The place of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) kind: Kind,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Slot {
    pub(crate) const ABSENT: Slot = Slot { kind: Kind::Absent, start: 0, end: 0 };
    pub(crate) const UNUSABLE: Slot = Slot { kind: Kind::Unusable, start: 0, end: 0 };

    #[inline]
    pub(crate) fn new(kind: Kind, span: Range<usize>) -> Self {
        Slot { kind, start: span.start as u32, end: span.end as u32 }
    }

    /// An object or array that begins at this byte.
    #[inline]
    pub(crate) fn container(place: usize) -> Self {
        Slot::new(Kind::Container, place..place)
    }

    /// The value, where spans are of these texts.
    ///
    /// The fields are read one by one, as they were written a moment ago: a copy of all of them would wait until each
    /// write has reached the cache.
    #[inline]
    pub(crate) fn value<'a>(&self, record: &'a str, arena: &'a str) -> Value<'a> {
        let span = self.start as usize..self.end as usize;
        match self.kind {
            Kind::Absent => Value::Absent,
            Kind::Text => Value::Text(&record[span]),
            Kind::KeptText => Value::Text(&arena[span]),
            Kind::Untyped => Value::Untyped(&record[span]),
            Kind::KeptUntyped => Value::Untyped(&arena[span]),
            Kind::Number => Value::Number(&record[span]),
            Kind::KeptNumber => Value::Number(&arena[span]),
            Kind::Bool => Value::Bool(&record[span]),
            Kind::Container | Kind::Unusable => Value::Unusable,
        }
    }
}
