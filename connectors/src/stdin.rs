//! Standard input, or any other reader, as one bounded partition.
//!
//! A thread of its own reads it, so that a slow pipe never holds up the worker, and stops reading while
//! [`CHUNKS`] of its chunks wait.

use crate::framing::Framing;
use crate::framing::records::LONGEST_LINE_BYTES;
use crate::framing::splitter::Splitter;
use crate::source::{MAX_BYTES_PER_READ, Partition, Progress, Record, Source, SourceError, SourceFactory};
use crate::unpack::{Compression, Unpacked};
use parking_lot::Mutex;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Bytes read from the pipe at once.
const CHUNK_BYTES: usize = 64 << 10;
/// Between two looks at an input that is empty and never blocks.
const EMPTY_PAUSE: Duration = Duration::from_millis(10);

/// Chunks that may wait for the worker: a mebibyte.
const CHUNKS: usize = 16;

/// What people see as the partition's name.
const NAME: &str = "standard input";

/// Reads a pipe once, as partition 0.
pub struct ReaderFactory {
    reader: Mutex<Option<Box<dyn Read + Send>>>,
    framing: Framing,
    compression: Compression,
}

impl ReaderFactory {
    /// Reads standard input.
    pub fn stdin() -> Self {
        Self::new(io::stdin())
    }

    /// Reads any reader.
    pub fn new(reader: impl Read + Send + 'static) -> Self {
        let (framing, compression) = (Framing::Auto, Compression::Auto);
        ReaderFactory { reader: Mutex::new(Some(Box::new(reader))), framing, compression }
    }

    /// Reads with this framing and compression, and not with what the first bytes tell.
    #[must_use]
    pub fn with(mut self, framing: Framing, compression: Compression) -> Self {
        (self.framing, self.compression) = (framing, compression);
        self
    }
}

impl SourceFactory for ReaderFactory {
    fn open(&self, worker: usize, _workers: usize) -> Result<Box<dyn Source>, SourceError> {
        if worker != 0 {
            return Ok(Box::new(ReaderSource::new(None, self.framing)));
        }
        let Some(reader) = self.reader.lock().take() else {
            return Err(failed(io::Error::other("it is read already")));
        };
        let (sender, receiver) = sync_channel(CHUNKS);
        let (compression, found) = (self.compression, Arc::new(OnceLock::new()));
        let tells = found.clone();
        let read = move || read_chunks(Patient(reader), compression, &tells, &sender);
        let started = crest_host::thread::spawn("stdin", read);
        started.map_err(|error| {
            let reason = format!("the thread that reads it cannot be started: {error}");
            failed(io::Error::new(error.kind(), reason))
        })?;
        Ok(Box::new(ReaderSource { compression: found, ..ReaderSource::new(Some(receiver), self.framing) }))
    }

    fn bounded(&self) -> bool {
        true
    }
}

/// Unpacks and sends chunks until the end of the input, an error, or the end of the worker.
fn read_chunks(
    reader: Patient,
    compression: Compression,
    found: &OnceLock<Compression>,
    sender: &SyncSender<io::Result<Vec<u8>>>,
) {
    let mut unpacked = match unpack(reader, compression, found) {
        Ok(unpacked) => unpacked,
        Err(error) => {
            // Nobody waits for it where the worker has ended.
            let _ = sender.send(Err(error));
            return;
        }
    };
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        let message = match unpacked.read(&mut chunk) {
            Ok(0) => return,
            Ok(count) => {
                chunk.truncate(count);
                Ok(chunk)
            }
            Err(error) => Err(error),
        };
        let failed = message.is_err();
        if sender.send(message).is_err() || failed {
            return;
        }
    }
}

/// Waits for as many of the first bytes as tell the compression.
fn unpack(
    mut reader: Patient,
    compression: Compression,
    found: &OnceLock<Compression>,
) -> io::Result<Unpacked<impl Read>> {
    let mut begin = Vec::new();
    let compression = loop {
        if let Some(compression) = compression.decide(&begin) {
            break compression;
        }
        if reader.by_ref().take(1).read_to_end(&mut begin)? == 0 {
            break Compression::None;
        }
    };
    found.get_or_init(|| compression);
    Unpacked::new(io::Cursor::new(begin).chain(reader), compression)
}

/// A reader that is asked again where it has nothing to give yet.
struct Patient(Box<dyn Read + Send>);

impl Read for Patient {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(into) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Who writes has made the pipe or terminal that both share one that never blocks.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    crest_host::thread::sleep(EMPTY_PAUSE)
                }
                read => return read,
            }
        }
    }
}

struct ReaderSource {
    partitions: Vec<Partition>,
    chunks: Option<Receiver<io::Result<Vec<u8>>>>,
    /// Bytes that came and are not done with, from `from` on: at most a record and a chunk.
    bytes: Vec<u8>,
    from: usize,
    splitter: Splitter,
    /// How it is compressed, once the thread has found out.
    compression: Arc<OnceLock<Compression>>,
}

impl ReaderSource {
    /// Without chunks there is no partition.
    fn new(chunks: Option<Receiver<io::Result<Vec<u8>>>>, framing: Framing) -> Self {
        let partitions = chunks.iter().map(|_| 0).collect();
        let splitter = Splitter::new(framing, 1);
        ReaderSource { partitions, chunks, bytes: Vec::new(), from: 0, splitter, compression: Arc::default() }
    }

    /// It cannot be read on from here.
    fn lost(&self, reason: String) -> SourceError {
        SourceError::Lost { partition: NAME.to_owned(), offset: self.splitter.next(), reason }
    }

