//! Removes what a state has stored of a board that its job has no more: the objects that hold it are written anew without
//! it. Otherwise its panes go with their retention.
//!
//! It claims the state as a run of the job does, so that no job may go on meanwhile: one that runs is fenced off. If it
//! is killed, each block still has its old object or has its new one, and the same command goes on.

use crate::blocks::Blocks;
use crate::claim::{claim, read_counted, read_manifest};
use crate::error::{StateFailure, StateRefusal};
use crate::levels::{Block, Levels};
use crate::manifest::{Manifest, Part};
use crate::manifest_writer::ManifestWriter;
use crate::monitor::{Monitor, StateCounts, WorkersProgress};
use crate::object::Pick;
use crate::object_writer::{Named, ObjectWriter};
use crate::pane::Pane;
use crate::retry::Broken;
use crest_connectors::state::StateStore;
use std::sync::Arc;
use std::time::Duration;

/// How many objects are written before the manifest is.
const AT_ONCE: usize = 64;
/// How long a job that lives may be silent, with something to spare.
const HEARTBEAT: Duration = Duration::from_secs(3);

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DroppedBoard {
    /// How many objects had the board.
    pub objects: u64,
    /// How many bytes they had.
    pub before: u64,
    /// How many bytes those have that took their place.
    pub after: u64,
}

/// Why a board is not removed, or not further.
#[derive(Debug, thiserror::Error)]
pub enum DropError {
    /// The state cannot be claimed.
    #[error(transparent)]
    Refused(#[from] StateRefusal),
    /// The job has the board.
    #[error(
        "state {url}: its job has the board {board:?}: leave it out of the configuration and start the job once, and drop \
         it after that"
    )]
    InUse {
        /// The store, without secrets.
        url: String,
        /// The board.
        board: String,
    },
    /// A job runs on the state.
    #[error("state {url}: a job runs on it, as its heartbeat says: stop the job first")]
    Runs {
        /// The store, without secrets.
        url: String,
    },
    /// An object cannot be read or written, or a job has claimed the state meanwhile.
    #[error(transparent)]
    Failed(#[from] StateFailure),
}

/// The monitor of a command that nobody watches or stops.
struct Unwatched;

impl Monitor for Unwatched {
    fn stopping(&self) -> bool {
        false
    }

    fn progress(&self, _: Pane) -> Option<WorkersProgress> {
        None
    }

    fn update(&self, _: &mut dyn FnMut(&mut StateCounts)) {}
}

/// Removes a board from all objects of the state.
///
/// # Errors
/// The job has the board or runs, the state cannot be read or written, or a job claims it meanwhile.
pub fn drop_board(store: &StateStore, board: &str, now_ms: u64) -> Result<DroppedBoard, DropError> {
    let (seen, counted) = read_counted(store)?;
    let url = || store.url().to_owned();
    if counted.boards.iter().any(|known| *known.name == *board) {
        return Err(DropError::InUse { url: url(), board: board.to_owned() });
    }
    if seen.heartbeat.is_some() {
        crest_host::thread::sleep(HEARTBEAT);
        if read_counted(store)?.0.heartbeat != seen.heartbeat {
            return Err(DropError::Runs { url: url() });
        }
    }
    let levels = Levels::new(counted.pane);
    let read = || {
        let (manifest, version) =
            read_manifest(store)?.ok_or_else(|| StateRefusal::NoManifest { url: url() })?;
        Ok((manifest, Some(version)))
    };
    let (manifest, version) = claim(store, &Part::Live, &levels, now_ms, read)?;
    let blocks = Blocks { uncounted: Arc::default(), ..Blocks::of(store.clone(), &manifest, &counted) };
    let held: Vec<Block> = manifest.held.all().map(|(block, _)| block).collect();
    let mut dropper = Dropper {
        board,
        objects: ObjectWriter::new(blocks, Vec::new(), Arc::new(Unwatched)),
        manifests: ManifestWriter::new(store, Part::Live, (manifest, version), Arc::default()),
        dropped: DroppedBoard::default(),
    };
    for some in held.chunks(AT_ONCE) {
        dropper.drop_from(some).map_err(|broken| match broken {
            Broken::Failed(failure) => DropError::Failed(failure),
            // Its monitor never says so: if anything stops it, that is a job.
            Broken::Stopped => DropError::Runs { url: url() },
        })?;
    }
    Ok(dropper.dropped)
}

struct Dropper<'a> {
    board: &'a str,
    objects: ObjectWriter,
    manifests: ManifestWriter,
    dropped: DroppedBoard,
}

impl Dropper<'_> {
    /// Removes the board from these blocks. Those that have nothing else then have no object.
    fn drop_from(&mut self, wanted: &[Block]) -> Result<(), Broken> {
        let (held, epoch) = (self.manifests.current().held.clone(), self.manifests.epoch());
        let (blocks, mut found) = (self.objects.blocks.clone(), Vec::new());
        self.objects.retry().read(|| {
            blocks.read_all(&held, &wanted[found.len()..], Pick::All, &mut |read| {
                found.push(read);
                Ok::<(), StateFailure>(())
            })
        })?;
        found.retain(|block| block.digests.contains_key(self.board));
        let (mut anew, mut emptied) = (Named::new(), Vec::new());
        for block in &mut found {
            block.digests.remove(self.board);
            if block.digests.is_empty() {
                emptied.push(block.block);
            } else {
                anew.insert(block.block, self.objects.blocks.encoded(block));
            }
        }
        if found.is_empty() {
            return Ok(());
        }
        let after = self.objects.put_named(&anew, epoch)?;
        let levels = self.objects.blocks.form.levels;
        self.manifests.change(self.objects.retry(), |manifest: &mut Manifest| {
            anew.keys().for_each(|block| manifest.held.set(*block, epoch));
            for block in &emptied {
                manifest.held.graft(block.level, block.start..levels.end(*block), std::iter::empty());
            }
        })?;
        let old = found.iter().filter_map(|found| Some((found.block, held.epoch(found.block)?)));
        self.objects.discard(old.collect());
        self.objects.collect_garbage();
        self.dropped.objects += found.len() as u64;
        self.dropped.before += found.iter().filter_map(|found| found.bytes).sum::<u64>();
        self.dropped.after += after;
        Ok(())
    }
}
