//! Rows of CSV, by RFC 4180: a field may be quoted, and a quote in it is doubled. A field becomes text under the name of
//! its column; an empty one is absent.
//!
//! A row is what stands between two line ends that are not quoted; whoever reads the file splits it. A row with more or
//! fewer fields than there are columns is malformed, as is one with a quote that does not end, or that ends before its
//! field does.

use super::contract::{Decode, Undecoded};
use super::error::FormatError;
use super::json_text::{key, push_escaped, whole};
use crate::refusal::Refusal;
use memchr::memchr;
use std::collections::HashSet;

/// How rows are written, and what their columns are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvSpec {
    /// Between two fields: an ASCII character.
    pub delimiter: u8,
    /// Around a field that has a delimiter or a line end in it: an ASCII character; `None` where fields are never quoted.
    pub quote: Option<u8>,
    /// Whether the first record of a file names the columns.
    pub header: bool,
    /// The names of the columns, which count more than those of a header.
    pub columns: Option<Vec<String>>,
}

impl Default for CsvSpec {
    /// Commas, quotes and a header.
    fn default() -> Self {
        CsvSpec { delimiter: b',', quote: Some(b'"'), header: true, columns: None }
    }
}

/// Reads rows.
pub(super) struct Csv {
    delimiter: u8,
    quote: Option<u8>,
    has_header: bool,
    /// Whether the header names the columns.
    is_named_by_header: bool,
    columns: Vec<Column>,
    /// The names that are asked for; `None` for all.
    asked: Option<Vec<String>>,
}

struct Column {
    name: String,
    /// What is before a value: a comma, the name in quotes, a colon and a quote. `None` where nobody asks for it.
    opening: Option<Box<[u8]>>,
}

impl Csv {
    pub(super) fn new(spec: &CsvSpec) -> Result<Self, FormatError> {
        let shown = |byte: u8| format!("{:?}", char::from(byte));
        for (name, byte) in [("source.csv.delimiter", Some(spec.delimiter)), ("source.csv.quote", spec.quote)]
        {
            if let Some(byte) = byte.filter(|byte| !byte.is_ascii() || matches!(byte, b'\n' | b'\r' | b'\0'))
            {
                return Err(FormatError::new(
                    name,
                    shown(byte),
                    "must be an ASCII character, and no line end",
                ));
            }
        }
        if spec.quote == Some(spec.delimiter) {
            return Err(FormatError::new(
                "source.csv.quote",
                shown(spec.delimiter),
                "is the delimiter as well",
            ));
        }
        let names = spec.columns.as_deref();
        let mut seen = HashSet::new();
        if let Some(twice) = names.unwrap_or_default().iter().find(|name| !seen.insert(*name)) {
            return Err(FormatError::new("source.csv.columns", format!("{twice:?}"), "is there twice"));
        }
        if !spec.header && names.is_none_or(<[String]>::is_empty) {
            return Err(FormatError::new(
                "source.csv.columns",
                "[]",
                "must name the columns where no header does",
            ));
        }
        let mut csv = Csv {
            delimiter: spec.delimiter,
            quote: spec.quote,
            has_header: spec.header,
            is_named_by_header: names.is_none(),
            columns: Vec::new(),
            asked: None,
        };
        csv.name(names.unwrap_or_default().to_vec());
        Ok(csv)
    }

    /// Names the columns.
    fn name(&mut self, names: Vec<String>) {
        let is_asked = |name: &String| self.asked.as_ref().is_none_or(|asked| asked.contains(name));
        let opening = |name: &str| [b",", &*key(name), b"\""].concat().into();
        let column = |name: String| Column { opening: is_asked(&name).then(|| opening(&name)), name };
        self.columns = names.into_iter().map(column).collect();
    }

    /// Whether a row is ASCII in which nothing is quoted, and nothing is to be escaped in JSON. Most are.
    fn is_plain(&self, row: &[u8]) -> bool {
        let (delimiter, quote) = (self.delimiter, self.quote.unwrap_or(b'"'));
        let is_special = |byte: u8| {
            let control = (byte < b' ') & (byte != delimiter);
            control | (byte >= 0x80) | (byte == b'"') | (byte == b'\\') | (byte == quote)
        };
        // It looks at every byte, since the compiler makes that a loop over many at a time.
        !row.iter().fold(false, |found, byte| found | is_special(*byte))
    }

