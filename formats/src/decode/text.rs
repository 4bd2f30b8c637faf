//! Lines of text, taken apart by a regular expression: each named group is a field.

use super::contract::{Decode, Undecoded};
use super::error::FormatError;
use super::json_text::{key, push_comma, push_text};
use crate::refusal::Refusal;
use regex::{CaptureLocations, Regex};

/// Reads lines by a pattern. A line that does not match is malformed, and a group that took no part is absent.
pub(super) struct Text {
    pattern: Regex,
    found: CaptureLocations,
    groups: Vec<Group>,
}

/// A named group of the pattern.
struct Group {
    number: usize,
    name: String,
    /// The name with its quotes and its colon.
    key: Box<[u8]>,
    is_asked: bool,
}

impl Text {
    pub(super) fn new(pattern: &str) -> Result<Self, FormatError> {
        let refuse = |reason: String| FormatError::new("source.pattern", format!("{pattern:?}"), reason);
        let regex = Regex::new(pattern).map_err(|error| refuse(last_line(&error.to_string())))?;
        let group = |(number, name): (usize, Option<&str>)| {
            name.map(|name| Group { number, name: name.to_owned(), key: key(name), is_asked: true })
        };
        let groups: Vec<Group> = regex.capture_names().enumerate().filter_map(group).collect();
        if groups.is_empty() {
            return Err(refuse("must name what it finds, as in (?P<path>\\S+)".into()));
        }
        Ok(Text { found: regex.capture_locations(), pattern: regex, groups })
    }
}

/// What is wrong; the lines before it show where.
fn last_line(error: &str) -> String {
    error.lines().last().unwrap_or(error).trim_start_matches("error: ").to_owned()
}

impl Decode for Text {
    fn decode(&mut self, payload: &[u8], json: &mut Vec<u8>) -> Result<(), Undecoded> {
        let line = simdutf8::basic::from_utf8(payload).map_err(|_| Refusal::InvalidUtf8)?;
        if self.pattern.captures_read(&mut self.found, line).is_none() {
            return Err(Refusal::Malformed.into());
        }
        json.push(b'{');
        for group in self.groups.iter().filter(|group| group.is_asked) {
            if let Some((start, end)) = self.found.get(group.number) {
                push_comma(json);
                json.extend_from_slice(&group.key);
                push_text(json, &line[start..end]);
            }
        }
        json.push(b'}');
        Ok(())
    }

    fn only(&mut self, names: &[String]) {
        for group in &mut self.groups {
            group.is_asked = names.contains(&group.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &mut Text, line: &[u8]) -> Result<String, Undecoded> {
        let mut json = Vec::new();
        text.decode(line, &mut json).map(|()| String::from_utf8(json).unwrap())
    }

    #[test]
    fn named_groups_are_fields() {
        let mut text =
            Text::new(r#"^(?P<ip>\S+) "(?P<method>[A-Z]+) (?P<path>\S+)"(?: (?P<status>\d+))?"#).unwrap();
        assert_eq!(
            decoded(&mut text, br#"::1 "GET /a\b" 200 -"#).unwrap(),
            r#"{"ip":"::1","method":"GET","path":"/a\\b","status":"200"}"#
        );
        assert_eq!(
            decoded(&mut text, br#"::1 "GET /""#).unwrap(),
            r#"{"ip":"::1","method":"GET","path":"/"}"#,
            "a group that took no part is absent"
        );
        text.only(&["path".into(), "agent".into()]);
        assert_eq!(decoded(&mut text, br#"::1 "GET /" 200"#).unwrap(), r#"{"path":"/"}"#);
        assert_eq!(decoded(&mut text, b"nothing"), Err(Undecoded::Refused(Refusal::Malformed)));
        assert_eq!(decoded(&mut text, b"\xff"), Err(Undecoded::Refused(Refusal::InvalidUtf8)));
    }

    #[test]
    fn a_pattern_that_finds_nothing_by_name_is_refused() {
        let refused = |pattern| Text::new(pattern).err().unwrap().to_string();
        assert_eq!(
            refused(r"^(\S+)$"),
            r#"source.pattern = "^(\\S+)$": must name what it finds, as in (?P<path>\S+)"#
        );
        assert_eq!(refused("(?P<a>"), r#"source.pattern = "(?P<a>": unclosed group"#);
        assert!(refused(r"(?P<a>\w{1000}{1000}{1000})").contains("size limit"), "it is bounded in memory");
    }
}
