//! The file of `--summary`: what became of the input, of all workers together, as one JSON object.

use crate::account::Account;
use crate::failure::Failure;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// How each summary begins.
const BEGIN: &[u8] = b"{\"ended\":";

/// The file, which is written whole or not at all.
#[derive(Debug)]
pub struct SummaryFile(PathBuf);

/// Its content. Counts are of this run alone.
#[derive(Serialize)]
struct Summary<'a> {
    /// Whether all of the input was read; false for a run that was stopped.
    ended: bool,
    /// Records read from the source.
    read: u64,
    /// Events counted in at least one board.
    counted: u64,
    /// Events of panes that their partition had passed.
    late: u64,
    /// Those of the late events that are counted all the same, in windows of the whole input alone.
    late_counted: u64,
    /// Records refused otherwise, by reason.
    refused: BTreeMap<&'static str, u64>,
    /// Good events that no board's filter takes.
    unmatched: u64,
    /// Good events outside the panes to be counted.
    outside: u64,
    /// Records that say only that their key is deleted.
    tombstones: u64,
    /// Records without an element of the array whose elements are the events.
    without_events: u64,
    /// Records that an earlier run had counted or refused.
    replayed: u64,
    /// In the order of the configuration.
    boards: Vec<Board<'a>>,
}

/// What a board has met.
#[derive(Serialize)]
struct Board<'a> {
    name: &'a str,
    /// Events that its filter took, late ones among them.
    matched: u64,
    /// Those without a usable item.
    without_item: u64,
    /// Those with an item and without a usable weight.
    without_weight: u64,
    /// Of a board that counts different values, those with an item and without a usable value.
    #[serde(skip_serializing_if = "Option::is_none")]
    without_value: Option<u64>,
    /// The configured fields that no event had.
    unseen: Vec<Unseen<'a>>,
}

/// A field, and the key of the configuration that names it.
#[derive(Serialize)]
struct Unseen<'a> {
    name: &'a str,
    key: &'static str,
}

impl SummaryFile {
    /// A file to be written at the end. That of an earlier run goes at once, so that it is not taken for this run's.
    ///
    /// # Errors
    /// Anything else is there, it cannot be removed, or its folder is not there.
    pub fn prepare(path: &Path) -> Result<Self, Failure> {
        let refuse = |why: String| Err(Failure::Usage(format!("--summary {}: {why}", path.display())));
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        match folder.filter(|folder| !folder.is_dir()) {
            Some(folder) => refuse(format!("there is no folder {}", folder.display())),
            // It is replaced whole, which neither a device nor a link may be.
            None if path.symlink_metadata().is_ok_and(|found| !found.is_file()) => {
                refuse("must be a regular file, and something else is there".into())
            }
            None if !is_summary(path) => refuse("is there, and is no summary of an earlier run".into()),
            None => match std::fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => refuse(error.to_string()),
                _ => Ok(SummaryFile(path.to_owned())),
            },
        }
    }

    /// Writes it. `ended`: whether all of the input was read.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, account: &Account, ended: bool) -> Result<(), Failure> {
        let path = &self.0;
        let mut draft = path.clone().into_os_string();
        draft.push(format!(".{}.draft", std::process::id()));
        let draft = PathBuf::from(draft);
        let written = serde_json::to_string(&Summary::of(account, ended))
            .map_err(std::io::Error::from)
            .and_then(|text| write_through(&draft, &text))
            .and_then(|()| std::fs::rename(&draft, path));
        written.map_err(|error| {
            // It may not be there.
            let _ = std::fs::remove_file(&draft);
            Failure::Failed(format!("--summary {}: {error}", path.display()))
        })
    }
}

/// Whether a file, if it is there, is one that this program has written.
fn is_summary(path: &Path) -> bool {
    let mut begin = Vec::new();
    match std::fs::File::open(path) {
        Ok(file) => file.take(BEGIN.len() as u64).read_to_end(&mut begin).is_ok_and(|_| begin == BEGIN),
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

/// Writes a line to a new file, and returns when it is on the disk.
fn write_through(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

impl<'a> Summary<'a> {
    fn of(account: &'a Account, ended: bool) -> Self {
        let boards = account.boards.iter().map(|board| Board {
            name: &board.name,
            matched: board.match_counts.matched,
            without_item: board.match_counts.without_item,
            without_weight: board.match_counts.without_weight,
            without_value: board.without_value(),
            unseen: board.unseen().map(|field| Unseen { name: &field.name, key: field.role.key() }).collect(),
        });
        Summary {
            ended,
            read: account.records,
            counted: account.events,
            late: account.late,
            late_counted: account.late_in_whole,
            refused: account.refused.iter().map(|(reason, count)| (reason.name(), *count)).collect(),
            unmatched: account.unmatched,
            outside: account.outside,
            tombstones: account.tombstones,
            without_events: account.without_events,
            replayed: account.replayed,
            boards: boards.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regular_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&file, "{\"ended\":false}").unwrap();
        let other = dir.path().join("other");
        std::fs::write(&other, "{\"item_id\":\"a\"}").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for path in [&other, &link, Path::new("/dev/null"), dir.path(), &dir.path().join("none/file")] {
            let refusal = SummaryFile::prepare(path).unwrap_err().to_string();
            assert!(refusal.starts_with(&format!("--summary {}: ", path.display())), "{refusal}");
        }
        assert!(std::fs::read_to_string(&other).unwrap().contains("item_id"));
        let summary = SummaryFile::prepare(&file).unwrap();
        assert!(!file.exists(), "the summary of an earlier run is gone");
        summary.write(&Account::default(), true).unwrap();
        assert!(std::fs::read_to_string(&file).unwrap().starts_with("{\"ended\":true,\"read\":0,"));
    }
}
