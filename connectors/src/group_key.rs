//! The key of a group: which combination of dimension values it is.
//!
//! Its text is what the state stores, what Redis has in its keys, and what travels between processes:
//! `category=a,region=IN`. The dimensions come in the order of their names, and `%`, `,` and `=` in names and values are
//! written as `%25`, `%2C` and `%3D`. The whole board has the empty text. In JSON a group is an object of its values.
//!
//! What a board that retracts takes away of a group is counted beside it, under a key of its own: `-` for the whole board, and
//! `-,category=a,region=IN` for a group. No values make such a text, since each of them has its `=`.

use serde::de::Deserializer;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use std::borrow::{Borrow, Cow};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

/// Which group of a board something is of. Keys are ordered by their texts, and cheap to clone.
#[derive(Clone, Default)]
pub struct GroupKey(Key);

#[derive(Clone, Default)]
enum Key {
    #[default]
    Whole,
    Rest,
    Values(Arc<str>),
    RemovedOfWhole,
    RemovedOfValues(Arc<str>),
}

/// The text of what is removed of the whole board, and what stands before that of a group.
const REMOVED: &str = "-";
const REMOVED_OF: &str = "-,";

impl GroupKey {
    /// The whole board, whose text is empty.
    pub const WHOLE: GroupKey = GroupKey(Key::Whole);
    /// Stands for all groups that something does not list. It is no group itself, and its text is `*`.
    pub const REST: GroupKey = GroupKey(Key::Rest);
    /// What is removed of the whole board. It is no group itself.
    pub const REMOVED_OF_WHOLE: GroupKey = GroupKey(Key::RemovedOfWhole);

    /// The group of these dimensions and their values, in any order; the whole board where there are none. No two
    /// dimensions may have the same name.
    pub fn from_values<N: AsRef<str>, V: AsRef<str>>(values: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(|(a, _), (b, _)| a.as_ref().cmp(b.as_ref()));
        let mut text = GroupBuffer::WHOLE;
        values.iter().for_each(|(name, value)| text.push(&Dimension::new(name.as_ref()), value.as_ref()));
        GroupKey::from(&text)
    }

    /// What is removed of this group or of the whole board. Of what is no group, nothing is: that is returned itself.
    pub fn removed(&self) -> Self {
        GroupKey(match &self.0 {
            Key::Whole => Key::RemovedOfWhole,
            Key::Values(text) => Key::RemovedOfValues([REMOVED_OF, text].concat().into()),
            other => other.clone(),
        })
    }

    /// Of what is removed, the text of the group that it is removed of; `None` for all others.
    pub fn removed_of(&self) -> Option<&str> {
        match &self.0 {
            Key::RemovedOfWhole => Some(""),
            Key::RemovedOfValues(text) => text.strip_prefix(REMOVED_OF),
            _ => None,
        }
    }

    /// The dimensions and their values, in the order of their names; none for the whole board.
    pub fn pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let pairs = self.as_str().split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (unescaped(name), unescaped(value)))
    }

    /// Whether it is the whole board.
    pub fn is_whole(&self) -> bool {
        matches!(self.0, Key::Whole)
    }

    /// Whether it is the rest.
    pub fn is_rest(&self) -> bool {
        matches!(self.0, Key::Rest)
    }

    /// Whether it is a group with values: neither the whole board, nor the rest, nor what is removed of any.
    pub fn has_values(&self) -> bool {
        matches!(self.0, Key::Values(_))
    }

    /// Whether it is the whole board or a group with values.
    pub fn is_group(&self) -> bool {
        self.is_whole() || self.has_values()
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Key::Whole => "",
            Key::Rest => "*",
            Key::Values(text) | Key::RemovedOfValues(text) => text,
            Key::RemovedOfWhole => REMOVED,
        }
    }
}

/// A text that names no group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no group")]
pub struct NoGroup(String);

impl FromStr for GroupKey {
    type Err = NoGroup;

    /// Reads the text of a key. A text that no key has is an error, so that each group has one text only.
    fn from_str(text: &str) -> Result<Self, NoGroup> {
        match text {
            "" => Ok(GroupKey::WHOLE),
            "*" => Ok(GroupKey::REST),
            REMOVED => Ok(GroupKey::REMOVED_OF_WHOLE),
            _ if is_of_values(text) => Ok(GroupKey(Key::Values(text.into()))),
            _ => match text.strip_prefix(REMOVED_OF) {
                Some(group) if is_of_values(group) => Ok(GroupKey(Key::RemovedOfValues(text.into()))),
                _ => Err(NoGroup(text.to_owned())),
            },
        }
    }
}

