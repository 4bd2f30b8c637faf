//! The errors of a state: why a job cannot run on it, and why a running job cannot go on with it.

use crate::manifest::ManifestError;
use crate::mend::{Mend, written};
use crate::object::ObjectError;
use crest_connectors::state::StateError;

/// Why a job cannot run on a state.
#[derive(Debug, thiserror::Error)]
pub enum StateRefusal {
    /// The store cannot be read or written, or another job claimed the state at the same moment.
    #[error(transparent)]
    Store(#[from] StateError),
    /// The manifest is damaged, is of a version that this program does not read, or cannot be encoded.
    #[error("state {url}: {error}")]
    Manifest {
        /// The store, without secrets.
        url: String,
        /// What is wrong with it.
        error: ManifestError,
    },
    /// The store has no manifest.
    #[error("state {url}: there is no manifest, so no job has kept its state there")]
    NoManifest {
        /// The store, without secrets.
        url: String,
    },
    /// The store has panes or rollups but no manifest, so nothing says which job wrote them or where to read on.
    #[error(
        "state {url}: it holds {objects} panes and rollups, such as {name}, and no manifest.json, which says what they \
         count and where to read on: bring it back from the backup that they are from, or give an empty place to begin \
         anew"
    )]
    Orphaned {
        /// The store, without secrets.
        url: String,
        /// How many objects there are.
        objects: usize,
        /// The name of one of them.
        name: String,
    },
    /// The state is of a job that counts something else.
    #[error(
        "state {url} belongs to a job that counts something else: {field} was {was} and is now {is}; give \
         another --state, or the old value{}",
        way_on(field, was)
    )]
    OtherJob {
        /// The store, without secrets.
        url: String,
        /// The first field that differs, as in the job's spec.
        field: String,
        /// Its value in the manifest.
        was: String,
        /// Its value now.
        is: String,
    },
    /// A board counts something else than the one of its name in the state.
    #[error(
        "state {url} has counted another board {board:?}: {field} was {was} and is now {is}; give the board another \
         name, or let it count anew with --reset-board {board}, or give the old value{}",
        way_on(field, was)
    )]
    OtherBoard {
        /// The store, without secrets.
        url: String,
        /// The board.
        board: String,
        /// The first field that differs, as in the job's spec.
        field: String,
        /// Its value in the manifest.
        was: String,
        /// Its value now.
        is: String,
    },
    /// A board that counts anew reads other fields than those before, and its source has an end.
    #[error(
        "state {url}: the board {board:?} looks for its events in other fields than the boards that the state has \
         counted, so that it cannot go on from where they are in a source that ends; give another --state"
    )]
    ReadsOtherFields {
        /// The store, without secrets.
        url: String,
        /// The board.
        board: String,
    },
    /// The state was made with another seed than the one that the configuration names. Both are secrets.
    #[error(
        "sketch.seed = ***: the state {url} was made with another seed, which it keeps; leave the key out, or give \
         another --state"
    )]
    OtherSeed {
        /// The store, without secrets.
        url: String,
    },
    /// The range of a backfill ends after the job's durable frontier.
    #[error(
        "state {url}: the job has counted up to {}, and the range ends at {}: it can be counted again once the job \
         has passed it",
        written(*durable_ms),
        written(*to_ms)
    )]
    NotDurable {
        /// The store, without secrets.
        url: String,
        /// The durable frontier, in milliseconds since 1970 UTC.
        durable_ms: i64,
        /// The end of the range, in milliseconds since 1970 UTC.
        to_ms: i64,
    },
    /// The range of a backfill begins or ends within a rollup whose other blocks have expired.
    #[error(
        "state {url}: the rollups at the edges of the range cannot be built, since the panes beside it are kept no \
         more; one from {} to {} can be counted",
        written(*from_ms),
        written(*to_ms)
    )]
    Edges {
        /// The store, without secrets.
        url: String,
        /// Where the range would have to begin, in milliseconds since 1970 UTC.
        from_ms: i64,
        /// Where the range would have to end, in milliseconds since 1970 UTC.
        to_ms: i64,
    },
}

/// What more can be done where a field of the job differs.
fn way_on(field: &str, was: &str) -> &'static str {
    match field {
        _ if field.starts_with("schema.weight") => {
            " (a state of before weights had to be named goes on with \
             schema = { weight = \"weight\", weight_default = 1 } in the configuration)"
        }
        "source" if was.starts_with("\"kafka:") => {
            " (a state is of its topics: to be able to add some later, begin one with a pattern, \
             kafka://host:port/^name)"
        }
        _ => "",
    }
}

fn others(more: usize) -> String {
    match more {
        0 => String::new(),
        1 => ", as is another".to_owned(),
        _ => format!(", as are {more} others"),
    }
}

/// Why a running job cannot go on with its state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateFailure {
    /// Another run has claimed the state.
    #[error(
        "state {url} was taken over by a job of epoch {theirs}; this one, of epoch {ours}, publishes nothing more"
    )]
    Superseded {
        /// The store, without secrets.
        url: String,
        /// The epoch of this run.
        ours: u64,
        /// The epoch of the other run; 0 when its manifest cannot be read.
        theirs: u64,
    },
    /// An object that the manifest names is missing.
    #[error("state {url}: the manifest names {name}, which is missing{others}; {mend}", others = others(*more))]
    Missing {
        /// The store, without secrets.
        url: String,
        /// The name of the object.
        name: String,
        /// How many other objects are known to be missing.
        more: usize,
        /// The panes to count again.
        mend: Mend,
    },
    /// An object is damaged, or not the block that the manifest says.
    #[error("state {url}: {error}; {mend}")]
    Object {
        /// The store, without secrets.
        url: String,
        /// Which object, and what is wrong with it.
        error: Box<ObjectError>,
        /// The panes to count again.
        mend: Mend,
    },
    /// The manifest cannot be encoded.
    #[error("state {url}: {error}")]
    Manifest {
        /// The store, without secrets.
        url: String,
        /// What is wrong with it.
        error: ManifestError,
    },
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StateError),
    /// The committer's thread could not be started.
    #[error("cannot start a thread to keep the state: {0}")]
    Thread(String),
}
