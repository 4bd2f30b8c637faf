//! Files of records, found by a glob: each file is a partition, in the sorted order of their paths.
//!
//! In: regular files, compressed or not. Out: their records, each with its number. Always holds: at most
//! [`MAX_OPEN_FILES`] of a worker are open at once, and none before its first read; what is kept to read compressed files
//! on takes at most [`MAX_HELD_BYTES`] (or what one of them needs). A file that begins at a later record is read from its
//! first byte all the same: records have no other address.

mod reader;
#[cfg(test)]
mod tests;

use crate::framing::Framing;
use crate::framing::splitter::Splitter;
use crate::source::{
    MAX_BYTES_PER_READ, Origin, Partition, Progress, Record, Source, SourceError, SourceFactory,
};
use crate::unpack::Compression;
use reader::FileReader;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files that a worker holds open at most; a further one closes another, to be opened again at its turn.
const MAX_OPEN_FILES: usize = 64;

/// Memory that the files of a worker take to be read on at their turns. Where they take more, those that were not read for
/// the longest are read from their beginning again, if they are compressed. Such a one is kept until it is twice as far as it
/// was, and others wait until then.
const MAX_HELD_BYTES: usize = 256 << 20;

/// The files that a glob names.
pub struct FileFactory {
    paths: Arc<[PathBuf]>,
    framing: Framing,
    compression: Compression,
    begin: Begin,
    max_held: usize,
}

/// Where an earlier reader has been.
#[derive(Default)]
struct Begin {
    /// The first record to deliver; the first of all where it is not said.
    starts: BTreeMap<Partition, i64>,
    /// The record up to which a file was read, exclusive: it must still be that long.
    reached: BTreeMap<Partition, i64>,
}

impl FileFactory {
    /// Finds the files of `pattern`, which is a path or a glob: `events.ndjson`, `logs/2026-*/part-?.ndjson`.
    ///
    /// # Errors
    /// [`SourceError::Invalid`] where the pattern makes no sense or names nothing; [`SourceError::File`] where a
    /// file cannot be looked at, or is a folder or a pipe.
    pub fn new(pattern: &str) -> Result<Self, SourceError> {
        let invalid = |reason: String| SourceError::Invalid { url: format!("file:{pattern}"), reason };
        let found = glob::glob(pattern).map_err(|error| invalid(error.to_string()))?;
        let mut paths = Vec::new();
        for path in found {
            let path = path.map_err(|error| {
                let path = error.path().display().to_string();
                SourceError::File { path, error: error.into() }
            })?;
            let kind = std::fs::metadata(&path).map_err(|error| failed(&path, error))?;
            // A folder that a wildcard happens to match is no mistake; the only path named is.
            if kind.is_dir() && pattern.contains(['*', '?', '[']) {
                continue;
            }
            if !kind.is_file() {
                let reason = "not a regular file (use - to read standard input)";
                return Err(failed(&path, io::Error::new(io::ErrorKind::InvalidInput, reason)));
            }
            paths.push(path);
        }
        if paths.is_empty() {
            return Err(invalid("no file matches".to_owned()));
        }
        paths.sort();
        let (framing, compression) = (Framing::Auto, Compression::Auto);
        Ok(FileFactory {
            paths: paths.into(),
            framing,
            compression,
            begin: Begin::default(),
            max_held: MAX_HELD_BYTES,
        })
    }

    /// Reads all files with this framing and compression, and not with what each of them tells.
    #[must_use]
    pub fn with(mut self, framing: Framing, compression: Compression) -> Self {
        (self.framing, self.compression) = (framing, compression);
        self
    }

    /// Delivers the records from `starts` on, by partition. A file that ends before the record `reached`, up to which an
    /// earlier reader came (exclusive), is another one, and cannot be read.
    ///
    /// # Errors
    /// [`SourceError::Invalid`] where a partition is named that no file is.
    pub fn begin_at(
        mut self,
        starts: BTreeMap<Partition, i64>,
        reached: BTreeMap<Partition, i64>,
    ) -> Result<Self, SourceError> {
        let files = self.paths.len();
        if let Some(unknown) = starts.keys().chain(reached.keys()).find(|p| **p as usize >= files) {
            let url = self.paths.first().map(|path| format!("file:{}", path.display())).unwrap_or_default();
            let reason = format!("there is no file for partition {unknown}, only {files} from this one on");
            return Err(SourceError::Invalid { url, reason });
        }
        self.begin = Begin { starts, reached };
        Ok(self)
    }

