//! What can be done for a log whose file is damaged: [`verify`] says what is whole and what is lost, [`salvage`] makes a
//! log of all that is whole.
//!
//! The damaged file is only read, page by page (see [`super::scan`]). The new one has the same id, and each record the
//! same offset. Where records are lost it has blocks that say so: a reader stops there by name, or goes on without them,
//! as it was asked to. It takes the old one's place in one step, and that is kept under another name.

use super::block::{self, Key, LogPartition};
use super::database::{BLOCKS, PARTITIONS, builder, create};
use super::folder::{FILE, make_folder};
use super::overlay;
use super::scan::{Bytes, Found, Place, Reach, scan};
use super::store::bytes_in_file;
use crate::endpoint::MAX_PARTITIONS;
use crate::source::SourceError;
use crest_host::draw;
use redb::{Database, Error};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One commit takes so many bytes, about.
const COMMIT_BYTES: usize = 64 << 20;
/// What a file is called while it is made; it is not a log yet.
const UNFINISHED: &str = "events.redb.unfinished";

/// What a log's reader knows of it: [`salvage`] uses what the file does not have any more.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The log's id, as [`Log::identity`](super::Log::identity) says it.
    pub id: Option<u128>,
    /// Up to which offset partitions were read: none below it is given to another record.
    pub reached: BTreeMap<u32, u64>,
}

/// What a log's file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The file.
    pub path: PathBuf,
    /// What it holds, by partition.
    pub partitions: Vec<PartitionContents>,
    /// What is damaged, in words; nothing where the log can be read and written as it is.
    pub damage: Vec<String>,
}

/// What a log's file holds of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionContents {
    /// The first offset that is kept, and the one behind the last.
    pub offsets: Range<u64>,
    /// Records that are whole.
    pub records: u64,
    /// Offsets whose records are damaged.
    pub damaged: Vec<Range<u64>>,
    /// Offsets whose records were lost in an earlier damage.
    pub lost: Vec<Range<u64>>,
}

/// What was salvaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// As it was found.
    pub contents: Contents,
    /// The new file; `None` where the log is whole, and nothing was done.
    pub log: Option<PathBuf>,
    /// Where the damaged file is now, where the new one has taken its place.
    pub aside: Option<PathBuf>,
    /// What is not certain, in words.
    pub doubts: Vec<String>,
}

/// Looks whether the log in a folder is whole. Nothing is changed.
///
/// # Errors
/// [`SourceError::File`] where there is none, it is held by another process, or it cannot be read.
pub fn verify(folder: &Path) -> Result<Contents, SourceError> {
    let path = folder.join(FILE);
    examine(&path).map(|(_, _, plan)| plan.contents).map_err(|error| file_error(&path, error))
}

/// Makes a log of all that is whole of the one in a folder: in the folder `to`, or in its place. `known` is what its
/// reader knows of it.
///
/// # Errors
/// [`SourceError::File`] where there is none, it is held by another process, it is another one than `known` says, nothing
/// in it is a log, or the new one cannot be written. The damaged file is unchanged then.
pub fn salvage(folder: &Path, to: Option<&Path>, known: &Known) -> Result<Salvaged, SourceError> {
    let path = folder.join(FILE);
    let failed = |error| file_error(&path, error);
    let (bytes, found, mut plan) = examine(&path).map_err(failed)?;
    let mut doubts = Vec::new();
    let id = choose_id(&found, known, &mut doubts).map_err(failed)?;
    plan.reach(known);
    let contents = plan.contents.clone();
    if contents.damage.is_empty() && to.is_none() {
        return Ok(Salvaged { contents, log: None, aside: None, doubts });
    }
    if plan.partitions.is_empty() {
        return Err(failed(io::Error::other("nothing of it is an event log: there is nothing to salvage")));
    }
    if !plan.certain && known.reached.is_empty() {
        doubts.push(
            "how far the log was written cannot be told for certain; with --state, no offset that the job has read is \
             given to another record"
                .to_owned(),
        );
    }
    let target = to.unwrap_or(folder);
    let (place, unfinished) = (target.join(FILE), target.join(UNFINISHED));
    if to.is_some() && place.exists() {
        return Err(file_error(&place, io::Error::other("there is a log already: give an empty folder")));
    }
    let failed = |error| file_error(&unfinished, error);
    make_folder(target).map_err(failed)?;
    remove(&unfinished).map_err(failed)?;
    write(&unfinished, &bytes, id, &plan).map_err(failed)?;
    let (_, _, made) = examine(&unfinished).map_err(failed)?;
    if !made.contents.damage.is_empty() || made.records() != plan.records() {
        return Err(failed(io::Error::other("what was written is not what was read: is the disk in order?")));
    }
    let aside = if to.is_none() { Some(keep_aside(&path).map_err(failed)?) } else { None };
    fs::rename(&unfinished, &place).map_err(failed)?;
    File::open(target).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(Salvaged { contents, log: Some(place), aside, doubts })
}

