//! Finds what a log's file holds page by page, and believes no index: whatever is damaged, all that is whole beside it is
//! found.
//!
//! redb keeps pairs in *leaf pages*, which begin at multiples of 4 KiB and name their keys. A block's checksum is over its
//! key and all its bytes, so that a leaf's block is whole or it is not, wherever the leaf is and whoever points to it. A
//! leaf that was overwritten elsewhere stays in the file until its page is used again, and may still have what the newer
//! one has lost. What has no checksum of its own (the log's id, how far each partition is) is believed where another page
//! holds its leaf's checksum, and is certain where the file's header leads there.
//!
//! | bytes of a leaf | what |
//! |---|---|
//! | 1 | 1 |
//! | 1 | free |
//! | 2 | pairs |
//! | 4 a pair | where its key ends; not where all keys are of one size |
//! | 4 a pair | where its value ends; not where all values are of one size |
//! | … | keys |
//! | … | values |

use super::block::{Decoded, Key, LogPartition, read_lost};
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use xxhash_rust::xxh3::xxh3_128;

/// Where pages begin.
const PAGE: usize = 4096;
/// Read at once.
const WINDOW: usize = 1 << 20;
/// No leaf is larger: a block, and what is beside it.
const MAX_LEAF: usize = 4 << 20;
/// A small block's key, place and bytes: no page has more of them than this allows.
const LEAST_PAIR: usize = 16 + 26;
const LEAF: u8 = 1;
const BRANCH: u8 = 2;
/// Where the header has the checksums of the roots of the last two commits.
const ROOTS: [usize; 2] = [80, 208];

/// The bytes of a file.
pub(super) trait Bytes {
    fn len(&self) -> u64;

    /// Reads just so many bytes.
    fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()>;
}

impl Bytes for (File, u64) {
    fn len(&self) -> u64 {
        self.1
    }

    fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let mut file = &self.0;
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(into)
    }
}

/// A block that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: u64,
    pub(super) bytes: usize,
    pub(super) records: u32,
    pub(super) appended: i64,
    /// What its bytes are told by.
    sum: u128,
}

/// How far a partition is: its first and its next offset, and when the newest block was appended.
pub(super) type Reach = (u64, u64, i64);

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    /// The different blocks by key: there are several where a commit failed and was made again.
    pub(super) blocks: BTreeMap<Key, Vec<Place>>,
    /// The blocks of records that were lost before, with how many.
    pub(super) lost: BTreeMap<Key, u32>,
    /// The log's id, and whether it is certain.
    pub(super) id: Option<(u128, bool)>,
    /// The number of partitions.
    pub(super) partitions: Option<u32>,
    /// The partitions as the newest commit that is believed left them, and whether that is certain.
    pub(super) reach: Option<(BTreeMap<LogPartition, Reach>, bool)>,
}

/// Reads the whole file.
///
/// # Errors
/// It cannot be read.
pub(super) fn scan(bytes: &dyn Bytes) -> io::Result<Found> {
    let mut scan = Scan { bytes, decoded: Decoded::new()?, found: Found::default(), index: Index::default() };
    let (mut at, mut window) = (0, Vec::new());
    while at < bytes.len() {
        window.resize(WINDOW.min((bytes.len() - at) as usize), 0);
        bytes.read(at, &mut window)?;
        let (begin, end) = (at, at + window.len() as u64);
        while at < end {
            let from = (at - begin) as usize;
            let page = &window[from..window.len().min(from + PAGE)];
            at += scan.page(at, page)?.next_multiple_of(PAGE) as u64;
        }
    }
    let Scan { mut found, index, .. } = scan;
    index.settle(&mut found);
    Ok(found)
}

struct Scan<'a> {
    bytes: &'a dyn Bytes,
    decoded: Decoded,
    found: Found,
    index: Index,
}

