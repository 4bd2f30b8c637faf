//! Sentences: one that is too long to be read in one go is named.

use crate::pages::{Found, Page, Piece, without_code};

/// More words than this are two sentences.
const MOST_WORDS: usize = 40;

/// How many of the sentences of a page may have more than [`MANY_WORDS`] words, as a part of a hundred.
const MOST_LONG: usize = 6;
const MANY_WORDS: usize = 30;

/// Sentences of a page that are too long, and that too many are long.
pub fn faults(page: &Page) -> Vec<String> {
    let mut faults = Vec::new();
    let (mut all, mut long) = (0, Vec::new());
    for Found { line, piece } in &page.pieces {
        let Piece::Prose(text) = piece else { continue };
        for sentence in sentences(&plain(text)) {
            let words =
                sentence.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count();
            all += 1;
            if words > MANY_WORDS {
                long.push(format!("{}: {words} words: {sentence}", page.at(*line)));
            }
            if words > MOST_WORDS {
                faults.push(format!("{}: {words} words: {sentence}", page.at(*line)));
            }
        }
    }
    if long.len() > 2 && long.len() * 100 > all * MOST_LONG {
        faults.push(format!(
            "{}: {} of {all} sentences are long:\n{}",
            page.path,
            long.len(),
            long.join("\n")
        ));
    }
    faults
}

/// A paragraph as it is read: code is a word, a link its text, a cell of a table a sentence.
fn plain(text: &str) -> String {
    let text = without_code(text, "code");
    let mut parts = text.split("](");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain += part.split_once(')').map_or(part, |(_, rest)| rest);
    }
    plain.replace(['[', '*'], "").replace(" | ", ". ")
}

/// The sentences of a paragraph: each ends with a full stop, question or exclamation mark before white space. That of an
/// abbreviation would end one too early, which is in nobody's way.
fn sentences(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut start, bytes) = (0, text.as_bytes());
    for (place, pair) in bytes.windows(2).enumerate() {
        let ends = matches!(pair[0], b'.' | b'?' | b'!')
            || (matches!(pair[0], b')' | b'"')
                && place > 0
                && matches!(bytes[place - 1], b'.' | b'?' | b'!'));
        if ends && pair[1].is_ascii_whitespace() {
            found.push(text[start..=place].trim());
            start = place + 1;
        }
    }
    found.push(text[start..].trim());
    found
}
