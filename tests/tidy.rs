//! The house rules that a compiler does not check, over every source file of the workspace.

#![allow(clippy::unwrap_used)] // a file that cannot be read is a failed test

#[path = "tidy/functions.rs"]
mod functions;
#[path = "tidy/machine.rs"]
mod machine;
#[path = "tidy/modules.rs"]
mod modules;
#[path = "tidy/source.rs"]
mod source;

use modules::Drawing;
use source::{Crate, Source};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Beyond this many lines a file is seldom one idea.
const MAX_LINES: usize = 500;

/// Beyond this many lines a function does more than one thing.
const MAX_FUNCTION_LINES: usize = 70;

/// The modules with unsafe code: each keeps its reasons beside it and has its own tests.
const UNSAFE: [&str; 4] = [
    "connectors/src/kafka/batch.rs",
    "connectors/src/kafka/fate.rs",
    "connectors/src/kafka/topic_id.rs",
    "dataflows/src/frame/image.rs",
];

/// Which crates of the house a crate may depend on. What its manifest does not name it cannot import.
const ARROWS: [(&str, &[&str]); 7] = [
    ("sketches", &[]),
    ("host", &[]),
    ("connectors", &["crest-host"]),
    ("formats", &[]),
    ("state", &["crest-connectors", "crest-formats", "crest-host", "crest-sketches"]),
    ("dataflows", &["crest-connectors", "crest-formats", "crest-host", "crest-sketches", "crest-state"]),
    ("simulator", &["crest-connectors", "crest-dataflows", "crest-formats", "crest-host", "crest-state"]),
];

/// The crates that a simulation runs: they reach the machine through `crest_host` alone.
const SIMULATED: [&str; 5] = ["connectors", "dataflows", "formats", "sketches", "state"];

/// The sketches are a pure function of their input.
const NOT_IN_SKETCHES: [&str; 5] = ["std::fs", "std::net", "std::time", "std::thread", "std::process"];

/// Taken apart, as are the words below, so that it is not found here.
const UNSAFE_KEYWORD: [&str; 2] = ["un", "safe"];

/// Signs of unfinished work.
const LEFTOVERS: [[&str; 2]; 6] =
    [["TO", "DO"], ["FIX", "ME"], ["to", "do!"], ["unimple", "mented!"], ["db", "g!("], ["#[ign", "ore"]];

/// A file, by its path from the root.
struct File {
    path: String,
    text: String,
}

impl File {
    fn opening(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// Its lines without what is behind `//`.
    fn code(&self) -> impl Iterator<Item = &str> {
        self.text.lines().map(|line| line.split("//").next().unwrap_or_default())
    }

    fn is(&self, ending: &str) -> bool {
        self.path.ends_with(ending)
    }
}

/// What is wrong in one file.
fn faults(file: &File) -> Vec<String> {
    let mut faults = Vec::new();
    for word in LEFTOVERS.map(|parts| parts.concat()) {
        if file.text.contains(&word) {
            faults.push(format!("{word} is left in it"));
        }
    }
    if !file.is(".rs") {
        return faults;
    }
    if !file.opening().starts_with("//! ") {
        faults.push("it does not open with `//!` and what it is for".into());
    }
    let lines = file.text.lines().count();
    if lines > MAX_LINES {
        faults.push(format!("{lines} lines; at most {MAX_LINES} are allowed"));
    }
    faults.extend(functions::long(&file.text, MAX_FUNCTION_LINES));
    let keyword = UNSAFE_KEYWORD.concat();
    let uses =
        |line: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == keyword);
    if !UNSAFE.contains(&file.path.as_str()) && file.code().any(uses) {
        faults.push(format!("{keyword} code outside the modules that are known for it"));
    }
    if file.path.starts_with("sketches/src") {
        let impure = NOT_IN_SKETCHES.iter().filter(|module| file.code().any(|line| line.contains(**module)));
        faults.extend(impure.map(|module| format!("{module} in the sketches")));
    }
    faults
}

