//! Gives the crate the name of its build (`CREST_BUILD`): the compiler and target, and a hash of the sources
//! that give a frame its meaning. It needs no git, so a source archive and a changed work tree are told apart
//! too, and it holds no path, so that two machines that build the same sources agree.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// Relative to this crate. Where one is absent, the crate was taken out of its workspace: it is left out.
const SOURCES: [&str; 6] =
    ["src", "../connectors/src", "../formats/src", "../sketches/src", "../state/src", "../Cargo.lock"];

fn main() -> io::Result<()> {
    let mut files = BTreeMap::new();
    for source in SOURCES.map(Path::new).into_iter().filter(|source| source.exists()) {
        println!("cargo::rerun-if-changed={}", source.display());
        collect(source, &mut files)?;
    }
    // The same for every run of one compiler, and the compiler is part of the name.
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    println!("cargo::rustc-env=CREST_BUILD={:016x} {}", hasher.finish(), compiler()?);
    Ok(())
}

/// Reads a file, or every file under a folder.
fn collect(path: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else {
        files.insert(path.to_owned(), fs::read(path)?);
    }
    Ok(())
}

fn compiler() -> io::Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output()?.stdout;
    let target = env::var("TARGET").unwrap_or_default();
    Ok(format!("{} {target}", String::from_utf8_lossy(&version).trim()))
}
