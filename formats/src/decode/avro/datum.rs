//! Reads a datum by its plan, and writes it as JSON on the way.

use super::super::json_text::{MAX_DEPTH, check_length, push_bytes, push_comma, push_plain, push_text};
use super::plan::{At, Node, Plan};
use crate::refusal::Refusal;
use chrono::{Days, NaiveDate};
use std::io::Write;

/// An unscaled decimal of more bytes than this is written as null; 128 bits hold 38 digits.
const MAX_DECIMAL_BYTES: usize = 16;
/// As is one with more digits behind the point.
const MAX_SCALE: usize = 38;

/// Appends the datum, which must end where the bytes do.
pub(super) fn push(plan: &Plan, datum: &[u8], json: &mut Vec<u8>) -> Result<(), Refusal> {
    let mut reader = Reader { plan, rest: datum, start: json.len() };
    reader.value(plan.root, json, MAX_DEPTH)?;
    if reader.rest.is_empty() { Ok(()) } else { Err(Refusal::Malformed) }
}

struct Reader<'a> {
    plan: &'a Plan,
    rest: &'a [u8],
    /// Where the JSON of the datum begins.
    start: usize,
}

impl<'a> Reader<'a> {
    /// One value, nested at most `depth` deep. Every value writes at least a byte, so that the check of the length ends
    /// arrays of values that take no bytes, however long they say that they are.
    fn value(&mut self, at: At, json: &mut Vec<u8>, depth: usize) -> Result<(), Refusal> {
        check_length(json, self.start)?;
        let depth = depth.checked_sub(1).ok_or(Refusal::Malformed)?;
        let plan = self.plan;
        match plan.node(at) {
            Node::Record(fields) => {
                json.push(b'{');
                for (key, at) in fields {
                    push_comma(json);
                    json.extend_from_slice(key);
                    self.value(*at, json, depth)?;
                }
                json.push(b'}');
            }
            Node::Array(of) => {
                json.push(b'[');
                self.blocks(json, |reader, json| reader.value(*of, json, depth))?;
                json.push(b']');
            }
            Node::Map(of) => {
                json.push(b'{');
                self.blocks(json, |reader, json| {
                    push_text(json, reader.text()?);
                    json.push(b':');
                    reader.value(*of, json, depth)
                })?;
                json.push(b'}');
            }
            Node::Union(variants) => {
                let variant = *self.one_of(variants)?;
                self.value(variant, json, depth)?;
            }
            plain => self.plain(plain, json)?,
        }
        Ok(())
    }

    /// A value that holds no others.
    fn plain(&mut self, node: &Node, json: &mut Vec<u8>) -> Result<(), Refusal> {
        match node {
            Node::Null => json.extend_from_slice(b"null"),
            Node::Boolean => push_plain(json, self.boolean()?),
            Node::Int => push_plain(json, self.int()?),
            Node::Long => push_plain(json, self.long()?),
            Node::Float => push_plain(json, f32::from_le_bytes(self.array()?)),
            Node::Double => push_plain(json, f64::from_le_bytes(self.array()?)),
            Node::Bytes => push_bytes(json, self.bytes()?),
            Node::Text => push_text(json, self.text()?),
            Node::Fixed(size) => push_bytes(json, self.take(*size)?),
            Node::Date => push_date(json, self.int()?),
            Node::Decimal { scale, size } => {
                let unscaled = if let Some(size) = size { self.take(*size)? } else { self.bytes()? };
                push_decimal(json, unscaled, *scale);
            }
            Node::BigDecimal => self.big_decimal(json)?,
            Node::Uuid { fixed } => {
                let bytes = if *fixed { self.take(16)? } else { self.bytes()? };
                push_uuid(json, bytes);
            }
            Node::Duration => {
                let mut part = || Ok(u32::from_le_bytes(self.array()?));
                let (months, days, ms) = (part()?, part()?, part()?);
                push_formatted(json, format_args!("{{\"months\":{months},\"days\":{days},\"millis\":{ms}}}"));
            }
            Node::Enum(symbols) => json.extend_from_slice(self.one_of(symbols)?),
            // No plan has an undefined type in it, and the others are read by `value`.
            Node::Undefined | Node::Record(_) | Node::Array(_) | Node::Map(_) | Node::Union(_) => {
                return Err(Refusal::Malformed);
            }
        }
        Ok(())
    }

