//! The boards' blocklists: read before anything is ranked, and again as they change.

use crate::failure::Failure;
use crest_connectors::id_list::{IdList, IdListError};
use crest_connectors::outage::Outage;
use crest_state::blocklist::Blocklist;
use crest_state::spec::JobSpec;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it is seen which lists are to be looked at.
const BEAT: Duration = Duration::from_secs(1);

/// A board's list, and what reads it.
struct Watched {
    board: Arc<str>,
    list: Blocklist,
    reader: IdList,
    /// When it was looked at last.
    at: Instant,
    outage: Outage,
}

/// Reads the lists of all boards that have one, for a run that goes by them as they are now.
///
/// # Errors
/// One cannot be read.
pub fn read(spec: &JobSpec) -> Result<(), Failure> {
    read_all(spec).map(drop)
}

/// The same, and reads them again as they change, until the process ends.
///
/// # Errors
/// One cannot be read.
pub fn follow(spec: &JobSpec) -> Result<(), Failure> {
    let mut lists = read_all(spec)?;
    if lists.is_empty() {
        return Ok(());
    }
    let look = move || {
        loop {
            std::thread::sleep(BEAT);
            lists.iter_mut().filter(|list| list.at.elapsed() >= list.reader.period()).for_each(Watched::look);
        }
    };
    let thread = std::thread::Builder::new().name("blocklists".into());
    thread.spawn(look).map(drop).map_err(Failure::thread("reads the blocklists"))
}

fn read_all(spec: &JobSpec) -> Result<Vec<Watched>, Failure> {
    let mut lists = Vec::new();
    for board in &spec.boards {
        let Some(place) = board.blocklist.place() else { continue };
        let failed = |error: IdListError| Failure::Failed(format!("board.{}.blocklist: {error}", board.name));
        let mut reader = IdList::at(place).map_err(failed)?;
        if let Some(ids) = reader.read().map_err(failed)? {
            tracing::info!(board = %board.name, "blocked items: {}", ids.len());
            board.blocklist.replace(ids);
        }
        let (board, list) = (board.name.clone(), board.blocklist.clone());
        lists.push(Watched { board, list, reader, at: Instant::now(), outage: Outage::default() });
    }
    Ok(lists)
}

impl Watched {
    /// Reads it again. What was known last goes on where that fails, which is said once.
    fn look(&mut self) {
        self.at = Instant::now();
        match self.reader.read() {
            Err(error) => {
                if self.outage.begin(error.to_string()) {
                    let board = &self.board;
                    tracing::warn!(%board, "the blocklist cannot be read, and stays as it was: {error}");
                }
            }
            Ok(ids) => {
                if self.outage.end().is_some() {
                    tracing::info!(board = %self.board, "the blocklist can be read again");
                }
                let Some(ids) = ids else { return };
                let count = ids.len();
                if self.list.replace(ids) {
                    tracing::info!(board = %self.board, "the blocklist has changed; blocked items: {count}");
                }
            }
        }
    }
}
