//! Tries the place of a state out, and leaves nothing: no folder is made that is not there, and what is written is removed.

use super::cloud::Cloud;
use super::error::StateError;
use super::place::Purpose;
use super::target::Target;
use crate::endpoint::without_secrets;
use crest_host::draw;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;

/// What is written: more than a file system keeps beside a file's name.
const BYTES: [u8; 16 * 1024] = [0xa5; 16 * 1024];

/// A place that can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// A local folder.
    Folder {
        /// Where it is.
        path: PathBuf,
        /// Whether it has to be made; what was tried is then the nearest folder above it.
        is_new: bool,
    },
    /// A bucket.
    Bucket,
}

/// Writes an object and removes it.
///
/// # Errors
/// As [`StateStore::open`](super::StateStore::open).
pub fn try_out(url: &str, options: &BTreeMap<String, String>) -> Result<Tried, StateError> {
    let shown = without_secrets(url);
    match Target::parse(url, options)? {
        Target::Folder(path) => match try_folder(&path) {
            Ok(is_new) => Ok(Tried::Folder { path, is_new }),
            Err(error) => Err(StateError::of_file(shown, &error)),
        },
        Target::Cloud { store, prefix } => {
            // Opening it is trying it out.
            Cloud::open(shown, store, prefix, Purpose::ReadAndWrite).map(|_| Tried::Bucket)
        }
    }
}

/// Whether the folder is still to be made.
fn try_folder(path: &Path) -> io::Result<bool> {
    let path = std::path::absolute(path)?;
    let there = path.ancestors().find(|above| above.exists()).unwrap_or(&path);
    if !there.is_dir() {
        let why = format!("{} is a file, not a folder", there.display());
        return Err(io::Error::new(io::ErrorKind::NotADirectory, why));
    }
    if there == path {
        // What is in it is read, too.
        fs::read_dir(&path)?.next().transpose()?;
    }
    let trial = there.join(format!(".crest-trial-{}-{:016x}", process::id(), draw::random()));
    let written = File::create_new(&trial).and_then(|mut file| {
        file.write_all(&BYTES)?;
        file.sync_all()
    });
    let removed = match fs::remove_file(&trial) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    written.and(removed).map(|()| there != path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(path: &Path) -> Result<Tried, StateError> {
        try_out(&path.display().to_string(), &BTreeMap::new())
    }

    #[test]
    fn nothing_is_left_of_a_trial() {
        let folder = tempfile::tempdir().unwrap();
        let entries = || fs::read_dir(folder.path()).unwrap().count();
        let path = folder.path().to_path_buf();
        assert_eq!(tried(&path), Ok(Tried::Folder { path, is_new: false }));
        let path = folder.path().join("a/b");
        assert_eq!(tried(&path), Ok(Tried::Folder { path, is_new: true }));
        assert_eq!(entries(), 0);
        fs::write(folder.path().join("file"), "").unwrap();
        for path in ["file", "file/below"] {
            let refused = tried(&folder.path().join(path)).unwrap_err();
            assert!(refused.to_string().contains("is a file, not a folder"), "{refused}");
        }
        assert_eq!(entries(), 1);
    }
}
