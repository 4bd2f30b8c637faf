//! The parser: it reads the events of a record, with the fields that a job needs.
//!
//! **In**: the bytes of one record, which should be one JSON text. **Out**: its events, each with its time and the values
//! of the plan's fields, or the reason why the record is refused: [`Refusal::InvalidUtf8`], or else
//! [`Refusal::Malformed`]. A record that is no object is malformed too, unless the plan asks for elements of it.
//! Time, item and weight are checked by whoever counts the events.
//!
//! All of a record is checked, and what the plan asks for is kept, in one pass over its bytes. Nothing is allocated once
//! the buffers are warm.

use crate::beside::{Beside, RecordField};
use crate::json::{Hints, Keep, Lookup, value_text, walk_record, walk_value};
use crate::plan::{FieldId, Part, Plan, Scope, ViewId};
use crate::refusal::Refusal;
use crate::tree::Tree;
use crate::value::{Kind, Slot, Value};

/// A reader of records, one after another. Each worker has its own.
#[derive(Debug)]
pub struct Parser {
    plan: Plan,
    /// For the record, and then for the elements of each view.
    hints: Vec<Hints>,
    slots: Vec<Slot>,
    /// Texts that are not in the record as such.
    arena: String,
    elements: Vec<usize>,
}

/// The events of a record, one after another: those of each view, in the order of the record.
#[derive(Debug)]
pub struct Events<'a> {
    plan: &'a Plan,
    record: &'a str,
    hints: &'a mut [Hints],
    slots: &'a mut [Slot],
    arena: &'a mut String,
    /// The bytes of the arena that belong to the record rather than to an element.
    arena_of_record: usize,
    /// The places of the elements of the current view.
    elements: &'a mut Vec<usize>,
    view: usize,
    /// The next element; 0 where they have not been looked up.
    element: usize,
}

/// An event. It borrows its record and the parser.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The event time, in milliseconds since 1970 UTC; `None` where the event has no usable one.
    pub time: Option<i64>,
    /// The view that it belongs to.
    pub view: ViewId,
    /// Which element of its record it is, from 0; `None` where it is the record itself.
    pub element: Option<usize>,
    /// Where the element begins.
    place: usize,
    plan: &'a Plan,
    slots: &'a [Slot],
    record: &'a str,
    arena: &'a str,
}

impl Parser {
    /// A parser of JSON texts.
    pub fn new(plan: Plan) -> Self {
        let slots = vec![Slot::ABSENT; plan.slots];
        let hints = (0..=plan.views.len()).map(|_| Hints::default()).collect();
        Parser { plan, hints, slots, arena: String::new(), elements: Vec::new() }
    }

    /// Takes all texts for what they read as, since they are of a format that knows no other kinds.
    pub fn untyped(mut self, untyped: bool) -> Self {
        self.plan.untyped = untyped;
        self
    }

    /// Reads a record.
    ///
    /// # Errors
    /// The first that applies of [`Refusal::InvalidUtf8`] and [`Refusal::Malformed`].
    pub fn read<'a>(&'a mut self, record: &'a [u8], beside: &dyn Beside) -> Result<Events<'a>, Refusal> {
        self.read_text(utf8(record)?, beside)
    }

