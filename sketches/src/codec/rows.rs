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
use crate::keys::{Entry, MAX_KEY_BYTES};
use crate::parts::{Parts, PartsError, at_most};
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

/// Rows as they were read, those that are kept in their order by hash, then key.
pub(super) struct Rows {
    /// Of those that are kept, by key.
    keys: Keys,
    /// Where each of them is among all.
    places: Vec<u32>,
    /// Of the keys that are kept, by hash, then key.
    order: Vec<u32>,
    /// The places of the others.
    dropped: Vec<u32>,
    counts: Vec<u64>,
    /// None where all are 0.
    slacks: Vec<u64>,
}

impl Rows {
    /// The next rows. All are checked, and the `most` of greatest count and slack are kept, of equal ones those of greater
    /// key, then hash.
    pub(super) fn take(
        from: &mut Reader<'_>,
        seed: u64,
        floor: u64,
        most: usize,
    ) -> Result<Self, DecodeError> {
        let len = from.varint("number of rows")?;
        let fit = (from.left() / MIN_ROW_BYTES).min(u32::MAX as usize);
        let len = at_most("number of rows", len, fit as u64)? as usize;
        let written = Written::take(from, len)?;
        let counts = from.varints("counts", len)?;
        let slacks = if floor == 0 { Vec::new() } else { from.varints("slacks", len)? };
        let slack = |at: u32| slacks.get(at as usize).copied().unwrap_or(0);
        let dropped = all_but(most, len, |at| counts[at as usize].saturating_add(slack(at)));

        let mut is_kept = vec![true; len];
        dropped.iter().for_each(|&at| is_kept[at as usize] = false);
        let keys = written.read(seed, &is_kept)?;
        let places = (0..len as u32).filter(|&at| is_kept[at as usize]).collect();
        let order = by_hash(&keys.hashes);
        Ok(Rows { keys, places, order, dropped, counts, slacks })
    }

    /// How many are kept.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Bytes of their keys.
    pub(super) fn key_bytes(&self) -> usize {
        self.keys.bytes.len()
    }

    /// Hash, count, slack and key of each that is kept, by hash, then key.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = Entry<'_>> {
        self.order.iter().map(|&at| {
            let (count, slack) = self.numbers(self.places[at as usize]);
            (self.keys.hashes[at as usize], count, slack, self.keys.get(at as usize))
        })
    }

    /// Count and slack of each that is not kept.
    pub(super) fn dropped(&self) -> impl Iterator<Item = (u64, u64)> {
        self.dropped.iter().map(|&at| self.numbers(at))
    }

    fn numbers(&self, at: u32) -> (u64, u64) {
        let at = at as usize;
        (self.counts[at], self.slacks.get(at).copied().unwrap_or(0))
    }

    /// As columns, with the words of a header before them.
    pub(super) fn into_parts(self, header: &[u64]) -> Parts {
        let mut words = Vec::with_capacity(header.len() + 3 * self.len());
        words.extend(header);
        words.extend(self.iter().map(|(hash, ..)| hash));
        words.extend(self.iter().map(|(_, count, ..)| count));
        words.extend(self.iter().map(|(_, _, slack, _)| slack));
        let halves = self.iter().map(|(.., key)| key.len() as u32).collect();
        let mut bytes = Vec::with_capacity(self.key_bytes());
        self.iter().for_each(|(.., key)| bytes.extend_from_slice(key));
        Parts { words, halves, bytes }
    }
}

/// The places of `len` rows but for the `most` of greatest weight, of equal ones those of greater place.
fn all_but(most: usize, len: usize, weight: impl Fn(u32) -> u64) -> Vec<u32> {
    if len <= most {
        return Vec::new();
    }
    let mut ranked: Vec<_> = (0..len as u32).map(|at| (weight(at), at)).collect();
    if most > 0 {
        ranked.select_nth_unstable(len - most);
    }
    ranked[..len - most].iter().map(|&(_, at)| at).collect()
}

