//! What the boards' configuration has met: how many events each board took, how many of them it could not count, and
//! which of the fields that it names any event had. Plain numbers, which travel with a worker's counts.

use crest_formats::schema::SchemaSpec;
use crest_state::spec::BoardSpec;
use serde::{Deserialize, Serialize};

/// What one worker, or all together, have met for one board since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardTally {
    /// Events that its filter took, late ones among them.
    pub matched: u64,
    /// Of these, events without an item id that can be used.
    pub without_item: u64,
    /// Of these, events with an item and without a weight that can be used.
    pub without_weight: u64,
    /// Of each of the board's [`fields`] whether an event had it.
    pub seen: Vec<bool>,
}

impl BoardTally {
    /// Adds what another worker has met.
    pub fn add(&mut self, other: &BoardTally) {
        self.matched += other.matched;
        self.without_item += other.without_item;
        self.without_weight += other.without_weight;
        if self.seen.len() < other.seen.len() {
            self.seen.resize(other.seen.len(), false);
        }
        self.seen.iter_mut().zip(&other.seen).for_each(|(seen, theirs)| *seen |= theirs);
    }
}

/// What a board needs a field for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Its item.
    Item,
    /// Its filter.
    Filter,
    /// Its groups.
    By,
    /// Its weight.
    Weight,
    /// A factor: the name is a value of the event type.
    Factor,
}

impl Role {
    /// The key of the configuration.
    pub fn key(self) -> &'static str {
        match self {
            Role::Item => "item",
            Role::Filter => "filter",
            Role::By => "by",
            Role::Weight => "weight",
            Role::Factor => "weights",
        }
    }
}

/// A field that the configuration names for a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What for.
    pub role: Role,
    /// Its name, as the board has it: `event_type` in a filter is the schema's type.
    pub name: String,
}

/// The fields of a board, in the order of [`BoardTally::seen`]. Those of its filter are looked for in every event, all
/// others in the events that it takes.
pub fn fields(schema: &SchemaSpec, board: &BoardSpec) -> Vec<Field> {
    let field = |role, name: &str| Field { role, name: name.to_owned() };
    let item = board.item.clone().unwrap_or_else(|| schema.item.join(" or "));
    let mut fields = vec![field(Role::Item, &item)];
    fields.extend(board.filter.keys().map(|name| field(Role::Filter, name)));
    fields.extend(board.by.iter().map(|name| field(Role::By, name)));
    if !schema.weight.is_empty() {
        fields.push(field(Role::Weight, &schema.weight.join(" or ")));
    }
    fields.extend(board.weights.keys().map(|name| field(Role::Factor, name)));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_worker_has_seen_was_seen() {
        let tally =
            |matched, seen: &[bool]| BoardTally { matched, seen: seen.into(), ..BoardTally::default() };
        let mut sum = BoardTally::default();
        sum.add(&tally(2, &[true, false, false]));
        sum.add(&BoardTally::default());
        sum.add(&tally(3, &[false, false, true]));
        assert_eq!(sum, tally(5, &[true, false, true]));
    }

    #[test]
    fn the_fields_of_a_board_are_those_that_its_configuration_names() {
        let schema = SchemaSpec { weight: vec!["n".into()], ..SchemaSpec::default() };
        let board = BoardSpec {
            filter: [("event_type".to_owned(), vec!["view".to_owned()])].into(),
            by: vec!["region".into()],
            weights: [("buy".to_owned(), 3)].into(),
            ..BoardSpec::default()
        };
        let named: Vec<_> =
            fields(&schema, &board).into_iter().map(|field| (field.role.key(), field.name)).collect();
        let expected = [
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
