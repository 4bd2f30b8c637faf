//! The object of one block, a closed pane or a rollup, with the digests of all boards and groups. It is written once,
//! and everything in it is checked when it is read.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `CRSP` |
//! | 1 | version: 2 |
//! | 8 | the first pane |
//! | 8 | number of panes |
//! | 8 | fingerprint of the job |
//! | 8 | length of the body |
//! | … | body, compressed with zstd |
//! | 8 | XXH3-64 of all before it |
//!
//! The body is the number of boards; for each board its name and the number of its groups; for each group its text
//! and its digest as [`Digest::encode`] gives it. The [rest](crate::rest) is one of the groups, and so is what was
//! [removed](crate::removed) of each. Counts and lengths have
//! four bytes. All numbers are little-endian.

use crate::kept_rows::KeptRows;
use crate::levels::{Block, Levels};
use crate::pane::Pane;
use crest_connectors::group_key::{GroupKey, NoGroup};
use crest_sketches::{DecodeError, Digest};
use std::collections::BTreeMap;
use std::io::Read;
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: &[u8; 4] = b"CRSP";
const VERSION: u8 = 2;
const HEADER: usize = 4 + 1 + 8 + 8 + 8 + 8;
const LEVEL: i32 = 1;
/// The longest body, in bytes: enough for 256 boards of a thousand groups of a few KiB each.
const MAX_BODY: u64 = 4 << 30;

/// The folder of panes. Rollups are in folders with the names of their levels.
const PANES: &str = "panes";

/// The digests of a block by board and group.
pub(super) type Boards<D> = BTreeMap<String, BTreeMap<GroupKey, D>>;

/// Which digests of a block to read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pick<'a> {
    /// All digests.
    All,
    /// The digests of one board.
    Board(&'a str),
    /// The digest of one group of one board, and the rest, which bounds the group where the block does not list it.
    Group(&'a str, &'a GroupKey),
    /// All digests, with as many rows as the windows take of each.
    Windows(&'a KeptRows),
    /// As [`Group`](Self::Group), of a board that retracts, with what was removed of the group, and of the whole board. Where
    /// nothing was removed of the whole board, nothing was of any group.
    Ledgers(&'a str, &'a GroupKey),
}

impl Pick<'_> {
    /// The same of blocks that are merged before windows take of them.
    pub(super) fn of_parts(self) -> Self {
        if let Pick::Windows(_) = self { Pick::All } else { self }
    }

    /// The most rows to read of the digests of a board.
    fn rows(&self, board: &str, block: Block) -> usize {
        if let Pick::Windows(kept) = self { kept.of(board, block) } else { usize::MAX }
    }

    fn board(&self, name: &str) -> bool {
        match self {
            Pick::All | Pick::Windows(_) => true,
            Pick::Board(board) | Pick::Group(board, _) | Pick::Ledgers(board, _) => *board == name,
        }
    }

    fn group(&self, key: &GroupKey) -> bool {
        match self {
            Pick::All | Pick::Windows(_) | Pick::Board(_) => true,
            Pick::Group(_, group) => *group == key || (key.is_rest() && !group.is_whole()),
            Pick::Ledgers(board, group) => {
                let of = key.removed_of();
                of.is_some_and(|of| of.is_empty() || of == group.as_str())
                    || Pick::Group(board, group).group(key)
            }
        }
    }
}

impl ObjectError {
    /// Whether the object is not what a run has written, rather than one of another version of this program.
    pub(super) fn is_damage(&self) -> bool {
        !matches!(self.fault, Fault::Version(_))
    }
}

/// What all objects of a job have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) levels: Levels,
    /// The fingerprint of the job.
    pub(super) job: u64,
    /// The seed of the item hash.
    pub(super) seed: u64,
}

/// Why an object is not the block that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}{fault}")]
pub struct ObjectError {
    /// The object.
    pub name: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with an object. The texts go on after its name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is no object of a block, since it begins with these bytes.
    #[error(" is no pane or rollup: it begins with {0:?}")]
    Foreign(Vec<u8>),
    /// It is of a version that this program does not read.
    #[error(" is of version {0}, and this program reads version {VERSION}")]
    Version(u8),
    /// It was cut short, or changed since it was written.
    #[error(" is damaged: {0}")]
    Damaged(String),
    /// It is another block, or one of another job.
    #[error(" holds {panes} panes from {pane} on, of the job {job:016x}")]
    Other {
        /// The first pane, as its header says.
        pane: Pane,
        /// The number of panes, as its header says.
        panes: u64,
        /// The fingerprint of the job, as its header says.
        job: u64,
    },
    /// One of its digests cannot be decoded.
    #[error(": {0}")]
    Digest(#[from] DecodeError),
}

/// The folders in which any job keeps its blocks.
pub(super) fn folders() -> impl Iterator<Item = &'static str> {
    std::iter::once(PANES).chain(Levels::rollups())
}

