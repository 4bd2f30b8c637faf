//! Files of lines, found by a glob: each file is a partition, in the sorted order of their paths.
//!
//! In: regular files. Out: their lines as records whose offset is the line number. Always holds: one buffer
//! for all files of a worker, at most [`MAX_OPEN_FILES`] of them open at once, and none before its first read. A
//! file that begins at a later line is read from its first byte all the same: lines have no other address.
//! A reader that goes round many files reads the tail of its buffer again at each turn, which the system has
//! at hand.

use crate::lines::{LONGEST_LINE_BYTES, LineSplitter, Taken};
use crate::source::{Partition, Progress, Record, Source, SourceError, SourceFactory};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files that a worker holds open at most; a further one closes another, to be opened again at its turn.
const MAX_OPEN_FILES: usize = 64;

/// Bytes read at once, unless a line is longer.
const WINDOW_BYTES: usize = 128 << 10;

/// Bytes looked at in one call at most, so that it stays short also where a line never ends.
const MAX_BYTES_PER_READ: usize = 4 << 20;

/// The files that a glob names.
pub struct FileFactory {
    paths: Arc<[PathBuf]>,
    begin: Begin,
}

/// Where an earlier reader has been.
#[derive(Default)]
struct Begin {
    /// The first line to deliver; the first of all where it is not said.
    starts: BTreeMap<Partition, i64>,
    /// The line up to which a file was read, exclusive: it must still be that long.
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
        Ok(FileFactory { paths: paths.into(), begin: Begin::default() })
    }

    /// Delivers the lines from `starts` on, by partition. A file that ends before the line `reached`, up to which an
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
}

impl SourceFactory for FileFactory {
    fn open(&self, worker: usize, workers: usize) -> Result<Box<dyn Source>, SourceError> {
        let partitions: Vec<Partition> =
            (0..self.paths.len() as Partition).skip(worker).step_by(workers).collect();
        let file = |p: &Partition| {
            let line = |lines: &BTreeMap<Partition, i64>| lines.get(p).copied().unwrap_or(1);
            let (first, reached) = (line(&self.begin.starts), line(&self.begin.reached));
            FileState::new(self.paths[*p as usize].clone(), first, reached)
        };
        let files = partitions.iter().map(file).collect();
        Ok(Box::new(FileSource { partitions, files, open: 0, clock: 0, window: Window::default() }))
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
    /// Counts reads, to tell which file was not read for the longest.
    clock: u64,
    window: Window,
}

/// One file and how far it was read.
struct FileState {
    path: PathBuf,
    file: Option<File>,
    /// Device and inode, to notice that another file has taken the path.
    identity: Option<(u64, u64)>,
    /// The first byte that is not done with.
    position: u64,
    lines: LineSplitter,
    last_read: u64,
    /// The line up to which it was read before, exclusive.
    reached: i64,
    ended: bool,
}

/// The one buffer, and what it holds of which file.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    slot: usize,
    position: u64,
    length: usize,
    /// Whether what it holds reaches the end of the file.
    end: bool,
}

impl Source for FileSource {
    fn partitions(&mut self) -> &[Partition] {
        &self.partitions
    }

    fn name(&self, slot: usize) -> String {
        self.files[slot].path.display().to_string()
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
        self.clock += 1;
        self.files[slot].last_read = self.clock;
        self.open(slot)?;
        let state = &mut self.files[slot];
        let (mut records, mut bytes) = (0, 0);
        while records < limit && bytes < MAX_BYTES_PER_READ {
            let taken =
                self.window.split(slot, state, limit - records, each).map_err(|e| failed(&state.path, e))?;
            let Some(taken) = taken else {
                state.check_length()?;
                state.ended = true;
                state.file = None;
                self.open -= 1;
                return Ok(if records == 0 { Progress::Ended } else { Progress::Read(records) });
            };
            records += taken.records;
            bytes += taken.bytes;
        }
        Ok(Progress::Read(records))
    }

    fn bounded(&self) -> bool {
        true
    }
}

impl FileSource {
    /// Opens the slot's file where it is not open, at the cost of the one that was not read for the longest.
    fn open(&mut self, slot: usize) -> Result<(), SourceError> {
        if self.files[slot].file.is_some() {
            return Ok(());
        }
        if self.open == MAX_OPEN_FILES {
            let oldest = self
                .files
                .iter_mut()
                .filter(|state| state.file.is_some())
                .min_by_key(|state| state.last_read);
            if let Some(oldest) = oldest {
                oldest.file = None;
                self.open -= 1;
            }
        }
        let state = &mut self.files[slot];
        state.open().map_err(|error| failed(&state.path, error))?;
        self.open += 1;
        Ok(())
    }
}

