//! Lets redb check or read a file without writing to it: what it repairs, as after any kill, stays in memory.

use super::database::{builder, known, of_opening};
use super::scan::Bytes;
use parking_lot::Mutex;
use redb::{Database, DatabaseError, StorageBackend, StorageError};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::mpsc::sync_channel;

const PAGE: u64 = 4096;
/// The thread in which redb may panic without a fault of this program.
pub const CHECK: &str = "log-check";

/// Whether redb can read and write the file of so many bytes, and it is a log: if not, why. Other processes must not have
/// it open.
pub(super) fn check(path: &Path, length: u64) -> Result<(), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let state = Pages { file: (file, length), length, changed: BTreeMap::new() };
    let open = move || -> io::Result<()> {
        let mut builder = builder(length);
        builder.set_check_integrity_on_open(true);
        let overlay = Overlay(Mutex::new(state));
        let database = builder.create_with_backend(overlay).map_err(of_opening)?;
        known(&database).map(drop)
    };
    let (answer, opened) = sync_channel(1);
    let thread = crest_host::thread::spawn(CHECK, move || drop(answer.send(open())));
    thread.map_err(|error| error.to_string())?;
    match opened.recv() {
        Ok(checked) => checked.map_err(|error| error.to_string()),
        // It promises not to panic, and the file is damaged.
        Err(_) => Err("redb panics over it".to_owned()),
    }
}

/// Opens the file of a log to read it: what redb would write stays in memory.
///
/// # Errors
/// It cannot be read, is held by another process, or is no database.
pub(super) fn open(path: &Path) -> Result<Database, DatabaseError> {
    let storage = |error| DatabaseError::Storage(StorageError::Io(error));
    let file = File::open(path).map_err(storage)?;
    file.try_lock().map_err(|_| DatabaseError::DatabaseAlreadyOpen)?;
    let length = file.metadata().map_err(storage)?.len();
    let state = Pages { file: (file, length), length, changed: BTreeMap::new() };
    builder(length).create_with_backend(Overlay(Mutex::new(state)))
}

struct Pages {
    file: (File, u64),
    length: u64,
    /// Pages by their numbers.
    changed: BTreeMap<u64, Vec<u8>>,
}

impl Pages {
    fn page(&self, number: u64) -> io::Result<Vec<u8>> {
        if let Some(page) = self.changed.get(&number) {
            return Ok(page.clone());
        }
        let (begin, mut page) = (number * PAGE, vec![0; PAGE as usize]);
        let there = self.file.len().saturating_sub(begin).min(PAGE) as usize;
        if there > 0 {
            self.file.read(begin, &mut page[..there])?;
        }
        Ok(page)
    }

    /// Calls `each` with the pages of a run of bytes: their number, where in them, and where in the run.
    fn pages(
        at: u64,
        bytes: usize,
        mut each: impl FnMut(u64, std::ops::Range<usize>, std::ops::Range<usize>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut done = 0;
        while done < bytes {
            let place = at + done as u64;
            let from = (place % PAGE) as usize;
            let now = (PAGE as usize - from).min(bytes - done);
            each(place / PAGE, from..from + now, done..done + now)?;
            done += now;
        }
        Ok(())
    }
}

struct Overlay(Mutex<Pages>);

impl std::fmt::Debug for Overlay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Overlay")
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > state.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Pages::pages(offset, out.len(), |page, within, of| {
            out[of].copy_from_slice(&state.page(page)?[within]);
            Ok(())
        })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.0.lock();
        // What is cut off reads as nothing when the file grows again.
        let kept = length.min(state.file.1);
        (state.length, state.file.1) = (length, kept);
        state.changed.retain(|page, _| page * PAGE < length);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock();
        Pages::pages(offset, data.len(), |number, within, of| {
            let mut page = state.page(number)?;
            page[within].copy_from_slice(&data[of]);
            state.changed.insert(number, page);
            Ok(())
        })
    }
}
