//! Paths: how a configuration names a field of a nested event.
//!
//! A path is the subset of JSONPath (RFC 9535) that leads to places in one record: names (`data.item_id`), quoted names
//! (`['url.path']`), elements of an array (`[0]`, `[-1]`, `[*]`) and one filter on a member (`[?@.key=='http.route']`).
//! It begins at the event. One that begins with `$` begins at the record; the two differ only where each element of an
//! array is an event. `@` alone is the event itself.
//!
//! ```
//! use crest_formats::path::{Path, Step};
//! let path: Path = "$.items[0].id".parse()?;
//! assert!(path.from_record);
//! assert_eq!(path.steps, [Step::Key("items".into()), Step::Index(0), Step::Key("id".into())]);
//!
//! let error = "items[x]".parse::<Path>().unwrap_err();
//! assert_eq!(error.to_string(), "the path \"items[x]\" makes no sense at \"x]\": a number, *, a quoted name or a filter such as ?@.key=='text' must follow [");
//! # Ok::<(), crest_formats::path::PathError>(())
//! ```

use std::str::FromStr;

/// A path, parsed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// Whether it begins at the record, rather than at the event.
    pub from_record: bool,
    /// The steps from there. Without any, it is the value where it begins.
    pub steps: Vec<Step>,
}

/// A step of a path, from a value into it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The member of an object by this name.
    Key(Box<str>),
    /// The element of an array at this index; a negative one counts from the end.
    Index(i64),
    /// Every element of an array.
    All,
    /// The elements of an array that hold this text under these names.
    Where(Vec<Box<str>>, Box<str>),
}

/// Text that is not a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path {path:?} makes no sense at {rest:?}: {reason}")]
pub struct PathError {
    /// All of the path.
    pub path: String,
    /// The part that cannot be read.
    pub rest: String,
    /// What is wrong, or what is allowed there.
    pub reason: &'static str,
}

impl Path {
    /// The names up to the first step into an array, and the steps from there on.
    pub(crate) fn split_at_array(&self) -> (Vec<&str>, &[Step]) {
        let names = self.steps.iter().map_while(|step| match step {
            Step::Key(name) => Some(&**name),
            _ => None,
        });
        let names: Vec<_> = names.collect();
        let rest = &self.steps[names.len()..];
        (names, rest)
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let mut reader = Reader { path: text, rest: text };
        let from_record = reader.take("$");
        // A name may begin with @, such as @timestamp.
        let itself = !from_record && (text == "@" || text.starts_with("@.") || text.starts_with("@["));
        let rooted = from_record || (itself && reader.take("@"));
        let mut steps = Vec::new();
        if !rooted && !text.starts_with('[') {
            steps.push(reader.name()?);
        }
        while !reader.rest.is_empty() {
            steps.push(reader.step()?);
        }
        Ok(Path { from_record, steps })
    }
}

struct Reader<'p> {
    path: &'p str,
    rest: &'p str,
}

impl<'p> Reader<'p> {
    fn error<T>(&self, reason: &'static str) -> Result<T, PathError> {
        Err(PathError { path: self.path.into(), rest: self.rest.into(), reason })
    }

    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    fn step(&mut self) -> Result<Step, PathError> {
        if self.take(".") {
            return self.name();
        }
        if !self.take("[") {
            return self.error("a name must follow a . and an index a [");
        }
        self.skip_spaces();
        let step = self.selector()?;
        self.skip_spaces();
        if self.take("]") { Ok(step) } else { self.error("] must follow") }
    }