/// Reads a file, which nobody else may have open.
fn examine(path: &Path) -> io::Result<((File, u64), Found, Plan)> {
    let file = File::open(path)?;
    file.try_lock().map_err(|_| {
        io::Error::new(io::ErrorKind::WouldBlock, "is held by another process; stop it first")
    })?;
    let length = file.metadata()?.len();
    let bytes = (file, length);
    let found = scan(&bytes)?;
    let index = overlay::check(path, length);
    let plan = Plan::of(path, &found, index.err());
    Ok((bytes, found, plan))
}

/// What is to be in the new log.
struct Plan {
    contents: Contents,
    partitions: Vec<PartitionPlan>,
    /// Whether it is certain how far each partition was written.
    certain: bool,
}

/// What is to be in one partition of the new log.
#[derive(Default)]
struct PartitionPlan {
    first: u64,
    next: u64,
    appended: i64,
    blocks: Vec<(u64, Place)>,
}

impl Plan {
    /// Plans the log that can be made of what was found; `fault` is what is wrong with the file's index.
    fn of(path: &Path, found: &Found, fault: Option<String>) -> Self {
        let mut damage = Vec::from_iter(fault.map(|fault| format!("its index: {fault}")));
        if found.id.is_none() {
            damage.push("its id cannot be read".to_owned());
        }
        let keys = found.blocks.keys().chain(found.lost.keys()).map(|(partition, _)| *partition);
        let reached = found.reach.iter().flat_map(|(reach, _)| reach.keys().copied());
        let seen = keys.chain(reached).max().map_or(0, |last| last.saturating_add(1));
        let count = found.partitions.unwrap_or(seen);
        let certain = found.reach.as_ref().is_some_and(|(_, certain)| *certain);
        let known = found.reach.as_ref().map(|(reach, _)| reach);
        let (mut partitions, mut contents) = (Vec::new(), Vec::new());
        for partition in 0..count.min(MAX_PARTITIONS) {
            let reach = known.and_then(|reach| reach.get(&partition)).copied();
            let plan = PartitionPlan::of(found, partition, reach, certain);
            let report = plan.contents(found, partition);
            damage.extend(report.damaged.iter().map(|range| {
                let (first, last) = (range.start, range.end - 1);
                format!("partition {partition}: offsets {first} to {last} cannot be read")
            }));
            partitions.push(plan);
            contents.push(report);
        }
        let contents = Contents { path: path.to_owned(), partitions: contents, damage };
        Plan { contents, partitions, certain }
    }

    /// No offset is given to another record that was read before.
    fn reach(&mut self, known: &Known) {
        for (partition, reached) in known.reached.iter().filter(|(partition, _)| **partition < MAX_PARTITIONS)
        {
            let count = self.partitions.len().max(*partition as usize + 1);
            self.partitions.resize_with(count, PartitionPlan::default);
            self.contents.partitions.resize_with(count, PartitionContents::default);
            let plan = &mut self.partitions[*partition as usize];
            if *reached > plan.next {
                let lost = plan.next..*reached;
                let report = &mut self.contents.partitions[*partition as usize];
                self.contents.damage.push(format!(
                    "partition {partition}: offsets {} to {} cannot be read",
                    lost.start,
                    lost.end - 1
                ));
                report.damaged.push(lost);
                (plan.next, report.offsets.end) = (*reached, *reached);
            }
        }
    }

