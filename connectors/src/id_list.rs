//! A list of ids that somebody else keeps, in a file or as a Redis set, and that is read again as it changes: who is blocked.
//!
//! A file has one id a line; lines without text are passed over. `redis://host:port/db?set=KEY`, in each form that a Redis
//! may be named by, is a set.

use crate::endpoint::{EndpointError, RedisUrl};
use crate::redis::RedisIdSet;
use crate::snapshot::SinkError;
use crate::without_secrets;
use crest_host::clock::wall_clock_ms;
use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The most ids of a list.
pub const MOST_IDS: usize = 1_000_000;
/// The most bytes of a file.
const MOST_BYTES: u64 = 256 << 20;
/// What some editors write at the beginning of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// A file that was changed so short a time before it was read may have been changed again without another time.
const SETTLED: Duration = Duration::from_secs(2);

/// A list that can be read.
pub struct IdList(Kept);

enum Kept {
    File { path: PathBuf, seen: Option<(SystemTime, u64)> },
    Set(Box<RedisIdSet>),
}

/// Why a list cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum IdListError {
    /// Its place makes no sense.
    #[error("{0}")]
    Place(String),
    /// Of a file.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Of a Redis.
    #[error("{0}")]
    Set(String),
}

impl IdList {
    /// The list at a place: a path, or the URL of a Redis set. Nothing is read yet.
    ///
    /// # Errors
    /// The place makes no sense.
    pub fn at(place: &str) -> Result<Self, IdListError> {
        let invalid =
            |reason: &str| Err(IdListError::Place(format!("{:?}: {reason}", without_secrets(place))));
        if !place.contains("://") {
            let path = PathBuf::from(place);
            return if place.is_empty() {
                invalid(FORMS)
            } else {
                Ok(IdList(Kept::File { path, seen: None }))
            };
        }
        let Some((url, key)) = place.split_once("?set=").filter(|(_, key)| !key.is_empty()) else {
            return invalid(FORMS);
        };
        let url =
            url.parse::<RedisUrl>().map_err(|error: EndpointError| IdListError::Place(error.to_string()))?;
        let set =
            RedisIdSet::new(&url, key.to_owned()).map_err(|error| IdListError::Place(error.to_string()))?;
        Ok(IdList(Kept::Set(Box::new(set))))
    }

    /// How often it is worth to be looked at: a file says whether it has changed, and a set is read whole.
    pub fn period(&self) -> Duration {
        match self.0 {
            Kept::File { .. } => Duration::from_secs(2),
            Kept::Set(_) => Duration::from_secs(10),
        }
    }

    /// All ids; `None` where it is certain that they are those that were read before.
    ///
    /// # Errors
    /// It cannot be read just now, or is too long.
    pub fn read(&mut self) -> Result<Option<HashSet<Box<[u8]>>>, IdListError> {
        match &mut self.0 {
            Kept::File { path, seen } => read_file(path, seen),
            Kept::Set(set) => {
                let of_set = |error| {
                    IdListError::Set(match error {
                        SinkError::Unreachable { url, reason } => format!("{url}: {reason}"),
                        other => other.to_string(),
                    })
                };
                let members = set.read(MOST_IDS).map_err(of_set)?;
                Ok(Some(members.into_iter().map(Vec::into_boxed_slice).collect()))
            }
        }
    }
}

const FORMS: &str = "expected the path of a file, or redis://[user:password@]host:port/db?set=KEY";

fn read_file(
    path: &Path,
    seen: &mut Option<(SystemTime, u64)>,
) -> Result<Option<HashSet<Box<[u8]>>>, IdListError> {
    let failed = |reason: String| IdListError::File { path: path.to_owned(), reason };
    let of_io = |error: std::io::Error| failed(error.to_string());
    // To open a pipe would wait for who writes to it.
    let known = std::fs::metadata(path).map_err(of_io)?;
    if !known.is_file() {
        return Err(failed("it is no file".to_owned()));
    }
    let file = std::fs::File::open(path).map_err(of_io)?;
    let stamp = (known.modified().map_err(of_io)?, known.len());
    if *seen == Some(stamp) {
        return Ok(None);
    }
    let mut text = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut text).map_err(of_io)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(failed(format!("it has more than {MOST_BYTES} bytes")));
    }
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    let ids: HashSet<Box<[u8]>> = text.split(|byte| *byte == b'\n').filter_map(id_of).collect();
    if ids.len() > MOST_IDS {
        return Err(failed(format!("it has more than {MOST_IDS} ids")));
    }
    let changed = stamp.0.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    let is_settled = wall_clock_ms() > changed.saturating_add(SETTLED.as_millis() as i64);
    *seen = Some(stamp).filter(|_| is_settled);
    Ok(Some(ids))
}

/// The id of a line, which may end as lines of Windows do.
fn id_of(line: &[u8]) -> Option<Box<[u8]>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    (!line.trim_ascii().is_empty()).then(|| line.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_an_id_a_line() {
        let path = std::env::temp_dir().join(format!("crest-id-list-{}", std::process::id()));
        std::fs::write(&path, "\u{feff}a\nb c\r\n\n  \n#d\n\u{e9}").unwrap();
        let mut list = IdList::at(path.to_str().unwrap()).unwrap();
        let ids = list.read().unwrap().unwrap();
        let expected = ["a", "b c", "#d", "\u{e9}"].map(|id| id.as_bytes().into());
        assert_eq!(ids, HashSet::from(expected));
        std::fs::remove_file(&path).unwrap();
        let error = list.read().unwrap_err().to_string();
        assert!(error.contains("crest-id-list") && error.contains("No such file"), "{error}");
        let error = IdList::at("/dev/null").unwrap().read().unwrap_err().to_string();
        assert_eq!(error, "/dev/null: it is no file");
    }

    #[test]
    fn a_place_that_makes_no_sense_is_refused_without_its_secrets() {
        for place in
            ["", "http://h/list", "redis://u:secret@h:1/0", "redis://u:secret@h:1/0?set=", "redis://?set=x"]
        {
            let Err(error) = IdList::at(place) else { panic!("{place} was taken") };
            let error = error.to_string();
            assert!(error.contains("expected") && !error.contains("secret"), "{error}");
        }
        assert!(IdList::at("redis://u:secret@h:1/0?set=blocked:videos").is_ok());
        assert!(IdList::at("rediss+cluster://h:1,i:2?set=blocked").is_ok());
    }
}