    /// Reads a record that is known to be UTF-8, and shorter than 1 GiB, as are all that sources and decoders hand over.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    #[inline(always)]
    pub fn read_text<'a>(&'a mut self, text: &'a str, beside: &dyn Beside) -> Result<Events<'a>, Refusal> {
        let scope = &self.plan.record;
        // The elements of an array of records, or the record as an element, are asked for at the root.
        let any = scope.tree.node(Tree::ROOT).slot.is_some();
        self.arena.clear();
        let (of_record, of_elements) = self.hints.split_at_mut(1);
        let mut keep = Keep {
            tree: &scope.tree,
            hints: &mut of_record[0],
            slots: &mut self.slots,
            arena: &mut self.arena,
            untyped: self.plan.untyped,
        };
        walk_record(text, any, &mut keep).map_err(|_| Refusal::Malformed)?;
        for (field, slot) in &self.plan.beside {
            self.slots[*slot] = kept_beside(field, beside, &mut self.arena);
        }
        let untyped = self.plan.untyped;
        derive(
            &self.plan.record,
            Derivation { record: text, slots: &mut self.slots, arena: &mut self.arena, untyped },
        );
        // This and the next event are inlined, so that neither is copied: that costs as much as reading a short record.
        Ok(Events {
            plan: &self.plan,
            record: text,
            hints: of_elements,
            slots: &mut self.slots,
            arena_of_record: self.arena.len(),
            arena: &mut self.arena,
            elements: &mut self.elements,
            view: 0,
            element: 0,
        })
    }
}

/// The text of a record.
///
/// # Errors
/// [`Refusal::InvalidUtf8`].
#[inline]
pub fn utf8(record: &[u8]) -> Result<&str, Refusal> {
    simdutf8::basic::from_utf8(record).map_err(|_| Refusal::InvalidUtf8)
}

/// The slot of what came beside the record.
fn kept_beside(field: &RecordField, beside: &dyn Beside, arena: &mut String) -> Slot {
    let from = arena.len();
    if !beside.append(field, arena) {
        arena.truncate(from);
        return Slot::ABSENT;
    }
    let kind = match field {
        RecordField::Timestamp | RecordField::Partition => Kind::Number,
        _ => Kind::Untyped,
    };
    Slot::kept(kind, from..arena.len())
}

/// What values are derived from, and where they go.
struct Derivation<'d> {
    record: &'d str,
    slots: &'d mut [Slot],
    arena: &'d mut String,
    untyped: bool,
}

/// Fills the slots of a scope that depend on other slots.
#[inline]
fn derive(scope: &Scope, mut with: Derivation<'_>) {
    for derived in &scope.derived {
        let from = with.slots[derived.from];
        let mut lookup = Lookup { record: with.record, arena: with.arena, untyped: with.untyped };
        with.slots[derived.to] = match from.kind() {
            Kind::Container => lookup.first(from.start(), &derived.steps),
            _ => Slot::ABSENT,
        };
    }
    for template in &scope.templates {
        with.slots[template.to] = with.fill_in(&template.parts);
    }
}

impl Derivation<'_> {
    /// The text of a template; absent where one of its fields is not usable.
    fn fill_in(&mut self, parts: &[Part]) -> Slot {
        let from = self.arena.len();
        for part in parts {
            match part {
                Part::Text(text) => self.arena.push_str(text),
                Part::Field(slots) => {
                    let value = |slot: &usize| self.slots[*slot].value(self.record, self.arena);
                    let usable = slots.iter().map(value).find(|value| value.is_usable());
                    let Some(text) = usable.and_then(Value::text).map(str::to_owned) else {
                        self.arena.truncate(from);
                        return Slot::ABSENT;
                    };
                    self.arena.push_str(&text);
                }
            }
        }
        Slot::kept(Kind::Text, from..self.arena.len())
    }
}

