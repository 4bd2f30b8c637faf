//! The folder of a log.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The file in it.
pub(super) const FILE: &str = "events.redb";

/// Makes the folder and those above it that are missing, durably.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    let missing: Vec<PathBuf> = folder
        .ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
        .map(Path::to_path_buf)
        .collect();
    fs::create_dir_all(folder)?;
    for made in missing {
        let above = made.parent().filter(|above| !above.as_os_str().is_empty());
        File::open(above.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}
