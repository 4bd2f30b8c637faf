//! Flags and keys: every one that a page types is one that there is, and every one that there is, is told of.

use crate::common::root;
use crate::pages::{Found, Page, Piece};
use std::collections::BTreeSet;
use std::process::Command;

fn output(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_crest")).args(arguments).output().unwrap();
    assert!(output.status.success(), "crest {arguments:?}: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Every `--flag` in a text.
fn flags(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.filter(|word| word.starts_with("--") && word.len() > 3).map(str::to_owned).collect()
}

/// The flags of the command that a line runs, by what `--help` says of it.
fn known(words: &[&str]) -> BTreeSet<String> {
    let command = words.first().filter(|word| word.chars().all(|c| c.is_ascii_lowercase()));
    let inner = words.get(1).filter(|_| command == Some(&"log"));
    let asked: Vec<&str> = command.into_iter().chain(inner).copied().chain(["--help"]).collect();
    flags(&output(&asked))
}

/// Commands of a page that type a flag that there is not.
pub fn faults(page: &Page) -> Vec<String> {
    let mut faults = Vec::new();
    for Found { line, piece } in &page.pieces {
        let Piece::Fence { language, text } = piece else { continue };
        if !["sh", "console"].contains(&language.as_str()) {
            continue;
        }
        for command in text.replace("\\\n", " ").lines().flat_map(|line| line.split(['|', ';', '&'])) {
            let command = command.split(" #").next().unwrap().trim().trim_start_matches("$ ");
            let words: Vec<&str> = command.split_whitespace().collect();
            let Some((&"crest" | &"target/release/crest", rest)) = words.split_first() else { continue };
            let (typed, known) = (flags(command), known(rest));
            for flag in typed.difference(&known) {
                faults.push(format!("{}: {command}: there is no {flag}", page.at(*line)));
            }
        }
    }
    faults
}

/// Flags of the job and keys of the effective configuration that docs/ has nowhere.
pub fn missing() -> Vec<String> {
    let read = |page: &str| std::fs::read_to_string(root().join(page)).unwrap();
    let (commands, configuration) = (read("docs/commands.md"), read("docs/configuration.md"));
    let flags =
        flags(&output(&["--help"])).into_iter().filter(|flag| *flag != "--help" && *flag != "--version");
    let keys = output(&["config"]);
    let keys = keys.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key.trim().to_owned());
    flags
        .filter(|flag| !commands.contains(flag.as_str()))
        .chain(keys.filter(|key| !configuration.contains(key.trim_matches('"'))))
        .collect()
}
