//! TOML as people write it: a section after the other, each key with its value on one line. Nothing in a text is left that
//! a terminal would obey.

use crate::text::is_obeyed;
use std::fmt::Write;
use toml::{Table, Value};

/// The keys that come first in their table, in this order; the others follow by name.
const ORDER: [&str; 22] = [
    "name",
    "url",
    "format",
    "framing",
    "compression",
    "csv",
    "pattern",
    "schema",
    "message",
    "registry",
    "each",
    "item",
    "type",
    "timestamp",
    "timestamp_format",
    "timezone",
    "delimiter",
    "quote",
    "header",
    "columns",
    "size",
    "slide",
];

/// A value on one line.
pub fn value(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(self::value).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Table(table) => format!("{{ {} }}", pairs(table).join(", ")),
        other => other.to_string(),
    }
}

/// `key = value`.
pub fn pair(name: &str, value: &Value) -> String {
    format!("{} = {}", key(name), self::value(value))
}

/// `key = value` for each key of a table.
pub fn pairs(table: &Table) -> Vec<String> {
    let place = |key: &str| ORDER.iter().position(|known| *known == key).unwrap_or(ORDER.len());
    let mut pairs: Vec<(&String, &Value)> = table.iter().collect();
    pairs.sort_by_key(|(key, _)| place(key));
    pairs.into_iter().map(|(key, value)| pair(key, value)).collect()
}

/// A key, in quotes where it needs them.
pub fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { quoted(name) }
}

/// A text in quotes: in those without escapes where it has something to escape, and may stand there.
pub fn quoted(text: &str) -> String {
    let has_marks = text.contains(['"', '\\']);
    if has_marks && !text.contains('\'') && !text.chars().any(is_obeyed) {
        return format!("'{text}'");
    }
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            c if is_obeyed(c) => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_written_as_people_write_them() {
        let table: Table =
            toml::from_str("b = [1, 'x']\na = { \"p.q\" = true, r = '\\d'}\nname = \"it's\"").unwrap();
        let expected = ["name = \"it's\"", "a = { \"p.q\" = true, r = '\\d' }", "b = [1, \"x\"]"];
        assert_eq!(pairs(&table), expected);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again_and_moves_no_cursor(text in "\\PC*|.*|[\\u{0}-\\u{1f}\\u{202e}'\"\\\\]{0,8}") {
            let written = pair(&text, &Value::from(text.clone()));
            prop_assert!(!written.chars().any(is_obeyed));
            let read: Table = toml::from_str(&written).unwrap();
            prop_assert_eq!(&read[&text], &Value::from(text.clone()));
        }
    }
}
