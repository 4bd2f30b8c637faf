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

/// What kind of value a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Unusable,
    /// Not 0, so that slots are reset one by one: resetting them to zeros becomes one call of `memset`, whose wide writes
    /// delay the reads that follow.
    Absent,
    Text,
    Untyped,
    Number,
    Bool,
    /// An object or an array. The span begins where it does, and is empty.
    Container,
}

/// The kind and the place of a value: a span of the record, or of the arena, which has what is not in the record as such.
///
/// It is one number, from the lowest bit on: three bits of the kind, one for the arena, and thirty each for where the span
/// begins and how long it is. So it stays in a register on its way from the scan to the slot: one of several fields goes
/// through memory, written piece by piece and read at once, which takes as long as the scan of a short text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(u64);

const IN_ARENA: u64 = 1 << 3;
const START: u32 = 4;
const LENGTH: u32 = 34;
/// The most that a place or a length can be.
const MAX: usize = (1 << 30) - 1;

impl Slot {
    pub(crate) const ABSENT: Slot = Slot(Kind::Absent as u64);
    pub(crate) const UNUSABLE: Slot = Slot(Kind::Unusable as u64);

    /// A value in the record, which is shorter than a span can be.
    #[inline]
    pub(crate) fn new(kind: Kind, span: Range<usize>) -> Self {
        debug_assert!(span.end <= 2 * MAX && span.start <= MAX && span.len() <= MAX);
        Slot(kind as u64 | (span.start as u64) << START | ((span.end - span.start) as u64) << LENGTH)
    }

    /// A value in the arena. It is not usable where the arena has grown beyond what can be said.
    #[inline]
    pub(crate) fn kept(kind: Kind, span: Range<usize>) -> Self {
        if span.end > MAX { Slot::UNUSABLE } else { Slot(Slot::new(kind, span).0 | IN_ARENA) }
    }

    /// An object or array that begins at this byte.
    #[inline]
    pub(crate) fn container(place: usize) -> Self {
        Slot::new(Kind::Container, place..place)
    }

    #[inline]
    pub(crate) fn kind(self) -> Kind {
        match self.0 & 7 {
            1 => Kind::Absent,
            2 => Kind::Text,
            3 => Kind::Untyped,
            4 => Kind::Number,
            5 => Kind::Bool,
            6 => Kind::Container,
            _ => Kind::Unusable,
        }
    }

    /// Where the value begins.
    #[inline]
    pub(crate) fn start(self) -> usize {
        (self.0 >> START) as usize & MAX
    }

    /// The place after the value.
    #[inline]
    pub(crate) fn end(self) -> usize {
        self.start() + (self.0 >> LENGTH) as usize
    }

    /// The value, where spans are of these texts.
    #[inline(always)]
    pub(crate) fn value<'a>(self, record: &'a str, arena: &'a str) -> Value<'a> {
        // The usual kinds come first, and the call for the others keeps this short enough to be inlined.
        match self.kind() {
            Kind::Text => Value::Text(self.text(record, arena)),
            Kind::Number => Value::Number(self.text(record, arena)),
            _ => self.other(record, arena),
        }
    }

    #[inline(never)]
    fn other<'a>(self, record: &'a str, arena: &'a str) -> Value<'a> {
        match self.kind() {
            Kind::Absent => Value::Absent,
            Kind::Text => Value::Text(self.text(record, arena)),
            Kind::Untyped => Value::Untyped(self.text(record, arena)),
            Kind::Number => Value::Number(self.text(record, arena)),
            Kind::Bool => Value::Bool(self.text(record, arena)),
            Kind::Container | Kind::Unusable => Value::Unusable,
        }
    }

    #[inline(always)]
    fn text<'a>(self, record: &'a str, arena: &'a str) -> &'a str {
        let text = if self.0 & IN_ARENA == 0 { record } else { arena };
        &text[self.start()..self.end()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;

    proptest! {
        #[test]
        fn a_slot_says_what_it_was_made_of(
            kind in select(vec![Kind::Absent, Kind::Text, Kind::Untyped, Kind::Number, Kind::Bool, Kind::Container, Kind::Unusable]),
            start in 0..=MAX, length in 0..=MAX,
        ) {
            let slot = Slot::new(kind, start..start + length);
            prop_assert_eq!((slot.kind(), slot.start(), slot.end()), (kind, start, start + length));
        }
    }

    #[test]
    fn a_slot_is_of_the_record_or_of_the_arena() {
        assert_eq!(Slot::new(Kind::Text, 1..3).value("record", "arena"), Value::Text("ec"));
        assert_eq!(Slot::kept(Kind::Number, 1..3).value("record", "arena"), Value::Number("re"));
        assert_eq!(Slot::kept(Kind::Text, MAX..MAX + 1), Slot::UNUSABLE);
        assert_eq!((Slot::ABSENT.kind(), Slot::UNUSABLE.kind()), (Kind::Absent, Kind::Unusable));
    }
}
