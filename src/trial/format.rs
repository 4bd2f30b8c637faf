//! What the records of a sample are, by their bytes: JSON, CSV, lines of a log, or of a schema registry.

use super::csv;
use super::log_lines;
use super::sample::Sample;
use crate::file::CsvSection;

/// Records that are looked at.
const MOST: usize = 200;
/// The frame that a schema registry's clients put before a record: a zero and the id of its schema, four bytes long.
const FRAME_BYTES: usize = 5;
/// Characters of a line that a message shows.
const SHOWN: usize = 120;

/// The format of a sample.
#[derive(Debug, PartialEq)]
pub enum Format {
    /// JSON.
    Json,
    /// Records with the id of their schema before them; here are the different ones, in their order.
    Framed(Vec<u32>),
    /// Rows of CSV.
    Csv(CsvSection),
    /// Lines that a pattern takes apart, and what they are.
    Text(String, &'static str),
}

/// Why the format of a sample is not known.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// There is nothing to look at.
    #[error("the records have no bytes: each is a tombstone or longer than 1 MiB")]
    Nothing,
    /// Bytes that are neither text nor framed.
    #[error(
        "the records are neither text nor framed by a schema registry: where they are Avro or Protobuf, name their schema \
         with --schema FILE; they begin with {0}"
    )]
    Binary(String),
    /// The same in what is no topic.
    #[error("it is no text in UTF-8: it begins with {0}; Avro and Protobuf are read from Kafka only")]
    BinaryFile(String),
    /// Text of no known form.
    #[error(
        "the records are lines of text that are neither JSON nor CSV nor a known log. Under [source] of a --config file, \
         add format = \"text\" and a pattern with named groups, such as pattern = '^(?P<item>\\S+) (?P<time>\\S+)'. The \
         first line is: {0}"
    )]
    Text(String),
}

/// The format of a sample. `is_file` says whether it may have a header of CSV, and no
/// framed or binary records; `is_csv` that the name of the file
/// says that it is CSV.
///
/// # Errors
/// It is not known.
pub fn guess(sample: &Sample, is_file: bool, is_csv: bool) -> Result<Format, Unknown> {
    let records: Vec<&[u8]> = sample.all().filter_map(|record| record.payload.bytes()).take(MOST).collect();
    let Some(first) = records.first() else { return Err(Unknown::Nothing) };
    let most = |is: &dyn Fn(&[u8]) -> bool| 2 * records.iter().filter(|r| is(r)).count() > records.len();
    if most(&|record| is_json(record)) {
        return Ok(Format::Json);
    }
    if !is_file && most(&|record| record.len() > FRAME_BYTES && record[0] == 0) {
        let framed = records.iter().filter(|record| record.len() > FRAME_BYTES && record[0] == 0);
        let mut ids = Vec::new();
        for id in framed.filter_map(|record| record[1..].first_chunk()).map(|id| u32::from_be_bytes(*id)) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        return Ok(Format::Framed(ids));
    }
    if !most(&|record| is_text(record)) {
        let begin: Vec<String> = first.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let begin = begin.join(" ");
        return Err(if is_file { Unknown::BinaryFile(begin) } else { Unknown::Binary(begin) });
    }
    let lines: Vec<&str> = records.iter().filter_map(|record| std::str::from_utf8(record).ok()).collect();
    if let Some((pattern, what)) = log_lines::web_server(&lines) {
        return Ok(Format::Text(pattern, what));
    }
    if let Some(section) = csv::guess(&lines, is_file, is_csv) {
        return Ok(Format::Csv(section));
    }
    if let Some(pattern) = log_lines::logfmt(&lines) {
        return Ok(Format::Text(pattern, "lines of key=value"));
    }
    Err(Unknown::Text(lines[0].chars().take(SHOWN).flat_map(char::escape_debug).collect()))
}

/// An object, or an array, which may hold events.
fn is_json(record: &[u8]) -> bool {
    let begins = record.trim_ascii_start().first().is_some_and(|first| matches!(first, b'{' | b'['));
    begins && serde_json::from_slice::<serde::de::IgnoredAny>(record).is_ok()
}

fn is_text(record: &[u8]) -> bool {
    let is_odd = |byte: &u8| *byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
    std::str::from_utf8(record).is_ok() && !record.iter().any(is_odd)
}