    /// Takes the next chunk, or notes the end. Whether there was either.
    fn next_chunk(&mut self) -> io::Result<bool> {
        let Some(chunks) = &self.chunks else { return Ok(true) };
        match chunks.try_recv() {
            Ok(chunk) => {
                let chunk = chunk?;
                self.bytes.drain(..self.from);
                self.from = 0;
                self.bytes.extend_from_slice(&chunk);
                debug_assert!(self.bytes.len() <= LONGEST_LINE_BYTES + CHUNK_BYTES);
                Ok(true)
            }
            Err(TryRecvError::Empty) => Ok(false),
            Err(TryRecvError::Disconnected) => {
                self.chunks = None;
                Ok(true)
            }
        }
    }
}

impl Source for ReaderSource {
    fn partitions(&mut self) -> &[Partition] {
        &self.partitions
    }

    fn name(&self, _slot: usize) -> String {
        NAME.to_owned()
    }

    fn read(
        &mut self,
        _slot: usize,
        limit: usize,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<Progress, SourceError> {
        let (mut records, mut bytes, mut came) = (0, 0, false);
        loop {
            let end = self.chunks.is_none();
            let taken = self.splitter.split(&self.bytes[self.from..], end, limit - records, each);
            let taken = taken.map_err(|error| self.lost(error.to_string()))?;
            self.from += taken.bytes;
            records += taken.records;
            bytes += taken.bytes;
            if records == limit || bytes >= MAX_BYTES_PER_READ || taken.header {
                return Ok(Progress::Read(records));
            }
            if taken.bytes > 0 {
                continue;
            }
            if end {
                return Ok(if records > 0 { Progress::Read(records) } else { Progress::Ended });
            }
            if !self.next_chunk().map_err(|error| self.lost(error.to_string()))? {
                return Ok(if came || bytes > 0 { Progress::Read(records) } else { Progress::Waiting });
            }
            came = true;
        }
    }

    fn header(&self, _slot: usize) -> Option<&[u8]> {
        self.splitter.header()
    }

    fn form(&self, _slot: usize) -> Option<(Framing, Compression)> {
        self.splitter.framing().zip(self.compression.get().copied())
    }

    fn bounded(&self) -> bool {
        true
    }
}

fn failed(error: io::Error) -> SourceError {
    SourceError::File { path: NAME.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::GzEncoder;
    use std::os::unix::net::UnixStream;

    fn read_to_end(source: &mut dyn Source, limit: usize) -> Vec<(i64, Option<Vec<u8>>)> {
        let mut lines = Vec::new();
        loop {
            let mut each =
                |record: Record<'_>| lines.push((record.offset, record.payload.bytes().map(<[u8]>::to_vec)));
            match source.read(0, limit, &mut each).unwrap() {
                Progress::Ended => return lines,
                Progress::Waiting => std::thread::yield_now(),
                Progress::Read(count) => assert!(count <= limit),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn reads_lines_that_span_chunks() {
        let text: String = (0..40_000).map(|line| format!("{{\"line\":{line}}}\n")).collect();
        assert!(text.len() > 4 * CHUNK_BYTES);
        let factory = ReaderFactory::new(io::Cursor::new(text.clone()));
        let lines = read_to_end(&mut *factory.open(0, 2).unwrap(), 1000);
        let expected: Vec<_> = (1..).zip(text.lines().map(|line| Some(line.as_bytes().to_vec()))).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn the_framing_and_the_compression_are_told_once_they_are_found_out() {
        let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut packed, b"[{},\n{}]").unwrap();
        let factory = ReaderFactory::new(io::Cursor::new(packed.finish().unwrap()));
        let mut source = factory.open(0, 1).unwrap();
        assert_eq!(source.form(0), None);
        assert_eq!(read_to_end(&mut *source, 10).len(), 2);
        assert_eq!(source.form(0), Some((Framing::Array, Compression::Gzip)));
    }

    #[test]
    fn a_quiet_pipe_says_waiting_and_only_worker_0_reads_it() {
        let (reader, mut writer) = UnixStream::pair().unwrap();
        let factory = ReaderFactory::new(reader);
        assert!(factory.open(1, 2).unwrap().partitions().is_empty());
        let mut source = factory.open(0, 2).unwrap();
        assert!(factory.open(0, 2).is_err(), "a pipe cannot be read twice");
        assert_eq!(source.read(0, 10, &mut |_| panic!("nothing was sent")).unwrap(), Progress::Waiting);
        io::Write::write_all(&mut writer, b"one\ntwo").unwrap();
        drop(writer);
        assert_eq!(read_to_end(&mut *source, 10), [(1, Some(b"one".to_vec())), (2, Some(b"two".to_vec()))]);
    }

    #[test]
    fn a_read_stays_short_where_no_record_comes() {
        for (framing, nothing) in [(Framing::Lines, b'\n'), (Framing::Documents, b' ')] {
            let chunks = 3 * MAX_BYTES_PER_READ / CHUNK_BYTES;
            let (sender, receiver) = sync_channel(chunks);
            for _ in 0..chunks {
                sender.send(Ok(vec![nothing; CHUNK_BYTES])).unwrap();
            }
            drop(sender);
            let mut source = ReaderSource::new(Some(receiver), framing);
            let mut read = || source.read(0, 10, &mut |record| panic!("{record:?}")).unwrap();
            assert_eq!(
                [read(), read(), read(), read()],
                [Progress::Read(0), Progress::Read(0), Progress::Read(0), Progress::Ended]
            );
        }
    }

    #[test]
    fn an_endless_line_is_not_held() {
        let bytes = [vec![b'x'; 3 * LONGEST_LINE_BYTES], b"\nafter".to_vec()].concat();
        let factory = ReaderFactory::new(io::Cursor::new(bytes));
        assert_eq!(
            read_to_end(&mut *factory.open(0, 1).unwrap(), 10),
            [(1, None), (2, Some(b"after".to_vec()))]
        );
    }
}
