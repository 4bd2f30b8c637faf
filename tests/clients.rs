//! The client for Python with this program: its own tests, which start it, pass and leave nothing out.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::program::leashed;
use common::{root, skip};
use std::process::{Command, Stdio};

#[test]
fn the_tests_of_the_python_client_pass() {
    let version = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    if !version.is_ok_and(|status| status.success()) {
        return skip("the_tests_of_the_python_client_pass", "python3 is not installed");
    }
    let package = root().join("clients/python");
    let output = leashed("python3")
        .args(["-B", "-W", "error", "-m", "unittest", "discover", "-s", "tests", "-t", "."])
        .current_dir(&package)
        .env("PYTHONPATH", package.join("src"))
        .env("CREST_BIN", env!("CARGO_BIN_EXE_crest"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let ran =
        said.lines().find_map(|line| line.strip_prefix("Ran ")?.split(' ').next()?.parse::<usize>().ok());
    assert!(ran >= Some(20), "{said}");
    assert!(said.trim_end().ends_with("\nOK"), "something was left out: {said}");
}
