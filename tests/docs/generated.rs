//! The parts of pages that are made from the code, between `<!-- made from …` and `<!-- end of what is made -->`.

use crate::common::root;

const BEGIN: &str = "<!-- made from ";
const END: &str = "<!-- end of what is made -->";

/// Compares what stands between the marks of a page with what the code gives. Where `CREST_WRITE_DOCS` is set, as
/// `scripts/docs` does, it is written there instead.
pub fn check(page: &str, made: &str) {
    let path = root().join(page);
    let text = std::fs::read_to_string(&path).unwrap();
    let begin = text.find(BEGIN).unwrap_or_else(|| panic!("{page} lacks {BEGIN}"));
    let begin = begin + text[begin..].find("-->\n").unwrap() + "-->\n".len();
    let end = text.find(END).unwrap_or_else(|| panic!("{page} lacks {END}"));
    let made = format!("\n{}\n\n", made.trim());
    if std::env::var_os("CREST_WRITE_DOCS").is_some() {
        std::fs::write(&path, format!("{}{made}{}", &text[..begin], &text[end..])).unwrap();
        return;
    }
    let other = made.lines().zip(text[begin..end].lines()).find(|(made, written)| made != written);
    assert!(
        text[begin..end] == made,
        "{page} is not what the code gives (scripts/docs writes it): {other:#?}"
    );
}

/// A text as a cell of a table: in one line, and no bar in it ends the cell.
pub fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// A text with the signs at its end that make it a sentence.
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '?', '!', ':']) { text.to_owned() } else { format!("{text}.") }
}
