//! The file of a log: blocks by partition and first offset, and what is known of each partition, in a redb database.
//!
//! Every change is one transaction in two phases, so that a failed write-back is never taken for a commit, and what an
//! interrupted process leaves is the state of the last commit. A failed write closes the database for redb, which is
//! then opened anew; what that finds tells whether the commit had come about.

use super::block::{BlockError, Decoded, Head, Key, LogPartition, read_lost};
use super::database::{BLOCKS, Opener, PARTITIONS, damaged, known, of_opening, prepare};
use crate::source::SourceError;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use redb::{Database, Error, ReadTransaction, ReadableDatabase, ReadableTable, Table, WriteTransaction};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// A page of the file.
const PAGE_BYTES: u64 = 4096;
/// What a small block takes beside its bytes: its key, its place in the page, and the page's share that is free.
const ENTRY_BYTES: u64 = 48;
/// From this size on each commit stores which pages are free as well (64 KB a GB): a smaller file is searched for them
/// in a moment after it was not closed, a larger one is not.
const QUICK_REPAIR_BYTES: u64 = 256 << 20;

/// What the file has of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// The first offset that is kept.
    pub(super) first: u64,
    /// The next one to be written.
    pub(super) next: u64,
    /// When the newest block was appended, in milliseconds since 1970 UTC; 0 before the first.
    pub(super) appended: i64,
    /// What its blocks take in the file.
    pub(super) bytes: u64,
}

/// What a block of so many bytes takes in the file: redb gives a value over a page a power of two of them.
pub(super) fn bytes_in_file(block: usize) -> u64 {
    let bytes = block as u64 + ENTRY_BYTES;
    if bytes <= PAGE_BYTES { bytes } else { bytes.div_ceil(PAGE_BYTES).next_power_of_two() * PAGE_BYTES }
}

/// Why the file was not read or written.
#[derive(Debug)]
pub(super) struct Failure {
    /// In words.
    pub(super) reason: String,
    /// Whether it is not known if the change is kept.
    pub(super) open: bool,
}

impl Failure {
    fn of(error: impl Into<Error>) -> Self {
        Failure { reason: error.into().to_string(), open: false }
    }
}

/// What a look for a block has found.
pub(super) enum Fetched {
    /// It is loaded.
    Loaded,
    /// The records before this offset are lost.
    Lost(u64),
    /// It is not there; this is.
    Missing(Extent),
}

/// Why a block was not loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// It will never be.
    #[error("{0}")]
    Damaged(BlockError),
    /// The file cannot be read just now.
    #[error("{0}")]
    Failed(String),
}

impl<E: Into<Error>> From<E> for FetchError {
    fn from(error: E) -> Self {
        FetchError::Failed(error.into().to_string())
    }
}

/// The file. All methods may be called from any thread; changes wait for each other.
pub(super) struct Store {
    path: PathBuf,
    opener: Opener,
    /// None after a failure that opening anew has not mended yet.
    database: RwLock<Option<Database>>,
    /// Whether a read has failed since it was opened, after which redb does nothing any more.
    suspect: AtomicBool,
    id: u128,
    partitions: u32,
}

impl Store {
    /// Opens the file at `path`, or makes it with `partitions` partitions.
    ///
    /// # Errors
    /// [`SourceError::File`] where it is no log, is damaged, or is held by another process.
    pub(super) fn open(path: &Path, opener: Opener, partitions: u32) -> Result<Self, SourceError> {
        let failed = |error| SourceError::File { path: path.display().to_string(), error };
        let database = opener().map_err(|error| failed(of_opening(error)))?;
        let (id, partitions) = prepare(&database, partitions).map_err(failed)?;
        let database = RwLock::new(Some(database));
        let suspect = AtomicBool::new(false);
        let store = Store { path: path.to_owned(), opener, database, suspect, id, partitions };
        let extents = store.extents().map_err(|failure| failed(io::Error::other(failure.reason)))?;
        if extents.iter().any(|extent| extent.first > extent.next || extent.next > i64::MAX as u64) {
            return Err(failed(damaged("a partition's offsets are impossible")));
        }
        Ok(store)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What tells this log from any other.
    pub(super) fn id(&self) -> u128 {
        self.id
    }

    pub(super) fn partitions(&self) -> u32 {
        self.partitions
    }

    /// Whether it can be read and written, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        self.read().is_some() && !self.suspect.load(Ordering::Acquire)
    }

