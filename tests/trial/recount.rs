//! Counts the items of the cases' inputs, by a reader of JSON, CSV and access logs that is not the program's.

use flate2::read::MultiGzDecoder;
use serde_json::Value;
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

/// Items with their counts: the most first, and of equal ones the greater id.
pub type Ranking = Vec<(String, u64)>;

/// The ranking of these items.
pub fn ranked(items: impl IntoIterator<Item = String>) -> Ranking {
    let mut counts: HashMap<String, u64> = HashMap::new();
    items.into_iter().for_each(|item| *counts.entry(item).or_default() += 1);
    let mut ranking: Ranking = counts.into_iter().collect();
    ranking.sort_by(|(a, n), (b, m)| m.cmp(n).then(b.cmp(a)));
    ranking
}

/// The ranking of the items of a file: what the names in `item` lead to in each element of the array that the names in
/// `each` lead to, or in each record where that is empty.
pub fn recount(input: &Path, each: &str, item: &str) -> Ranking {
    let text = text(input);
    if item == "path" && text.contains("HTTP/1.1") {
        // The path is the second word of what is in quotes, up to its query.
        let path =
            |line: &str| Some(line.split('"').nth(1)?.split(' ').nth(1)?.split('?').next()?.to_owned());
        return ranked(text.lines().filter_map(path));
    }
    if let Some(column) = item.strip_prefix("column_") {
        let column: usize = column.parse().unwrap();
        return ranked(text.lines().map(|row| row.split('\t').nth(column - 1).unwrap().to_owned()));
    }
    if !text.starts_with(['{', '[']) {
        let mut rows = csv_rows(&text);
        let header = rows.remove(0);
        let column = header.iter().position(|name| name == item).unwrap();
        return ranked(rows.into_iter().map(|row| row[column].clone()));
    }
    let records = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let records: Vec<Value> = records.map(Result::unwrap).collect();
    let mut elements: Vec<&Value> = records.iter().collect();
    for name in each.split('.').filter(|name| !name.is_empty()) {
        let (name, is_array) = (name.trim_end_matches("[*]"), name.ends_with("[*]"));
        elements = elements.into_iter().filter_map(|element| element.get(name)).collect();
        if is_array {
            elements = elements.into_iter().flat_map(|array| array.as_array().unwrap()).collect();
        }
    }
    let found = |element: &Value| match element.pointer(&format!("/{}", item.replace('.', "/")))? {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Null | Value::Object(_) | Value::Array(_) => None,
        other => Some(other.to_string()),
    };
    ranked(elements.into_iter().filter_map(found))
}

fn text(input: &Path) -> String {
    let bytes = std::fs::read(input).unwrap();
    let mut text = String::new();
    match input.extension().unwrap() == "gz" {
        true => MultiGzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap(),
        false => bytes.as_slice().read_to_string(&mut text).unwrap(),
    };
    text
}

/// The rows of CSV with commas, byte by byte.
fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut is_quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => row.push(std::mem::take(&mut field)),
            '\n' if !is_quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            c => field.push(c),
        }
    }
    rows
}
