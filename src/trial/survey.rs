//! The fields of a sample: of which kinds their values are, how many have one, and how often values come again.
//!
//! Always holds: a bounded number of fields and of different values is kept, whatever the records hold.

use crest_formats::record_fields::{member, quoted};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

/// Fields that are kept.
const MAX_FIELDS: usize = 512;
/// Different values of a field that are told apart.
const MAX_DIFFERENT: usize = 4096;
/// Different values whose texts are kept, in the order in which they come.
const MAX_FEW: usize = 24;
/// Values that are kept as they are, to see whether they are times; they are spread over all that came …
const MAX_VALUES: usize = 200;
/// … of at most so many bytes.
const LONGEST_VALUE: usize = 100;
/// Bytes of a path that is followed.
const LONGEST_PATH: usize = 1024;
/// Nesting that is followed.
const MAX_DEPTH: usize = 32;

/// The fields of a sample.
#[derive(Default)]
pub struct Survey {
    /// Records that are JSON now.
    pub records: u64,
    /// In the order in which they were met.
    pub fields: Vec<Field>,
    /// Values of fields that are not kept.
    pub dropped: u64,
    /// How many elements each array has in all records together, by its path.
    arrays: BTreeMap<String, u64>,
    by_path: HashMap<String, usize>,
    hasher: RandomState,
    untyped: bool,
}

/// A field.
#[derive(Debug, Default)]
pub struct Field {
    /// Its path from the record, in which `[*]` stands for all elements of an array.
    pub path: String,
    /// The path of the innermost array that it is in the elements of.
    pub array: Option<String>,
    /// Its path from the element of that array, or else from the record.
    pub within: String,
    /// Values of each kind.
    pub kinds: Kinds,
    /// The hashes of different values, [`MAX_DIFFERENT`] at most.
    different: HashSet<u64>,
    /// Values that came when there was no room for more of them. They are taken for different from each other.
    beyond: u64,
    /// How often the first few came, by their text.
    pub few: BTreeMap<String, u64>,
    /// The first value that is not null.
    pub example: String,
    /// Values as they are written, and whether each is a number: of all, every so many.
    pub values: Vec<(String, bool)>,
    every: u64,
    /// Characters of all its texts, and the spaces among these.
    characters: u64,
    spaces: u64,
}

/// How many values of a field are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// Text that is not empty.
    pub text: u64,
    /// Text that is a number. It is not counted as text.
    pub number_text: u64,
    /// A number without a fraction.
    pub whole: u64,
    /// Another number.
    pub decimal: u64,
    /// `true` or `false`.
    pub boolean: u64,
    /// `null` or the empty text.
    pub empty: u64,
}

impl Kinds {
    /// Values that can be ids.
    pub fn usable(&self) -> u64 {
        self.text + self.number_text + self.whole + self.decimal + self.boolean
    }

    /// Their names, for people.
    pub fn names(&self) -> String {
        let all = [
            (self.text, "text"),
            (self.number_text, "number as text"),
            (self.whole, "number"),
            (self.decimal, "decimal"),
            (self.boolean, "boolean"),
            (self.empty, "empty"),
        ];
        let names: Vec<&str> =
            all.into_iter().filter(|(count, _)| *count > 0).map(|(_, name)| name).collect();
        names.join(", ")
    }
}

impl Field {
    /// A field whose values are these texts.
    #[cfg(test)]
    pub fn of_texts(path: &str, values: &[&str]) -> Self {
        let values = values.iter().map(|value| (value.to_string(), false)).collect();
        Field { path: path.into(), values, ..Field::default() }
    }

    /// How many different values it has: exactly up to [`MAX_DIFFERENT`], and at most so many beyond.
    pub fn different(&self) -> u64 {
        self.different.len() as u64 + self.beyond
    }

    /// Whether its texts are sentences rather than names.
    pub fn is_prose(&self) -> bool {
        let texts = self.kinds.text.max(1);
        self.characters > 100 * texts || self.spaces > 8 * texts
    }

    /// Its path from an element of `array`, or from the record where that is `None`. `None` where it is not to be reached
    /// from there.
    pub fn from(&self, array: Option<&str>) -> Option<String> {
        match (&self.array, array) {
            (mine, theirs) if mine.as_deref() == theirs => Some(self.within.clone()),
            (None, Some(_)) if self.path.starts_with("record:") => Some(self.path.clone()),
            (None, Some(_)) if self.path.starts_with('[') => Some(format!("${}", self.path)),
            (None, Some(_)) => Some(format!("$.{}", self.path)),
            _ => None,
        }
    }
}