    /// A read has failed: the file is to be opened anew.
    pub(super) fn suspect(&self) {
        self.suspect.store(true, Ordering::Release);
    }

    /// What there is of each partition.
    pub(super) fn extents(&self) -> Result<Vec<Extent>, Failure> {
        let read = self.begin_read().map_err(|reason| Failure { reason, open: false })?;
        let table = read.open_table(PARTITIONS).map_err(Failure::of)?;
        (0..self.partitions).map(|partition| extent(&table, partition).map_err(Failure::of)).collect()
    }

    /// Adds blocks to partitions as in `now`, which are as in `after` then: all or nothing.
    pub(super) fn append(
        &self,
        blocks: &[(Key, Vec<u8>)],
        now: &[Extent],
        after: &[Extent],
    ) -> Result<(), Failure> {
        self.change(now, |change| {
            for ((partition, base), block) in blocks {
                change.blocks.insert((*partition, *base), block.as_slice())?;
            }
            Ok(after.to_vec())
        })
        .map(drop)
    }

    /// Changes the file by `work`, which gives back what the partitions are then, and are in `now` before.
    pub(super) fn change(
        &self,
        now: &[Extent],
        work: impl FnOnce(&mut Change<'_>) -> Result<Vec<Extent>, Error>,
    ) -> Result<Vec<Extent>, Failure> {
        let (mut failure, after) = match self.try_change(now, work) {
            Ok(after) => return Ok(after),
            Err(failed) => failed,
        };
        match self.reopen() {
            // That is how the file is now, whatever has failed in between.
            Ok(found) if after.as_ref() == Some(&found) => Ok(found),
            Ok(_) => Err(failure),
            Err(why) => {
                failure.open = after.is_some();
                failure.reason = format!("{}; it cannot be opened again: {why}", failure.reason);
                Err(failure)
            }
        }
    }

    /// Also gives back what the partitions may be, where the commit has begun.
    fn try_change(
        &self,
        now: &[Extent],
        work: impl FnOnce(&mut Change<'_>) -> Result<Vec<Extent>, Error>,
    ) -> Result<Vec<Extent>, (Failure, Option<Vec<Extent>>)> {
        let early = |error: Error| (Failure::of(error), None);
        let database = self.read();
        let database = database.as_ref().ok_or_else(|| early(Error::DatabaseClosed))?;
        let mut transaction = database.begin_write().map_err(|error| early(error.into()))?;
        transaction.set_two_phase_commit(true);
        let bytes: u64 = now.iter().map(|extent| extent.bytes).sum();
        transaction.set_quick_repair(bytes >= QUICK_REPAIR_BYTES);
        let after = write(&transaction, now, work).map_err(early)?;
        match transaction.commit() {
            Ok(()) => Ok(after),
            Err(error) => Err((Failure::of(error), Some(after))),
        }
    }

    /// Opens the file anew, and says what it has.
    ///
    /// # Errors
    /// Why not, in words; then it stays closed.
    pub(super) fn reopen(&self) -> Result<Vec<Extent>, String> {
        let mut slot = self.write();
        // The file's lock is released first.
        drop(slot.take());
        let database = (self.opener)().map_err(|error| of_opening(error).to_string())?;
        let (id, partitions) = known(&database).map_err(|error| error.to_string())?;
        if (id, partitions) != (self.id, self.partitions) {
            return Err("it is another log".to_owned());
        }
        *slot = Some(database);
        self.suspect.store(false, Ordering::Release);
        drop(slot);
        self.extents().map_err(|failure| failure.reason)
    }

    /// Loads the block that holds the record at `offset`.
    pub(super) fn fetch(
        &self,
        partition: LogPartition,
        offset: u64,
        into: &mut Decoded,
    ) -> Result<Fetched, FetchError> {
        let read = self.begin_read().map_err(FetchError::Failed)?;
        let blocks = read.open_table(BLOCKS)?;
        if let Some(found) = blocks.range((partition, 0)..=(partition, offset))?.next_back() {
            let (key, block) = found?;
            let key = key.value();
            let head = Head::read(block.value()).map_err(FetchError::Damaged)?;
            if offset - key.1 < u64::from(head.records) {
                if read_lost(key, block.value()).map_err(FetchError::Damaged)?.is_some() {
                    return Ok(Fetched::Lost(key.1 + u64::from(head.records)));
                }
                into.load(key, block.value()).map_err(FetchError::Damaged)?;
                return Ok(Fetched::Loaded);
            }
        }
        Ok(Fetched::Missing(extent(&read.open_table(PARTITIONS)?, partition)?))
    }

    /// First offset and time of the block that holds the record at `offset`, or of the first one behind it.
    pub(super) fn look(
        &self,
        partition: LogPartition,
        offset: u64,
    ) -> Result<Option<(u64, u64, i64)>, FetchError> {
        let read = self.begin_read().map_err(FetchError::Failed)?;
        let blocks = read.open_table(BLOCKS)?;
        let before = blocks.range((partition, 0)..=(partition, offset))?.next_back();
        let behind = || blocks.range((partition, offset)..=(partition, u64::MAX));
        for found in before.into_iter().chain(behind()?.next()) {
            let (key, block) = found?;
            let head = Head::read(block.value()).map_err(FetchError::Damaged)?;
            let (base, records) = (key.value().1, u64::from(head.records));
            if offset < base.saturating_add(records) {
                return Ok(Some((base, records, head.appended)));
            }
        }
        Ok(None)
    }

    fn begin_read(&self) -> Result<ReadTransaction, String> {
        let database = self.read();
        let database = database.as_ref().ok_or("the file is closed after a failure")?;
        database.begin_read().map_err(|error| error.to_string())
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read()
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Database>> {
        self.database.write()
    }
}

/// A change in the making.
pub(super) struct Change<'t> {
    pub(super) blocks: Table<'t, Key, &'static [u8]>,
}

impl Change<'_> {
    /// The first block of a partition at or after an offset: its key, bytes and head.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(super) fn first_block(
        &self,
        partition: LogPartition,
        offset: u64,
    ) -> Result<Option<(Key, usize, Head)>, Error> {
        let mut found = self.blocks.range((partition, offset)..=(partition, u64::MAX))?;
        let Some(found) = found.next() else { return Ok(None) };
        let (key, block) = found?;
        let head = Head::read(block.value()).map_err(|error| Error::Corrupted(error.to_string()))?;
        Ok(Some((key.value(), block.value().len(), head)))
    }
}

fn write(
    transaction: &WriteTransaction,
    now: &[Extent],
    work: impl FnOnce(&mut Change<'_>) -> Result<Vec<Extent>, Error>,
) -> Result<Vec<Extent>, Error> {
    let mut change = Change { blocks: transaction.open_table(BLOCKS)? };
    let after = work(&mut change)?;
    let mut table = transaction.open_table(PARTITIONS)?;
    for (partition, (was, is)) in (0..).zip(now.iter().zip(&after)) {
        if was != is {
            table.insert(partition, (is.first, is.next, is.appended, is.bytes))?;
        }
    }
    Ok(after)
}

fn extent(
    table: &impl ReadableTable<LogPartition, (u64, u64, i64, u64)>,
    partition: LogPartition,
) -> Result<Extent, Error> {
    let missing = || Error::Corrupted(format!("partition {partition} is missing"));
    let found = table.get(partition)?.ok_or_else(missing)?;
    let (first, next, appended, bytes) = found.value();
    Ok(Extent { first, next, appended, bytes })
}
