//! Rows as columns of bytes, in the order of their keys.
//!
//! In that order a key begins much like the one before it, so that only the rest of it is written, and its hash is
//! written only where it is not the one that the key gives: where the item's key was too long to be kept whole.
//!
//! | column | a row's |
//! |---|---|
//! | number of rows | (varint, once) |
//! | fronts | bytes that the key has in common with the one before, at most 255: one byte |
//! | rests | varint: twice the length of the rest of the key, and 1 more if its hash is stated |
//! | keys | rest of the key |
//! | hashes | stated hash: eight bytes; none for other rows |
//! | counts | varint: lower bound |
//! | slacks | varint: of a digest doubt, of a union relief; none at all where the floor is 0, and so they are |
//!
//! Ids mostly have fronts in common: a row of `product:00001234` takes 6 bytes, not the 20 of its parts, and one of a
//! random id no more than those. A front of at most 255 bytes bounds the memory that a stored byte can ask for.

use super::bytes::{Reader, put_varint};
use super::error::DecodeError;
use crate::hash::item_hash;
use crate::keys::MAX_KEY_BYTES;
use crate::parts::{Parts, at_most};
use std::cmp::Ordering;

/// The most bytes of a key that are taken from the one before.
const MAX_FRONT: usize = u8::MAX as usize;
/// The fewest bytes that a row takes: front, rest and count.
const MIN_ROW_BYTES: usize = 3;

/// Appends the rows whose hashes, counts and slacks are the `columns`, one after the other.
pub(super) fn put_rows(out: &mut Vec<u8>, seed: u64, floor: u64, columns: &[u64], lens: &[u32], keys: &[u8]) {
    let len = lens.len();
    let (hashes, rest) = columns.split_at(len);
    let (counts, slacks) = rest.split_at(len);
    let rows = by_key(hashes, lens, keys);
    put_varint(out, len as u64);

    let mut last: &[u8] = &[];
    let fronts: Vec<_> =
        rows.iter().map(|row| front(std::mem::replace(&mut last, row.key), row.key)).collect();
    out.extend(fronts.iter().map(|&front| front as u8));
    let mut stated = Vec::new();
    for (row, front) in rows.iter().zip(&fronts) {
        let states = row.hash != item_hash(row.key, seed);
        put_varint(out, (row.key.len() - front) as u64 * 2 + u64::from(states));
        stated.extend(states.then_some(row.hash));
    }
    rows.iter().zip(&fronts).for_each(|(row, &front)| out.extend_from_slice(&row.key[front..]));
    stated.iter().for_each(|hash| out.extend(hash.to_le_bytes()));
    rows.iter().for_each(|row| put_varint(out, counts[row.at]));
    if floor > 0 {
        rows.iter().for_each(|row| put_varint(out, slacks[row.at]));
    }
}

/// The next rows, as the words after `header` and the other columns of parts.
pub(super) fn take_rows(
    from: &mut Reader<'_>,
    seed: u64,
    floor: u64,
    header: &[u64],
) -> Result<Parts, DecodeError> {
    let len = from.varint("number of rows")?;
    let len = at_most("number of rows", len, (from.left() / MIN_ROW_BYTES) as u64)? as usize;
    let sorted = SortedKeys::take(from, seed, len)?;
    let counts = from.varints("counts", len)?;
    let slacks = if floor == 0 { vec![0; len] } else { from.varints("slacks", len)? };

    // Keys that share a hash stay in their order.
    let mut order: Vec<_> = sorted.hashes.iter().copied().zip(0..len).collect();
    order.sort_unstable();
    let mut words = Vec::with_capacity(header.len() + 3 * len);
    words.extend(header);
    words.extend(order.iter().map(|&(hash, _)| hash));
    words.extend(order.iter().map(|&(_, at)| counts[at]));
    words.extend(order.iter().map(|&(_, at)| slacks[at]));
    let halves = order.iter().map(|&(_, at)| sorted.key(at).len() as u32).collect();
    let mut bytes = Vec::with_capacity(sorted.bytes.len());
    order.iter().for_each(|&(_, at)| bytes.extend_from_slice(sorted.key(at)));
    Ok(Parts { words, halves, bytes })
}

