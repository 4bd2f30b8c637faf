//! A region: the state of a job elsewhere, whose closed panes another job merges with those of other regions.
//!
//! Panes are merged, never rankings, so that bounds stay certain. A region keeps its seed and its sketch. What it must have
//! in common with the job is the width of panes, and each board: what is counted, of which events, in which groups.

use crate::changes::{Difference, of_region};
use crate::claim::read_counted;
use crate::error::{StateFailure, StateRefusal};
use crate::identity::{Counted, Identity};
use crate::manifest::Manifest;
use crate::pane::Pane;
use crate::spans::Spans;
use crate::spec::JobSpec;
use crest_connectors::state::{StateError, StateStore};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// The state of a region.
#[derive(Clone, Debug)]
pub struct Region {
    /// Its name, which rankings say that it is missing by.
    pub name: Arc<str>,
    store: StateStore,
}

/// What a region has just now.
pub(super) struct Seen {
    pub(super) manifest: Manifest,
    pub(super) counted: Counted,
}

/// Why the state of a region cannot be merged.
#[derive(Debug, thiserror::Error)]
#[error("region {region}: {fault}")]
pub struct RegionError {
    /// The region.
    pub region: Arc<str>,
    /// What is wrong with it.
    pub fault: Box<RegionFault>,
}

/// What is wrong with a region. URLs are without secrets.
#[derive(Debug, thiserror::Error)]
pub enum RegionFault {
    /// It cannot be read.
    #[error(transparent)]
    Refused(#[from] StateRefusal),
    /// One of its panes cannot be read.
    #[error(transparent)]
    Failed(#[from] StateFailure),
    /// Its panes are of another width.
    #[error("the state {url} has panes of {theirs}, and time.pane is {ours} here: they must be the same")]
    Pane {
        /// The store.
        url: String,
        /// The width of its panes.
        theirs: humantime::FormattedDuration,
        /// The width that the job has.
        ours: humantime::FormattedDuration,
    },
    /// It lacks a board.
    #[error("the state {url} has no board {board:?}; it has {there}")]
    NoBoard {
        /// The store.
        url: String,
        /// The board.
        board: String,
        /// The boards that it has.
        there: String,
    },
    /// It counts another board of that name.
    #[error("the state {url} counts another board {board:?}: {field} is {theirs} there and {ours} here")]
    OtherBoard {
        /// The store.
        url: String,
        /// The board.
        board: String,
        /// The first field that differs, as in the job's spec.
        field: String,
        /// Its value there.
        theirs: String,
        /// Its value here.
        ours: String,
    },
    /// Its state is another one than the one that was counted.
    #[error(
        "the state {url} is another one than the one that was counted: it is of id {found}, and that one was of \
         {counted}; give the region another name"
    )]
    Replaced {
        /// The store.
        url: String,
        /// The id of the one that was counted.
        counted: String,
        /// The id of the one that is there.
        found: String,
    },
    /// It came in after all others had come to their end.
    #[error("the state {url} came in after all others were counted to their end; give another --state")]
    AfterTheEnd {
        /// The store.
        url: String,
    },
    /// Another region has the same state.
    #[error("the state {url} is that of region {other}, too: its events would count twice")]
    Same {
        /// The store.
        url: String,
        /// The other region.
        other: Arc<str>,
    },
    /// It does not have all of the panes that are to be counted.
    #[error("the state {url} does not have all panes of the range: {why}")]
    Lacks {
        /// The store.
        url: String,
        /// Which, and why.
        why: String,
    },
    /// The thread that reads it could not be started.
    #[error("cannot start a thread to read it: {0}")]
    Thread(std::io::Error),
}

impl RegionError {
    /// Whether the region may be read later, as it was before: its store is away, or refuses to be read, or its state is
    /// being brought back or written by a later version.
    pub fn may_pass(&self) -> bool {
        let may_pass =
            |error: &StateError| !matches!(error, StateError::Invalid { .. } | StateError::Name { .. });
        match &*self.fault {
            RegionFault::Refused(StateRefusal::Store(error))
            | RegionFault::Failed(StateFailure::Store(error)) => may_pass(error),
            RegionFault::Refused(
                StateRefusal::NoManifest { .. }
                | StateRefusal::Orphaned { .. }
                | StateRefusal::Manifest { .. },
            ) => true,
            _ => false,
        }
    }
}