    fn records(&self) -> u64 {
        self.contents.partitions.iter().map(|partition| partition.records).sum()
    }
}

impl PartitionPlan {
    /// Plans a partition. `reach` is how far its commits came: exactly where it is `certain`, and otherwise at least.
    fn of(found: &Found, partition: LogPartition, reach: Option<Reach>, certain: bool) -> Self {
        let (first, known_next, appended) = reach.unwrap_or((0, 0, 0));
        let of_it = (partition, first)..=(partition, u64::MAX);
        let end = |base: u64, records: u32| base.saturating_add(records.into());
        let candidates = found.blocks.range(of_it.clone());
        let mut all: Vec<(u64, Place)> = candidates
            .flat_map(|((_, base), places)| places.iter().map(|place| (*base, *place)))
            .filter(|(base, place)| !certain || end(*base, place.records) <= known_next)
            .collect();
        all.sort_by_key(|(base, place)| (*base, place.appended));
        let mut blocks: Vec<(u64, Place)> = Vec::new();
        let mut disputed = 0;
        for (base, place) in all {
            // Offsets are used again only where a commit failed, so that of two blocks the newer one was kept.
            let overlaps = |(other, before): &(u64, Place)| base < end(*other, before.records);
            match blocks.last().filter(|last| overlaps(last)) {
                Some((_, before)) if before.appended > place.appended => continue,
                Some((other, before)) if before.appended == place.appended => {
                    disputed = end(*other, before.records).max(end(base, place.records));
                    blocks.pop();
                    continue;
                }
                Some(_) => drop(blocks.pop()),
                None => {}
            }
            if base >= disputed {
                blocks.push((base, place));
            }
        }
        let lost = found.lost.range(of_it).map(|((_, base), records)| end(*base, *records));
        let ends = blocks.last().map(|(base, place)| end(*base, place.records)).into_iter().chain(lost);
        let next = ends.chain([known_next, first]).max().unwrap_or(0);
        let appended = blocks.iter().map(|(_, place)| place.appended).chain([appended]).max().unwrap_or(0);
        PartitionPlan { first, next, appended, blocks }
    }

    /// The runs of offsets between the blocks.
    fn holes(&self) -> Vec<Range<u64>> {
        let (mut holes, mut at) = (Vec::new(), self.first);
        for (base, place) in &self.blocks {
            holes.extend((at < *base).then_some(at..*base));
            at = base + u64::from(place.records);
        }
        holes.extend((at < self.next).then_some(at..self.next));
        holes
    }

    fn contents(&self, found: &Found, partition: LogPartition) -> PartitionContents {
        let mut report = PartitionContents {
            offsets: self.first..self.next,
            records: self.blocks.iter().map(|(_, place)| u64::from(place.records)).sum(),
            ..PartitionContents::default()
        };
        for mut hole in self.holes() {
            let known = found.lost.range((partition, hole.start)..(partition, hole.end));
            for ((_, base), records) in known {
                report.damaged.extend((hole.start < *base).then_some(hole.start..*base));
                hole.start = (base + u64::from(*records)).min(hole.end);
                report.lost.push(*base..hole.start);
            }
            report.damaged.extend((!hole.is_empty()).then_some(hole));
        }
        report
    }

    /// What is stored, in order: blocks, and what says that records are lost.
    fn stored(&self, partition: LogPartition) -> Vec<(Key, Stored)> {
        let mut stored: Vec<(Key, Stored)> =
            self.blocks.iter().map(|(base, place)| ((partition, *base), Stored::Block(*place))).collect();
        for hole in self.holes() {
            // Its time is that of what follows, so that times never go back.
            let after = self.blocks.partition_point(|(base, _)| *base < hole.start);
            let appended = self.blocks.get(after).map_or(self.appended, |(_, place)| place.appended);
            for base in hole.clone().step_by(u32::MAX as usize) {
                let records = u32::try_from(hole.end - base).unwrap_or(u32::MAX);
                stored.push(((partition, base), Stored::Lost { records, appended }));
            }
        }
        stored.sort_unstable_by_key(|(key, _)| *key);
        stored
    }
}

