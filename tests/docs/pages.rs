//! The pages, taken apart into headings, fenced blocks, comments and paragraphs.

use crate::common::root;
use std::path::{Path, PathBuf};

/// A page, by its path from the root of the repository.
pub struct Page {
    pub path: String,
    pub pieces: Vec<Found>,
}

/// A piece of a page, and the line at which it begins, from 1.
pub struct Found {
    pub line: usize,
    pub piece: Piece,
}

/// What a page consists of.
pub enum Piece {
    /// Without its signs.
    Heading(String),
    /// A fenced block, with its language.
    Fence { language: String, text: String },
    /// A comment that readers do not see.
    Comment(String),
    /// A paragraph, an item of a list or a row of a table, as one line.
    Prose(String),
}

impl Page {
    /// Reads a page.
    pub fn read(path: &str) -> Page {
        let text =
            std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Page { path: path.to_owned(), pieces: pieces(&text) }
    }

    /// Where a piece is, for whoever has to mend it.
    pub fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }

    /// The folder that its links begin in.
    pub fn folder(&self) -> PathBuf {
        Path::new(&self.path).parent().unwrap().to_path_buf()
    }

    /// Its headings.
    pub fn headings(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|found| match &found.piece {
            Piece::Heading(text) => Some(text.as_str()),
            _ => None,
        })
    }
}

/// README.md and all of docs/.
pub fn all() -> Vec<Page> {
    let book = of_the_book().into_iter().map(|path| format!("docs/{path}"));
    std::iter::once("README.md".to_owned()).chain(book).map(|path| Page::read(&path)).collect()
}

/// The pages of docs/, by their paths from there, without the list of them.
pub fn of_the_book() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                found.push(path.strip_prefix(root().join("docs")).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.retain(|path| path != "SUMMARY.md");
    found.sort();
    found
}

/// Takes a page apart.
fn pieces(text: &str) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut lines = (1..).zip(text.lines()).peekable();
    let mut paragraph: Option<(usize, String)> = None;
    while let Some((line, text)) = lines.next() {
        let trimmed = text.trim_start();
        let is_own =
            ["- ", "* ", "| ", "> "].iter().any(|sign| trimmed.starts_with(sign)) || is_numbered(trimmed);
        let is_other =
            trimmed.is_empty() || ["#", "```", "<!--"].iter().any(|sign| trimmed.starts_with(sign));
        if (is_own || is_other)
            && let Some((line, text)) = paragraph.take()
        {
            found.push(Found { line, piece: Piece::Prose(text) });
        }
        if trimmed.starts_with("```") {
            let indent = text.len() - trimmed.len();
            let mut block = String::new();
            for (_, inner) in lines.by_ref().take_while(|(_, inner)| !inner.trim_start().starts_with("```")) {
                block += inner.get(indent..).unwrap_or("");
                block.push('\n');
            }
            let language = trimmed.trim_start_matches('`').trim().to_owned();
            found.push(Found { line, piece: Piece::Fence { language, text: block } });
        } else if trimmed.starts_with("<!--") {
            let mut comment = trimmed.to_owned();
            while !comment.contains("-->") {
                let Some((_, more)) = lines.next() else { break };
                comment.push('\n');
                comment += more;
            }
            let comment = comment.trim_start_matches("<!--").split("-->").next().unwrap().trim().to_owned();
            found.push(Found { line, piece: Piece::Comment(comment) });
        } else if trimmed.starts_with('#') {
            let text = trimmed.trim_start_matches('#').trim().to_owned();
            found.push(Found { line, piece: Piece::Heading(text) });
        } else if !trimmed.is_empty() {
            let (_, all) = paragraph.get_or_insert((line, String::new()));
            if !all.is_empty() {
                all.push(' ');
            }
            *all += trimmed.trim_end();
        }
    }
    if let Some((line, text)) = paragraph {
        found.push(Found { line, piece: Piece::Prose(text) });
    }
    found
}

/// Whether a line begins with `1. `.
fn is_numbered(line: &str) -> bool {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && line[digits..].starts_with(". ")
}

/// A text without what is in backquotes, of which `word` is left.
pub fn without_code(text: &str, word: &str) -> String {
    text.split('`').enumerate().map(|(place, part)| if place % 2 == 0 { part } else { word }).collect()
}
