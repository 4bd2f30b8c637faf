//! Planted damage: an object of a state, taken apart as its format is documented, changed, and put together again so that
//! every checksum is right.

use crest_sketches::{Digest, Parts};
use std::ops::Range;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// Magic, version, pane, panes, job, length.
const HEADER: usize = 4 + 1 + 4 * 8;

/// The objects of panes in a state's folder, in their order.
pub fn panes(state: &Path) -> Vec<PathBuf> {
    let mut panes: Vec<PathBuf> =
        std::fs::read_dir(state.join("panes")).unwrap().map(|entry| entry.unwrap().path()).collect();
    panes.sort();
    panes
}

/// That of the items' hash, which the manifest keeps.
fn seed(pane: &Path) -> u64 {
    let manifest = std::fs::read(pane.parent().unwrap().with_file_name("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    manifest["job"]["sketch"]["seed"].as_u64().unwrap()
}

/// Changes the digest of each board and group in an object.
pub fn rewrite(file: &Path, mut change: impl FnMut(&str, &str, Rows)) {
    let (bytes, seed) = (std::fs::read(file).unwrap(), seed(file));
    let body = zstd::stream::decode_all(&bytes[HEADER..bytes.len() - 8]).unwrap();
    let mut reader = &body[..];
    let mut new = Vec::new();
    let boards = take_count(&mut reader);
    put_count(&mut new, boards);
    for _ in 0..boards {
        let board = take_bytes(&mut reader);
        put_bytes(&mut new, board);
        let groups = take_count(&mut reader);
        put_count(&mut new, groups);
        for _ in 0..groups {
            let (group, digest) = (take_bytes(&mut reader), take_bytes(&mut reader));
            put_bytes(&mut new, group);
            let mut parts = Digest::decode(digest, seed).unwrap().to_parts();
            change(text(board), text(group), Rows(&mut parts));
            put_bytes(&mut new, &Digest::from_parts(parts).unwrap().encode(seed));
        }
    }
    let mut out = bytes[..HEADER - 8].to_vec();
    out.extend((new.len() as u64).to_le_bytes());
    out.extend(zstd::bulk::compress(&new, 1).unwrap());
    let checksum = xxh3_64(&out);
    out.extend(checksum.to_le_bytes());
    std::fs::write(file, out).unwrap();
}

/// The rows of a digest: two words of its head, or four where it counts different values, and for each row its hash, then its
/// lower bound, then its doubt, then the hashes of its values; the lengths of the keys, then how many hashes of values each row
/// has; and the keys.
pub struct Rows<'a>(&'a mut Parts);

impl Rows<'_> {
    fn is_distinct(&self) -> bool {
        self.0.words[0] == u64::MAX
    }

    fn head(&self) -> usize {
        if self.is_distinct() { 4 } else { 2 }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        if self.is_distinct() { self.0.halves.len() / 2 } else { self.0.halves.len() }
    }

    fn keys(&self) -> Vec<String> {
        let mut rest = &self.0.bytes[..];
        let mut keys = Vec::new();
        for length in &self.0.halves[..self.len()] {
            let (key, after) = rest.split_at(*length as usize);
            keys.push(text(key).to_owned());
            rest = after;
        }
        keys
    }

    fn lower(&mut self, row: usize) -> &mut u64 {
        let place = self.head() + self.len() + row;
        &mut self.0.words[place]
    }

    /// Rows by their lower bounds, greatest first.
    fn order(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|row| std::cmp::Reverse(*self.lower(*row)));
        order
    }

    /// Where the row with the greatest lower bound is, and its item.
    pub fn top(&mut self) -> (usize, String) {
        let top = self.order()[0];
        (top, self.keys().swap_remove(top))
    }

    /// Takes so much from a row's lower bound, and from its upper one as well.
    pub fn lessen(&mut self, row: usize, by: u64) {
        *self.lower(row) -= by;
    }

    /// Takes so much from each row but those of the greatest lower bounds, where it has more.
    pub fn lessen_all_beyond(&mut self, top: usize, by: u64) {
        for row in self.order().into_iter().skip(top) {
            if *self.lower(row) > by {
                self.lessen(row, by);
            }
        }
    }

    /// Adds so much to the row of the least lower bound; its item.
    pub fn raise_the_least(&mut self, by: u64) -> String {
        let least = *self.order().last().unwrap();
        *self.lower(least) += by;
        self.keys().swap_remove(least)
    }

    /// Takes a row out, and leaves total and floor as they are.
    pub fn remove(&mut self, row: usize) {
        let (rows, keys) = (self.len(), self.keys());
        for column in [2, 1, 0] {
            self.0.words.remove(2 + column * rows + row);
        }
        self.0.halves.remove(row);
        let left = keys.iter().enumerate().filter(|(place, _)| *place != row);
        self.0.bytes = left.flat_map(|(_, key)| key.bytes()).collect();
    }

    /// Where the hashes of a row's values are, if it keeps hashes.
    fn values(&self, row: usize) -> Option<Range<usize>> {
        let sizes = self.0.halves[self.len()..].iter().map(|size| *size as usize);
        let kept: Vec<usize> = sizes.map(|size| if size < 1 << 31 { size } else { 0 }).collect();
        let start = self.head() + 3 * self.len() + kept[..row].iter().sum::<usize>();
        Some(start..start + kept[row]).filter(|range| !range.is_empty())
    }

    fn size(&mut self, row: usize) -> &mut u32 {
        let rows = self.len();
        &mut self.0.halves[rows + row]
    }

    /// Forgets a value of the row that has most of those that keep them all; its item.
    pub fn forget_a_value(&mut self) -> String {
        let row = self
            .order()
            .into_iter()
            .find(|row| self.values(*row).is_some_and(|kept| kept.len() > 1))
            .unwrap();
        let kept = self.values(row).unwrap();
        self.0.words.remove(kept.start);
        *self.size(row) -= 1;
        self.lessen(row, 1);
        self.keys().swap_remove(row)
    }

    /// Adds so many values that nobody sent to the row that has most of those that keep so few that they still fit; its item.
    pub fn invent_values(&mut self, values: u64) -> String {
        let fits = |kept: Range<usize>| kept.len() as u64 + values <= 64;
        let row = self.order().into_iter().find(|row| self.values(*row).is_some_and(fits)).unwrap();
        let kept = self.values(row).unwrap();
        // Hashes are in order, and hardly one is so small.
        self.0.words.splice(kept.start..kept.start, 1..=values);
        *self.size(row) += values as u32;
        *self.lower(row) += values;
        self.0.words[2] += values;
        self.keys().swap_remove(row)
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn take<'a>(reader: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = reader.split_at(length);
    *reader = rest;
    taken
}

fn take_count(reader: &mut &[u8]) -> usize {
    u32::from_le_bytes(take(reader, 4).try_into().unwrap()) as usize
}

fn take_bytes<'a>(reader: &mut &'a [u8]) -> &'a [u8] {
    let length = take_count(reader);
    take(reader, length)
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend((count as u32).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.extend(bytes);
}
