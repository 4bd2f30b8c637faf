//! The slow path, for events that the scanner cannot read: `serde_json`, which keeps only the fields that have a slot.
//!
//! Values of other fields are read in full as well. Serde's `IgnoredAny` would accept numbers out of range, broken
//! surrogates and any depth of nesting, so that whether an event is malformed would depend on the boards.

use super::fields::{FieldId, Names, Slot};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt::{self, Write};
use std::ops::Range;

/// Fills the slots, one for each name, with spans of the returned text, which is in the arena. It is never longer than
/// the payload.
pub(super) fn read<'a>(
    payload: &str,
    names: &Names,
    slots: &mut [Slot],
    arena: &'a mut String,
) -> serde_json::Result<&'a str> {
    slots.fill(Slot::Absent);
    arena.clear();
    let mut json = serde_json::Deserializer::from_str(payload);
    json.deserialize_map(Object { names, slots, arena })?;
    json.end()?;
    Ok(arena)
}

/// Reads the event's object.
struct Object<'p> {
    names: &'p Names,
    slots: &'p mut [Slot],
    arena: &'p mut String,
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an event, which is an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(Key(self.names))? {
            match field {
                Some(id) => self.slots[id.0] = map.next_value_seed(Keep(self.arena))?,
                None => map.next_value::<Skipped>().map(drop)?,
            }
        }
        Ok(())
    }
}

/// Finds the field of a key.
struct Key<'p>(&'p Names);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<FieldId>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<FieldId>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.find(key.as_bytes()))
    }
}

/// Reads a value, and keeps its text in the arena.
struct Keep<'p>(&'p mut String);

impl Keep<'_> {
    /// Appends the text of a value. For a whole number this is its literal in the payload: JSON has no `+` and no
    /// leading zeros, and minus zero is read as a double.
    fn write(self, text: impl fmt::Display) -> Range<usize> {
        let start = self.0.len();
        // Writing to a string does not fail.
        let _ = write!(self.0, "{text}");
        start..self.0.len()
    }
}

impl<'de> DeserializeSeed<'de> for Keep<'_> {
    type Value = Slot;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Slot, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keep<'_> {
    type Value = Slot;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<Slot, E> {
        Ok(Slot::Absent)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Slot, E> {
        Ok(Slot::Word(self.write(value)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Slot, E> {
        Ok(Slot::Integer(self.write(number)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Slot, E> {
        Ok(Slot::Integer(self.write(number)))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Slot, E> {
        Ok(Slot::Unusable)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Slot, E> {
        Ok(Slot::String(self.write(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Slot, A::Error> {
        Skip.visit_seq(seq).map(|Skipped| Slot::Unusable)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Slot, A::Error> {
        Skip.visit_map(map).map(|Skipped| Slot::Unusable)
    }
}

/// A value of any kind that was read in full and is not kept.
struct Skipped;

impl<'de> Deserialize<'de> for Skipped {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(Skip)
    }
}

struct Skip;

impl<'de> Visitor<'de> for Skip {
    type Value = Skipped;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Skipped, A::Error> {
        while seq.next_element::<Skipped>()?.is_some() {}
        Ok(Skipped)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Skipped, A::Error> {
        while map.next_entry::<Skipped, Skipped>()?.is_some() {}
        Ok(Skipped)
    }
}
