//! The database of a log: its tables, how it is opened and made, and how a log is told from another file.

use super::block::{Key, LogPartition};
use crest_host::draw;
use redb::{Builder, Database, DatabaseError, Error, ReadableDatabase, TableDefinition, TableHandle};
use std::io;

pub(super) const BLOCKS: TableDefinition<Key, &[u8]> = TableDefinition::new("blocks");
/// First and next offset, time of the newest block, bytes.
pub(super) const PARTITIONS: TableDefinition<LogPartition, (u64, u64, i64, u64)> =
    TableDefinition::new("partitions");
const LOG: TableDefinition<&str, u128> = TableDefinition::new("log");

const FORMAT: u128 = 1;

/// A file up to this size is verified whole when it is opened, which takes some tenths of a second: redb may panic where
/// its own pages are damaged. In a larger one nearly all bytes are blocks, which have checksums of their own.
const VERIFY_BYTES: u64 = 256 << 20;
/// What redb may hold in memory of the file.
const CACHE_BYTES: usize = 32 << 20;

/// How a database is opened whose file has so many bytes.
pub(super) fn builder(file_bytes: u64) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(file_bytes <= VERIFY_BYTES);
    builder
}

/// Opens the database; again after a failure.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

/// Id and partitions of the log in the database, which is made where there is nothing.
pub(super) fn prepare(database: &Database, partitions: u32) -> io::Result<(u128, u32)> {
    let tables = || -> Result<usize, Error> { Ok(database.begin_read()?.list_tables()?.count()) };
    if tables().map_err(damaged)? == 0 {
        create(database, draw::id(), partitions).map_err(io::Error::other)?;
    }
    known(database)
}

/// Makes the log of this id in an empty database.
pub(super) fn create(database: &Database, id: u128, partitions: u32) -> Result<(), Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    {
        transaction.open_table(BLOCKS)?;
        let mut table = transaction.open_table(PARTITIONS)?;
        for partition in 0..partitions {
            table.insert(partition, (0, 0, 0, 0))?;
        }
        let mut log = transaction.open_table(LOG)?;
        log.insert("format", FORMAT)?;
        log.insert("id", id)?;
        log.insert("partitions", u128::from(partitions))?;
    }
    Ok(transaction.commit()?)
}

/// Id and partitions of the log in the database.
pub(super) fn known(database: &Database) -> io::Result<(u128, u32)> {
    let read = || -> Result<[Option<u128>; 3], Error> {
        let read = database.begin_read()?;
        let is_log = read.list_tables()?.any(|table| table.name() == LOG.name());
        if !is_log {
            return Ok([None; 3]);
        }
        let log = read.open_table(LOG)?;
        let value = |key| -> Result<Option<u128>, Error> { Ok(log.get(key)?.map(|value| value.value())) };
        Ok([value("format")?, value("id")?, value("partitions")?])
    };
    match read().map_err(damaged)? {
        [Some(FORMAT), Some(id), Some(partitions)] => match u32::try_from(partitions) {
            Ok(partitions) if partitions > 0 => Ok((id, partitions)),
            _ => Err(damaged("its number of partitions is impossible")),
        },
        [Some(FORMAT), ..] => Err(damaged(format!("it lacks its id or number of partitions; {MENDS}"))),
        [Some(other), ..] => {
            Err(damaged(format!("it is a log of format {other}; this program reads format {FORMAT}")))
        }
        _ => Err(damaged("it is a database, but no event log")),
    }
}

pub(super) fn damaged(reason: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_string())
}

/// What mends a file that is damaged.
pub(super) const MENDS: &str = "`crest log salvage` keeps what is whole of it";

/// Why the file cannot be opened.
pub(super) fn of_opening(error: DatabaseError) -> io::Error {
    match error {
        DatabaseError::DatabaseAlreadyOpen => {
            io::Error::new(io::ErrorKind::WouldBlock, "is held by another process")
        }
        DatabaseError::Storage(redb::StorageError::Io(error))
            if error.kind() == io::ErrorKind::InvalidData =>
        {
            damaged(format!("it is no event log, or is damaged ({MENDS}): {error}"))
        }
        DatabaseError::Storage(redb::StorageError::Io(error)) => error,
        other => damaged(format!("it is no event log, or is damaged ({MENDS}): {other}")),
    }
}
