//! Lines of text, and how many of them a format takes.

use crest_formats::decode::{FormatSpec, Undecoded};

/// How many of the lines a format takes.
pub fn taken(spec: &FormatSpec, lines: &[&str]) -> usize {
    let Ok(Some(mut decoder)) = spec.decoder(None) else { return 0 };
    let mut json = Vec::new();
    let mut takes = |line: &&&str| {
        json.clear();
        !matches!(decoder.decode(line.as_bytes(), &mut json), Err(Undecoded::Refused(_)))
    };
    lines.iter().filter(|line| takes(line)).count()
}
