//! Planted damage: an object of a state, taken apart as its format is documented, changed, and put together again so that
//! every checksum is right.

use crest_sketches::{Digest, Parts};
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

/// The rows of a digest: two words, and for each row its hash, then its lower bound, then its doubt; the lengths of the
/// keys, and the keys.
pub struct Rows<'a>(&'a mut Parts);

impl Rows<'_> {
    fn keys(&self) -> Vec<String> {
        let mut rest = &self.0.bytes[..];
        let mut keys = Vec::new();
        for length in &self.0.halves {
            let (key, after) = rest.split_at(*length as usize);
            keys.push(text(key).to_owned());
            rest = after;
        }
        keys
    }

    /// Where the row with the greatest lower bound is, and its item.
    pub fn top(&self) -> (usize, String) {
        let rows = self.0.halves.len();
        let lowers = &self.0.words[2 + rows..2 + 2 * rows];
        let top = (0..rows).max_by_key(|row| lowers[*row]).unwrap();
        (top, self.keys().swap_remove(top))
    }

    /// Takes so much from a row's lower bound, and from its upper one as well.
    pub fn lessen(&mut self, row: usize, by: u64) {
        let rows = self.0.halves.len();
        self.0.words[2 + rows + row] -= by;
    }

    /// Takes so much from each row but those of the greatest lower bounds, where it has more.
    pub fn lessen_all_beyond(&mut self, top: usize, by: u64) {
        let rows = self.0.halves.len();
        let lower = |of: &Self, row: usize| of.0.words[2 + rows + row];
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by_key(|row| std::cmp::Reverse(lower(self, *row)));
        for row in order.into_iter().skip(top) {
            if lower(self, row) > by {
                self.lessen(row, by);
            }
        }
    }

    /// Adds so much to the row of the least lower bound; its item.
    pub fn raise_the_least(&mut self, by: u64) -> String {
        let rows = self.0.halves.len();
        let least = (0..rows).min_by_key(|row| self.0.words[2 + rows + row]).unwrap();
        self.0.words[2 + rows + least] += by;
        self.keys().swap_remove(least)
    }

    /// Takes a row out, and leaves total and floor as they are.
    pub fn remove(&mut self, row: usize) {
        let (rows, keys) = (self.0.halves.len(), self.keys());
        for column in [2, 1, 0] {
            self.0.words.remove(2 + column * rows + row);
        }
        self.0.halves.remove(row);
        let left = keys.iter().enumerate().filter(|(place, _)| *place != row);
        self.0.bytes = left.flat_map(|(_, key)| key.bytes()).collect();
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
