//! How rows of CSV are written, and whether the first one names the columns.

use super::lines::taken;
use super::sample::cut;
use crate::file::CsvSection;
use crest_connectors::{Framing, OwnedRecord};
use crest_formats::decode::{CsvSpec, FormatSpec};
use serde_json::Value;
use std::collections::HashSet;

/// What is between fields, the likelier first.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// Columns that rows of CSV have at most.
const MAX_COLUMNS: usize = 1000;
/// Characters that the name of a column has at most.
const LONGEST_NAME: usize = 64;

/// The settings of CSV by which nine of ten rows have several fields, or one where `is_csv` says that they are CSV. A quoted
/// field may go over several of the lines. Without a header the columns are called `column_1` and so on.
pub fn guess(lines: &[&str], has_header: bool, is_csv: bool) -> Option<CsvSection> {
    let fewest = if is_csv { 1 } else { 2 };
    let of = |delimiter: u8| {
        let rows = rows(lines, delimiter)?;
        let mut rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let columns = fields(rows.first()?, delimiter)?.len();
        let spec = spec(delimiter, columns);
        // The lines may end in the middle of the last row.
        if rows.len() > 1 && taken(&spec, &rows[rows.len() - 1..]) == 0 {
            rows.pop();
        }
        let fits = 10 * taken(&spec, &rows) >= 9 * rows.len();
        (columns >= fewest && fits).then(|| (columns, delimiter, has_header && is_header(&rows, delimiter)))
    };
    // Of those that have as many columns, the first.
    let best = DELIMITERS.into_iter().filter_map(of).rev().max_by_key(|(columns, ..)| *columns);
    let (columns, delimiter, named) = best?;
    Some(CsvSection {
        delimiter: (delimiter != b',').then(|| char::from(delimiter).to_string()),
        header: (!named && has_header).then_some(false),
        columns: (!named).then(|| names(columns)),
        ..CsvSection::default()
    })
}

fn names(columns: usize) -> Vec<String> {
    (1..=columns).map(|number| format!("column_{number}")).collect()
}

fn spec(delimiter: u8, columns: usize) -> FormatSpec {
    FormatSpec::Csv(CsvSpec { delimiter, header: false, columns: Some(names(columns)), ..CsvSpec::default() })
}

/// The rows that the lines are, cut by this delimiter.
fn rows(lines: &[&str], delimiter: u8) -> Option<Vec<String>> {
    let framing = Framing::Csv { delimiter, quote: CsvSpec::default().quote, header: false };
    let cut = cut(lines.join("\n").into_bytes(), framing).ok()?;
    let text =
        |row: &OwnedRecord| row.record().payload.bytes().map(|row| String::from_utf8_lossy(row).into_owned());
    Some(cut.records.iter().filter_map(text).collect())
}

/// The fields of a row; empty ones are `""`.
fn fields(row: &str, delimiter: u8) -> Option<Vec<String>> {
    // Quoted fields may hold delimiters, so that there are as many columns as this or fewer.
    let most = row.bytes().filter(|byte| *byte == delimiter).count() + 1;
    (1..=most.min(MAX_COLUMNS)).rev().find_map(|columns| {
        let mut decoder = spec(delimiter, columns).decoder(None).ok()??;
        let mut json = Vec::new();
        decoder.decode(row.as_bytes(), &mut json).ok()?;
        let Value::Object(found) = serde_json::from_slice(&json).ok()? else { return None };
        let field = |name: String| found.get(&name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Some(names(columns).into_iter().map(field).collect())
    })
}

/// Whether the first row names the columns: short texts that are no numbers, and stand in no other row. Up to a third of
/// them may be empty or there twice.
fn is_header(lines: &[&str], delimiter: u8) -> bool {
    let Some(header) = lines.first().and_then(|row| fields(row, delimiter)) else { return false };
    let is_name = |name: &String| {
        let begins =
            name.trim().starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '@' | '$' | '#'));
        name.is_empty() || begins && name.chars().count() <= LONGEST_NAME && !name.contains("://")
    };
    let different: HashSet<&String> = header.iter().filter(|name| !name.is_empty()).collect();
    // Every file has the header again.
    let rows = lines[1..].iter().filter(|row| *row != &lines[0]).filter_map(|row| fields(row, delimiter));
    header.iter().all(is_name)
        && 3 * (header.len() - different.len()) <= header.len()
        && !rows
            .into_iter()
            .any(|row| row.iter().zip(&header).any(|(field, name)| field == name && !name.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_and_the_header_are_found() {
        let header = |lines: &[&str]| guess(lines, true, false);
        let rows =
            ["at,\"the, name\",price", "2024-03-29 00:00:00,\"a, b\",\"1,5\"", "2024-03-29 00:00:01,c,2"];
        assert_eq!(header(&rows), Some(CsvSection::default()));
        assert_eq!(header(&[&rows[..], &rows[..]].concat()), Some(CsvSection::default()), "of two files");
        let over_lines: Vec<String> =
            (0..50).flat_map(|n| [format!("{n},\"a"), format!("b, {n}\",x")]).collect();
        let over_lines: Vec<&str> =
            ["n,text,more"].into_iter().chain(over_lines.iter().map(String::as_str)).collect();
        assert_eq!(header(&over_lines), Some(CsvSection::default()), "each row goes over two lines");
        assert_eq!(
            header(&over_lines[..100]),
            Some(CsvSection::default()),
            "and the last one ends in the middle"
        );
        for names in [",at,name", "at,name,name"] {
            assert_eq!(header(&[names, "0,1,a", "1,2,c"]), Some(CsvSection::default()), "{names}");
        }
        let semicolons = CsvSection { delimiter: Some(";".into()), ..CsvSection::default() };
        assert_eq!(header(&["at;name;price", "1;a;1,5", "2;b;2,5"]), Some(semicolons));
        let unnamed = CsvSection {
            delimiter: Some("\t".into()),
            header: Some(false),
            columns: Some(names(3)),
            ..CsvSection::default()
        };
        assert_eq!(header(&["72\ta b\t881250949", "61\tc\t881250950"]), Some(unnamed));
        let in_kafka = CsvSection { columns: Some(names(2)), ..CsvSection::default() };
        assert_eq!(guess(&["at,name", "1,a"], false, false), Some(in_kafka), "no header is in a topic");
        assert_eq!(
            header(&["GET,a", "PUT,b", "GET,c"]).unwrap().header,
            Some(false),
            "its field is in a row"
        );
    }

    #[test]
    fn what_is_not_in_columns_is_no_csv() {
        assert_eq!(guess(&["a line of words", "another one, with a comma"], true, false), None);
        assert_eq!(guess(&["word", "other"], true, true).unwrap().columns, None);
        assert_eq!(guess(&["word", "other"], true, false), None);
    }
}