    /// The files, in the order of their partitions.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// The files of a worker.
    fn of_worker(&self, worker: usize, workers: usize) -> FileSource {
        let partitions: Vec<Partition> =
            (0..self.paths.len() as Partition).skip(worker).step_by(workers).collect();
        let file = |p: &Partition| {
            let record = |records: &BTreeMap<Partition, i64>| records.get(p).copied().unwrap_or(1);
            FileState {
                reader: FileReader::new(self.paths[*p as usize].clone(), self.compression),
                splitter: Splitter::new(self.framing, record(&self.begin.starts)),
                last_read: 0,
                reached: record(&self.begin.reached),
                held: 0,
                needs: 0,
                waiting_at: None,
                ended: false,
            }
        };
        let files = partitions.iter().map(file).collect();
        let max_held = self.max_held;
        FileSource { partitions, files, open: 0, held: 0, max_held, clock: 0 }
    }
}

impl SourceFactory for FileFactory {
    fn open(&self, worker: usize, workers: usize) -> Result<Box<dyn Source>, SourceError> {
        Ok(Box::new(self.of_worker(worker, workers)))
    }

    fn bounded(&self) -> bool {
        true
    }
}

struct FileSource {
    partitions: Vec<Partition>,
    files: Vec<FileState>,
    /// How many of them are open.
    open: usize,
    /// Bytes of memory that they take, about.
    held: usize,
    max_held: usize,
    /// Counts reads, to tell which file was not read for the longest.
    clock: u64,
}

/// One file and how far it was read.
struct FileState {
    reader: FileReader,
    splitter: Splitter,
    last_read: u64,
    /// The record up to which it was read before, exclusive.
    reached: i64,
    /// Bytes of memory that it takes since its last read, about; none after it was let go of.
    held: usize,
    /// Bytes that it took when it was let go of.
    needs: usize,
    /// The count of reads when it had to wait for memory last.
    waiting_at: Option<u64>,
    ended: bool,
}

impl Source for FileSource {
    fn partitions(&mut self) -> &[Partition] {
        &self.partitions
    }

    fn name(&self, slot: usize) -> String {
        self.files[slot].name()
    }

    fn origin(&self, slot: usize) -> Origin {
        Origin { file: Some(self.files[slot].name()), ..Origin::default() }
    }

    fn header(&self, slot: usize) -> Option<&[u8]> {
        self.files[slot].splitter.header()
    }

    fn form(&self, slot: usize) -> Option<(Framing, Compression)> {
        let FileState { reader, splitter, .. } = &self.files[slot];
        splitter.framing().zip(reader.compression())
    }

    fn read(
        &mut self,
        slot: usize,
        limit: usize,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<Progress, SourceError> {
        if self.files[slot].ended {
            return Ok(Progress::Ended);
        }
        if !self.make_room(slot) {
            return Ok(Progress::Waiting);
        }
        self.open(slot)?;
        let state = &mut self.files[slot];
        let progress = state.read(limit, each)?;
        if state.ended {
            state.reader.forget();
            self.open -= 1;
        }
        self.account(slot);
        Ok(progress)
    }

    fn bounded(&self) -> bool {
        true
    }
}

impl FileSource {
    /// Opens the slot's file where it is not open, at the cost of the one that was not read for the longest.
    fn open(&mut self, slot: usize) -> Result<(), SourceError> {
        self.clock += 1;
        self.files[slot].last_read = self.clock;
        if self.files[slot].reader.is_open() {
            return Ok(());
        }
        if self.open == MAX_OPEN_FILES
            && let Some(oldest) = self.oldest_open()
        {
            self.files[oldest].reader.close();
            self.open -= 1;
            self.account(oldest);
        }
        let state = &mut self.files[slot];
        state.reader.open().map_err(|error| state.failed(error))?;
        self.open += 1;
        Ok(())
    }