/// The places of these hashes in their order; equal ones stay in the order in which they are.
///
/// Hashes are spread evenly, so that the first bits of a hash say about where it belongs. They are put into buckets by these
/// bits, about one hash in each, and each bucket is sorted. Where the hashes were chosen by someone, one bucket may have all.
fn by_hash(hashes: &[u64]) -> Vec<u32> {
    let bits = hashes.len().max(2).ilog2();
    let bucket = |hash: u64| (hash >> (u64::BITS - bits)) as usize;
    let mut ends = vec![0u32; (1 << bits) + 1];
    hashes.iter().for_each(|&hash| ends[bucket(hash) + 1] += 1);
    for bucket in 1..ends.len() {
        ends[bucket] += ends[bucket - 1];
    }
    // At first, each of these is where its bucket starts; as the bucket is filled, it comes to be where it ends.
    let mut order = vec![0; hashes.len()];
    for (&hash, at) in hashes.iter().zip(0..) {
        let end = &mut ends[bucket(hash)];
        order[*end as usize] = at;
        *end += 1;
    }
    let mut start = 0;
    for &end in &ends[..1 << bits] {
        order[start as usize..end as usize].sort_unstable_by_key(|&at| (hashes[at as usize], at));
        start = end;
    }
    order
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

/// Keys in their order, and the hashes of their items.
struct Keys {
    hashes: Vec<u64>,
    /// Where each key ends.
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

impl Keys {
    fn get(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[at]]
    }
}

/// Keys in their order, each without what it has in common with the one before.
struct Written<'a> {
    fronts: &'a [u8],
    rests: Vec<u64>,
    bytes: &'a [u8],
    /// Those that are stated.
    hashes: &'a [[u8; 8]],
}

impl<'a> Written<'a> {
    fn take(from: &mut Reader<'a>, len: usize) -> Result<Self, DecodeError> {
        let fronts = from.take("fronts of keys", len)?;
        let rests = from.varints("lengths of keys", len)?;
        let total = rests.iter().fold(0u64, |total, rest| total.saturating_add(rest / 2));
        let bytes = from.take("keys", usize::try_from(total).unwrap_or(usize::MAX))?;
        let stated = rests.iter().filter(|&rest| states(*rest)).count();
        let (hashes, _) = from.take("hash", 8 * stated)?.as_chunks();
        Ok(Written { fronts, rests, bytes, hashes })
    }

    /// Those that are kept, whole, unless some are not how they are written.
    fn read(&self, seed: u64, is_kept: &[bool]) -> Result<Keys, DecodeError> {
        let lens =
            self.fronts.iter().zip(&self.rests).map(|(&front, rest)| front as usize + (rest / 2) as usize);
        let kept = lens.zip(is_kept).filter(|(_, is_kept)| **is_kept);
        let (len, bytes) = kept.fold((0, 0), |(rows, bytes), (len, _)| (rows + 1, bytes + len));
        let mut keys = Keys {
            hashes: Vec::with_capacity(len),
            ends: Vec::with_capacity(len),
            bytes: Vec::with_capacity(bytes),
        };
        let (mut bytes, mut hashes) = (self.bytes, self.hashes.iter());
        let (mut key, mut last_stated) = (Vec::new(), None);
        for (row, (&front, &rest)) in self.fronts.iter().zip(&self.rests).enumerate() {
            let (own, others) = bytes.split_at((rest / 2) as usize);
            bytes = others;
            let order = follow(&mut key, front.into(), own).ok_or(DecodeError::Key { row })?;
            at_most("key length", key.len() as u64, MAX_KEY_BYTES as u64)?;
            let stated =
                if states(rest) { hashes.next().map(|hash| u64::from_le_bytes(*hash)) } else { None };
            // The hash of one that is not kept is seldom asked for.
            let given = || item_hash(&key, seed);
            if stated.is_some_and(|stated| stated == given()) {
                return Err(DecodeError::Hash { row });
            }
            // No item has this hash.
            if stated == Some(0) {
                return Err(PartsError::Order { row: 0 }.into());
            }
            let is_again = || last_stated.unwrap_or_else(given) >= stated.unwrap_or_else(given);
            if order == Ordering::Equal && row > 0 && is_again() {
                return Err(DecodeError::Key { row });
            }
            if is_kept[row] {
                keys.hashes.push(stated.unwrap_or_else(given));
                keys.bytes.extend_from_slice(&key);
                keys.ends.push(keys.bytes.len());
            }
            last_stated = stated;
        }
        Ok(keys)
    }
}

/// Whether a row with a key of this rest states its hash.
fn states(rest: u64) -> bool {
    rest % 2 == 1
}

/// Makes of a key the one after it, which has `front` bytes of it and then the `rest`, and says how the two compare: less, or
/// equal. `None` where they are in another order, or have more bytes in common than that.
fn follow(key: &mut Vec<u8>, front: usize, rest: &[u8]) -> Option<Ordering> {
    let beyond = key.get(front..)?;
    // The first bytes that they do not have in common tell.
    let order = match (beyond.first(), rest.first()) {
        (ours, theirs) if ours != theirs || ours.is_none() => ours.cmp(&theirs),
        _ if front == MAX_FRONT => beyond.cmp(rest),
        _ => return None,
    };
    key.truncate(front);
    key.extend_from_slice(rest);
    (order != Ordering::Greater).then_some(order)
}
