//! Event data as people have it: the folders of `tests/cases` hold an input each, the configuration that must read it, and
//! the right answer, which comes from what made the input. `want.json` has of each board the total and all items, by count
//! and id descending, in the window `all`, and how many events are refused for which reason.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::program::{Crest, path};
use common::{new_folder, root};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

struct Case {
    name: String,
    config: PathBuf,
    input: PathBuf,
    want: Value,
}

fn cases() -> Vec<Case> {
    let folders = std::fs::read_dir(root().join("tests/cases")).unwrap();
    let mut folders: Vec<PathBuf> = folders.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let case = |folder: PathBuf| {
        let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let is_input = |path: &PathBuf| {
            let name = path.file_name().unwrap();
            name != "crest.toml" && name != "want.json"
        };
        let inputs: Vec<PathBuf> = files.filter(is_input).collect();
        let [input] = inputs.as_slice() else { panic!("{}: {inputs:?}", folder.display()) };
        Case {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            config: folder.join("crest.toml"),
            input: input.clone(),
            want: serde_json::from_slice(&std::fs::read(folder.join("want.json")).unwrap()).unwrap(),
        }
    };
    folders.into_iter().map(case).collect()
}

/// What a run over a source says, in the form of `want.json`, and whether it counted anything.
fn run(case: &Case, folder: &Path, source: &str, input: Option<&Path>) -> (Value, bool) {
    let summary = folder.join("summary.json");
    let arguments = [
        "--config",
        path(&case.config),
        "--source",
        source,
        "--snapshots",
        "-",
        "--summary",
        path(&summary),
        "-k",
        "1000",
    ];
    let input = input.map_or(&[][..], |input| std::fs::read(input).unwrap().leak());
    let mut crest = Crest::spawn_reading(input, arguments);
    let status = crest.wait(std::time::Duration::from_secs(60));
    let mut boards = BTreeMap::new();
    for line in crest.stdout() {
        let ranking: Value = serde_json::from_str(&line).unwrap();
        if ranking["window"] == "all" && ranking["group"] == json!({}) {
            let items: Vec<_> = ranking["items"].as_array().unwrap().iter().collect();
            let items: Vec<_> = items.iter().map(|item| json!([item["item_id"], item["count"]])).collect();
            let board = ranking["board"].as_str().unwrap().to_owned();
            assert!(boards.insert(board, json!({ "total": ranking["total"], "items": items })).is_none());
        }
    }
    let summary: Value = serde_json::from_slice(&std::fs::read(&summary).unwrap_or_else(|error| {
        panic!("{}: {error}: {}", case.name, crest.describe());
    }))
    .unwrap();
    (json!({ "boards": boards, "refused": summary["refused"] }), status.success())
}

/// The same case for standard input, which has no name that could say its format.
fn as_stream(case: &Case, folder: &Path) -> Case {
    let mut text = std::fs::read_to_string(&case.config).unwrap();
    if case.input.extension().is_some_and(|extension| extension == "csv") {
        text = format!("[source]\nformat = \"csv\"\n{text}");
    }
    let config = folder.join("stream.toml");
    std::fs::write(&config, text).unwrap();
    Case { name: case.name.clone(), config, input: case.input.clone(), want: case.want.clone() }
}

#[test]
fn each_input_is_read_as_its_configuration_says_from_a_file_and_from_standard_input() {
    let folder = new_folder("cases");
    let cases = cases();
    assert!(cases.len() >= 30);
    for case in &cases {
        let right = (case.want.clone(), case.want["boards"] != json!({}));
        let source = format!("file:{}", path(&case.input));
        assert_eq!(run(case, &folder, &source, None), right, "{}", case.name);
        let streamed = as_stream(case, &folder);
        assert_eq!(run(&streamed, &folder, "-", Some(&case.input)), right, "{} as a stream", case.name);
    }
}

#[test]
fn each_case_is_in_the_documentation() {
    let text = std::fs::read_to_string(root().join("docs/formats.md")).unwrap();
    for Case { name, .. } in cases() {
        assert!(text.contains(&format!("(../tests/cases/{name}/crest.toml)")), "{name}");
    }
}
