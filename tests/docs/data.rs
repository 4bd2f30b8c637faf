//! The kinds of data of docs/data.md: the cases that `tests/cases.rs` counts, each with its configuration and its beginning.

use crate::common::root;
use std::fmt::Write;
use std::path::Path;

/// As much of an input is shown.
const MOST_BYTES: usize = 400;

/// Made from the cases.
pub fn text() -> String {
    let folder = root().join("tests/cases");
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let mut page = String::new();
    for case in names {
        let name = case.file_name().unwrap().to_str().unwrap().replace('_', " ");
        let config = std::fs::read_to_string(case.join("crest.toml")).unwrap();
        let (meaning, config) = config.strip_prefix("# ").unwrap().split_once('\n').unwrap();
        let _ = writeln!(page, "## {}\n\n{meaning}.\n", capital(&name));
        if let Some(first) = beginning(&case) {
            let _ = writeln!(page, "```text\n{first}\n```\n");
        }
        let _ = writeln!(page, "```toml\n{}\n```\n", config.trim());
    }
    page
}

fn capital(name: &str) -> String {
    name[..1].to_uppercase() + &name[1..]
}

/// The first line of the input, or as much of it as can be shown; none where it is compressed.
fn beginning(case: &Path) -> Option<String> {
    let others = ["crest.toml", "want.json"];
    let mut files: Vec<_> = std::fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| !others.contains(&file.file_name().unwrap().to_str().unwrap()));
    files.sort();
    let text = String::from_utf8(std::fs::read(files.first()?).unwrap()).ok()?;
    let first = text.trim_start_matches('\u{feff}').lines().next()?;
    let end = first.char_indices().map(|(place, _)| place).find(|place| *place >= MOST_BYTES);
    Some(end.map_or(first.to_owned(), |end| format!("{} …", &first[..end])))
}
