//! A message as JSON.

use super::super::json_text::{
    MAX_DEPTH, check_length, push_bytes, push_comma, push_plain, push_text, whole,
};
use crate::refusal::Refusal;
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, ReflectMessage, SerializeOptions, Value,
};
use std::cell::Cell;
use std::collections::HashMap;

/// The well-known types that are not written field by field.
const WELL_KNOWN: [&str; 14] = [
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
    "google.protobuf.Struct",
    "google.protobuf.Value",
    "google.protobuf.ListValue",
    "google.protobuf.FieldMask",
    "google.protobuf.BoolValue",
    "google.protobuf.StringValue",
    "google.protobuf.Int32Value",
    "google.protobuf.Int64Value",
    "google.protobuf.UInt32Value",
    "google.protobuf.UInt64Value",
    "google.protobuf.FloatValue",
    "google.protobuf.DoubleValue",
];

/// Appends a message.
pub(super) fn push(message: &DynamicMessage, json: &mut Vec<u8>) -> Result<(), Refusal> {
    Writer { start: json.len(), left: Cell::new(MAX_FIELDS) }.message(message, json, MAX_DEPTH)
}

/// The most fields of a record that are looked at, absent ones among them. A message takes two bytes, however many fields
/// its type has.
const MAX_FIELDS: usize = 4 << 20;

struct Writer {
    /// Where the JSON of the record begins.
    start: usize,
    /// How many fields may still be looked at.
    left: Cell<usize>,
}

impl Writer {
    /// A message, nested at most `depth` deep.
    fn message(&self, message: &DynamicMessage, json: &mut Vec<u8>, depth: usize) -> Result<(), Refusal> {
        let depth = depth.checked_sub(1).ok_or(Refusal::Malformed)?;
        let descriptor = message.descriptor();
        if WELL_KNOWN.contains(&descriptor.full_name()) {
            push_well_known(message, json);
            return Ok(());
        }
        json.push(b'{');
        for field in descriptor.fields() {
            self.left.set(self.left.get().checked_sub(1).ok_or(Refusal::TooLong)?);
            if field.supports_presence() && !message.has_field(&field) {
                continue;
            }
            check_length(json, self.start)?;
            push_comma(json);
            push_text(json, field.name());
            json.push(b':');
            match &*message.get_field(&field) {
                Value::List(list) => self.list(&field, list, json, depth)?,
                Value::Map(map) => self.map(&field, map, json, depth)?,
                value => self.value(&field.kind(), value, json, depth)?,
            }
        }
        json.push(b'}');
        Ok(())
    }

    fn list(
        &self,
        field: &FieldDescriptor,
        list: &[Value],
        json: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), Refusal> {
        let kind = field.kind();
        json.push(b'[');
        for value in list {
            push_comma(json);
            self.value(&kind, value, json, depth)?;
        }
        json.push(b']');
        Ok(())
    }

    /// A map, in the order of its keys.
    fn map(
        &self,
        field: &FieldDescriptor,
        map: &HashMap<MapKey, Value>,
        json: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), Refusal> {
        let Kind::Message(entry) = field.kind() else { return Err(Refusal::Malformed) };
        let kind = entry.map_entry_value_field().kind();
        let mut entries: Vec<_> = map.iter().collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        json.push(b'{');
        for (key, value) in entries {
            push_comma(json);
            push_key(json, key);
            json.push(b':');
            self.value(&kind, value, json, depth)?;
        }
        json.push(b'}');
        Ok(())
    }

    fn value(&self, kind: &Kind, value: &Value, json: &mut Vec<u8>, depth: usize) -> Result<(), Refusal> {
        check_length(json, self.start)?;
        match value {
            Value::Bool(value) => push_plain(json, value),
            Value::I32(value) => push_plain(json, value),
            Value::I64(value) => push_plain(json, value),
            Value::U32(value) => push_plain(json, value),
            Value::U64(value) => push_plain(json, value),
            Value::F32(value) => push_plain(json, value),
            Value::F64(value) => push_plain(json, value),
            Value::String(text) => push_text(json, text),
            Value::Bytes(bytes) => push_bytes(json, bytes),
            Value::EnumNumber(number) => push_enum(json, kind.as_enum(), *number),
            Value::Message(message) => self.message(message, json, depth)?,
            // Neither is in a list or a map.
            Value::List(_) | Value::Map(_) => return Err(Refusal::Malformed),
        }
        Ok(())
    }
}

/// The name of an enum's value, or its number where it has no name.
fn push_enum(json: &mut Vec<u8>, of: Option<&EnumDescriptor>, number: i32) {
    match of.and_then(|of| of.get_value(number)) {
        Some(value) => push_text(json, value.name()),
        None => push_plain(json, number),
    }
}

fn push_key(json: &mut Vec<u8>, key: &MapKey) {
    match key {
        MapKey::String(text) => push_text(json, text),
        MapKey::Bool(value) => push_text(json, &value.to_string()),
        MapKey::I32(number) => push_text(json, &number.to_string()),
        MapKey::I64(number) => push_text(json, &number.to_string()),
        MapKey::U32(number) => push_text(json, &number.to_string()),
        MapKey::U64(number) => push_text(json, &number.to_string()),
    }
}

/// As Protobuf's own JSON has it; null where that has nothing for the value, such as a time out of its years.
fn push_well_known(message: &DynamicMessage, json: &mut Vec<u8>) {
    let options = SerializeOptions::new().stringify_64_bit_integers(false).skip_default_fields(false);
    let written =
        whole(json, |json| message.serialize_with_options(&mut serde_json::Serializer::new(json), &options));
    if written.is_err() {
        json.extend_from_slice(b"null");
    }
}