struct Row<'a> {
    key: &'a [u8],
    hash: u64,
    /// Its place in the columns.
    at: usize,
}

fn by_key<'a>(hashes: &[u64], lens: &[u32], mut keys: &'a [u8]) -> Vec<Row<'a>> {
    let each = hashes.iter().zip(lens).enumerate();
    let mut rows: Vec<_> = each
        .map(|(at, (&hash, &len))| {
            let (key, rest) = keys.split_at(len as usize);
            keys = rest;
            Row { key, hash, at }
        })
        .collect();
    rows.sort_unstable_by(|a, b| a.key.cmp(b.key).then(a.hash.cmp(&b.hash)));
    rows
}

/// How many bytes of `key` are taken from the one before.
fn front(last: &[u8], key: &[u8]) -> usize {
    last.iter().zip(key).take(MAX_FRONT).take_while(|(a, b)| a == b).count()
}

/// Keys in their order, whole.
struct SortedKeys {
    hashes: Vec<u64>,
    /// Where each key ends.
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

impl SortedKeys {
    fn take(from: &mut Reader<'_>, seed: u64, len: usize) -> Result<Self, DecodeError> {
        let fronts = from.take("fronts of keys", len)?;
        let rests = from.varints("lengths of keys", len)?;
        let total = rests.iter().fold(0u64, |total, rest| total.saturating_add(rest / 2));
        let mut rest_of_keys = from.take("keys", usize::try_from(total).unwrap_or(usize::MAX))?;

        let mut keys = SortedKeys {
            hashes: Vec::with_capacity(len),
            ends: Vec::with_capacity(len),
            bytes: Vec::with_capacity(rest_of_keys.len()),
        };
        for (row, (&front, &rest)) in fronts.iter().zip(&rests).enumerate() {
            let (front, stated) = (usize::from(front), rest % 2 == 1);
            let (rest, others) = rest_of_keys.split_at((rest / 2) as usize);
            rest_of_keys = others;
            at_most("key length", (front + rest.len()) as u64, MAX_KEY_BYTES as u64)?;
            let order = keys.push(front, rest).ok_or(DecodeError::Key { row })?;
            let hash = item_hash(keys.key(row), seed);
            let hash = if stated { other_than(hash, from.word("hash")?, row)? } else { hash };
            if order == Ordering::Equal && keys.hashes.last().is_some_and(|&last| last >= hash) {
                return Err(DecodeError::Key { row });
            }
            keys.hashes.push(hash);
        }
        Ok(keys)
    }

    fn key(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[at]]
    }

    /// Adds the key that has `front` bytes of the last one and then the `rest`, unless that is not how it is written;
    /// the answer is how the last one compares with it: less, or equal.
    fn push(&mut self, front: usize, rest: &[u8]) -> Option<Ordering> {
        let last = self.ends.len().checked_sub(1).map_or(&[][..], |last| self.key(last));
        let beyond = last.get(front..)?;
        let order = beyond.cmp(rest);
        let longest = front == MAX_FRONT || beyond.is_empty() || beyond.first() != rest.first();
        let start = self.bytes.len() - last.len();
        self.bytes.extend_from_within(start..start + front);
        self.bytes.extend_from_slice(rest);
        self.ends.push(self.bytes.len());
        (longest && order != Ordering::Greater).then_some(order)
    }
}

/// The hash that a row states, if its key does not give it.
fn other_than(given: u64, stated: u64, row: usize) -> Result<u64, DecodeError> {
    if stated == given { Err(DecodeError::Hash { row }) } else { Ok(stated) }
}
