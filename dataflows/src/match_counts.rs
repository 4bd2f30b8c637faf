//! How the boards' configuration matches the events: how many events each board took, how many of them it could not
//! count, and which of its configured fields any event had. These plain numbers travel with a worker's counts.

use crest_formats::schema::SchemaSpec;
use crest_state::fields::{each, item_and_weight};
use crest_state::spec::BoardSpec;
use serde::{Deserialize, Serialize};

/// The counts of one board since the start, of one worker or of all together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchCounts {
    /// Events that its filter took, including late ones.
    pub matched: u64,
    /// Events among them without a usable item id.
    pub without_item: u64,
    /// Events among them with an item but without a usable weight.
    pub without_weight: u64,
    /// Events among them with an item but without a usable value of the field whose different values are counted.
    pub without_value: u64,
    /// For each of the board's [`fields`], whether an event had it.
    pub seen: Vec<bool>,
}

impl MatchCounts {
    /// Adds the counts of another worker.
    pub fn add(&mut self, other: &MatchCounts) {
        self.matched += other.matched;
        self.without_item += other.without_item;
        self.without_weight += other.without_weight;
        self.without_value += other.without_value;
        if self.seen.len() < other.seen.len() {
            self.seen.resize(other.seen.len(), false);
        }
        self.seen.iter_mut().zip(&other.seen).for_each(|(seen, theirs)| *seen |= theirs);
    }
}

/// What a board uses a field for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The array whose elements are its events.
    Each,
    /// Its item.
    Item,
    /// Its filter.
    Filter,
    /// Its groups.
    By,
    /// Its weight.
    Weight,
    /// Its different values are counted.
    Distinct,
    /// It says which events take away what others have counted.
    Retract,
    /// A factor of its weights; the name is a value of the event type, not a field.
    Factor,
}

impl Role {
    /// The configuration key that names such fields.
    pub fn key(self) -> &'static str {
        match self {
            Role::Each => "each",
            Role::Item => "item",
            Role::Filter => "filter",
            Role::By => "by",
            Role::Weight => "weight",
            Role::Distinct => "count.distinct",
            Role::Retract => "retract",
            Role::Factor => "weights",
        }
    }
}

/// A field that a board's configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What the board uses it for.
    pub role: Role,
    /// Its name in the configuration; `event_type` in a filter stands for the schema's event type.
    pub name: String,
}

/// The fields of a board, in the order of [`MatchCounts::seen`]. The array of events is looked for in every
/// record, filter fields in every event, and all others only in the events that the board takes.
pub fn fields(schema: &SchemaSpec, board: &BoardSpec) -> Vec<Field> {
    let field = |role, name: &str| Field { role, name: name.to_owned() };
    let (item, weight) = item_and_weight(board, schema);
    let mut fields: Vec<_> = each(board, schema).map(|name| field(Role::Each, name)).into_iter().collect();
    fields.push(field(Role::Item, &item.join(" or ")));
    fields.extend(board.filter.keys().map(|name| field(Role::Filter, name)));
    fields.extend(board.by.iter().map(|name| field(Role::By, name)));
    if !weight.is_empty() {
        fields.push(field(Role::Weight, &weight.join(" or ")));
    }
    if board.count.is_distinct() {
        fields.push(field(Role::Distinct, &board.count.distinct_names().join(" or ")));
    }
    fields.extend(board.retract.keys().map(|name| field(Role::Retract, name)));
    fields.extend(board.weights.keys().map(|name| field(Role::Factor, name)));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_worker_has_seen_was_seen() {
        let counts =
            |matched, seen: &[bool]| MatchCounts { matched, seen: seen.into(), ..MatchCounts::default() };
        let mut sum = MatchCounts::default();
        sum.add(&counts(2, &[true, false, false]));
        sum.add(&MatchCounts::default());
        sum.add(&counts(3, &[false, false, true]));
        assert_eq!(sum, counts(5, &[true, false, true]));
    }

    #[test]
    fn the_fields_of_a_board_are_those_that_its_configuration_names() {
        let schema = SchemaSpec { weight: vec!["n".into()], ..SchemaSpec::default() };
        let board = BoardSpec {
            each: Some("lines".into()),
            filter: [("event_type".to_owned(), vec!["view".to_owned()].into())].into(),
            by: vec!["region".into()],
            weights: [("buy".to_owned(), 3)].into(),
            ..BoardSpec::default()
        };
        let named: Vec<_> =
            fields(&schema, &board).into_iter().map(|field| (field.role.key(), field.name)).collect();
        let expected = [
            ("each", "lines"),
            ("item", "item_id"),
            ("filter", "event_type"),
            ("by", "region"),
            ("weight", "n"),
            ("weights", "buy"),
        ];
        assert_eq!(named, expected.map(|(role, name)| (role, name.to_owned())));
        assert_eq!(fields(&SchemaSpec::default(), &BoardSpec::default()).len(), 1);
    }
}
