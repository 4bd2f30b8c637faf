//! Reading a folder's files: one, many in order by several threads, and the list of them.

use std::fs::{self, DirEntry};
use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::UNIX_EPOCH;

use super::super::place::ObjectInfo;

/// Disks and network folders answer several readers at once.
const READERS: usize = 8;

/// So many files may wait to be handed over, for each reader.
const WAITING: usize = 3;

/// What a file holds; `None` where there is none.
pub(super) fn file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether there is no file of that name: also where a folder bears it, or a file the name of its folder.
pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory)
}

/// Reads the files and hands them over in the order of `names`, until told to stop. Reader `r` reads the names
/// `r`, `r + 8`, …, so that taking from the readers in turn is the order.
pub(super) fn files(
    root: &Path,
    names: &[String],
    mut each: impl FnMut(&str, io::Result<Option<Vec<u8>>>) -> ControlFlow<()>,
) {
    let readers = names.len().min(READERS);
    thread::scope(|scope| {
        let answers: Vec<_> = (0..readers)
            .map(|reader| {
                let (sender, answers) = mpsc::sync_channel(WAITING);
                scope.spawn(move || {
                    for name in names.iter().skip(reader).step_by(readers) {
                        if sender.send(file(&root.join(name))).is_err() {
                            return;
                        }
                    }
                });
                answers
            })
            .collect();
        for (name, answers) in names.iter().zip(answers.iter().cycle()) {
            let Ok(answer) = answers.recv() else { return };
            if each(name, answer).is_break() {
                return;
            }
        }
    });
}

/// All files under the folder part of `prefix`, hidden ones apart.
pub(super) fn list(root: &Path, prefix: &str) -> io::Result<Vec<ObjectInfo>> {
    let within = prefix.rfind('/').map_or("", |end| &prefix[..end]);
    // A prefix is no name: it may point out of the store, where nothing of it is.
    if within.split('/').any(|part| part.starts_with('.')) || within.starts_with('/') {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let mut folders = vec![within.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(root.join(&folder)) {
            Err(error) if is_missing(&error) => continue,
            other => other?,
        };
        for entry in entries {
            let entry = entry?;
            let Some(name) = name_of(&folder, &entry) else { continue };
            if entry.file_type()?.is_dir() {
                folders.push(name);
            } else {
                found.extend(info(name, &entry)?);
            }
        }
    }
    Ok(found)
}

/// The names of the folders right below one.
pub(super) fn folders(root: &Path, folder: &str) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(root.join(folder)) {
        Err(error) if is_missing(&error) => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(entry.file_name().into_string().ok());
        }
    }
    Ok(found)
}

/// The entry's name from the root, unless no object can have it: such a folder is not even looked into.
fn name_of(folder: &str, entry: &DirEntry) -> Option<String> {
    let name = entry.file_name().into_string().ok()?;
    let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
    super::super::name::check(&name).is_ok().then_some(name)
}

/// `None` where it was removed meanwhile.
fn info(name: String, entry: &DirEntry) -> io::Result<Option<ObjectInfo>> {
    let metadata = match entry.metadata() {
        Err(error) if is_missing(&error) => return Ok(None),
        other => other?,
    };
    let age = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let modified_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    Ok(Some(ObjectInfo { name, bytes: metadata.len(), modified_ms }))
}
