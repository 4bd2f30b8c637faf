//! The README, `--help` and the configuration name the same settings.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use std::collections::BTreeSet;
use std::process::Command;

fn output(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_crest")).args(arguments).output().unwrap();
    assert!(output.status.success(), "crest {arguments:?}: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn readme() -> String {
    std::fs::read_to_string(common::root().join("README.md")).unwrap()
}

/// Every `--flag` in a text.
fn flags(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.filter(|word| word.starts_with("--") && word.len() > 3).map(str::to_owned).collect()
}

#[test]
fn the_table_of_settings_names_every_flag_and_no_other() {
    let readme = readme();
    let table = readme.split("## Settings").nth(1).unwrap().split("## ").next().unwrap();
    let mut offered = flags(&output(&["--help"]));
    offered.retain(|flag| !["--help", "--version"].contains(&flag.as_str()));
    assert_eq!(flags(table), offered);
}

#[test]
fn every_command_of_the_readme_uses_flags_that_there_are() {
    let readme = readme();
    let known: BTreeSet<String> =
        ["produce", "config", "state", "serve", "top", "item", "try", "backfill", "audit", "doctor"]
            .iter()
            .flat_map(|command| flags(&output(&[command, "--help"])))
            .chain(flags(&output(&["--help"])))
            .collect();
    let commands =
        readme.lines().filter(|line| line.starts_with("crest ") || line.starts_with("target/release/crest "));
    let mut seen = 0;
    for command in commands {
        let used = flags(command.split('#').next().unwrap());
        assert!(used.is_subset(&known), "{command}: {:?}", used.difference(&known));
        seen += 1;
    }
    assert!(seen >= 4, "only {seen} commands were found");
}

#[test]
fn every_key_of_the_effective_configuration_is_in_the_readme() {
    let readme = readme();
    for line in output(&["config"]).lines().filter(|line| line.contains(" = ")) {
        let key = line.split(" = ").next().unwrap().trim();
        assert!(readme.contains(key), "{key} is not in the README");
    }
}
