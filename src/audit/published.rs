//! Rankings that were published, as lines: what `crest --snapshots -` writes. Those that are final are judged.

use super::examine::Examination;
use crate::failure::Failure;
use crest_connectors::snapshot::Snapshot;
use crest_state::spec::{JobSpec, WindowSpec};
use std::fs::File;
use std::io::{BufRead, BufReader, stdin};
use std::path::Path;

/// Takes in those of the boards that are wanted; `-` is standard input.
///
/// # Errors
/// The lines cannot be read, or are no rankings of this job.
pub fn read(path: &Path, spec: &JobSpec, wanted: &[usize], claims: &Examination) -> Result<(), Failure> {
    let refuse = |what: String| Failure::Usage(format!("--rankings {}: {what}", path.display()));
    let lines: Box<dyn BufRead> = if path.as_os_str() == "-" {
        Box::new(stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(path).map_err(|error| refuse(error.to_string()))?))
    };
    for (number, line) in (1..).zip(lines.lines()) {
        let line = line.map_err(|error| refuse(format!("line {number}: {error}")))?;
        if line.trim().is_empty() {
            continue;
        }
        let snapshot: Snapshot = serde_json::from_str(&line)
            .map_err(|error| refuse(format!("line {number} is no ranking: {error}")))?;
        let board = spec.boards.iter().position(|board| board.name == snapshot.board);
        let board = board.ok_or_else(|| {
            refuse(format!("line {number} is of the board {:?}, which the job does not have", snapshot.board))
        })?;
        let known = spec.boards[board].windows.iter().find(|window| window.name == snapshot.window);
        let size = snapshot.window_end.checked_sub(snapshot.window_start);
        let fits = |window: &WindowSpec| match window.size() {
            Some(of_window) => size == i64::try_from(of_window.as_millis()).ok(),
            None => size.is_some_and(|size| size > 0),
        };
        if !known.is_some_and(fits) {
            return Err(refuse(format!(
                "line {number} is of a window {:?} from {} to {}, which the board does not have",
                snapshot.window, snapshot.window_start, snapshot.window_end
            )));
        }
        if snapshot.is_final && wanted.contains(&board) {
            claims.claim(&snapshot);
        }
    }
    Ok(())
}