/// Where a value is.
struct Place<'p> {
    path: &'p str,
    array: Option<&'p str>,
    within: &'p str,
    depth: usize,
}

impl Survey {
    /// Of records of a format in which every value is text, where `untyped`.
    pub fn new(untyped: bool) -> Self {
        Survey { untyped, ..Survey::default() }
    }

    /// Takes in a record.
    pub fn record(&mut self, record: &Value) {
        self.records += 1;
        self.walk(record, &Place { path: "", array: None, within: "", depth: 0 });
    }

    /// Takes in a text that came beside a record.
    pub fn beside(&mut self, path: &str, text: &str) {
        self.value(&Value::from(text), &Place { path, array: None, within: path, depth: 0 });
    }

    /// How many events there are where each is an element of `array`, or a record where that is `None`.
    pub fn events(&self, array: Option<&str>) -> u64 {
        array.map_or(self.records, |array| self.arrays.get(array).copied().unwrap_or(0))
    }

    fn walk(&mut self, value: &Value, place: &Place<'_>) {
        if place.depth > MAX_DEPTH || place.path.len() > LONGEST_PATH {
            self.dropped += 1;
            return;
        }
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let (path, within) = (member(place.path, name), member(place.within, name));
                    let place = Place { path: &path, within: &within, depth: place.depth + 1, ..*place };
                    self.walk(value, &place);
                }
            }
            Value::Array(elements) if elements.iter().all(|element| attribute(element).is_some()) => {
                for (key, value) in elements.iter().filter_map(attribute) {
                    let key = quoted(key);
                    let (path, within) = (filtered(place.path, &key), filtered(place.within, &key));
                    let place = Place { path: &path, within: &within, depth: place.depth + 1, ..*place };
                    self.walk(value, &place);
                }
            }
            Value::Array(elements) => {
                let path = format!("{}[*]", place.path);
                if !self.note_array(&path, elements.len()) {
                    return;
                }
                let place = Place { path: &path, array: Some(&path), within: "", depth: place.depth + 1 };
                elements.iter().for_each(|element| self.walk(element, &place));
            }
            _ => self.value(value, place),
        }
    }

    /// Notes the elements of an array. Whether there is room for it.
    fn note_array(&mut self, path: &str, elements: usize) -> bool {
        let has_room = self.arrays.len() < MAX_FIELDS || self.arrays.contains_key(path);
        if has_room {
            *self.arrays.entry(path.to_owned()).or_default() += elements as u64;
        }
        has_room
    }

    fn value(&mut self, value: &Value, place: &Place<'_>) {
        let index = match self.by_path.get(place.path) {
            Some(index) => *index,
            None if self.fields.len() >= MAX_FIELDS => {
                self.dropped += 1;
                return;
            }
            None => {
                self.by_path.insert(place.path.to_owned(), self.fields.len());
                // An element that is a plain value is named by @.
                let within = if place.within.is_empty() { "@" } else { place.within };
                let array = place.array.map(str::to_owned);
                let (path, within) = (place.path.to_owned(), within.to_owned());
                self.fields.push(Field { path, array, within, ..Field::default() });
                self.fields.len() - 1
            }
        };
        let hash = |text: &str| self.hasher.hash_one(text);
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        self.fields[index].take(value, text, hash, self.untyped);
    }
}

impl Field {
    fn take(&mut self, value: &Value, text: String, hash: impl Fn(&str) -> u64, untyped: bool) {
        if text.is_empty() {
            self.kinds.empty += 1;
            return;
        }
        let is_number = |text: &str| text.parse::<serde_json::Number>().is_ok();
        match value {
            Value::Bool(_) => self.kinds.boolean += 1,
            Value::Number(number) if number.is_f64() => self.kinds.decimal += 1,
            Value::Number(_) => self.kinds.whole += 1,
            _ if is_number(&text) && untyped && text.contains(['.', 'e', 'E']) => self.kinds.decimal += 1,
            _ if is_number(&text) && untyped => self.kinds.whole += 1,
            _ if is_number(&text) => self.kinds.number_text += 1,
            _ => {
                self.kinds.text += 1;
                self.characters += text.chars().count() as u64;
                self.spaces += text.matches(' ').count() as u64;
            }
        }
        let hash = hash(&text);
        if self.different.len() < MAX_DIFFERENT {
            self.different.insert(hash);
        } else if !self.different.contains(&hash) {
            self.beyond += 1;
        }
        if text.len() > LONGEST_VALUE {
            if self.example.is_empty() {
                self.example = text.chars().take(LONGEST_VALUE).collect();
            }
            return;
        }
        if self.example.is_empty() {
            self.example.clone_from(&text);
        }
        if self.few.len() < MAX_FEW || self.few.contains_key(&text) {
            *self.few.entry(text.clone()).or_default() += 1;
        }
        if self.values.len() == MAX_VALUES {
            let mut is_even = false;
            self.values.retain(|_| {
                is_even = !is_even;
                is_even
            });
            self.every = 2 * self.every.max(1);
        }
        if (self.kinds.usable() - 1).is_multiple_of(self.every.max(1)) {
            self.values.push((text, value.is_number()));
        }
    }
}

