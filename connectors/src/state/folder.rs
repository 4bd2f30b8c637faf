//! A local folder as a store: files that are written aside, synced, renamed, and synced in their folder.

mod read;
mod staging;

use crest_host::clock;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use self::staging::Staging;
use super::error::StateError;
use super::name::{MANIFEST, MANIFEST_LOCK};
use super::place::{Manifest, ObjectInfo, Place, Purpose, Taker, Version, VersionKind};

/// So many files are synced at once: file systems commit them together.
const WRITERS: usize = 16;

/// The lock is held for one small write; a holder that was stopped must not stop all others for good.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// The folder.
pub(super) struct Folder {
    url: String,
    root: PathBuf,
    staging: Staging,
}

impl Folder {
    /// Opens the folder; to write, it is made if it is missing, cleaned of what killed writers left, and tried.
    pub(super) fn open(url: String, root: PathBuf, purpose: Purpose) -> Result<Self, StateError> {
        let folder = Folder { url, staging: Staging::under(&root), root };
        let ready = match purpose {
            Purpose::ReadAndWrite => folder.prepare(),
            Purpose::ReadOnly => fs::read_dir(&folder.root).map(drop),
            Purpose::Untried => Ok(()),
        };
        match ready {
            Ok(()) => Ok(folder),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(StateError::Refused { url: folder.url, reason: "there is no such folder".into() })
            }
            Err(error) => Err(StateError::of_file(folder.url, &error)),
        }
    }

    fn prepare(&self) -> io::Result<()> {
        if self.root.metadata().is_ok_and(|found| !found.is_dir()) {
            return Err(io::Error::new(ErrorKind::NotADirectory, "it is a file, not a folder"));
        }
        let above = self.root.ancestors().filter(|path| *path != Path::new(""));
        let missing: Vec<&Path> = above.take_while(|path| !path.exists()).collect();
        fs::create_dir_all(&self.root)?;
        for made in missing {
            sync_folder(parent(made))?;
        }
        self.staging.prepare()?;
        self.staging.write(b"").map(drop)
    }

    fn error(&self, name: &str, error: &io::Error) -> StateError {
        StateError::of_file(format!("{}/{name}", self.url), error)
    }

    /// Writes a file and puts it in its place, all but the syncing of the folders above.
    fn place(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.root.join(name);
        self.make_folders(parent(&path))?;
        self.staging.write(bytes)?.rename_to(&path)
    }

    /// Makes the folders between the root and `folder`. Never the root: where that is gone, perhaps with what
    /// was mounted there, writing elsewhere would hide it.
    fn make_folders(&self, folder: &Path) -> io::Result<()> {
        for folder in self.below_root(folder).into_iter().rev().filter(|folder| !folder.is_dir()) {
            match fs::create_dir(folder) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// `folder` and those above it, without the root.
    fn below_root<'a>(&self, folder: &'a Path) -> Vec<&'a Path> {
        folder.ancestors().take_while(|above| *above != self.root).collect()
    }

    /// Makes the names of these objects durable: the folders that hold them, and those that hold the folders,
    /// since any of them may be new.
    fn sync_above<'a>(&self, names: impl Iterator<Item = &'a str>) -> io::Result<()> {
        let mut folders = BTreeSet::from([self.root.clone()]);
        for name in names {
            let path = self.root.join(name);
            folders.extend(self.below_root(parent(&path)).into_iter().map(Path::to_path_buf));
        }
        folders.iter().try_for_each(|folder| sync_folder(folder))
    }

    /// Waits for the sole right to replace the manifest, which ends with the file's value.
    fn lock(&self) -> io::Result<File> {
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.root.join(MANIFEST_LOCK))?;
        let began = clock::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if clock::since(began) > LOCK_PATIENCE => {
                    return Err(io::Error::new(ErrorKind::WouldBlock, "another process keeps it locked"));
                }
                Err(TryLockError::WouldBlock) => crest_host::thread::sleep(LOCK_PAUSE),
            }
        }
    }
}

impl Place for Folder {
    fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StateError> {
        let written = self.place(name, &bytes).and_then(|()| self.sync_above([name].into_iter()));
        written.map_err(|error| self.error(name, &error))
    }

    fn put_all(&self, objects: Vec<(String, Vec<u8>)>) -> Result<(), StateError> {
        let writers = objects.len().min(WRITERS);
        let names: Vec<String> = objects.iter().map(|(name, _)| name.clone()).collect();
        let waiting = Mutex::new(objects.into_iter());
        let failure = Mutex::new(None);
        thread::scope(|scope| {
            for _ in 0..writers {
                scope.spawn(|| {
                    while failure.lock().is_none() {
                        let Some((name, bytes)) = waiting.lock().next() else { return };
                        if let Err(error) = self.place(&name, &bytes) {
                            failure.lock().get_or_insert(self.error(&name, &error));
                        }
                    }
                });
            }
        });
        if let Some(error) = failure.into_inner() {
            return Err(error);
        }
        self.sync_above(names.iter().map(String::as_str)).map_err(|error| self.error("", &error))
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        read::file(&self.root.join(name)).map_err(|error| self.error(name, &error))
    }

    fn get_all(&self, names: &[String], each: Taker<'_>) -> Result<(), StateError> {
        let mut failure = None;
        read::files(&self.root, names, |name, found| match found {
            Ok(bytes) => each(name, bytes),
            Err(error) => {
                failure = Some(self.error(name, &error));
                ControlFlow::Break(())
            }
        });
        failure.map_or(Ok(()), Err)
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StateError> {
        read::list(&self.root, prefix).map_err(|error| self.error(prefix, &error))
    }

    fn folders(&self, folder: &str) -> Result<Vec<String>, StateError> {
        read::folders(&self.root, folder).map_err(|error| self.error(folder, &error))
    }

    fn delete(&self, names: &[String]) -> Result<(), StateError> {
        for name in names {
            match fs::remove_file(self.root.join(name)) {
                Err(error) if !read::is_missing(&error) => return Err(self.error(name, &error)),
                _ => {}
            }
        }
        Ok(())
    }

    fn manifest(&self) -> Result<Option<Manifest>, StateError> {
        let bytes = self.get(MANIFEST)?;
        Ok(bytes.map(|bytes| Manifest { version: version_of(&bytes), bytes }))
    }

    fn replace_manifest(&self, bytes: Vec<u8>, expected: Option<&Version>) -> Result<Version, StateError> {
        let _lock = self.lock().map_err(|error| self.error(MANIFEST_LOCK, &error))?;
        let version = version_of(&bytes);
        let found = self.manifest()?.map(|manifest| manifest.version);
        // One that holds these bytes was written by this caller; its folder may not have been synced.
        if found.as_ref() != Some(&version) {
            if found.as_ref() != expected {
                return Err(StateError::Superseded { url: self.url.clone() });
            }
            self.place(MANIFEST, &bytes).map_err(|error| self.error(MANIFEST, &error))?;
        }
        sync_folder(&self.root).map_err(|error| self.error(MANIFEST, &error))?;
        Ok(version)
    }
}

fn version_of(bytes: &[u8]) -> Version {
    Version(VersionKind::Content(Arc::from(bytes)))
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The folder that holds `path`: of a bare name it is the current one.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}
