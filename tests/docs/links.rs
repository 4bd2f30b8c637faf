//! Links: those to pages and headings of the repository must lead somewhere, and those of the book stay in it.

use crate::common::root;
use crate::pages::{Found, Page, Piece, without_code};
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

/// Links of a page that lead nowhere.
pub fn faults(page: &Page) -> Vec<String> {
    let mut faults = Vec::new();
    for Found { line, piece } in &page.pieces {
        let (Piece::Prose(text) | Piece::Heading(text)) = piece else { continue };
        for target in targets(&without_code(text, "code")) {
            if let Err(reason) = follow(page, &target) {
                faults.push(format!("{}: ({target}) {reason}", page.at(*line)));
            }
        }
    }
    faults
}

/// What is linked to: `](target)`.
fn targets(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

fn follow(page: &Page, target: &str) -> Result<(), String> {
    if ["http://", "https://"].iter().any(|scheme| target.starts_with(scheme)) {
        return Ok(());
    }
    let (path, heading) =
        target.split_once('#').map_or((target, None), |(path, heading)| (path, Some(heading)));
    let path = if path.is_empty() { PathBuf::from(&page.path) } else { plain(&page.folder().join(path)) };
    if page.path.starts_with("docs/") && !path.starts_with("docs") {
        return Err("leaves the book, whose readers have only docs/".into());
    }
    if !root().join(&path).exists() {
        return Err("is not there".into());
    }
    let Some(heading) = heading else { return Ok(()) };
    let target = Page::read(path.to_str().unwrap());
    if anchors(&target).any(|anchor| anchor == heading) {
        return Ok(());
    }
    Err(format!("{} has no such heading", path.display()))
}

/// A path without `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
        plain
    })
}

/// By which name a heading can be linked to, here and in the book.
fn anchors(page: &Page) -> impl Iterator<Item = String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    page.headings().map(move |heading| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase();
        let count = seen.entry(anchor.clone()).or_default();
        *count += 1;
        if *count == 1 { anchor } else { format!("{anchor}-{}", *count - 1) }
    })
}

/// The pages that the list of the book has, sorted.
pub fn of_the_book() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let mut listed = targets(&text);
    listed.sort();
    listed
}