    /// Lets go of other files where the slot's file, which was let go of before, has no place beside them. `false` where it
    /// has to wait until they have gone on far enough. It does not wait where none of them is read meanwhile.
    fn make_room(&mut self, slot: usize) -> bool {
        let state = &self.files[slot];
        if state.held > 0 {
            return true;
        }
        let (needs, is_patient) = (state.needs, state.waiting_at != Some(self.clock));
        while self.held + needs > self.max_held
            && let Some(other) = self.next_to_forget(slot)
        {
            if is_patient && self.files[other].reader.is_owing() {
                self.files[slot].waiting_at = Some(self.clock);
                return false;
            }
            self.forget(other);
        }
        true
    }

    /// Brings the memory taken up to date after a change of the slot's file, and lets go of that of others where it is too
    /// much.
    fn account(&mut self, slot: usize) {
        self.note(slot);
        while self.held > self.max_held
            && let Some(other) = self.next_to_forget(slot)
        {
            self.forget(other);
        }
    }

    fn note(&mut self, slot: usize) {
        let state = &mut self.files[slot];
        let before = std::mem::replace(&mut state.held, state.reader.held_bytes());
        self.held = self.held + state.held - before;
    }

    /// The file that is let go of for the slot's: the one that was not read for the longest, if possible of those that
    /// owe nothing.
    fn next_to_forget(&self, slot: usize) -> Option<usize> {
        let files = self.files.iter().enumerate().filter(|(other, state)| *other != slot && state.held > 0);
        let files = files.map(|(other, state)| (state.reader.is_owing(), state.last_read, other));
        files.min().map(|(_, _, other)| other)
    }

    fn forget(&mut self, slot: usize) {
        let state = &mut self.files[slot];
        state.needs = state.held;
        self.open -= usize::from(state.reader.is_open());
        state.reader.forget();
        self.note(slot);
    }

    /// The open file that was not read for the longest.
    fn oldest_open(&mut self) -> Option<usize> {
        let files = self.files.iter_mut().enumerate();
        let open =
            files.filter_map(|(slot, state)| state.reader.is_open().then_some((state.last_read, slot)));
        open.min().map(|(_, slot)| slot)
    }
}

impl FileState {
    fn name(&self) -> String {
        self.reader.path().display().to_string()
    }

    /// Reads on in the file, which is open.
    fn read(&mut self, limit: usize, each: &mut dyn FnMut(Record<'_>)) -> Result<Progress, SourceError> {
        if self.reader.pass(MAX_BYTES_PER_READ).map_err(|error| self.failed(error))? {
            return Ok(Progress::Read(0));
        }
        let (mut records, mut bytes) = (0, 0);
        while records < limit && bytes < MAX_BYTES_PER_READ {
            let (at_hand, end) = self.reader.at_hand();
            let taken = self.splitter.split(at_hand, end, limit - records, each);
            let taken = taken.map_err(|error| self.lost(error.to_string()))?;
            self.reader.consume(taken.bytes);
            records += taken.records;
            bytes += taken.bytes;
            if taken.header {
                break;
            }
            if taken.bytes > 0 || taken.records > 0 {
                continue;
            }
            if end {
                self.check_length()?;
                self.ended = true;
                return Ok(if records == 0 { Progress::Ended } else { Progress::Read(records) });
            }
            self.reader.fill().map_err(|error| self.failed(error))?;
        }
        Ok(Progress::Read(records))
    }

    /// At its end, it must have the records that were read before.
    fn check_length(&self) -> Result<(), SourceError> {
        let last = self.splitter.next() - 1;
        if last + 1 >= self.reached {
            return Ok(());
        }
        let reason = format!("the file ends before it, with record {last}: it was cut short or replaced");
        Err(SourceError::Lost { partition: self.name(), offset: self.reached, reason })
    }

    /// The file cannot be read on from here.
    fn lost(&self, reason: String) -> SourceError {
        SourceError::Lost { partition: self.name(), offset: self.splitter.next(), reason }
    }

    fn failed(&mut self, error: io::Error) -> SourceError {
        if self.reader.is_packed() {
            let place = self.reader.place();
            return self.lost(format!("{error}, within the first {place} bytes of the file"));
        }
        failed(self.reader.path(), error)
    }
}

fn failed(path: &Path, error: io::Error) -> SourceError {
    SourceError::File { path: path.display().to_string(), error }
}