/// Whether a name in one of these folders has the form that [`Form::name`] gives to blocks.
pub(super) fn is_of_a_block(name: &str) -> bool {
    let parts = name.split_once('/').and_then(|(_, name)| name.split_once('-'));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    parts.is_some_and(|(start, epoch)| start.len() == 20 && digits(start) && digits(epoch))
}

impl Form {
    /// The name of a block's object that the run of this epoch wrote. The names of a level sort in the order of its
    /// blocks.
    pub(super) fn name(&self, block: Block, epoch: u64) -> String {
        let folder = if block.level == 0 { PANES } else { self.levels.name(block.level) };
        format!("{folder}/{:020}-{epoch}", block.start)
    }

    /// The epoch of the run that wrote the object of this name; `None` if it is not an object of a block.
    pub(super) fn epoch_of(&self, name: &str) -> Option<u64> {
        let (_, rest) = name.split_once('/').filter(|_| self.is_in_a_folder(name))?;
        rest.split_once('-')?.1.parse().ok()
    }

    /// Whether a name is in one of the folders in which this job keeps blocks.
    pub(super) fn is_in_a_folder(&self, name: &str) -> bool {
        let is_level = |folder: &str| (1..self.levels.count()).any(|level| self.levels.name(level) == folder);
        name.split_once('/').is_some_and(|(folder, _)| folder == PANES || is_level(folder))
    }

    /// The bytes of a block's object, from digests that are encoded already.
    pub(super) fn encode(&self, block: Block, boards: &Boards<Vec<u8>>) -> std::io::Result<Vec<u8>> {
        let mut body = Vec::new();
        put_count(&mut body, boards.len());
        for (board, groups) in boards {
            put_bytes(&mut body, board.as_bytes());
            put_count(&mut body, groups.len());
            for (group, digest) in groups {
                put_bytes(&mut body, group.as_str().as_bytes());
                put_bytes(&mut body, digest);
            }
        }
        let mut out = MAGIC.to_vec();
        out.push(VERSION);
        for word in [block.start, self.levels.width(block.level), self.job, body.len() as u64] {
            out.extend(word.to_le_bytes());
        }
        out.extend(zstd::bulk::compress(&body, LEVEL)?);
        let checksum = xxh3_64(&out);
        out.extend(checksum.to_le_bytes());
        Ok(out)
    }

    /// Decodes the picked digests of a block from the bytes of the object `name`.
    pub(super) fn decode(
        &self,
        name: &str,
        bytes: &[u8],
        block: Block,
        pick: Pick<'_>,
    ) -> Result<Boards<Digest>, ObjectError> {
        let named = |fault| ObjectError { name: name.to_owned(), fault };
        self.open(bytes, block).and_then(|body| self.read(&body, block, pick)).map_err(named)
    }

    /// Decodes the picked digests of the body of a block.
    fn read(&self, body: &[u8], block: Block, pick: Pick<'_>) -> Result<Boards<Digest>, Fault> {
        let mut from = Reader(body);
        let mut boards = Boards::new();
        for _ in 0..from.count()? {
            let board = from.text()?;
            let (mut groups, rows) = (BTreeMap::new(), pick.rows(&board, block));
            for _ in 0..from.count()? {
                let (group, digest) = (from.group()?, from.bytes()?);
                if pick.board(&board) && pick.group(&group) {
                    groups.insert(group, Digest::decode_top(digest, self.seed, rows)?);
                }
            }
            if pick.board(&board) {
                boards.insert(board, groups);
            }
        }
        if from.0.is_empty() { Ok(boards) } else { Err(damaged("it goes on after its end")) }
    }

