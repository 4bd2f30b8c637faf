//! Files that the script reads, line by line, out of large buffers.

use memchr::memchr_iter;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A file whose lines each end in a line feed.
pub struct Lines {
    file: File,
    buffer: Vec<u8>,
    held: usize,
}

impl Lines {
    pub fn open(file: &Path) -> Self {
        Lines { file: File::open(file).unwrap(), buffer: vec![0; 1 << 18], held: 0 }
    }

    /// Takes the lines that the buffer has room for; false at the end of the file.
    pub fn take(&mut self, mut each: impl FnMut(&[u8])) -> bool {
        let read = self.file.read(&mut self.buffer[self.held..]).unwrap();
        let filled = self.held + read;
        let mut start = 0;
        for end in memchr_iter(b'\n', &self.buffer[self.held..filled]).map(|at| self.held + at) {
            each(&self.buffer[start..end]);
            start = end + 1;
        }
        self.buffer.copy_within(start..filled, 0);
        self.held = filled - start;
        read > 0
    }
}