/// The crates of the house that a manifest depends on.
fn arrows(manifest: &str) -> Vec<&str> {
    manifest
        .lines()
        .filter(|line| line.starts_with("crest"))
        .map(|line| line.split(['.', ' ', '=']).next().unwrap_or_default())
        .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder that people write; nothing built, nothing hidden but the CI's folder.
fn collect(dir: &Path, files: &mut Vec<File>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name == ".ci" || !(name.starts_with('.') || name == "target" || name == "crest-data") {
                collect(&path, files);
            }
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let path = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            files.push(File { path, text });
        }
    }
}

#[test]
fn every_file_keeps_the_house_rules() {
    let mut files = Vec::new();
    collect(root(), &mut files);
    assert!(files.iter().any(|file| file.is("tests/tidy.rs")), "the files are found");
    let fault = |file: &File| {
        faults(file).into_iter().map(|fault| format!("{}: {fault}", file.path)).collect::<Vec<_>>()
    };
    let mut found: Vec<String> = files.iter().flat_map(fault).collect();
    let mut openings: BTreeMap<&str, &str> = BTreeMap::new();
    for file in files.iter().filter(|file| file.is(".rs")) {
        if let Some(other) = openings.insert(file.opening(), &file.path) {
            found.push(format!("{} opens as {other} does", file.path));
        }
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn no_arrow_between_the_crates_runs_back() {
    for (name, allowed) in ARROWS {
        let manifest = std::fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        let found = arrows(&manifest);
        assert!(found.iter().all(|arrow| allowed.contains(arrow)), "{name} depends on {found:?}");
    }
    assert_eq!(
        arrows("[dependencies]\ncrest-a.workspace = true\ncrest = { path = \"..\" }\n"),
        ["crest-a", "crest"]
    );
}

#[test]
fn no_module_is_part_of_a_circle() {
    let circles = |drawn: Crate| {
        let circles = Drawing::of(&drawn).circles().into_iter();
        circles.map(|circle| format!("{}: {circle}", drawn.name)).collect::<Vec<_>>()
    };
    let found: Vec<String> = source::crates(root()).into_iter().flat_map(circles).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn what_a_simulation_runs_reaches_the_machine_in_one_place() {
    let mut found = Vec::new();
    let simulated = |known: &Crate| SIMULATED.contains(&known.name.as_str());
    for file in source::crates(root()).iter().filter(|known| simulated(known)).flat_map(|known| &known.files)
    {
        found.extend(machine::reached(&file.syntax).iter().map(|what| format!("{}: {what}", file.path)));
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
    let planted = "use parking_lot::{Condvar, Mutex}; use std::thread::spawn as start; fn f() { let at = Instant::now(); at.elapsed(); }
        fn g() { std::thread::Builder::new(); crest_host::thread::spawn(\"name\", h); }
        fn h() { queue.map_or_else(std::time::SystemTime::now, |_| 0); }
        #[cfg(test)] mod tests { fn f() { Instant::now(); } }";
    assert_eq!(
        machine::reached(&syn::parse_file(planted).unwrap()),
        [
            "parking_lot::Condvar",
            "std::thread::spawn",
            "Instant::now",
            ".elapsed()",
            "std::thread::Builder::new",
            "std::time::SystemTime::now"
        ]
    );
}

/// A crate of these files: each with its path below `src`, its modules' names, and its text.
fn crate_of(files: &[(&str, &[&str], &str)]) -> Crate {
    let files = files.iter().map(|(path, module, text)| Source {
        path: format!("src/{path}"),
        module: module.iter().map(|name| (*name).to_owned()).collect(),
        syntax: syn::parse_file(text).unwrap(),
    });
    Crate { name: "planted".into(), files: files.collect() }
}

#[test]
fn a_planted_circle_is_found() {
    let circles = |files: &[(&str, &[&str], &str)]| Drawing::of(&crate_of(files)).circles();
    let root = "mod a; mod b; pub use a::A;";
    for (what, a, b) in [
        ("imports", "pub struct A; use crate::b::B;", "pub struct B; use super::a::A;"),
        (
            "groups of imports",
            "pub struct A; use crate::{b::{B as C, self}};",
            "pub struct B; use super::a::*;",
        ),
        ("paths", "pub struct A(crate::b::B);", "pub struct B; fn f() { super::a::g() }"),
        ("paths in macros", "pub struct A; fn f() { assert!(crate::b::g()) }", "use crate::a::A;"),
        ("a module's name", "use super::b; pub struct A(b::B);", "pub struct B(super::a::A);"),
        ("the root in between", "pub struct A; use crate::b::B;", "pub struct B; use crate::A;"),
    ] {
        let found = circles(&[("lib.rs", &[], root), ("a.rs", &["a"], a), ("b.rs", &["b"], b)]);
        assert_eq!(found.len(), 1, "{what}: {found:?}");
        assert!(found[0].contains("src/a.rs -> src/b.rs"), "{what}: {found:?}");
    }
    let parent = circles(&[
        ("lib.rs", &[], "mod a; use a::A; pub struct Root;"),
        ("a.rs", &["a"], "pub struct A; impl A { fn f(_: super::Root) {} }"),
    ]);
    assert_eq!(parent.len(), 1, "a parent and its child: {parent:?}");
    for (what, a, b) in [
        ("one way", "pub struct A; use crate::b::B;", "pub struct B;"),
        ("what is visible to whom", "pub(super) struct A; use crate::b::B;", "pub(in crate::b) struct B;"),
        (
            "tests",
            "pub struct A; use crate::b::B;",
            "pub struct B; #[cfg(test)] mod tests { use crate::a::A; } #[cfg(test)] fn f(_: crate::a::A) {}",
        ),
        (
            "names of other crates",
            "pub struct A; use crate::b::B;",
            "pub struct B; use other::a::A; use std::fmt;",
        ),
    ] {
        let found = circles(&[("lib.rs", &[], root), ("a.rs", &["a"], a), ("b.rs", &["b"], b)]);
        assert_eq!(found, Vec::<String>::new(), "{what}");
    }
}

#[test]
fn the_lists_of_exceptions_name_what_is_there() {
    let crates: Vec<String> = source::crates(root()).into_iter().map(|known| known.name).collect();
    let exists = |path: &&&str| root().join(path).exists();
    assert_eq!(UNSAFE.iter().find(|path| !exists(path)), None, "it is gone");
    for name in ARROWS.iter().map(|(name, _)| name) {
        assert!(crates.iter().any(|known| known == name), "there is no crate {name}");
    }
}

#[test]
fn a_bad_file_is_found() {
    let long = "//! Long.\n".to_owned() + &"\n".repeat(MAX_LINES);
    let body = "\n".repeat(MAX_FUNCTION_LINES);
    let function = format!("//! Of one function.\nimpl A {{ fn f() {{{body}}} }}");
    let unfinished = format!("//! Unfinished.\nfn f() {{ {}) }}", LEFTOVERS[4].concat());
    let hidden = format!("//! Hidden.\nfn f() {{ {} {{ g() }} }}", UNSAFE_KEYWORD.concat());
    for (path, text) in [
        ("src/a.rs", "fn f() {}"),
        ("src/b.rs", &hidden),
        ("sketches/src/c.rs", "//! Impure.\nuse std::time::Instant;"),
        ("src/d.rs", &long),
        ("src/g.rs", &function),
        ("src/e.rs", &unfinished),
        ("README.md", &LEFTOVERS[0].concat()),
    ] {
        let file = File { path: path.into(), text: text.into() };
        assert_eq!(faults(&file).len(), 1, "{path}: {:?}", faults(&file));
    }
    let good = format!("//! Good.\n// Nothing here is {}.\nfn f() {{}}", UNSAFE_KEYWORD.concat());
    assert_eq!(faults(&File { path: "src/f.rs".into(), text: good }), Vec::<String>::new());
}