impl Scan<'_> {
    /// Looks at what begins at a page: how many bytes that is.
    fn page(&mut self, at: u64, page: &[u8]) -> io::Result<usize> {
        if page.iter().all(|byte| *byte == 0) {
            return Ok(PAGE);
        }
        if at == 0 {
            self.index.header(page);
            return Ok(PAGE);
        }
        let pairs = page.get(2..4).map_or(0, |two| usize::from(u16::from_le_bytes([two[0], two[1]])));
        if let Some(length) = self.blocks(at, page, pairs)? {
            return Ok(length);
        }
        if self.index.page(page, pairs) {
            return Ok(PAGE);
        }
        // Its head is damaged, or it is no page's beginning.
        for pairs in 1..=PAGE / LEAST_PAIR {
            if let Some(length) = self.blocks(at, page, pairs)? {
                return Ok(length);
            }
        }
        Ok(PAGE)
    }

    /// Takes what is whole of a leaf of so many blocks: how many bytes it is for certain, if it is one.
    fn blocks(&mut self, at: u64, page: &[u8], pairs: usize) -> io::Result<Option<usize>> {
        let limit = MAX_LEAF.min((self.bytes.len() - at) as usize);
        let Some(leaf) = BlockLeaf::of(page, pairs, limit) else { return Ok(None) };
        let (mut whole, mut lost) = (Vec::new(), Vec::new());
        // How far it is certainly a leaf: what it says of its length may be damaged, and hides nothing.
        let mut certain = 0;
        let end = leaf.end.min(limit);
        let mut read = Vec::new();
        let all = if end > page.len() {
            read.resize(end, 0);
            self.bytes.read(at, &mut read)?;
            &read
        } else {
            page
        };
        for (key, value) in leaf.pairs(all) {
            let Some(block) = all.get(value.clone()) else { continue };
            if self.decoded.load(key, block).is_ok() {
                let records = self.decoded.records();
                let (appended, sum) = (self.decoded.appended(), xxh3_128(block));
                let place = Place { at: at + value.start as u64, bytes: block.len(), records, appended, sum };
                whole.push((key, place));
            } else if let Ok(Some(head)) = read_lost(key, block) {
                lost.push((key, head.records));
            } else {
                continue;
            }
            certain = value.end;
        }
        if certain == 0 {
            return Ok(None);
        }
        self.found.lost.extend(lost);
        for (key, place) in whole {
            let same = self.found.blocks.entry(key).or_default();
            if same.iter().all(|other| other.sum != place.sum) {
                same.push(place);
            }
        }
        Ok(Some(certain))
    }
}

/// A leaf of blocks: its places are in its first page, all of them, since a large block is alone.
struct BlockLeaf {
    pairs: usize,
    end: usize,
}

const KEY: usize = 12;

impl BlockLeaf {
    /// Reads a page as a leaf of so many pairs; `None` where it cannot be one.
    fn of(page: &[u8], pairs: usize, limit: usize) -> Option<Self> {
        let keys = 4 + 4 * pairs;
        let values = keys + KEY * pairs;
        if pairs == 0 || values > page.len() {
            return None;
        }
        let end = word(page, keys - 4)?;
        let first = word(page, 4)?;
        // The last ones may be cut off with the file, but the first begins like a block.
        let fits = first > values && first <= end && end <= MAX_LEAF && first <= limit;
        (fits && page.get(values) == Some(&1)).then_some(BlockLeaf { pairs, end })
    }

    /// Keys, and where their values are.
    fn pairs<'a>(&self, leaf: &'a [u8]) -> impl Iterator<Item = (Key, std::ops::Range<usize>)> + use<'a> {
        let keys = 4 + 4 * self.pairs;
        let mut start = keys + KEY * self.pairs;
        (0..self.pairs).filter_map(move |pair| {
            let end = word(leaf, 4 + 4 * pair)?;
            let key = leaf.get(keys + KEY * pair..)?.first_chunk::<KEY>()?;
            let [p0, p1, p2, p3, base @ ..] = *key;
            let value = start..end;
            start = end;
            Some(((u32::from_le_bytes([p0, p1, p2, p3]), u64::from_le_bytes(base)), value))
        })
    }
}

/// What is not blocks: the small tables, and which pages are believed.
#[derive(Default)]
struct Index {
    /// The checksums in the header.
    roots: Vec<u128>,
    /// Those that other pages hold …
    held: HashSet<u128>,
    /// … and those that lists of tables hold, with the list's own.
    listed: Vec<(u128, Vec<u8>)>,
    /// Leaves that may be of the log's own table, with their checksums.
    logs: Vec<(u128, BTreeMap<String, u128>)>,
    /// Leaves that may be of the partitions.
    partitions: Vec<(u128, Vec<(LogPartition, Reach)>)>,
}

impl Index {
    fn header(&mut self, page: &[u8]) {
        self.roots.extend(ROOTS.iter().filter_map(|at| checksum_at(page, *at)));
    }

    /// Takes what a page is, if it is one of these.
    fn page(&mut self, page: &[u8], pairs: usize) -> bool {
        match page.first() {
            Some(&BRANCH) => {
                let sums = (0..=pairs).map_while(|child| checksum_at(page, 8 + 16 * child));
                self.held.extend(sums);
                true
            }
            Some(&LEAF) => self.leaf(page, pairs).is_some(),
            _ => false,
        }
    }

