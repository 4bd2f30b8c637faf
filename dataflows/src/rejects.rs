//! Keeps refused records in a file: one JSON line for each, with the reason, the partition, the offset and the
//! record itself. A failure to write never stops the stream: records that cannot be written are counted as lost.

use crest_formats::refusal::Refusal;
use parking_lot::Mutex;
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The rejects file of a process, shared by its workers.
#[derive(Debug)]
pub struct Rejects {
    path: PathBuf,
    file: Mutex<Lines>,
}

#[derive(Debug)]
struct Lines {
    out: BufWriter<File>,
    /// How many lines in the buffer are not in the file yet.
    waiting: u64,
    failed: bool,
}

/// A record that was not counted. A payload that is not UTF-8 is written with replacement characters.
#[derive(Serialize)]
struct Line<'a> {
    reason: &'static str,
    partition: &'a str,
    offset: i64,
    /// Which element of the record it is, from 0, where elements are events.
    #[serde(skip_serializing_if = "Option::is_none")]
    element: Option<usize>,
    payload: &'a str,
}

impl Rejects {
    /// Opens the file at `path` for appending, and creates it where it is missing.
    ///
    /// # Errors
    /// The path cannot be opened for writing.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let lines = Lines { out: BufWriter::new(file), waiting: 0, failed: false };
        Ok(Rejects { path: path.to_owned(), file: Mutex::new(lines) })
    }

    /// Keeps a record, or one of its elements. Returns the number of records that this call found to be lost, which is 0 on
    /// success.
    pub fn keep(
        &self,
        reason: Refusal,
        partition: &str,
        (offset, element): (i64, Option<usize>),
        payload: &[u8],
    ) -> u64 {
        let payload = String::from_utf8_lossy(payload);
        let line = Line { reason: reason.name(), partition, offset, element, payload: &payload };
        self.with(|lines| {
            lines.waiting += 1;
            serde_json::to_writer(&mut lines.out, &line)?;
            lines.out.write_all(b"\n")
        })
    }

    /// Writes the buffer to the file. Returns the number of records that were lost.
    pub fn flush(&self) -> u64 {
        self.with(|lines| {
            lines.out.flush()?;
            lines.waiting = 0;
            Ok(())
        })
    }

    fn with(&self, write: impl FnOnce(&mut Lines) -> io::Result<()>) -> u64 {
        let mut lines = self.file.lock();
        match write(&mut lines) {
            Ok(()) => {
                lines.failed = false;
                0
            }
            Err(error) => {
                if !lines.failed {
                    tracing::warn!(path = %self.path.display(), %error, "cannot write rejects; they are counted as lost");
                }
                lines.failed = true;
                self.start_over(&mut lines)
            }
        }
    }

    /// Drops the buffer's lines, so that a full disk does not fail every later line as well. Returns their number.
    fn start_over(&self, lines: &mut Lines) -> u64 {
        let lost = std::mem::take(&mut lines.waiting);
        if let Ok(file) = lines.out.get_ref().try_clone() {
            let old = std::mem::replace(&mut lines.out, BufWriter::new(file));
            let _ = old.into_parts();
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reject_is_one_line_of_json_whatever_the_record_holds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rejects.ndjson");
        let rejects = Rejects::create(&path).unwrap();
        assert_eq!(rejects.keep(Refusal::InvalidUtf8, "events/3", (7, None), b"\xff\n\"x\""), 0);
        assert_eq!(rejects.keep(Refusal::Late, "events/0", (8, Some(2)), b"{}"), 0);
        assert_eq!(rejects.flush(), 0);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["reason"], "invalid_utf8");
        assert_eq!(lines[0]["payload"], "\u{fffd}\n\"x\"");
        assert_eq!(
            (lines[1]["partition"].as_str(), lines[1]["offset"].as_i64()),
            (Some("events/0"), Some(8))
        );
        assert_eq!((lines[0].get("element"), lines[1]["element"].as_i64()), (None, Some(2)));
    }

    #[test]
    fn a_full_disk_loses_rejects_and_counts_them() {
        let full = Path::new("/dev/full");
        if !full.exists() {
            return;
        }
        let rejects = Rejects::create(full).unwrap();
        assert_eq!(rejects.keep(Refusal::Item, "p", (1, None), b"{}"), 0, "still in the buffer");
        assert_eq!(rejects.keep(Refusal::Item, "p", (2, None), b"{}"), 0);
        assert_eq!(rejects.flush(), 2);
        assert_eq!(rejects.flush(), 0, "nothing waits any more");
    }
}
