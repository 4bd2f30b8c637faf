//! Gives the program the text of `--version` (`CREST_VERSION`): its version, and in optimised builds the commit.
//!
//! Other builds do without, since a commit that is new would have the program and all of its tests built again.

#[path = "build/commit.rs"]
mod commit;

use std::env;
use std::path::PathBuf;

/// What the program is made of. Where something of it changes, so may what is said of the commit.
const SOURCES: [&str; 9] = [
    "Cargo.lock",
    "Cargo.toml",
    "connectors/src",
    "dataflows/src",
    "formats/src",
    "host/src",
    "sketches/src",
    "src",
    "state/src",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let root = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let optimised = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = if optimised { told(&root) } else { Some("debug".to_owned()) };
    let commit = commit.map(|commit| format!(" ({commit})")).unwrap_or_default();
    println!("cargo::rustc-env=CREST_VERSION={version}{commit}");
}

fn told(root: &std::path::Path) -> Option<String> {
    for path in SOURCES.map(|source| root.join(source)).into_iter().chain(commit::moves(root)) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    commit::of(root)
}
