//! Monitors how the configuration of boards matches the events: counts the events that the boards take, and looks for each
//! configured field until some event has it.
//!
//! **In**: the events of one worker. **Out**: the [`MatchCounts`] of each board. The boards take the same events.
//! **Costs**: an addition for each event that is taken, and a look-up for each field that no event has had.

use crate::match_counts::{Field, MatchCounts, Role, fields};
use crest_formats::parser::Event;
use crest_formats::plan::FieldId;
use crest_formats::schema::SchemaSpec;
use crest_state::fields::BoardFields;
use crest_state::spec::BoardSpec;

/// See the module.
#[derive(Debug)]
pub struct MatchMonitor {
    /// What all boards have in common; what it says of fields means nothing.
    counts: MatchCounts,
    /// For each board, see [`MatchCounts::seen`].
    seen: Vec<Vec<bool>>,
    /// Filter fields that no event has had, and the array of events: they are looked for in every event.
    of_all: Vec<(Place, Sought)>,
    /// Other fields that none of the events taken has had: they are looked for in those only.
    of_taken: Vec<(Place, Sought)>,
}

/// The place of a board, and that of a field in its [`MatchCounts::seen`].
type Place = (usize, usize);

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
    /// The monitor of boards that find their fields at these places.
    pub fn new(schema: &SchemaSpec, boards: &[(&BoardSpec, &BoardFields)]) -> Self {
        let (counts, seen) = (MatchCounts::default(), Vec::new());
        let mut monitor = MatchMonitor { counts, seen, of_all: Vec::new(), of_taken: Vec::new() };
        for (board, places) in boards {
            monitor.watch(fields(schema, board), places);
        }
        monitor
    }

    /// Adds a board with these fields.
    fn watch(&mut self, fields: Vec<Field>, places: &BoardFields) {
        let board = self.seen.len();
        self.seen.push(vec![false; fields.len()]);
        let (mut filter, mut by) = (places.filter.iter(), places.by.iter());
        let mut retract = places.retract.iter();
        for (place, Field { role, name }) in fields.into_iter().enumerate() {
            let sought = match role {
                Role::Each => Some(Sought::Event),
                Role::Item => Some(Sought::Field(places.item)),
                Role::Filter => filter.next().copied().map(Sought::Field),
                Role::By => by.next().copied().map(Sought::Field),
                Role::Weight => places.weight.map(Sought::Field),
                Role::Distinct => places.distinct.map(Sought::Field),
                Role::Retract => retract.next().copied().map(Sought::Field),
                Role::Factor => Some(Sought::Type(places.event_type, name)),
            };
            let list = match role {
                Role::Each | Role::Filter => &mut self.of_all,
                _ => &mut self.of_taken,
            };
            list.extend(sought.map(|sought| ((board, place), sought)));
        }
    }

    /// The counts of each board so far.
    pub fn counts(&self) -> impl Iterator<Item = MatchCounts> {
        self.seen.iter().map(|seen| MatchCounts { seen: seen.clone(), ..self.counts })
    }

    /// Notes an event, whether or not the boards take it.
    #[inline]
    pub fn met(&mut self, event: &Event<'_>) {
        if !self.of_all.is_empty() {
            look(&mut self.of_all, &mut self.seen, event);
        }
    }

    /// Notes that the boards take the event.
    #[inline]
    pub fn taken(&mut self, event: &Event<'_>) {
        self.counts.matched += 1;
        if !self.of_taken.is_empty() {
            look(&mut self.of_taken, &mut self.seen, event);
        }
    }

    /// Notes that an event which the boards took has no usable item.
    pub fn without_item(&mut self) {
        self.counts.without_item += 1;
    }

    /// Notes that an event which the boards took has no usable weight.
    pub fn without_weight(&mut self) {
        self.counts.without_weight += 1;
    }

    /// Notes that an event which the boards took has no usable value of the field whose different values are counted.
    pub fn without_value(&mut self) {
        self.counts.without_value += 1;
    }
}

#[cold]
fn look(unseen: &mut Vec<(Place, Sought)>, seen: &mut [Vec<bool>], event: &Event<'_>) {
    unseen.retain(|((board, place), sought)| {
        let found = sought.is_in(event);
        seen[*board][*place] |= found;
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