impl FileState {
    fn new(path: PathBuf, first: i64, reached: i64) -> Self {
        let lines = LineSplitter::beginning_at(first);
        FileState {
            path,
            file: None,
            identity: None,
            position: 0,
            lines,
            last_read: 0,
            reached,
            ended: false,
        }
    }

    /// At its end, it must have the lines that were read before.
    fn check_length(&self) -> Result<(), SourceError> {
        let lines = self.lines.lines();
        if lines + 1 >= self.reached {
            return Ok(());
        }
        let reason = format!("the file ends before it, with line {lines}: it was cut short or replaced");
        Err(SourceError::Lost { partition: self.path.display().to_string(), offset: self.reached, reason })
    }

    fn open(&mut self) -> io::Result<()> {
        let file = File::open(&self.path)?;
        let kind = file.metadata()?;
        let identity = (kind.dev(), kind.ino());
        if *self.identity.get_or_insert(identity) != identity || kind.len() < self.position {
            return Err(io::Error::other("the file was replaced or cut short while it was read"));
        }
        self.file = Some(file);
        Ok(())
    }
}

impl Window {
    /// Delivers lines from what is at hand, or reads on where that is not a whole line. `None` at the end.
    fn split(
        &mut self,
        slot: usize,
        state: &mut FileState,
        limit: usize,
        each: &mut dyn FnMut(Record<'_>),
    ) -> io::Result<Option<Taken>> {
        let mut wanted = WINDOW_BYTES;
        loop {
            let held = self.held(slot, state.position);
            let taken =
                state.lines.split(&self.bytes[held.0..held.1], self.end && held.0 < held.1, limit, each);
            state.position += taken.bytes as u64;
            if taken.bytes > 0 {
                return Ok(Some(taken));
            }
            if self.length >= wanted {
                wanted = LONGEST_LINE_BYTES;
            }
            if self.fill(slot, state, wanted)? == 0 {
                // A line that is too long may still wait for its end.
                let last = state.lines.split(&[], true, limit, each);
                return Ok((last.records > 0).then_some(last));
            }
        }
    }

    /// The part of the buffer that goes on at `position` of the slot's file; empty where it holds none.
    fn held(&self, slot: usize, position: u64) -> (usize, usize) {
        let within = position.checked_sub(self.position).filter(|skip| *skip <= self.length as u64);
        match within {
            Some(skip) if self.slot == slot => (skip as usize, self.length),
            _ => (0, 0),
        }
    }

    /// Reads from the file's position, `wanted` bytes or up to its end; says how many there were.
    fn fill(&mut self, slot: usize, state: &FileState, wanted: usize) -> io::Result<usize> {
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
        (self.slot, self.position, self.length, self.end) = (slot, state.position, 0, false);
        let Some(file) = &state.file else { return Ok(0) };
        while self.length < wanted && !self.end {
            let place = self.position + self.length as u64;
            match file.read_at(&mut self.bytes[self.length..wanted], place) {
                Ok(0) => self.end = true,
                Ok(count) => self.length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.length)
    }
}

fn failed(path: &Path, error: io::Error) -> SourceError {
    SourceError::File { path: path.display().to_string(), error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MAX_RECORD_BYTES;
    use std::fs;

    type Lines = Vec<(i64, Option<String>)>;

    /// Reads all partitions in turns of `limit`, and gives the lines of each by name.
    fn read_all(source: &mut dyn Source, limit: usize) -> Vec<(String, Lines)> {
        let slots = source.partitions().len();
        let mut all: Vec<(String, Lines)> = (0..slots).map(|slot| (source.name(slot), Vec::new())).collect();
        let mut ended = 0;
        while ended < slots {
            ended = 0;
            for (slot, (_, lines)) in all.iter_mut().enumerate() {
                let before = lines.len();
                let progress = source.read(slot, limit, &mut |record| {
                    let text = record.payload.map(|line| String::from_utf8(line.to_vec()).unwrap());
                    lines.push((record.offset, text));
                });
                match progress.unwrap() {
                    Progress::Read(count) => assert_eq!(count, lines.len() - before),
                    Progress::Ended => ended += 1,
                    other => panic!("{other:?}"),
                }
            }
        }
        all
    }

    #[test]
    fn a_file_begins_at_its_line_and_must_be_as_long_as_before() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "1\n\n3\n4\n").unwrap();
        fs::write(folder.path().join("b"), "1\n2").unwrap();
        let begin_at = |starts: &[(Partition, i64)], reached: &[(Partition, i64)]| {
            let factory = FileFactory::new(&folder.path().join("*").display().to_string()).unwrap();
            factory.begin_at(starts.iter().copied().collect(), reached.iter().copied().collect())
        };
        let numbers = |starts: &[(Partition, i64)]| {
            let mut source = begin_at(starts, &[(0, 5), (1, 3)]).unwrap().open(0, 1).unwrap();
            let files = read_all(&mut *source, 2).into_iter();
            files.map(|(_, lines)| lines.into_iter().map(|(n, _)| n).collect()).collect::<Vec<Vec<i64>>>()
        };
        assert_eq!(numbers(&[]), [vec![1, 3, 4], vec![1, 2]]);
        assert_eq!(numbers(&[(0, 2), (1, 2)]), [vec![3, 4], vec![2]]);
        assert_eq!(numbers(&[(0, 5), (1, 3)]).concat(), [] as [i64; 0], "all was read");

        let mut source = begin_at(&[(1, 2)], &[(1, 9)]).unwrap().open(1, 2).unwrap();
        let mut end = || source.read(0, 10, &mut |_| ());
        let error = loop {
            match end() {
                Ok(progress) => assert_ne!(progress, Progress::Ended),
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("b at offset 9") && error.contains("ends before it, with line 2"), "{error}");
        assert!(begin_at(&[(2, 1)], &[]).err().unwrap().to_string().contains("no file for partition 2"));
    }

    #[test]
    fn each_file_is_a_partition_in_the_order_of_paths() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("b.ndjson"), "b1\nb2").unwrap();
        fs::write(path("a.ndjson"), "a1\r\n\na3\n").unwrap();
        fs::write(path("c.ndjson"), "").unwrap();
        fs::write(path("other.txt"), "x").unwrap();
        let factory = FileFactory::new(&path("*.ndjson")).unwrap();
        let line = |number, text: &str| (number, Some(text.to_owned()));
        let expected = [
            (path("a.ndjson"), vec![line(1, "a1"), line(3, "a3")]),
            (path("b.ndjson"), vec![line(1, "b1"), line(2, "b2")]),
            (path("c.ndjson"), vec![]),
        ];
        assert_eq!(read_all(&mut *factory.open(0, 1).unwrap(), 1), expected);
        let mut shares = read_all(&mut *factory.open(0, 2).unwrap(), 7);
        assert_eq!(factory.open(1, 2).unwrap().partitions(), [1]);
        shares.extend(read_all(&mut *factory.open(1, 2).unwrap(), 7));
        shares.sort();
        assert_eq!(shares, expected);
        assert!(factory.open(3, 4).unwrap().partitions().is_empty());
    }