enum Stored {
    Block(Place),
    Lost { records: u32, appended: i64 },
}

/// The id of the new log: the one that the file has, where that is certain, or else the one that its reader knows.
fn choose_id(found: &Found, known: &Known, doubts: &mut Vec<String>) -> io::Result<u128> {
    match (found.id, known.id) {
        (Some((id, true)), Some(theirs)) if id != theirs => {
            Err(io::Error::other(format!("it is the log {id:032x}, and --state has counted {theirs:032x}")))
        }
        (Some((id, true)), _) | (None | Some((_, false)), Some(id)) => Ok(id),
        (Some((id, false)), None) => {
            doubts.push("the log's id cannot be told for certain; --state knows it".to_owned());
            Ok(id)
        }
        (None, None) => {
            doubts.push(
                "the log's id is lost, and the new one has another, which a state that has counted it refuses; --state \
                 knows it"
                    .to_owned(),
            );
            Ok(draw::id())
        }
    }
}

/// Writes the new log, durably.
fn write(path: &Path, bytes: &dyn Bytes, id: u128, plan: &Plan) -> io::Result<()> {
    let database = builder(0).create(path).map_err(io::Error::other)?;
    fill(&database, bytes, id, plan)?;
    drop(database);
    File::open(path)?.sync_all()
}

/// Writes the new log into an empty database.
fn fill(database: &Database, bytes: &dyn Bytes, id: u128, plan: &Plan) -> io::Result<()> {
    create(database, id, plan.partitions.len() as u32).map_err(io::Error::other)?;
    let mut extents = Vec::new();
    for (partition, plan) in (0..).zip(&plan.partitions) {
        let stored = plan.stored(partition);
        let (mut rest, mut taken) = (stored.as_slice(), 0);
        loop {
            let (now, bytes) = put(database, bytes, rest)?;
            (rest, taken) = (&rest[now..], taken + bytes);
            if rest.is_empty() {
                break;
            }
        }
        extents.push((plan.first, plan.next, plan.appended, taken));
    }
    settle(database, &extents).map_err(io::Error::other)
}

/// Puts blocks, up to a bound: how many, and the bytes that they take in the file.
fn put(database: &Database, bytes: &dyn Bytes, stored: &[(Key, Stored)]) -> io::Result<(usize, u64)> {
    let transaction = database.begin_write().map_err(io::Error::other)?;
    let (mut count, mut size, mut taken) = (0, 0, 0);
    {
        let mut blocks = transaction.open_table(BLOCKS).map_err(io::Error::other)?;
        for (key, stored) in stored {
            let block = match stored {
                Stored::Block(place) => {
                    let mut block = vec![0; place.bytes];
                    bytes.read(place.at, &mut block)?;
                    block
                }
                Stored::Lost { records, appended } => block::lost(*key, *records, *appended),
            };
            blocks.insert(*key, block.as_slice()).map_err(io::Error::other)?;
            (count, size, taken) = (count + 1, size + block.len(), taken + bytes_in_file(block.len()));
            if size >= COMMIT_BYTES {
                break;
            }
        }
    }
    transaction.commit().map_err(io::Error::other)?;
    Ok((count, taken))
}

/// Says how far each partition is.
fn settle(database: &Database, extents: &[(u64, u64, i64, u64)]) -> Result<(), Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    {
        let mut table = transaction.open_table(PARTITIONS)?;
        for (partition, extent) in (0..).zip(extents) {
            table.insert(partition, *extent)?;
        }
    }
    Ok(transaction.commit()?)
}

/// Gives the file a second name, under which it stays.
fn keep_aside(path: &Path) -> io::Result<PathBuf> {
    for number in 1.. {
        let aside = path.with_file_name(format!("{FILE}.damaged-{number}"));
        match fs::hard_link(path, &aside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            linked => return linked.map(|()| aside),
        }
    }
    Err(io::Error::other("it has no free name beside it"))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn file_error(path: &Path, error: io::Error) -> SourceError {
    SourceError::File { path: path.display().to_string(), error }
}
