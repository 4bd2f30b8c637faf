//! Monitors how a board's configuration matches the events: counts the events that the board takes, and looks for each
//! configured field until some event has it.
//!
//! **In**: the events of one worker. **Out**: the board's [`MatchCounts`]. **Costs**: an addition for each event that is
//! taken, and a look-up for each field that no event has had.

use crate::match_counts::{Field, MatchCounts, Role, fields};
use crest_formats::parser::Event;
use crest_formats::plan::FieldId;
use crest_formats::schema::SchemaSpec;
use crest_state::fields::BoardFields;
use crest_state::spec::BoardSpec;

/// See the module.
#[derive(Debug)]
pub struct MatchMonitor {
    counts: MatchCounts,
    /// Filter fields that no event has had, and the array of events, with their places in [`MatchCounts::seen`]: they are
    /// looked for in every event.
    of_all: Vec<(usize, Sought)>,
    /// Other fields that none of the events taken has had: they are looked for in those only.
    of_taken: Vec<(usize, Sought)>,
}

/// What to look for in an event.
#[derive(Debug)]
enum Sought {
    /// Any event at all.
    Event,
    Field(FieldId),
    /// An event of this type, and the field that says it.
    Type(FieldId, String),
}

impl MatchMonitor {
    /// The monitor of a board that finds its fields at these places.
    pub fn new(schema: &SchemaSpec, board: &BoardSpec, places: &BoardFields) -> Self {
        let fields = fields(schema, board);
        let counts = MatchCounts { seen: vec![false; fields.len()], ..MatchCounts::default() };
        let (mut of_all, mut of_taken) = (Vec::new(), Vec::new());
        let (mut filter, mut by) = (places.filter.iter(), places.by.iter());
        for (place, Field { role, name }) in fields.into_iter().enumerate() {
            let sought = match role {
                Role::Each => Some(Sought::Event),
                Role::Item => Some(Sought::Field(places.item)),
                Role::Filter => filter.next().copied().map(Sought::Field),
                Role::By => by.next().copied().map(Sought::Field),
                Role::Weight => places.weight.map(Sought::Field),
                Role::Factor => Some(Sought::Type(places.event_type, name)),
            };
            let list = match role {
                Role::Each | Role::Filter => &mut of_all,
                _ => &mut of_taken,
            };
            list.extend(sought.map(|sought| (place, sought)));
        }
        MatchMonitor { counts, of_all, of_taken }
    }

    /// The counts so far.
    pub fn counts(&self) -> &MatchCounts {
        &self.counts
    }

    /// Notes an event, whether or not the board takes it.
    #[inline]
    pub fn met(&mut self, event: &Event<'_>) {
        if !self.of_all.is_empty() {
            look(&mut self.of_all, &mut self.counts.seen, event);
        }
    }

    /// Notes that the board takes the event.
    #[inline]
    pub fn taken(&mut self, event: &Event<'_>) {
        self.counts.matched += 1;
        if !self.of_taken.is_empty() {
            look(&mut self.of_taken, &mut self.counts.seen, event);
        }
    }

    /// Notes that an event which the board took has no usable item.
    pub fn without_item(&mut self) {
        self.counts.without_item += 1;
    }

    /// Notes that an event which the board took has no usable weight.
    pub fn without_weight(&mut self) {
        self.counts.without_weight += 1;
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
    fn is_in(&self, event: &Event<'_>) -> bool {
        match self {
            Sought::Event => true,
            Sought::Field(field) => event.has(*field),
            Sought::Type(field, name) => event.field(*field).text() == Some(name),
        }
    }
}