/// Whether a text is that of a group with values.
fn is_of_values(text: &str) -> bool {
    let mut last: Option<Cow<'_, str>> = None;
    text.split(',').all(|pair| {
        let Some((name, value)) = pair.split_once('=') else { return false };
        let name_is_next = last.as_ref().is_none_or(|last| *last < unescaped(name));
        last = Some(unescaped(name));
        name_is_next && is_escaped(name) && is_escaped(value)
    })
}

fn is_escaped(part: &str) -> bool {
    let is_escape = |after: &str| ["25", "2C", "3D"].iter().any(|code| after.starts_with(code));
    !part.contains('=') && part.split('%').skip(1).all(is_escape)
}

fn unescaped(part: &str) -> Cow<'_, str> {
    if !part.contains('%') {
        return part.into();
    }
    part.replace("%2C", ",").replace("%3D", "=").replace("%25", "%").into()
}

/// The name of a dimension as the texts of keys have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimension(String);

impl Dimension {
    /// The dimension of this name.
    pub fn new(name: &str) -> Self {
        let mut text = String::new();
        push_escaped(&mut text, name);
        text.push('=');
        Dimension(text)
    }
}

fn push_escaped(text: &mut String, part: &str) {
    // Most have none of these, and are short.
    if !part.bytes().any(|byte| matches!(byte, b'%' | b',' | b'=')) {
        return text.push_str(part);
    }
    for c in part.chars() {
        match c {
            '%' => text.push_str("%25"),
            ',' => text.push_str("%2C"),
            '=' => text.push_str("%3D"),
            c => text.push(c),
        }
    }
}

/// The text of a key while it is made. An event's group is written into the same buffer as that of the event before, so
/// that it allocates nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupBuffer(String);

impl GroupBuffer {
    /// The whole board.
    pub const WHOLE: GroupBuffer = GroupBuffer(String::new());

    /// Makes it the whole board.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a dimension and its value. Dimensions are added in the order of their names.
    pub fn push(&mut self, dimension: &Dimension, value: &str) {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.push_str(&dimension.0);
        push_escaped(&mut self.0, value);
    }

    /// Whether it is the whole board.
    pub fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// Its text, by which maps of [`GroupKey`]s can be searched.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&GroupBuffer> for GroupKey {
    fn from(buffer: &GroupBuffer) -> Self {
        GroupText(&buffer.0).into()
    }
}

/// The text of a key of the whole board or of a group with values, as it is lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupText<'a>(&'a str);

impl<'a> GroupText<'a> {
    /// The text itself.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

impl From<GroupText<'_>> for GroupKey {
    fn from(GroupText(text): GroupText<'_>) -> Self {
        if text.is_empty() { GroupKey::WHOLE } else { GroupKey(Key::Values(text.into())) }
    }
}

/// The texts of many keys in one allocation.
#[derive(Clone, Debug, Default)]
pub struct GroupTexts {
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl GroupTexts {
    /// Adds a text after all others.
    pub fn push(&mut self, group: &GroupBuffer) {
        self.text.push_str(&group.0);
        self.ends.push(self.text.len());
    }

    /// The text of this place, from 0 on.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn get(&self, at: usize) -> GroupText<'_> {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        GroupText(&self.text[start..self.ends[at]])
    }

    /// Removes all of them.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq for GroupKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for GroupKey {}

impl PartialOrd for GroupKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for GroupKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for GroupKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Borrow<str> for GroupKey {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl Serialize for GroupKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.pairs())
    }
}