    /// Appends a row as an object: each field in text, by what `push` makes of it.
    fn push_row<F: AsRef<[u8]>>(
        &self,
        mut fields: impl Iterator<Item = Result<F, Refusal>>,
        json: &mut Vec<u8>,
        push: impl Fn(&F, &mut Vec<u8>),
    ) -> Result<(), Refusal> {
        let start = json.len();
        for column in &self.columns {
            let field = fields.next().ok_or(Refusal::Malformed)??;
            if let Some(opening) = &column.opening
                && !field.as_ref().is_empty()
            {
                json.extend_from_slice(opening);
                push(&field, json);
                json.push(b'"');
            }
        }
        // Each field begins with a comma. That of the first makes room for the brace.
        match json.get_mut(start) {
            Some(comma) => *comma = b'{',
            None => json.push(b'{'),
        }
        json.push(b'}');
        if fields.next().is_some() { Err(Refusal::Malformed) } else { Ok(()) }
    }
}

impl Decode for Csv {
    fn decode(&mut self, payload: &[u8], json: &mut Vec<u8>) -> Result<(), Undecoded> {
        if self.columns.is_empty() {
            return Err(Refusal::Malformed.into());
        }
        let row = if self.is_plain(payload) {
            let fields = payload.split(|byte| *byte == self.delimiter).map(Ok);
            whole(json, |json| self.push_row(fields, json, |field, json| json.extend_from_slice(field)))
        } else {
            simdutf8::basic::from_utf8(payload).map_err(|_| Refusal::InvalidUtf8)?;
            let fields = Fields { rest: Some(payload), delimiter: self.delimiter, quote: self.quote };
            whole(json, |json| self.push_row(fields, json, Field::push))
        };
        row.map_err(Undecoded::from)
    }

    fn has_header(&self) -> bool {
        self.has_header
    }

    fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|column| &*column.name).collect()
    }

    fn header(&mut self, record: &[u8]) -> Result<(), Refusal> {
        if !self.is_named_by_header {
            return Ok(());
        }
        self.columns.clear();
        let row = record.strip_prefix("\u{feff}".as_bytes()).unwrap_or(record);
        simdutf8::basic::from_utf8(row).map_err(|_| Refusal::InvalidUtf8)?;
        let fields = Fields { rest: Some(row), delimiter: self.delimiter, quote: self.quote };
        let names: Result<Vec<String>, Refusal> = fields.map(|field| Ok(field?.text())).collect();
        self.name(names?);
        Ok(())
    }

    fn only(&mut self, names: &[String]) {
        self.asked = Some(names.to_vec());
        let columns = std::mem::take(&mut self.columns);
        self.name(columns.into_iter().map(|column| column.name).collect());
    }
}

/// The fields of a row, one after the other.
struct Fields<'a> {
    /// From the beginning of the next field; `None` behind the last.
    rest: Option<&'a [u8]>,
    delimiter: u8,
    quote: Option<u8>,
}

/// A field without its quotes.
struct Field<'a> {
    bytes: &'a [u8],
    /// The quote that is doubled in it; `None` where nothing is.
    doubled: Option<u8>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Refusal>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest?;
        if let Some(quote) = self.quote.filter(|quote| rest.first() == Some(quote)) {
            return Some(self.quoted(&rest[1..], quote));
        }
        let end = memchr(self.delimiter, rest);
        self.rest = end.map(|end| &rest[end + 1..]);
        Some(Ok(Field { bytes: &rest[..end.unwrap_or(rest.len())], doubled: None }))
    }
}

impl<'a> Fields<'a> {
    /// A field whose opening quote is before `rest`.
    fn quoted(&mut self, rest: &'a [u8], quote: u8) -> Result<Field<'a>, Refusal> {
        let (mut end, mut doubled) = (0, None);
        loop {
            end += memchr(quote, &rest[end..]).ok_or(Refusal::Malformed)?;
            if rest.get(end + 1) != Some(&quote) {
                break;
            }
            doubled = Some(quote);
            end += 2;
        }
        self.rest = match rest.get(end + 1) {
            None => None,
            Some(next) if *next == self.delimiter => Some(&rest[end + 2..]),
            Some(_) => return Err(Refusal::Malformed),
        };
        Ok(Field { bytes: &rest[..end], doubled })
    }
}

impl AsRef<[u8]> for Field<'_> {
    fn as_ref(&self) -> &[u8] {
        self.bytes
    }
}

impl Field<'_> {
    /// The runs that make up the field: each but the last ends with the first quote of a pair, whose second is left out.
    fn runs(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = Some(self.bytes);
        std::iter::from_fn(move || {
            let run = rest?;
            let pair = self.doubled.and_then(|quote| memchr(quote, run));
            rest = pair.map(|pair| &run[pair + 2..]);
            Some(&run[..pair.map_or(run.len(), |pair| pair + 1)])
        })
    }

    /// Appends it as it stands between the quotes of JSON.
    #[inline]
    fn push(&self, json: &mut Vec<u8>) {
        match self.doubled {
            None => push_escaped(json, self.bytes),
            Some(_) => self.runs().for_each(|run| push_escaped(json, run)),
        }
    }

    fn text(&self) -> String {
        let bytes: Vec<u8> = self.runs().flatten().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests;
