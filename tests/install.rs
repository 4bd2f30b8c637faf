//! What helps to install the program and to type its commands: the version with its commit, completions, manual pages.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

#[path = "../build/commit.rs"]
mod commit;
mod common;

use common::{new_folder, root, skip};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn crest(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_crest")).args(arguments).output().unwrap();
    assert!(output.status.success(), "crest {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn git(dir: &Path, arguments: &[&str]) -> Output {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"];
    let output = Command::new("git").arg("-C").arg(dir).args(identity).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
    output
}

#[test]
fn the_version_is_that_of_the_package() {
    let version = crest(&["--version"]);
    assert!(version.starts_with(&format!("crest {}", env!("CARGO_PKG_VERSION"))), "{version}");
    assert_eq!(version.lines().count(), 1);
}

#[test]
fn the_commit_is_told_of_a_repository_and_of_an_archive_and_nothing_is_made_up() {
    let dir = new_folder("commit");
    let tree = dir.join("tree");
    fs::create_dir_all(tree.join("build")).unwrap();
    assert_eq!(commit::of(&tree), None, "a folder without git");
    for file in ["build/archived.txt", ".gitattributes"] {
        fs::copy(root().join(file), tree.join(file)).unwrap();
    }
    fs::write(tree.join("file"), "1").unwrap();
    assert_eq!(commit::of(&tree), None, "no archive was made yet");
    git(&tree, &["init", "-q"]);
    git(&tree, &["add", "."]);
    git(&tree, &["commit", "-qm", "a"]);
    let said = String::from_utf8(git(&tree, &["log", "-1", "--format=%h of %cs"]).stdout).unwrap();
    let said = said.trim();
    assert_eq!(commit::of(&tree).as_deref(), Some(said));
    assert!(commit::moves(&tree).iter().any(|path| path.ends_with("logs/HEAD")));
    fs::write(tree.join("file"), "2").unwrap();
    assert_eq!(commit::of(&tree), Some(format!("{said}, changed")));

    // An archive within the work tree of another repository is not of that one.
    let tar = git(&tree, &["archive", "HEAD"]).stdout;
    let outer = dir.join("outer");
    let unpacked = outer.join("crest");
    fs::create_dir_all(&unpacked).unwrap();
    git(&outer, &["init", "-q"]);
    git(&outer, &["commit", "-qm", "b", "--allow-empty"]);
    fs::write(dir.join("tar"), tar).unwrap();
    let tar = Command::new("tar").arg("-xf").arg(dir.join("tar")).arg("-C").arg(&unpacked).status().unwrap();
    assert!(tar.success());
    assert_eq!(commit::of(&unpacked).as_deref(), Some(said));
    // A work tree beside the first one.
    let beside = dir.join("beside");
    git(&tree, &["worktree", "add", "-q", beside.to_str().unwrap()]);
    assert_eq!(commit::of(&beside).as_deref(), Some(said));
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_shell_completes_commands_and_options() {
    let script = crest(&["completions", "bash"]);
    let dir = new_folder("completions");
    let file = dir.join("crest");
    fs::write(&file, script).unwrap();
    let complete = |words: &str| {
        let ask = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
            _crest crest \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            file.display()
        );
        let output = Command::new("bash").args(["--norc", "-c", &ask]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete("crest doct"), ["doctor"]);
    assert_eq!(complete("crest --idle"), ["--idle-timeout"]);
    assert_eq!(complete("crest top --wat"), ["--watch"]);
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(crest(&["completions", shell]).contains("doctor"), "{shell}");
    }
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn each_command_has_a_page_that_man_can_show() {
    let dir = new_folder("man");
    let folder = dir.join("man1");
    crest(&["man", folder.to_str().unwrap()]);
    let page = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    for command in ["archive", "audit", "config", "doctor", "log-salvage", "serve", "state", "top", "try"] {
        assert!(page(&format!("crest-{command}.1")).contains(".TH crest"), "{command}");
    }
    assert!(page("crest-doctor.1").contains("idle"), "its options are in it");
    match Command::new("man")
        .args(["--warnings", "-l"])
        .arg(folder.join("crest.1"))
        .env("MANPAGER", "cat")
        .output()
    {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success() && text.contains("SUBCOMMANDS"), "{output:?}");
        }
        Err(_) => skip("a page shown by man", "man is not installed"),
    }
    fs::remove_dir_all(dir).unwrap();
}
