//! The bytes of one file, unpacked: those at hand, and those that are read next.
//!
//! A file that is not compressed is closed whole, and read on where its consumed bytes end. A compressed one that is
//! closed keeps its unpacker, which needs no file meanwhile; without that, it is unpacked from its beginning again, and the
//! bytes that were consumed are passed over in steps.

use crate::framing::records::LONGEST_LINE_BYTES;
use crate::unpack::{Compression, MAGIC_BYTES, Unpacked};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Bytes read at once, unless a record is longer.
const WINDOW_BYTES: usize = 64 << 10;

/// One file and how far it was read.
pub(super) struct FileReader {
    path: PathBuf,
    /// `Auto` until the file was opened.
    compression: Compression,
    /// Device and inode, to notice that another file has taken the path.
    identity: Option<(u64, u64)>,
    stream: Option<Unpacked<Packed>>,
    /// Bytes at hand, from `from` on to `to`.
    bytes: Vec<u8>,
    from: usize,
    to: usize,
    /// Whether nothing follows the bytes at hand.
    end: bool,
    /// Bytes consumed, unpacked.
    consumed: u64,
    /// How many of them are still to be passed over, since the file is unpacked from its beginning again.
    to_pass: u64,
    /// Where it will have gone as far since as it had come before.
    repaid_at: u64,
}

/// The file as it is.
struct Packed {
    file: Option<File>,
    /// The next byte to read.
    place: u64,
}

impl Read for Packed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let file = self.file.as_ref().ok_or_else(|| io::Error::other("the file is closed"))?;
        loop {
            match file.read_at(into, self.place) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read.inspect(|count| self.place += *count as u64),
            }
        }
    }
}

impl FileReader {
    /// At the beginning of a file, which is not opened yet.
    pub(super) fn new(path: PathBuf, compression: Compression) -> Self {
        FileReader {
            path,
            compression,
            identity: None,
            stream: None,
            bytes: Vec::new(),
            from: 0,
            to: 0,
            end: false,
            consumed: 0,
            to_pass: 0,
            repaid_at: 0,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file is open.
    pub(super) fn is_open(&mut self) -> bool {
        self.packed().is_some_and(|packed| packed.file.is_some())
    }

    /// Opens the file, where it is not open, to go on behind the bytes at hand.
    ///
    /// # Errors
    /// It cannot be opened, is another one than before, or is damaged.
    pub(super) fn open(&mut self) -> io::Result<()> {
        if self.is_open() {
            return Ok(());
        }
        let file = File::open(&self.path)?;
        let kind = file.metadata()?;
        let identity = (kind.dev(), kind.ino());
        let (consumed, is_packed) = (self.consumed, self.is_packed());
        let read = match self.packed() {
            Some(packed) => packed.place,
            None if is_packed => 0,
            None => consumed,
        };
        if *self.identity.get_or_insert(identity) != identity || kind.len() < read {
            return Err(io::Error::other("the file was replaced or cut short while it was read"));
        }
        match self.packed() {
            Some(packed) => packed.file = Some(file),
            None => self.begin(file)?,
        }
        Ok(())
    }

    /// Makes the stream of a file that has none, from its beginning on where it is compressed.
    fn begin(&mut self, file: File) -> io::Result<()> {
        let mut packed = Packed { file: Some(file), place: 0 };
        if self.compression == Compression::Auto {
            let mut magic = Vec::new();
            packed.by_ref().take(MAGIC_BYTES as u64).read_to_end(&mut magic)?;
            self.compression = Compression::Auto.decide(&magic).unwrap_or(Compression::None);
            packed.place = 0;
        }
        if !self.is_packed() {
            packed.place = self.consumed;
        }
        self.stream = Some(Unpacked::new(packed, self.compression)?);
        if self.is_packed() {
            (self.to_pass, self.repaid_at) = (self.consumed, 2 * self.consumed);
        }
        Ok(())
    }

    /// Passes over at most so many of the bytes that were consumed before. Whether there were any.
    ///
    /// # Errors
    /// It cannot be read, or is not the same as before.
    pub(super) fn pass(&mut self, most: usize) -> io::Result<bool> {
        let Some(stream) = self.stream.as_mut().filter(|_| self.to_pass > 0) else { return Ok(false) };
        let wanted = self.to_pass.min(most as u64);
        let passed = io::copy(&mut stream.take(wanted), &mut io::sink())?;
        self.to_pass -= passed;
        if passed < wanted {
            return Err(io::Error::other("the file was cut short while it was read"));
        }
        Ok(true)
    }

    /// Whether it was unpacked from its beginning again, and is not yet twice as far as it was. Since it is kept until then,
    /// a file is unpacked three times at most: what is passed over at least doubles each time.
    pub(super) fn is_owing(&self) -> bool {
        self.stream.is_some() && self.consumed < self.repaid_at
    }

    /// Closes the file.
    pub(super) fn close(&mut self) {
        if !self.is_packed() {
            self.forget();
        } else if let Some(packed) = self.packed() {
            packed.file = None;
        }
    }

    /// Closes the file, and lets go of all memory that it takes.
    pub(super) fn forget(&mut self) {
        self.stream = None;
        (self.bytes, self.from, self.to, self.end) = (Vec::new(), 0, 0, false);
    }

    /// How it is compressed, once the file was opened.
    pub(super) fn compression(&self) -> Option<Compression> {
        Some(self.compression).filter(|compression| *compression != Compression::Auto)
    }

    /// Whether it is compressed, once the file was opened.
    pub(super) fn is_packed(&self) -> bool {
        matches!(self.compression, Compression::Gzip | Compression::Zstd)
    }

    /// How many bytes of the file have been read.
    pub(super) fn place(&mut self) -> u64 {
        self.packed().map_or(0, |packed| packed.place)
    }

    fn packed(&mut self) -> Option<&mut Packed> {
        self.stream.as_mut()?.packed()
    }

    /// Bytes of memory that it takes, about.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.len() + self.stream.as_ref().map_or(0, Unpacked::held_bytes)
    }

    /// The bytes that are not consumed, and whether nothing follows them.
    pub(super) fn at_hand(&self) -> (&[u8], bool) {
        (&self.bytes[self.from..self.to], self.end)
    }

    /// So many of the bytes at hand are done with.
    pub(super) fn consume(&mut self, count: usize) {
        self.from += count;
        self.consumed += count as u64;
    }

    /// Reads on: a window, or as much as the longest record takes where a window is at hand already.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        self.bytes.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        let wanted = if self.to < WINDOW_BYTES { WINDOW_BYTES } else { LONGEST_LINE_BYTES };
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
        while self.to < wanted && !self.end {
            let read = stream.read(&mut self.bytes[self.to..wanted])?;
            self.to += read;
            self.end = read == 0;
        }
        Ok(())
    }
}