    /// The blocks of an array or a map, up to the empty one. A block whose count is negative has its size behind it.
    fn blocks(
        &mut self,
        json: &mut Vec<u8>,
        mut element: impl FnMut(&mut Self, &mut Vec<u8>) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                self.long()?;
            }
            for _ in 0..count.unsigned_abs() {
                push_comma(json);
                element(self, json)?;
            }
        }
    }

    /// The one of several that an index chooses.
    fn one_of<'b, T>(&mut self, several: &'b [T]) -> Result<&'b T, Refusal> {
        usize::try_from(self.long()?).ok().and_then(|index| several.get(index)).ok_or(Refusal::Malformed)
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Refusal> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(Refusal::Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(Refusal::Malformed)?;
        self.rest = rest;
        Ok(*array)
    }

    fn boolean(&mut self) -> Result<bool, Refusal> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Refusal::Malformed),
        }
    }

    /// Seven bits a byte, the lowest first, and the sign in the lowest of all.
    fn long(&mut self) -> Result<i64, Refusal> {
        let mut bits = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            if shift == 63 && byte > 1 {
                break;
            }
            bits |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed());
            }
        }
        Err(Refusal::Malformed)
    }

    fn int(&mut self) -> Result<i32, Refusal> {
        i32::try_from(self.long()?).map_err(|_| Refusal::Malformed)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Refusal> {
        let length = usize::try_from(self.long()?).map_err(|_| Refusal::Malformed)?;
        self.take(length)
    }

    fn text(&mut self) -> Result<&'a str, Refusal> {
        simdutf8::basic::from_utf8(self.bytes()?).map_err(|_| Refusal::InvalidUtf8)
    }

    /// Bytes that hold the unscaled number, as bytes, and its scale.
    fn big_decimal(&mut self, json: &mut Vec<u8>) -> Result<(), Refusal> {
        let mut inner = Reader { plan: self.plan, rest: self.bytes()?, start: self.start };
        let unscaled = inner.bytes()?;
        let scale = usize::try_from(inner.long()?).unwrap_or(usize::MAX);
        push_decimal(json, unscaled, scale);
        Ok(())
    }
}

fn push_formatted(json: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let Ok(()) = json.write_fmt(text) else { unreachable!("a buffer takes every text") };
}

/// A day such as `2026-03-10`; null beyond the years that a calendar has.
fn push_date(json: &mut Vec<u8>, days: i32) {
    let by = Days::new(u64::from(days.unsigned_abs()));
    let epoch = NaiveDate::default();
    match if days < 0 { epoch.checked_sub_days(by) } else { epoch.checked_add_days(by) } {
        Some(day) => push_formatted(json, format_args!("\"{day}\"")),
        None => json.extend_from_slice(b"null"),
    }
}

/// A whole number in two's complement, the highest byte first, with its point put in.
fn push_decimal(json: &mut Vec<u8>, unscaled: &[u8], scale: usize) {
    if unscaled.len() > MAX_DECIMAL_BYTES || scale > MAX_SCALE {
        json.extend_from_slice(b"null");
        return;
    }
    let sign = if unscaled.first().is_some_and(|byte| *byte >= 0x80) { 0xFF } else { 0 };
    let mut bytes = [sign; MAX_DECIMAL_BYTES];
    bytes[MAX_DECIMAL_BYTES - unscaled.len()..].copy_from_slice(unscaled);
    let number = i128::from_be_bytes(bytes);
    let one = 10_u128.pow(u32::try_from(scale).unwrap_or(0));
    let (whole, rest) = (number.unsigned_abs() / one, number.unsigned_abs() % one);
    let minus = if number < 0 { "-" } else { "" };
    if scale == 0 {
        push_formatted(json, format_args!("{minus}{whole}"));
    } else {
        push_formatted(json, format_args!("{minus}{whole}.{rest:0scale$}"));
    }
}

/// Sixteen bytes in hexadecimal, with the usual hyphens; other bytes as they are.
fn push_uuid(json: &mut Vec<u8>, bytes: &[u8]) {
    let Ok(bytes) = <[u8; 16]>::try_from(bytes) else { return push_bytes(json, bytes) };
    let digits = format!("{:032x}", u128::from_be_bytes(bytes));
    let parts = (&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]);
    push_formatted(json, format_args!("\"{}-{}-{}-{}-{}\"", parts.0, parts.1, parts.2, parts.3, parts.4));
}
