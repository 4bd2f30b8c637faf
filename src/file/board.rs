//! The `[[board]]` sections of the configuration file.

use super::one_or_more::OneOrMore;
use crest_state::spec::{Conditions, Constant, Filter, MissingItem, Rule};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// A leaderboard.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BoardSection {
    /// In keys, URLs and JSON.
    pub name: String,
    /// Fields and the values of theirs that count.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub filter: BTreeMap<String, FilterSection>,
    /// Fields and the values of theirs by which an event takes away what others have counted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub retract: BTreeMap<String, FilterSection>,
    /// The array whose elements are its events, where it is not the schema's.
    #[serde(default)]
    pub each: Option<String>,
    /// The field that names the item, where it is not the schema's.
    #[serde(default)]
    pub item: Option<OneOrMore>,
    /// The event time, where it is not the schema's.
    #[serde(default)]
    pub timestamp: Option<OneOrMore>,
    /// The weight, where it is not the schema's.
    #[serde(default)]
    pub weight: Option<OneOrMore>,
    /// `events`, or the field whose different values are counted.
    #[serde(default)]
    pub count: Option<CountSection>,
    /// `refuse` or `skip`.
    #[serde(default)]
    pub on_missing_item: Option<MissingItem>,
    /// Rules for the item's text: `trim`, `lowercase`, `strip_query`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub normalize: Vec<Rule>,
    /// The fields whose values group the board.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// `sketch` or `exact`.
    #[serde(default)]
    pub engine: Option<String>,
    /// Whether Redis holds the running counts of all items.
    #[serde(default)]
    pub counters: Option<bool>,
    /// The length of the ranking.
    #[serde(default)]
    pub k: Option<usize>,
    /// `ordinal`, `competition` or `dense`.
    #[serde(default)]
    pub ties: Option<String>,
    /// The least count that is shown.
    #[serde(default)]
    pub min_count: Option<u64>,
    /// A file of ids, or the URL of a Redis set, that are left out.
    #[serde(default)]
    pub blocklist: Option<String>,
    /// Factors by event type.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, u32>,
    /// Groups in all windows together.
    #[serde(default)]
    pub max_groups: Option<usize>,
    /// The spans it is ranked over.
    #[serde(default)]
    pub windows: Option<Vec<WindowSection>>,
}

/// What is counted of each item.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(untagged, expecting = "\"events\", or a table such as { distinct = \"user_id\" }")]
pub enum CountSection {
    /// `events`
    Word(String),
    /// `{ distinct = "user_id" }`
    Distinct(#[serde(deserialize_with = "from_table")] DistinctSection),
}

/// The field whose different values are counted.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DistinctSection {
    /// Its name, or names of which the first that an event has counts.
    pub distinct: OneOrMore,
}

/// The condition on a field: a value, a list of values, or a table of conditions.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(untagged, expecting = "a value, a list of values, or a table with not, prefix or exists")]
pub enum FilterSection {
    /// `404`
    One(Constant),
    /// `[200, 304]`
    More(Vec<Constant>),
    /// `{ not = ["US"] }`
    Conditions(#[serde(deserialize_with = "from_table")] ConditionsSection),
}

/// Conditions that must all hold.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConditionsSection {
    /// None of these values.
    pub not: Option<OneOrMoreConstants>,
    /// A text that begins with one of these.
    pub prefix: Option<OneOrMore>,
    /// Present and not `null`, or not.
    pub exists: Option<bool>,
}

/// Reads a section from a table only: Serde would take a list for a table's values in their order.
fn from_table<'de, D: Deserializer<'de>, S: DeserializeOwned>(value: D) -> Result<S, D::Error> {
    let table = toml::Table::deserialize(value)?;
    table.try_into().map_err(D::Error::custom)
}

/// A value where there is one, a list where there are more.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(untagged, expecting = "a value or a list of values")]
pub enum OneOrMoreConstants {
    /// `"US"`
    One(Constant),
    /// `["US", "CA"]`
    More(Vec<Constant>),
}

impl From<FilterSection> for Filter {
    fn from(section: FilterSection) -> Self {
        match section {
            FilterSection::One(constant) => Filter::AnyOf(vec![constant]),
            FilterSection::More(constants) => Filter::AnyOf(constants),
            FilterSection::Conditions(ConditionsSection { not, prefix, exists }) => {
                let not = not.map(|not| match not {
                    OneOrMoreConstants::One(constant) => vec![constant],
                    OneOrMoreConstants::More(constants) => constants,
                });
                Filter::All(Conditions { not, prefix: prefix.map(OneOrMore::into_vec), exists })
            }
        }
    }
}

impl From<Filter> for FilterSection {
    fn from(filter: Filter) -> Self {
        match filter {
            Filter::AnyOf(mut constants) if constants.len() == 1 => FilterSection::One(constants.remove(0)),
            Filter::AnyOf(constants) => FilterSection::More(constants),
            Filter::All(Conditions { not, prefix, exists }) => {
                let not = not.map(OneOrMoreConstants::More);
                FilterSection::Conditions(ConditionsSection {
                    not,
                    prefix: prefix.map(OneOrMore::from),
                    exists,
                })
            }
        }
    }
}

/// A window of a board.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WindowSection {
    /// In keys, URLs and JSON.
    pub name: String,
    /// How long it is. A window without size and slide is the whole of an input that ends.
    #[serde(default)]
    pub size: Option<String>,
    /// How far apart two of its ends are.
    #[serde(default)]
    pub slide: Option<String>,
    /// `hour`, `day`, `week` or `month`: what has come of the one that is under way.
    #[serde(default)]
    pub calendar: Option<String>,
    /// Where that is: a name of the IANA time zone database.
    #[serde(default)]
    pub timezone: Option<String>,
    /// What it is compared with, so that what rises is published: `previous`, or how much earlier, such as `1d`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rising: Vec<String>,
}
