//! Patterns for the lines of known logs.

use super::lines::taken;
use crest_formats::decode::FormatSpec;
use std::collections::HashSet;
use std::fmt::Write;

/// The common log format of web servers, and the combined one, which adds two fields. A path is taken without its query.
const WEB_SERVER: &str = r#"^(?P<ip>\S+) \S+ (?P<user>\S+) \[(?P<time>[^\]]+)\] "(?P<method>\S+) (?P<path>[^?" ]+)[^"]*" (?P<status>\d+) (?P<bytes>\S+)(?: "(?P<referer>[^"]*)" "(?P<agent>[^"]*)")?"#;
/// Keys of logfmt that a pattern names.
const MAX_KEYS: usize = 24;
/// Bytes of a line that are looked at for keys.
const LOOKED_AT: usize = 16 << 10;

/// The pattern of a web server's access log, and its name, where the lines are one's.
pub fn web_server(lines: &[&str]) -> Option<(String, &'static str)> {
    let spec = FormatSpec::Text(WEB_SERVER.to_owned());
    let are = 2 * taken(&spec, lines) > lines.len();
    are.then(|| (WEB_SERVER.to_owned(), "a web server's access log"))
}

/// The pattern of lines of `key=value`, with the keys that most lines have in the order of the first one.
pub fn logfmt(lines: &[&str]) -> Option<String> {
    let has = |line: &str, key: &str| pairs(line).any(|(known, _)| known == key);
    let (mut keys, mut seen) = (Vec::new(), HashSet::new());
    for (key, _) in pairs(lines.first()?) {
        if keys.len() == MAX_KEYS {
            break;
        }
        if !seen.insert(key) || !is_group(key) {
            continue;
        }
        let holders = lines.iter().filter(|line| has(line, key)).count();
        if 10 * holders >= 9 * lines.len() {
            keys.push(key);
        }
    }
    if keys.len() < 2 {
        return None;
    }
    let mut pattern = String::from("(?:^|.*? )");
    for (index, key) in keys.iter().enumerate() {
        let mut values = lines.iter().filter_map(|line| pairs(line).find(|(k, _)| k == key));
        let gap = if index == 0 { "" } else { " (?:.*? )??" };
        let value = if values.all(|(_, value)| value.starts_with('"')) {
            r#""(?P<KEY>[^"]*)""#
        } else {
            r#"(?P<KEY>"[^"]*"|\S*)"#
        };
        // Writing to a string does not fail.
        let _ = write!(pattern, "{gap}{key}={}", value.replace("KEY", key));
    }
    let spec = FormatSpec::Text(pattern.clone());
    (10 * taken(&spec, lines) >= 9 * lines.len()).then_some(pattern)
}

/// The keys of a line, each with the text after it up to a space.
fn pairs(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let looked_at = &line[..line.floor_char_boundary(LOOKED_AT)];
    looked_at.split(' ').filter_map(|word| word.split_once('=').filter(|(key, _)| !key.is_empty()))
}

/// Whether a group of a pattern may be called so.
fn is_group(key: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && key.chars().all(is_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_apache_and_nginx_are_known() {
        let common = r#"192.0.2.7 - ann [29/Mar/2024:01:00:00 +0100] "GET /a?q=1 HTTP/1.1" 304 -"#;
        let combined = r#"::1 - - [29/Mar/2024:01:00:00 +0100] "GET / HTTP/1.1" 200 12 "-" "Mozilla/5.0""#;
        assert!(web_server(&[common, combined, "# rotated"]).is_some());
        assert_eq!(web_server(&[r#"{"path":"/"}"#, "a,b"]), None);
    }

    #[test]
    fn logfmt_is_taken_apart_by_the_keys_that_all_lines_have() {
        let lines = [
            r#"ts=2024-03-29T00:00:00Z level=info msg="a = b" path="/a" user=7"#,
            r#"ts=2024-03-29T00:00:01Z level=warn msg=slow host=x path="/b""#,
        ];
        let pattern = logfmt(&lines).unwrap();
        let mut decoder = FormatSpec::Text(pattern.clone()).decoder(None).unwrap().unwrap();
        let mut fields = |line: &str| {
            let mut json = Vec::new();
            decoder.decode(line.as_bytes(), &mut json).unwrap();
            String::from_utf8(json).unwrap()
        };
        assert_eq!(
            fields(lines[0]),
            r#"{"ts":"2024-03-29T00:00:00Z","level":"info","msg":"\"a = b\"","path":"/a"}"#
        );
        assert_eq!(
            fields(lines[1]),
            r#"{"ts":"2024-03-29T00:00:01Z","level":"warn","msg":"slow","path":"/b"}"#
        );
        let again = r#"ts=1 level=warn msg=slow path="/a" err='open path="/tmp"'"#;
        assert_eq!(
            fields(again),
            r#"{"ts":"1","level":"warn","msg":"slow","path":"/a"}"#,
            "the first one counts"
        );
        assert_eq!(logfmt(&["plain words", "and = more"]), None);
        let (long, many) = ("=".repeat(1 << 20), "k=v ".repeat(1 << 18));
        assert_eq!((logfmt(&[long.as_str(); 200]), logfmt(&[many.as_str(); 200])), (None, None));
    }
}