impl<'de> Deserialize<'de> for GroupKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(GroupKey::from_values(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    /// Any text; most have characters that are escaped, or look as if they were.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof!["[-a%,=2C5D*]{0,6}", "\\PC{0,4}", any::<String>()]
    }

    fn values() -> impl Strategy<Value = BTreeMap<String, String>> {
        btree_map(text(), text(), 0..5)
    }

    fn owned(key: &GroupKey) -> BTreeMap<String, String> {
        key.pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    }

    proptest! {
        #[test]
        fn values_are_told_by_the_text_of_their_key(values in values()) {
            let key = GroupKey::from_values(&values);
            prop_assert_eq!(owned(&key), values.clone());
            prop_assert!(key.pairs().map(|(name, _)| name.into_owned()).eq(values.into_keys()));
            prop_assert_eq!(key.to_string().parse(), Ok(key));
        }

        #[test]
        fn each_group_has_one_text(text in prop_oneof!["-?,?[ab%,=2C5D*-]{0,12}", any::<String>()]) {
            if let Ok(key) = text.parse::<GroupKey>() {
                prop_assert_eq!(key.as_str(), text);
                let group = GroupKey::from_values(owned(&key));
                let same = if key.removed_of().is_some() { group.removed() } else { group };
                prop_assert!(key.is_rest() || key == same);
            }
        }

        #[test]
        fn what_is_removed_of_a_group_has_a_text_that_no_group_has(values in values(), others in values()) {
            let (group, other) = (GroupKey::from_values(&values), GroupKey::from_values(&others));
            let removed = group.removed();
            prop_assert_eq!(removed.removed_of(), Some(group.as_str()));
            prop_assert!(removed != other && removed != GroupKey::REST && removed.removed() == removed);
            prop_assert_eq!(removed == other.removed(), group == other);
            prop_assert_eq!(removed.to_string().parse(), Ok(removed.clone()));
            prop_assert_eq!(owned(&removed), values);
            prop_assert!(!(removed.is_group() || removed.is_whole() || removed.has_values() || removed.is_rest()));
            prop_assert!(group.is_group() && group.removed_of().is_none());
        }

        #[test]
        fn json_has_the_values(values in values()) {
            let (key, json) = (GroupKey::from_values(&values), serde_json::to_string(&values).unwrap());
            prop_assert_eq!(serde_json::to_string(&key).unwrap(), json.clone());
            prop_assert_eq!(serde_json::from_str::<GroupKey>(&json).unwrap(), key);
        }

        #[test]
        fn a_map_finds_a_key_by_its_text_and_orders_keys_by_it(all in proptest::collection::vec(values(), 1..6)) {
            let keys: Vec<GroupKey> = all.iter().map(GroupKey::from_values).collect();
            let (by_hash, ordered): (std::collections::HashSet<_>, std::collections::BTreeSet<_>) =
                (keys.iter().cloned().collect(), keys.iter().cloned().collect());
            prop_assert!(keys.iter().all(|key| by_hash.contains(key.as_str()) && ordered.contains(key.as_str())));
            prop_assert!(ordered.iter().map(GroupKey::as_str).is_sorted());
        }
    }

    #[test]
    fn a_key_is_of_the_whole_board_of_the_rest_or_of_values() {
        let key = |text: &str| text.parse::<GroupKey>().unwrap();
        assert!(key("").is_whole() && GroupKey::default() == GroupKey::WHOLE);
        assert!(key("*").is_rest() && key("*") == GroupKey::REST);
        let group = GroupKey::from_values([("region", "a=b,c"), ("a", "50%")]);
        assert_eq!(group.as_str(), "a=50%25,region=a%3Db%2Cc");
        assert!(group.has_values() && key(group.as_str()) == group);
        assert!(!GroupKey::WHOLE.has_values() && !GroupKey::REST.has_values());
        assert_eq!(
            (group.removed().as_str(), GroupKey::WHOLE.removed()),
            ("-,a=50%25,region=a%3Db%2Cc", key("-"))
        );
        assert_eq!((GroupKey::REST.removed(), key("-a=b").removed()), (GroupKey::REST, key("-,-a=b")));
        assert!(key("-a=b").has_values(), "a dimension may be called so");
        let no_groups = ["a", "a=b=c", "a=b,", ",a=b", "b=1,a=2", "a=1,a=1", "a=%2c", "a=%41", "a=%", "**"];
        for text in no_groups.into_iter().chain(["--", "-,", "-,-", "-,*", "-,-,a=b", "-,a", "-*"]) {
            assert_eq!(text.parse::<GroupKey>(), Err(NoGroup(text.to_owned())));
        }
    }

    #[test]
    fn a_buffer_is_used_again() {
        let (mut buffer, mut texts) = (GroupBuffer::WHOLE, GroupTexts::default());
        let pairs = [("region", "IN"), ("a", "")];
        for (name, value) in pairs {
            buffer.clear();
            buffer.push(&Dimension::new(name), value);
            assert_eq!(GroupKey::from(&buffer), GroupKey::from_values([(name, value)]));
            texts.push(&buffer);
        }
        buffer.clear();
        assert!(buffer.is_whole() && GroupKey::from(&buffer).is_whole());
        texts.push(&buffer);
        for (at, pair) in pairs.into_iter().enumerate() {
            assert_eq!(GroupKey::from(texts.get(at)), GroupKey::from_values([pair]));
        }
        assert!(GroupKey::from(texts.get(2)).is_whole());
        texts.clear();
        texts.push(&buffer);
        assert_eq!(texts.get(0).as_str(), "");
    }
}