    /// A name without quotes, up to the next step.
    fn name(&mut self) -> Result<Step, PathError> {
        let end = self.rest.find(['.', '[']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() {
            return self.error("a name must follow; quote one that is empty or has . or [ in it: ['a.b']");
        }
        self.rest = rest;
        Ok(Step::Key(name.into()))
    }

    fn selector(&mut self) -> Result<Step, PathError> {
        if self.take("*") {
            return Ok(Step::All);
        }
        if self.take("?") {
            return self.filter();
        }
        if let Some(name) = self.quoted()? {
            return Ok(Step::Key(name));
        }
        let end = self.rest.find([']', ' ']).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        let Ok(index) = number.parse() else {
            return self.error("a number, *, a quoted name or a filter such as ?@.key=='text' must follow [");
        };
        self.rest = rest;
        Ok(Step::Index(index))
    }

    fn filter(&mut self) -> Result<Step, PathError> {
        self.skip_spaces();
        if !self.take("@") {
            return self.error("a filter begins with ?@");
        }
        let mut names = Vec::new();
        while self.rest.starts_with(['.', '[']) {
            let quoted = self.rest.starts_with('[');
            // A name without quotes ends before the comparison.
            let end = if quoted { None } else { self.rest.find([' ', '=']) }.unwrap_or(self.rest.len());
            let mut member = Reader { path: self.path, rest: &self.rest[..end] };
            match member.step()? {
                Step::Key(name) => names.push(name),
                _ => return self.error("the member that a filter looks at is named by names alone"),
            }
            self.rest = &self.rest[end - member.rest.len()..];
        }
        self.skip_spaces();
        if !self.take("==") {
            return self.error("== and a quoted text must follow");
        }
        self.skip_spaces();
        match self.quoted()? {
            Some(text) => Ok(Step::Where(names, text)),
            None => self.error("a quoted text must follow =="),
        }
    }

    /// A text in single or double quotes, in which a backslash takes the next character as it is.
    fn quoted(&mut self) -> Result<Option<Box<str>>, PathError> {
        let Some(quote) = self.rest.chars().next().filter(|first| matches!(first, '\'' | '"')) else {
            return Ok(None);
        };
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, char)) = chars.next() {
            match char {
                '\\' => text.extend(chars.next().map(|(_, char)| char)),
                char if char == quote => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(Some(text.into()));
                }
                char => text.push(char),
            }
        }
        self.error("the quote is not closed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Step {
        Step::Key(name.into())
    }

    #[test]
    fn paths_are_read_as_rfc_9535_reads_them() {
        let path = |text: &str| text.parse::<Path>().unwrap();
        let event = |steps: Vec<Step>| Path { from_record: false, steps };
        assert_eq!(path("item_id"), event(vec![key("item_id")]));
        assert_eq!(path("@timestamp"), event(vec![key("@timestamp")]));
        assert_eq!(path("a.b-c.é"), event(vec![key("a"), key("b-c"), key("é")]));
        assert_eq!(path("['a.b']['it\\'s'][\"x\"]"), event(vec![key("a.b"), key("it's"), key("x")]));
        assert_eq!(path("@"), event(vec![]));
        assert_eq!(path("@.id"), event(vec![key("id")]));
        assert_eq!(path("a[0][-1][ * ]"), event(vec![key("a"), Step::Index(0), Step::Index(-1), Step::All]));
        assert_eq!(path("$"), Path { from_record: true, steps: vec![] });
        assert_eq!(path("$[*].id"), Path { from_record: true, steps: vec![Step::All, key("id")] });
        let filter = |names: &[&str], text: &str| {
            Step::Where(names.iter().map(|name| (*name).into()).collect(), text.into())
        };
        assert_eq!(
            path("attributes[?@.key=='http.route'].value.stringValue"),
            event(vec![key("attributes"), filter(&["key"], "http.route"), key("value"), key("stringValue")])
        );
        assert_eq!(path("a[? @.b.c == \"x]y\" ]"), event(vec![key("a"), filter(&["b", "c"], "x]y")]));
        assert_eq!(path("a[?@['b.c']=='x']"), event(vec![key("a"), filter(&["b.c"], "x")]));
        assert_eq!(path("tags[?@=='x']"), event(vec![key("tags"), filter(&[], "x")]));
    }

    #[test]
    fn what_is_no_path_is_refused_by_its_place() {
        let rest = |text: &str| text.parse::<Path>().unwrap_err().rest;
        assert_eq!(rest(""), "");
        assert_eq!(rest("a..b"), ".b");
        assert_eq!(rest("a."), "");
        assert_eq!(rest("a[b]"), "b]");
        assert_eq!(rest("a['b"), "'b");
        assert_eq!(rest("a[0]b"), "b");
        assert_eq!(rest("$a"), "a");
        assert_eq!(rest("a[?key=='x']"), "key=='x']");
        assert_eq!(rest("a[?@.key=x]"), "=x]");
        assert_eq!(rest("a[?@.key=='x' && @.b=='y']"), "&& @.b=='y']");
        assert_eq!(rest("a[?@[0]=='x']"), "[0]=='x']");
    }
}