impl Events<'_> {
    /// The next event.
    #[expect(clippy::should_implement_trait, reason = "each event borrows the iterator")]
    #[inline(always)]
    pub fn next(&mut self) -> Option<Event<'_>> {
        let plan = self.plan;
        loop {
            let view = plan.views.get(self.view)?;
            let (Some((container, steps)), Some(scope)) = (&view.each, &view.element) else {
                self.view += 1;
                return Some(self.event(ViewId(self.view - 1), None, 0));
            };
            if self.element == 0 {
                self.elements.clear();
                let container = self.slots[*container];
                if container.kind() == Kind::Container {
                    let untyped = self.plan.untyped;
                    let mut lookup = Lookup { record: self.record, arena: self.arena, untyped };
                    lookup.all(container.start(), steps, self.elements);
                }
            }
            if let Some(&place) = self.elements.get(self.element) {
                self.element += 1;
                self.read_element(place, scope);
                return Some(self.event(ViewId(self.view), Some(self.element - 1), place));
            }
            (self.view, self.element) = (self.view + 1, 0);
        }
    }

    #[inline(never)]
    fn read_element(&mut self, place: usize, scope: &Scope) {
        self.arena.truncate(self.arena_of_record);
        let (tree, hints, untyped) = (&scope.tree, &mut self.hints[self.view], self.plan.untyped);
        walk_value(
            self.record,
            place,
            &mut Keep { tree, hints, slots: self.slots, arena: self.arena, untyped },
        );
        derive(scope, Derivation { record: self.record, slots: self.slots, arena: self.arena, untyped });
    }

    #[inline(always)]
    fn event(&self, view: ViewId, element: Option<usize>, place: usize) -> Event<'_> {
        let event = Event {
            time: None,
            view,
            element,
            place,
            plan: self.plan,
            slots: self.slots,
            record: self.record,
            arena: self.arena,
        };
        Event { time: event.time_of(self.plan.views[view.0].timestamp), ..event }
    }
}

impl<'a> Event<'a> {
    /// The value of a field: the first one that is usable, or else the first that is there.
    #[inline(always)]
    pub fn field(&self, id: FieldId) -> Value<'a> {
        match self.plan.fields[id.0].as_slice() {
            [only] => self.value(*only),
            several => self.first(several),
        }
    }

    #[inline(always)]
    fn value(&self, slot: usize) -> Value<'a> {
        self.slots[slot].value(self.record, self.arena)
    }

    #[inline(never)]
    fn first(&self, slots: &[usize]) -> Value<'a> {
        let values = || slots.iter().map(|slot| self.value(*slot));
        let usable = values().find(|value| value.is_usable());
        usable.or_else(|| values().find(|value| *value != Value::Absent)).unwrap_or(Value::Absent)
    }

    /// The JSON text of the event: that of its element, or of the whole record.
    pub fn text(&self) -> &'a str {
        match self.element {
            Some(_) => value_text(self.record, self.place),
            None => self.record,
        }
    }

    /// Whether the event has a value where its time is looked for, usable or not.
    pub fn has_timestamp(&self) -> bool {
        self.has(self.plan.views[self.view.0].timestamp)
    }

    /// Whether the event has a value in any of the field's places, usable or not.
    pub fn has(&self, id: FieldId) -> bool {
        self.plan.fields[id.0].iter().any(|slot| self.slots[*slot].kind() != Kind::Absent)
    }

    /// The weight that a field says, in units and at least 1, before a board's factors. Where the field is absent
    /// or an empty text in all of its places, the schema's default decides. `None` where there is no usable one.
    #[inline]
    pub fn weight(&self, id: FieldId) -> Option<u32> {
        let units = |slot: &usize| match self.value(*slot) {
            Value::Number(text) | Value::Text(text) | Value::Untyped(text) => self.plan.scale.units(text),
            Value::Absent | Value::Bool(_) | Value::Unusable => None,
        };
        let slots = &self.plan.fields[id.0];
        let nothing =
            |slot: &usize| matches!(self.value(*slot), Value::Absent | Value::Text("") | Value::Untyped(""));
        let usable = slots.iter().find_map(units);
        usable.or_else(|| self.plan.weight_default.filter(|_| slots.iter().all(nothing)))
    }

    #[inline(always)]
    fn time_of(&self, id: FieldId) -> Option<i64> {
        match self.plan.fields[id.0].as_slice() {
            [only] => self.time_at(*only),
            several => several.iter().find_map(|slot| self.time_at(*slot)),
        }
    }

    #[inline]
    fn time_at(&self, slot: usize) -> Option<i64> {
        match self.value(slot) {
            Value::Number(text) => self.plan.times.number(text),
            Value::Text(text) | Value::Untyped(text) => self.plan.times.text(text),
            Value::Absent | Value::Bool(_) | Value::Unusable => None,
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod twin;