impl Region {
    /// The region of this name, whose state is in this store.
    pub fn new(name: &str, store: StateStore) -> Self {
        Region { name: name.into(), store }
    }

    /// The store, without secrets.
    pub fn url(&self) -> &str {
        self.store.url()
    }

    pub(super) fn store(&self) -> &StateStore {
        &self.store
    }

    /// Of this region.
    pub(super) fn error(&self, fault: impl Into<RegionFault>) -> RegionError {
        RegionError { region: self.name.clone(), fault: Box::new(fault.into()) }
    }

    /// Reads what the region has, and checks that it fits the job.
    pub(super) fn see(&self, spec: &JobSpec) -> Result<Seen, RegionError> {
        let (manifest, counted) = read_counted(&self.store).map_err(|refusal| self.error(refusal))?;
        self.check(spec, &manifest, &counted).map_err(|fault| self.error(fault))?;
        Ok(Seen { manifest, counted })
    }

    fn check(&self, spec: &JobSpec, manifest: &Manifest, counted: &Counted) -> Result<(), RegionFault> {
        let url = self.url().to_owned();
        let written = |pane: Duration| humantime::format_duration(pane);
        if counted.pane != spec.time.pane {
            let (theirs, ours) = (written(counted.pane), written(spec.time.pane));
            return Err(RegionFault::Pane { url, theirs, ours });
        }
        let job = Identity::of(spec, "");
        for board in spec.boards.iter().map(|board| board.name.to_string()) {
            match of_region(&manifest.job, &job, &board) {
                Ok(true) => {}
                Ok(false) => {
                    let there: Vec<&str> = counted.boards.iter().map(|board| &*board.name).collect();
                    return Err(RegionFault::NoBoard { url, board, there: there.join(", ") });
                }
                Err(Difference { field, was: theirs, is: ours, .. }) => {
                    return Err(RegionFault::OtherBoard { url, board, field, theirs, ours });
                }
            }
        }
        Ok(())
    }
}

impl Seen {
    /// What tells the state from another one in the same place: the number that was drawn when it was begun; of older
    /// states a hash of what the first job counted, with its seed, which two jobs over files may share.
    pub(super) fn id(&self) -> String {
        self.manifest.id.clone().unwrap_or_else(|| format!("{:016x}", self.manifest.fingerprint()))
    }

    /// Whether its id tells it from any other state.
    pub(super) fn is_told_apart(&self) -> bool {
        self.manifest.id.is_some()
    }

    /// The pane before which the region has closed all panes.
    pub(super) fn closed(&self) -> Pane {
        self.manifest.live.durable
    }

    /// Whether it is of a log that was counted to its end.
    pub(super) fn ended(&self) -> bool {
        self.manifest.live.ended
    }

    /// The first pane of a run that is kept.
    pub(super) fn kept_from(&self, panes: &Range<Pane>) -> Pane {
        self.manifest.held.from(0).clamp(panes.start, panes.end)
    }

    /// The parts of a run of panes that the region counted without this board, or that regions of its own are missing from.
    pub(super) fn lacking(&self, board: &str, panes: &Range<Pane>) -> Vec<Range<Pane>> {
        let within = |span: &Range<Pane>| span.start.max(panes.start)..span.end.min(panes.end);
        let uncounted = self.manifest.uncounted.get(board).into_iter().flat_map(Spans::iter).map(within);
        let uncounted = uncounted.flat_map(|part| self.counted(&part));
        let missing = self.manifest.missing.get(board).into_iter().flat_map(|missing| missing.within(panes));
        uncounted.chain(missing).collect()
    }

    /// The parts of a run of panes that the region has counted.
    pub(super) fn counted(&self, panes: &Range<Pane>) -> Vec<Range<Pane>> {
        let counted = self.manifest.counted.iter();
        let parts = counted.map(|span| span.start.max(panes.start)..span.end.min(panes.end));
        parts.filter(|part| !part.is_empty()).collect()
    }
}
