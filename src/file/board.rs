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
    /// The name of the board in keys, URLs and JSON.
    ///
    /// Example: "videos"
    pub name: String,
    /// Which events count: fields, and the values or conditions that they must meet.
    ///
    /// Default: all
    /// Example: { event_type = ["video_view", "purchase"], country = { not = ["US"] } }
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub filter: BTreeMap<String, FilterSection>,
    /// Which of the board's events take away what others have counted: fields, and the values or conditions that they must meet.
    ///
    /// Default: none
    /// Example: { event_type = "unlike" }
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub retract: BTreeMap<String, FilterSection>,
    /// The array whose elements are the board's events.
    ///
    /// Default: the schema's
    /// Example: "facets[*].tags"
    #[serde(default)]
    pub each: Option<String>,
    /// The field that holds the item.
    ///
    /// Default: the schema's
    /// Example: "video_id"
    #[serde(default)]
    pub item: Option<OneOrMore>,
    /// The field that holds the event time.
    ///
    /// Default: the schema's
    /// Example: "occurred_at"
    #[serde(default)]
    pub timestamp: Option<OneOrMore>,
    /// The field that holds the weight.
    ///
    /// Default: the schema's
    /// Example: "quantity"
    #[serde(default)]
    pub weight: Option<OneOrMore>,
    /// What is counted of each item: its events, by their weights, or how many different values of a field it has.
    ///
    /// Type: `"events"` or table
    /// Default: events
    /// Example: { distinct = "user_id" }
    #[serde(default)]
    pub count: Option<CountOf>,
    /// What becomes of an event without an item: `refuse` counts it as refused, `skip` passes over it.
    ///
    /// Default: refuse
    /// Example: "skip"
    #[serde(default)]
    pub on_missing_item: Option<MissingItem>,
    /// What is done to the item's text, in this order: `trim`, `lowercase`, `strip_query`.
    ///
    /// Default: none
    /// Example: ["trim", "lowercase"]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub normalize: Vec<Rule>,
    /// The fields that group the board. Each combination of their values has rankings of its own.
    ///
    /// Default: none
    /// Example: ["region", "device"]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// How the board is counted: `sketch` or `exact`. `--engine` says it for all boards.
    ///
    /// Example: "exact"
    #[serde(default)]
    pub engine: Option<String>,
    /// Whether Redis has the running count of every item of the bucket that is filling. For exact boards with few items.
    ///
    /// Default: false
    /// Example: true
    #[serde(default)]
    pub counters: Option<bool>,
    /// The length of a ranking, as `-k`. A board with `counters` has 100,000 unless told otherwise.
    ///
    /// Example: 50
    #[serde(default)]
    pub k: Option<usize>,
    /// Which rank equal counts have: `ordinal` (1, 2, 3), `competition` (1, 1, 3) or `dense` (1, 1, 2).
    ///
    /// Default: ordinal
    /// Example: "dense"
    #[serde(default)]
    pub ties: Option<String>,
    /// The least count, for certain, that a row must have to be shown.
    ///
    /// Default: none
    /// Example: 20
    #[serde(default)]
    pub min_count: Option<u64>,
    /// Which items are left out: a file with one id on each line, or a set of Redis.
    ///
    /// Default: none
    /// Example: "redis://localhost:6379/0?set=blocked"
    #[serde(default)]
    pub blocklist: Option<String>,
    /// Factors of the weight, by event type.
    ///
    /// Default: none
    /// Example: { purchase = 5 }
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, u32>,
    /// How many groups the board has at most.
    ///
    /// Example: 5000
    #[serde(default)]
    pub max_groups: Option<usize>,
    /// The windows that it is ranked over.
    ///
    /// Example: [{ name = "last_5m", size = "5m", slide = "10s" }]
    #[serde(default)]
    pub windows: Option<Vec<WindowSection>>,
}

/// What is counted of each item.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(untagged, expecting = "\"events\", or a table such as { distinct = \"user_id\" }")]
pub enum CountOf {
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
    ///
    /// Default: none
    /// Example: ["US"]
    pub not: Option<OneOrMoreConstants>,
    /// A text that begins with one of these.
    ///
    /// Default: none
    /// Example: "/products/"
    pub prefix: Option<OneOrMore>,
    /// Whether the field must be present and not `null`, or must not.
    ///
    /// Default: none
    /// Example: true
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
    /// The name of the window in keys, URLs and JSON.
    ///
    /// Default: must be given
    /// Example: "last_1m"
    pub name: String,
    /// How long it is. A window without `size`, `slide` and `calendar` is the whole of an input that ends.
    ///
    /// Type: duration
    /// Default: none
    /// Example: "1m"
    #[serde(default)]
    pub size: Option<String>,
    /// How far apart two of its ends are. With `slide` equal to `size` it tumbles.
    ///
    /// Type: duration
    /// Default: must be given; a pane for a window of the calendar
    /// Example: "10s"
    #[serde(default)]
    pub slide: Option<String>,
    /// `hour`, `day`, `week` or `month`: the window is what has come of the one that is under way.
    ///
    /// Default: none
    /// Example: "day"
    #[serde(default)]
    pub calendar: Option<String>,
    /// Where the calendar is: a name of the IANA time zone database.
    ///
    /// Default: none
    /// Example: "Europe/Berlin"
    #[serde(default)]
    pub timezone: Option<String>,
    /// What the window is compared with, so that Redis has what rises: `previous`, or how much earlier.
    ///
    /// Default: none
    /// Example: ["previous", "1d"]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rising: Vec<String>,
}
