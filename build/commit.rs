//! Which commit a source tree is of: asked of git, or, in an archive that git made, read from a file in it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// In this file git writes the commit when it makes an archive (`.gitattributes`).
const ARCHIVED: &str = "build/archived.txt";

/// `31bd2d8 of 2026-11-30`, with `, changed` where files differ from it; `None` where nobody knows.
pub fn of(root: &Path) -> Option<String> {
    if !is_repository(root) {
        return archived(root);
    }
    let commit = git(root, &["log", "-1", "--format=%h of %cs"])?;
    let changed = git(root, &["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { commit } else { format!("{commit}, changed") })
}

/// The files that change when another commit is checked out, or one is made.
pub fn moves(root: &Path) -> Vec<PathBuf> {
    if !is_repository(root) {
        return Vec::new();
    }
    let files = ["HEAD", "logs/HEAD"].map(|name| git(root, &["rev-parse", "--git-path", name]));
    files.into_iter().flatten().map(|path| root.join(path)).filter(|path| path.exists()).collect()
}

/// Whether the tree is the work tree of a repository of its own, and not a folder in another one's.
fn is_repository(root: &Path) -> bool {
    root.join(".git").exists()
}

fn archived(root: &Path) -> Option<String> {
    let text = std::fs::read_to_string(root.join(ARCHIVED)).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty() && !text.contains('$'))
}

/// What git says, in one line.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