/// The key and the value of an element of a list of attributes, such as `{"key": "http.route", "value": …}`.
fn attribute(element: &Value) -> Option<(&str, &Value)> {
    let members = element.as_object()?;
    let key = members.get("key")?.as_str()?;
    members.get("value").map(|value| (key, value))
}

/// The path of the value of the attribute of a list that has this key, in quotes.
fn filtered(path: &str, key: &str) -> String {
    let path = if path.is_empty() { "@" } else { path };
    format!("{path}[?@.key=={key}].value")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn surveyed(records: &[Value]) -> Survey {
        let mut survey = Survey::new(false);
        records.iter().for_each(|record| survey.record(record));
        survey
    }

    fn field<'s>(survey: &'s Survey, path: &str) -> &'s Field {
        survey.fields.iter().find(|field| field.path == path).unwrap()
    }

    #[test]
    fn each_field_is_named_from_its_record_and_from_its_element() {
        let survey = surveyed(&[
            json!({ "at": 1, "o": [{ "sku": "a", "tags": ["x", "y"] }, { "sku": null }] }),
            json!({ "at": 2.5, "o": [], "a.b": [{ "key": "it's", "value": { "s": "v" } }] }),
        ]);
        let named = |path: &str| {
            let field = field(&survey, path);
            (field.array.as_deref(), field.within.as_str())
        };
        assert_eq!(named("o[*].sku"), (Some("o[*]"), "sku"));
        assert_eq!(named("o[*].tags[*]"), (Some("o[*].tags[*]"), "@"));
        let attribute = r"['a.b'][?@.key=='it\'s'].value.s";
        assert_eq!(named(attribute), (None, attribute));
        assert_eq!(field(&survey, "at").from(Some("o[*]")).as_deref(), Some("$.at"));
        assert_eq!(field(&survey, attribute).from(Some("o[*]")), Some(format!("${attribute}")));
        assert_eq!(field(&survey, "o[*].sku").from(None), None);
        assert_eq!((survey.events(None), survey.events(Some("o[*]"))), (2, 2));
        assert_eq!(field(&survey, "at").kinds.names(), "number, decimal");
        assert_eq!(field(&survey, "o[*].sku").kinds, Kinds { text: 1, empty: 1, ..Kinds::default() });
    }

    #[test]
    fn values_are_told_apart_and_counted() {
        let records: Vec<Value> = (0..10_000).map(|n| json!({ "n": n, "kind": n % 3, "s": "7" })).collect();
        let survey = surveyed(&records);
        assert_eq!(field(&survey, "n").different(), 10_000);
        assert_eq!(field(&survey, "n").different.len(), MAX_DIFFERENT);
        let values = &field(&survey, "n").values;
        assert!((MAX_VALUES / 2..=MAX_VALUES).contains(&values.len()), "{}", values.len());
        assert!(values.last().unwrap().0.parse::<u64>().unwrap() > 9_000, "they are spread over all");
        assert_eq!(field(&survey, "kind").few.values().sum::<u64>(), 10_000);
        assert_eq!(field(&survey, "s").kinds.number_text, 10_000);
    }

    #[test]
    fn records_of_ever_other_fields_take_no_more_memory() {
        let records: Vec<Value> =
            (0..2000).map(|n| json!({ format!("a{n}"): 1, format!("b{n}"): [n] })).collect();
        let survey = surveyed(&records);
        assert_eq!((survey.fields.len(), survey.arrays.len()), (MAX_FIELDS, MAX_FIELDS));
        assert!(survey.dropped > 0);
        let long = surveyed(&[json!({ "a".repeat(1 << 20): { "b": 1, "c": [2] }, "d": 3 })]);
        assert_eq!((long.fields.len(), long.dropped), (1, 1));
    }
}
