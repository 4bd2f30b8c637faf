//! Keeps the tally of one board: counts the events that it takes, and looks for each field that it names until one event
//! had it.
//!
//! **In**: events, as the board meets them. **Out**: its [`BoardTally`]. **Costs**: an addition for an event that is
//! taken, and a look for each field that no event had yet.

use crate::tally::{BoardTally, Field, Role, fields};
use crest_formats::parser::{Event, FieldId, Parser, Value};
use crest_formats::schema::SchemaSpec;
use crest_state::spec::BoardSpec;

/// See the module.
#[derive(Debug)]
pub struct Lookout {
    tally: BoardTally,
    /// Fields of the filter that no event had yet, by their places in the tally.
    of_all: Vec<(usize, Sought)>,
    /// Other fields that no event had yet which the board took.
    of_taken: Vec<(usize, Sought)>,
}

/// What is looked for in an event.
#[derive(Debug)]
enum Sought {
    Item,
    EventType,
    Weight,
    Field(FieldId),
    /// An event of this type.
    Type(String),
}

impl Lookout {
    /// For a board whose events `parser` reads.
    pub fn new(schema: &SchemaSpec, board: &BoardSpec, parser: &Parser) -> Self {
        let fields = fields(schema, board);
        let tally = BoardTally { seen: vec![false; fields.len()], ..BoardTally::default() };
        let (mut of_all, mut of_taken) = (Vec::new(), Vec::new());
        for (place, field) in fields.into_iter().enumerate() {
            let list = if field.role == Role::Filter { &mut of_all } else { &mut of_taken };
            list.extend(Sought::of(field, board, parser).map(|sought| (place, sought)));
        }
        Lookout { tally, of_all, of_taken }
    }

    /// What it has met so far.
    pub fn tally(&self) -> &BoardTally {
        &self.tally
    }

    /// The board meets an event, which it may take or not.
    #[inline]
    pub fn met(&mut self, event: &Event<'_>) {
        if !self.of_all.is_empty() {
            look(&mut self.of_all, &mut self.tally.seen, event);
        }
    }

    /// It takes the event.
    #[inline]
    pub fn taken(&mut self, event: &Event<'_>) {
        self.tally.matched += 1;
        if !self.of_taken.is_empty() {
            look(&mut self.of_taken, &mut self.tally.seen, event);
        }
    }

    /// The event that it has taken has no item.
    pub fn without_item(&mut self) {
        self.tally.without_item += 1;
    }

    /// The event that it has taken has no weight.
    pub fn without_weight(&mut self) {
        self.tally.without_weight += 1;
    }
}

#[cold]
fn look(unseen: &mut Vec<(usize, Sought)>, seen: &mut [bool], event: &Event<'_>) {
    unseen.retain(|(place, sought)| {
        let found = sought.is_in(event);
        seen[*place] |= found;
        !found
    });
}

impl Sought {
    fn of(field: Field, board: &BoardSpec, parser: &Parser) -> Option<Self> {
        let named = |name: &str| parser.field(name).map(Sought::Field);
        match field.role {
            Role::Item => board.item.as_deref().map_or(Some(Sought::Item), named),
            Role::Filter if field.name == "event_type" => Some(Sought::EventType),
            Role::Filter | Role::By => named(&field.name),
            Role::Weight => Some(Sought::Weight),
            Role::Factor => Some(Sought::Type(field.name)),
        }
    }

    fn is_in(&self, event: &Event<'_>) -> bool {
        match self {
            Sought::Item => event.item() != Value::Absent,
            Sought::EventType => event.event_type() != Value::Absent,
            Sought::Weight => event.has_weight(),
            Sought::Field(id) => event.field(*id) != Value::Absent,
            Sought::Type(name) => event.event_type() == Value::Text(name),
        }
    }
}
