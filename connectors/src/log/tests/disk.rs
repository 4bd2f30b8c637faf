//! A disk in memory that can be told to fail, to stall, to be full, and to lose what was not synced.

use super::super::database::{Opener, builder};
use redb::{BackendError, StorageBackend};
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A write, or a change of the length.
    Write,
    /// A sync, which also forgets what was to be written, as Linux does.
    Sync,
    /// Everything, as if the machine stood still.
    Stop,
}

/// A change that was not synced.
#[derive(Clone)]
enum Pending {
    Write(u64, Vec<u8>),
    Length(u64),
}

#[derive(Default)]
pub(super) struct Disk {
    state: Mutex<State>,
    unblocked: Condvar,
    /// Whether a database has it open.
    held: AtomicBool,
}

#[derive(Default)]
struct State {
    /// As it is read.
    bytes: Vec<u8>,
    /// As it is after a power cut that loses all that is pending.
    durable: Vec<u8>,
    pending: Vec<Pending>,
    fault: Option<(u64, Fault, bool)>,
    blocked: bool,
    limit: Option<u64>,
}

impl Disk {
    /// One that holds these bytes.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        let state = State { durable: bytes.clone(), bytes, ..State::default() };
        Disk { state: Mutex::new(state), ..Disk::default() }
    }

    /// Opens the database on it.
    pub(super) fn opener(self: &Arc<Self>) -> Opener {
        let disk = self.clone();
        Box::new(move || builder(disk.len()).create_with_backend(Handle(disk.clone())))
    }

    /// So many operations of the kind succeed, then one fails, or all of them until it is healed.
    pub(super) fn fail_after(&self, operations: u64, fault: Fault, transient: bool) {
        self.lock().fault = Some((operations, fault, transient));
    }

    pub(super) fn heal(&self) {
        self.lock().fault = None;
    }

    /// It grows no further than this.
    pub(super) fn limit(&self, bytes: u64) {
        self.lock().limit = Some(bytes);
    }

    /// Writes wait meanwhile.
    pub(super) fn block(&self, blocked: bool) {
        self.lock().blocked = blocked;
        self.unblocked.notify_all();
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    pub(super) fn len(&self) -> u64 {
        self.lock().bytes.len() as u64
    }

    /// The disk as it is found after a power cut, where `survives` says of each change that was not synced whether it
    /// had reached the disk.
    pub(super) fn after_power_cut(&self, mut survives: impl FnMut(usize) -> bool) -> Disk {
        let state = self.lock();
        let mut bytes = state.durable.clone();
        for (_, pending) in state.pending.iter().enumerate().filter(|(index, _)| survives(*index)) {
            pending.apply(&mut bytes);
        }
        Disk::of(bytes)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn check(&mut self, kind: Fault) -> io::Result<()> {
        let Some((left, fault, transient)) = &mut self.fault else { return Ok(()) };
        if *fault != kind && *fault != Fault::Stop {
            return Ok(());
        }
        if *left > 0 {
            *left -= 1;
            return Ok(());
        }
        if *transient {
            self.fault = None;
        }
        Err(io::Error::other(format!("a fault was asked for: {kind:?}")))
    }

    fn change(&mut self, pending: Pending) {
        pending.apply(&mut self.bytes);
        self.pending.push(pending);
    }
}

impl Pending {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Pending::Length(length) => bytes.resize(*length as usize, 0),
            Pending::Write(offset, data) => {
                let (begin, end) = (*offset as usize, *offset as usize + data.len());
                // The length may not have reached the disk where the write has.
                bytes.resize(bytes.len().max(end), 0);
                bytes[begin..end].copy_from_slice(data);
            }
        }
    }
}

/// A database's hold of the disk.
struct Handle(Arc<Disk>);

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Disk")
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock();
        let (begin, end) = (offset as usize, offset as usize + out.len());
        out.copy_from_slice(state.bytes.get(begin..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.0.lock();
        state.check(Fault::Write)?;
        if length > state.bytes.len() as u64 && state.limit.is_some_and(|limit| length > limit) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on device"));
        }
        state.change(Pending::Length(length));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock();
        if let Err(error) = state.check(Fault::Sync) {
            // A failed sync is reported once, and the pages count as clean from then on.
            if state.fault.is_none_or(|(_, fault, _)| fault != Fault::Stop) {
                state.pending.clear();
            }
            return Err(error);
        }
        let pending = std::mem::take(&mut state.pending);
        pending.iter().for_each(|pending| pending.apply(&mut state.durable));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock();
        while state.blocked {
            state = self.0.unblocked.wait(state).unwrap();
        }
        state.check(Fault::Write)?;
        state.change(Pending::Write(offset, data.to_vec()));
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.0.held.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn try_lock_range(&self, _start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        match end {
            Bound::Unbounded => Ok(!self.0.held.swap(true, Ordering::SeqCst)),
            _ => Err(BackendError::Unsupported),
        }
    }

    fn unlock_range(&self, _start: Bound<u64>, _end: Bound<u64>) -> Result<(), BackendError> {
        self.0.held.store(false, Ordering::SeqCst);
        Ok(())
    }
}