    #[test]
    fn many_files_read_in_turns_are_closed_and_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let count = MAX_OPEN_FILES * 2 + 3;
        let lines = |file: usize| (0..50).map(|line| format!("{file}-{line}")).collect::<Vec<_>>();
        for file in 0..count {
            fs::write(folder.path().join(format!("{file:04}")), lines(file).join("\n")).unwrap();
        }
        let factory = FileFactory::new(&folder.path().join("*").display().to_string()).unwrap();
        let all = read_all(&mut *factory.open(0, 1).unwrap(), 7);
        assert_eq!(all.len(), count);
        for (file, (_, found)) in all.into_iter().enumerate() {
            let expected: Lines = (1..).zip(lines(file).into_iter().map(Some)).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_line_over_the_limit_is_delivered_without_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        let longest = "x".repeat(MAX_RECORD_BYTES);
        let endless = "y".repeat(3 * MAX_BYTES_PER_READ);
        fs::write(&path, format!("{longest}\r\n{longest}z\nafter\n{endless}\nlast\n{endless}")).unwrap();
        let mut source = FileFactory::new(&path.display().to_string()).unwrap().open(0, 1).unwrap();
        let (_, lines) = read_all(&mut *source, 10).remove(0);
        let text = |text: &str| Some(text.to_owned());
        let expected =
            [(1, Some(longest)), (2, None), (3, text("after")), (4, None), (5, text("last")), (6, None)];
        assert!(
            lines == expected,
            "{:?}",
            lines.iter().map(|(n, l)| (n, l.as_ref().map(String::len))).collect::<Vec<_>>()
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let error = |pattern: &str| FileFactory::new(pattern).err().unwrap().to_string();
        assert!(error(&path("none*")).contains("no file matches"));
        assert!(error(&path("none")).contains("no file matches"));
        assert!(error("a[").contains("a["));
        assert!(error(&folder.path().display().to_string()).contains("not a regular file"));
    }

    #[test]
    fn a_file_that_is_replaced_while_it_is_closed_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "1\n2\n").unwrap();
        let mut state = FileState::new(path.clone(), 1, 1);
        state.open().unwrap();
        state.file = None;
        fs::write(folder.path().join("b"), "other\n").unwrap();
        fs::rename(folder.path().join("b"), &path).unwrap();
        assert!(state.open().unwrap_err().to_string().contains("replaced"));
    }
}