    /// Checks that the object is whole and of this block, and returns its decompressed body.
    fn open(&self, bytes: &[u8], block: Block) -> Result<Vec<u8>, Fault> {
        if !bytes.starts_with(MAGIC) {
            return Err(Fault::Foreign(bytes[..bytes.len().min(MAGIC.len())].to_vec()));
        }
        if bytes.len() < HEADER + 8 {
            return Err(damaged("it is cut short"));
        }
        if bytes[4] != VERSION {
            return Err(Fault::Version(bytes[4]));
        }
        let Some((sealed, stated)) = bytes.split_last_chunk() else { return Err(damaged("it is cut short")) };
        if xxh3_64(sealed) != u64::from_le_bytes(*stated) {
            return Err(damaged("its checksum is another"));
        }
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
        let (pane, panes, job, len) = (word(5), word(13), word(21), word(29));
        if (pane, panes, job) != (block.start, self.levels.width(block.level), self.job) {
            return Err(Fault::Other { pane, panes, job });
        }
        if len > MAX_BODY {
            return Err(damaged("it says that it is longer than any"));
        }
        // The buffer grows as bytes are read, so that a false length reserves no memory.
        let mut body = Vec::new();
        let decoder = zstd::stream::read::Decoder::new(&sealed[HEADER..]);
        let read = decoder.and_then(|decoder| decoder.take(len + 1).read_to_end(&mut body));
        match read {
            Ok(read) if read as u64 == len => Ok(body),
            Ok(_) => Err(damaged("its body has another length than it says")),
            Err(error) => Err(damaged(&error.to_string())),
        }
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend((count as u32).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.extend(bytes);
}

fn damaged(what: &str) -> Fault {
    Fault::Damaged(what.to_owned())
}

/// What is left of a body.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let Some((taken, rest)) = self.0.split_at_checked(len) else {
            return Err(damaged("its body ends early"));
        };
        self.0 = rest;
        Ok(taken)
    }

    fn count(&mut self) -> Result<usize, Fault> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().rev().fold(0, |count, byte| count << 8 | usize::from(*byte)))
    }

    fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let len = self.count()?;
        self.take(len)
    }

    fn text(&mut self) -> Result<String, Fault> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| damaged("a name is not UTF-8"))
    }

    fn group(&mut self) -> Result<GroupKey, Fault> {
        self.text()?.parse().map_err(|error: NoGroup| damaged(&error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_sketches::{Merged, PaneSketch, Shape};

    const SEED: u64 = 7;
    const BLOCK: Block = Block { level: 1, start: 18 };

    fn form() -> Form {
        Form { levels: Levels::new(std::time::Duration::from_secs(10)), job: 99, seed: SEED }
    }

    fn decode(name: &str, bytes: &[u8]) -> Result<Boards<Digest>, ObjectError> {
        form().decode(name, bytes, BLOCK, Pick::All)
    }

    fn digest(items: u64) -> Digest {
        let shape = Shape::new(64, 0.001, 0.00005, SEED).unwrap();
        let mut sketch = PaneSketch::new(&shape);
        (0..items).for_each(|n| sketch.add(format!("item:{n}").as_bytes(), 1 + n as u32));
        let mut merged = Merged::new(&shape);
        merged.add(&sketch);
        merged.cut(100)
    }

    fn pane() -> Boards<Digest> {
        let groups = |items: &[(&str, u64)]| {
            items.iter().map(|(group, items)| (group.parse().unwrap(), digest(*items))).collect()
        };
        Boards::from([
            ("sales".into(), groups(&[("", 40)])),
            (
                "videos".into(),
                groups(&[
                    ("", 3),
                    ("-", 1),
                    ("-,region=IN", 1),
                    ("-,region=é", 1),
                    ("region=IN", 2),
                    ("region=é", 0),
                ]),
            ),
        ])
    }

    fn encoded(pane: &Boards<Digest>) -> Vec<u8> {
        let group = |(text, digest): (&GroupKey, &Digest)| (text.clone(), digest.encode(SEED));
        let board = |(name, groups): (&String, &BTreeMap<GroupKey, Digest>)| {
            (name.clone(), groups.iter().map(group).collect())
        };
        form().encode(BLOCK, &pane.iter().map(board).collect()).unwrap()
    }

    #[test]
    fn a_block_is_read_back_as_it_was_written_or_only_what_is_wanted_of_it() {
        let (bytes, region) = (encoded(&pane()), "region=IN".parse().unwrap());
        assert_eq!(decode("1m/18", &bytes).unwrap(), pane());
        let picked = |pick| form().decode("1m/18", &bytes, BLOCK, pick).unwrap();
        let mut some = pane();
        some.remove("sales");
        assert_eq!(picked(Pick::Board("videos")), some);
        some.get_mut("videos").unwrap().retain(|group, _| group.as_str() == "region=IN");
        assert_eq!(picked(Pick::Group("videos", &region)), some);
        let groups = |pick| picked(pick)["videos"].keys().map(GroupKey::to_string).collect::<Vec<_>>();
        assert_eq!(groups(Pick::Ledgers("videos", &region)), ["-", "-,region=IN", "region=IN"]);
        assert_eq!(groups(Pick::Ledgers("videos", &GroupKey::WHOLE)), ["", "-"]);
    }

    #[test]
    fn the_form_stays_as_it_is() {
        // The body before compression, which does not depend on zstd's version. Stored objects must stay readable.
        let bytes = encoded(&Boards::from([("b".into(), BTreeMap::from([(GroupKey::WHOLE, digest(1))]))]));
        assert_eq!(&bytes[..5], b"CRSP\x02");
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
        assert_eq!([word(5), word(13), word(21)], [18, 6, 99]);
        let body = form().open(&bytes, BLOCK).unwrap();
        let mut expected = vec![1, 0, 0, 0, 1, 0, 0, 0, b'b', 1, 0, 0, 0, 0, 0, 0, 0];
        put_bytes(&mut expected, &digest(1).encode(SEED));
        assert_eq!(body, expected);
    }

    #[test]
    fn a_text_that_is_no_key_of_a_group_is_damage() {
        let read = |group: &[u8]| {
            let mut body = vec![1, 0, 0, 0, 1, 0, 0, 0, b'b', 1, 0, 0, 0];
            put_bytes(&mut body, group);
            put_bytes(&mut body, &digest(1).encode(SEED));
            form().read(&body, BLOCK, Pick::All)
        };
        assert!(["", "*", "a=b,c=50%25"].iter().all(|group| read(group.as_bytes()).is_ok()));
        for group in ["a", "a=b,a=c", "a=%41"] {
            assert_eq!(read(group.as_bytes()), Err(damaged(&format!("{group:?} names no group"))));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused_by_name() {
        let bytes = encoded(&pane());
        let refused = |bytes: &[u8]| {
            let error = decode("panes/17-5", bytes).unwrap_err().to_string();
            assert!(error.contains("panes/17-5"), "{error}");
        };
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                refused(&damaged);
            }
            refused(&bytes[..at]);
        }
    }

    #[test]
    fn another_block_another_job_and_something_else_are_refused() {
        let bytes = encoded(&pane());
        let other = |form: Form, block| form.decode("x", &bytes, block, Pick::All).unwrap_err().fault;
        let expected = Fault::Other { pane: 18, panes: 6, job: 99 };
        assert_eq!(other(form(), Block { start: 24, ..BLOCK }), expected);
        assert_eq!(other(form(), Block { level: 0, ..BLOCK }), expected);
        assert_eq!(other(Form { job: 98, ..form() }, BLOCK), expected);
        assert!(matches!(decode("x", b"PNG").unwrap_err().fault, Fault::Foreign(_)));
        assert!(matches!(other(Form { seed: 8, ..form() }, BLOCK), Fault::Digest(_)));
    }

    #[test]
    fn a_checksum_that_fits_lies_does_not_make_it_reserve_memory_or_panic() {
        let mut bytes = encoded(&pane());
        bytes.truncate(HEADER);
        bytes[29..37].copy_from_slice(&(MAX_BODY - 1).to_le_bytes());
        // A body of four bytes that claims as many boards as a count can say.
        bytes.extend(zstd::bulk::compress(&[255; 4], 1).unwrap());
        let sum = xxh3_64(&bytes);
        bytes.extend(sum.to_le_bytes());
        assert!(matches!(decode("x", &bytes).unwrap_err().fault, Fault::Damaged(_)));
    }

    #[test]
    fn names_sort_as_blocks_do_and_tell_the_run() {
        let name = |level, start, epoch| form().name(Block { level, start }, epoch);
        assert!(name(0, 9, 17) < name(0, 10, 5));
        assert_eq!(
            (name(0, 9, 17), name(2, 60, 5)),
            ("panes/00000000000000000009-17".into(), "10m/00000000000000000060-5".into())
        );
        let epochs = [name(0, 9, 17), name(2, 60, 5), "panes/x".into(), "2m/1-5".into()];
        assert_eq!(epochs.map(|name| form().epoch_of(&name)), [Some(17), Some(5), None, None]);
    }
}
