//! Files on their way into a folder: written and synced aside, then renamed.
//!
//! A writer holds its file locked from its beginning to its rename. One that can be locked has lost its writer,
//! however the process was ended, and may be removed; age and process ids would only be guesses.

use crest_host::draw;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// Under the store's folder, so that a rename stays in one file system. No object's name begins with a dot.
const FOLDER: &str = ".unfinished";

/// The folder of unfinished files.
pub(super) struct Staging {
    folder: PathBuf,
}

impl Staging {
    pub(super) fn under(root: &Path) -> Self {
        Staging { folder: root.join(FOLDER) }
    }

    /// Makes the folder, and removes from it what killed writers left.
    pub(super) fn prepare(&self) -> io::Result<()> {
        self.make()?;
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            // What others finish or remove meanwhile is gone, which is as well.
            let Ok(file) = OpenOptions::new().write(true).open(&path) else { continue };
            // It stays locked until it is removed, so that its writer, once it has the lock, sees that.
            if file.try_lock().is_ok() {
                let _ = fs::remove_file(&path);
            }
        }
        Ok(())
    }

    fn make(&self) -> io::Result<()> {
        match fs::create_dir(&self.folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes a file with these bytes, durable but for its name. It is removed unless it is renamed.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<Staged> {
        let mut staged = self.create()?;
        write_durably(&mut staged.file, bytes)?;
        Ok(staged)
    }

    /// Makes a file that nobody else takes for left behind. Who opens the store between its making and its
    /// locking may do so, and removes it: then another is made.
    fn create(&self) -> io::Result<Staged> {
        const TRIES: usize = 100;
        for _ in 0..TRIES {
            let staged = self.create_once()?;
            if staged.path.try_exists()? {
                return Ok(staged);
            }
        }
        Err(io::Error::other(format!("new files in {} vanish", self.folder.display())))
    }

    fn create_once(&self) -> io::Result<Staged> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name =
            format!("{}-{}-{:016x}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed), draw::random());
        let path = self.folder.join(name);
        let file = match File::create_new(&path) {
            // Somebody tidied up, or copied the store without what is hidden.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.make()?;
                File::create_new(&path)?
            }
            other => other?,
        };
        // Where files cannot be locked, none is ever taken for left behind.
        let _ = file.lock();
        Ok(Staged { file, path, renamed: false })
    }
}

fn write_durably(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// A file that is whole but not in its place.
pub(super) struct Staged {
    file: File,
    path: PathBuf,
    renamed: bool,
}

impl Staged {
    /// Puts it in its place, where it replaces what is there.
    pub(super) fn rename_to(mut self, place: &Path) -> io::Result<()> {
        fs::rename(&self.path, place)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::error::StateError;
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    fn files(staging: &Staging) -> usize {
        fs::read_dir(&staging.folder).unwrap().count()
    }

    #[test]
    fn only_what_has_lost_its_writer_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let staging = Staging::under(root.path());
        staging.prepare().unwrap();
        let underway = staging.write(b"underway").unwrap();
        fs::write(staging.folder.join("left-behind"), b"half").unwrap();
        assert_eq!(files(&staging), 2);

        staging.prepare().unwrap();
        assert_eq!(files(&staging), 1);
        let place = root.path().join("done");
        underway.rename_to(&place).unwrap();
        assert_eq!(fs::read(place).unwrap(), b"underway");

        drop(staging.write(b"given up").unwrap());
        assert_eq!(files(&staging), 0);
    }

    #[test]
    fn a_writer_loses_nothing_to_those_who_open_the_store_meanwhile() {
        const FILES: usize = 1_000;
        let root = tempfile::tempdir().unwrap();
        let staging = Staging::under(root.path());
        let written = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !written.load(Ordering::Relaxed) {
                        staging.prepare().unwrap();
                    }
                });
            }
            let place = root.path().join("place");
            let lost = (0..FILES)
                .filter(|_| staging.create().and_then(|staged| staged.rename_to(&place)).is_err())
                .count();
            written.store(true, Ordering::Relaxed);
            assert_eq!(lost, 0);
        });
    }

    #[test]
    fn its_folder_is_made_again_when_somebody_removed_it() {
        let root = tempfile::tempdir().unwrap();
        let staging = Staging::under(root.path());
        staging.write(b"a").unwrap().rename_to(&root.path().join("a")).unwrap();
        assert_eq!(fs::read(root.path().join("a")).unwrap(), b"a");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_told_as_one() {
        let mut full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = write_durably(&mut full, b"a").unwrap_err();
        let told = StateError::of_file("./data/a".into(), &error);
        assert_eq!(told, StateError::NoSpace { url: "./data/a".into() });
        assert!(told.is_transient());
    }
}