    fn leaf(&mut self, page: &[u8], pairs: usize) -> Option<()> {
        if let Some((end, values)) = named(page, pairs, None)
            && values.iter().any(|(name, _)| name == "partitions")
        {
            let all: Vec<u8> = values.into_iter().flat_map(|(_, value)| value).collect();
            self.held.extend(all.windows(16).filter_map(|window| checksum_at(window, 0)));
            self.listed.push((xxh3_128(page.get(..end)?), all));
            return Some(());
        }
        if let Some((end, values)) = named(page, pairs, Some(16))
            && values.iter().any(|(name, _)| name == "format")
        {
            let value = |(name, value): (String, Vec<u8>)| Some((name, checksum_at(&value, 0)?));
            self.logs.push((xxh3_128(page.get(..end)?), values.into_iter().filter_map(value).collect()));
            return Some(());
        }
        let reach = partitions(page, pairs)?;
        self.partitions.push((xxh3_128(page.get(..4 + 36 * pairs)?), reach));
        Some(())
    }

    /// Says what is believed of all that was found.
    fn settle(self, found: &mut Found) {
        let contains = |bytes: &[u8], sum: u128| bytes.windows(16).any(|window| window == sum.to_le_bytes());
        let is_certain = |sum: u128| {
            self.listed.iter().any(|(own, bytes)| self.roots.contains(own) && contains(bytes, sum))
        };
        let is_believed = |sum: &u128| self.held.contains(sum);
        let log = self.logs.iter().max_by_key(|(sum, _)| is_believed(sum));
        if let Some((sum, log)) = log {
            found.id = log.get("id").map(|id| (*id, is_believed(sum)));
            let partitions = log.get("partitions").and_then(|partitions| u32::try_from(*partitions).ok());
            found.partitions = partitions.filter(|_| is_believed(sum));
        }
        let certain: Vec<_> = self.partitions.iter().filter(|(sum, _)| is_certain(*sum)).collect();
        let believed: Vec<_> = self.partitions.iter().filter(|(sum, _)| is_believed(sum)).collect();
        let (leaves, is_certain) = if certain.is_empty() { (believed, false) } else { (certain, true) };
        let mut reach: BTreeMap<LogPartition, Reach> = BTreeMap::new();
        for (partition, (first, next, appended)) in leaves.into_iter().flat_map(|(_, leaf)| leaf) {
            let known = reach.entry(*partition).or_default();
            *known = (known.0.max(*first), known.1.max(*next), known.2.max(*appended));
        }
        found.reach = (!reach.is_empty()).then_some((reach, is_certain));
    }
}

/// A key of text and its value.
type Named = (String, Vec<u8>);

/// The pairs of a leaf with keys of text, and values of one size or any; and where it ends.
fn named(page: &[u8], pairs: usize, value: Option<usize>) -> Option<(usize, Vec<Named>)> {
    let heads = if value.is_some() { 1 } else { 2 };
    if pairs == 0 || pairs > 8 {
        return None;
    }
    let (mut key, mut found) = (4 + 4 * pairs * heads, Vec::new());
    let mut from = word(page, 4 * pairs)?;
    for pair in 0..pairs {
        let end = word(page, 4 + 4 * pair)?;
        let to = value.map_or_else(|| word(page, 4 + 4 * (pairs + pair)), |size| Some(from + size))?;
        let name = std::str::from_utf8(page.get(key..end)?).ok()?;
        found.push((name.to_owned(), page.get(from..to)?.to_vec()));
        (key, from) = (end, to);
    }
    Some((from, found))
}

/// A leaf of partitions, if it can be one: consecutive numbers, and what is possible of each.
fn partitions(page: &[u8], pairs: usize) -> Option<Vec<(LogPartition, Reach)>> {
    let (mut found, values) = (Vec::new(), 4 + 4 * pairs);
    for pair in 0..pairs {
        let partition = word(page, 4 + 4 * pair)? as LogPartition;
        let long = |at| Some(u64::from_le_bytes(*page.get(values + 32 * pair + at..)?.first_chunk::<8>()?));
        let (first, next, appended) = (long(0)?, long(8)?, long(16)? as i64);
        let follows = found.last().is_none_or(|(before, _)| before + 1 == partition);
        if !follows || first > next || next > i64::MAX as u64 {
            return None;
        }
        found.push((partition, (first, next, appended)));
    }
    (!found.is_empty()).then_some(found)
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk::<4>()?) as usize)
}

fn checksum_at(bytes: &[u8], at: usize) -> Option<u128> {
    Some(u128::from_le_bytes(*bytes.get(at..)?.first_chunk::<16>()?))
}
