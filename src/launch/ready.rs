//! Who started the processes is told once the job does its work, whatever is logged and whether or not HTTP is served: a
//! script by the file of `--ready-file`, a service manager by its socket.

use super::notify;
use crate::failure::Failure;
use crate::http::ranked;
use crest_connectors::memory::MemoryStore;
use crest_dataflows::status::JobView;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A file that is not there yet.
pub struct ReadyFile(PathBuf);

impl ReadyFile {
    /// Removes that of an earlier run, which is empty.
    ///
    /// # Errors
    /// Anything else is there, it cannot be removed, or its folder is not there.
    pub fn prepare(path: &Path) -> Result<Self, Failure> {
        let name = format!("--ready-file {}", path.display());
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(Failure::Usage(format!("{name}: there is no folder {}", folder.display())));
        }
        if path.symlink_metadata().is_ok_and(|found| !found.is_file() || found.len() > 0) {
            return Err(Failure::Usage(format!(
                "{name}: is there, and is not the empty file of an earlier run"
            )));
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Failure::Failed(format!("{name}: that of an earlier run cannot be removed: {error}")))
            }
            _ => Ok(ReadyFile(path.to_owned())),
        }
    }

    fn make(&self) {
        if let Err(error) = std::fs::write(&self.0, "") {
            tracing::error!("--ready-file {}: {error}", self.0.display());
        }
    }
}

/// Tells it when all workers were heard and, where rankings are kept in `store`, there is one.
///
/// # Errors
/// A thread cannot be started.
pub fn tell_when_ready(
    file: Option<ReadyFile>,
    view: Arc<JobView>,
    store: Option<Arc<MemoryStore>>,
) -> Result<(), Failure> {
    if file.is_none() && !notify::is_heard() {
        return Ok(());
    }
    let ready = move |view: &JobView| {
        let all = view.with_workers(|workers| workers.iter().all(Option::is_some));
        all && store.as_ref().is_none_or(|store| ranked(view, store))
    };
    let wait = move || {
        while !ready(&view) {
            if view.stopping() {
                return;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        if let Some(file) = file {
            file.make();
        }
        notify::ready("counting");
    };
    let thread = std::thread::Builder::new().name("ready".into()).spawn(wait);
    thread.map(drop).map_err(Failure::thread("tells when the job is ready"))
}
