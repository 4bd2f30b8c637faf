//! Which events boards count, as which item and with which weight: what boards that agree in all of it share.

use crate::condition::Condition;
use crate::match_counts::MatchCounts;
use crate::match_monitor::MatchMonitor;
use crest_formats::normalize::Normalizer;
use crest_formats::parser::Event;
use crest_formats::plan::{FieldId, ViewId};
use crest_formats::refusal::Refusal;
use crest_formats::schema::SchemaSpec;
use crest_state::fields::BoardFields;
use crest_state::spec::{BoardSpec, Filter};
use std::collections::BTreeMap;

/// The longest item id, in bytes.
pub const MAX_ITEM_BYTES: usize = 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Selector {
    view: ViewId,
    filter: Vec<(FieldId, Condition)>,
    /// Under all of which an event takes away what others have counted; none does where there are none.
    retract: Vec<(FieldId, Condition)>,
    item: FieldId,
    normalizer: Normalizer,
    /// Whether an event without an item is passed over rather than refused.
    skips_missing_items: bool,
    event_type: FieldId,
    weight: Option<FieldId>,
    weights: Vec<(String, u32)>,
    /// The field whose different values are counted.
    distinct: Option<FieldId>,
    monitor: MatchMonitor,
}

impl Selector {
    /// Whether two boards select alike.
    pub(crate) fn are_alike(
        (one, fields): (&BoardSpec, &BoardFields),
        (other, other_fields): (&BoardSpec, &BoardFields),
    ) -> bool {
        let places = |fields: &BoardFields| {
            (fields.view, fields.item, fields.event_type, fields.weight, fields.distinct)
        };
        places(fields) == places(other_fields)
            && (&fields.filter, &fields.retract) == (&other_fields.filter, &other_fields.retract)
            && one.filter.values().eq(other.filter.values())
            && one.retract.values().eq(other.retract.values())
            && one.normalize == other.normalize
            && one.on_missing_item == other.on_missing_item
            && one.weights == other.weights
    }

    /// The selector of boards that are alike, of which there is at least one.
    pub(crate) fn new(schema: &SchemaSpec, boards: &[(&BoardSpec, &BoardFields)]) -> Self {
        let (spec, fields) = boards[0];
        let conditions = |fields: &[FieldId], filters: &BTreeMap<String, Filter>| {
            fields.iter().copied().zip(filters.values().map(Condition::new)).collect()
        };
        Selector {
            view: fields.view,
            filter: conditions(&fields.filter, &spec.filter),
            retract: conditions(&fields.retract, &spec.retract),
            item: fields.item,
            normalizer: Normalizer::new(&spec.normalize),
            skips_missing_items: !spec.on_missing_item.is_refused(),
            event_type: fields.event_type,
            weight: fields.weight,
            weights: spec.weights.iter().map(|(name, factor)| (name.clone(), *factor)).collect(),
            distinct: fields.distinct,
            monitor: MatchMonitor::new(schema, boards),
        }
    }

    /// The item, before any rules, and the weight for which the boards count the event; `None` where they do not take it.
    ///
    /// # Errors
    /// The boards take the event and cannot count it.
    #[inline]
    pub(crate) fn select<'e>(&mut self, event: &Event<'e>) -> Result<Option<(&'e str, u32)>, Refusal> {
        if !self.sees(event) {
            return Ok(None);
        }
        self.monitor.met(event);
        if !self.takes(event) {
            return Ok(None);
        }
        self.monitor.taken(event);
        match self.item_and_weight(event) {
            Ok(selected) => Ok(Some(selected)),
            Err(reason) => Err(self.note(reason)),
        }
    }

    /// Notes that an event which the boards took cannot be counted.
    #[cold]
    fn note(&mut self, reason: Refusal) -> Refusal {
        match reason {
            Refusal::Weight => self.monitor.without_weight(),
            Refusal::Distinct => self.monitor.without_value(),
            _ => self.monitor.without_item(),
        }
        reason
    }

    /// Whether an event that cannot be counted for this reason is passed over.
    pub(crate) fn passes_over(&self, reason: Refusal) -> bool {
        reason == Refusal::Item && self.skips_missing_items
    }

    /// Whether the event is one of those that the boards look at.
    #[inline]
    pub(crate) fn sees(&self, event: &Event<'_>) -> bool {
        self.view == event.view
    }

    /// Whether the boards take the event.
    #[inline]
    pub(crate) fn takes(&self, event: &Event<'_>) -> bool {
        self.sees(event) && self.filter.iter().all(|(field, condition)| condition.holds(event.field(*field)))
    }

    /// Whether an event that the boards take takes away what others have counted.
    #[inline]
    pub(crate) fn removes(&self, event: &Event<'_>) -> bool {
        !self.retract.is_empty()
            && self.retract.iter().all(|(field, condition)| condition.holds(event.field(*field)))
    }

    /// The item for which the boards count the event, before any rules.
    ///
    /// # Errors
    /// The event has no usable item.
    #[inline]
    pub(crate) fn item<'e>(&mut self, event: &Event<'e>) -> Result<&'e str, Refusal> {
        let item = event.field(self.item).text().ok_or(Refusal::Item)?;
        match self.normalizer.apply(item).len() {
            0 => Err(Refusal::Item),
            1..=MAX_ITEM_BYTES => Ok(item),
            _ => Err(Refusal::ItemTooLong),
        }
    }

    #[inline]
    fn item_and_weight<'e>(&mut self, event: &Event<'e>) -> Result<(&'e str, u32), Refusal> {
        let item = self.item(event)?;
        if let Some(field) = self.distinct {
            return event
                .field(field)
                .text()
                .filter(|text| !text.is_empty())
                .map(|_| (item, 1))
                .ok_or(Refusal::Distinct);
        }
        let weight = match self.weight {
            Some(field) => event.weight(field).ok_or(Refusal::Weight)?,
            None => 1,
        };
        if self.weights.is_empty() {
            return Ok((item, weight));
        }
        let Some(event_type) = event.field(self.event_type).text() else { return Ok((item, weight)) };
        let factor =
            self.weights.iter().find(|(name, _)| name == event_type).map_or(1, |(_, factor)| *factor);
        Ok((item, weight.checked_mul(factor).ok_or(Refusal::Weight)?))
    }

    /// The text of the value that the boards count, which an event has that they take; `None` where they count events.
    #[inline]
    pub(crate) fn value<'e>(&self, event: &Event<'e>) -> Option<&'e str> {
        event.field(self.distinct?).text()
    }

    /// The id under which the boards rank an item.
    #[inline]
    pub(crate) fn id<'t>(&'t mut self, item: &'t str) -> &'t str {
        self.normalizer.apply(item)
    }

    /// Where the boards look for the item.
    #[inline]
    pub(crate) fn item_field(&self) -> FieldId {
        self.item
    }

    /// Whether an item is the text of this field as it is.
    #[inline]
    pub(crate) fn takes_texts_of(&self, field: FieldId) -> bool {
        self.item == field && self.normalizer.is_empty()
    }

    /// The match counts of each board so far.
    pub(crate) fn match_counts(&self) -> impl Iterator<Item = MatchCounts> {
        self.monitor.counts()
    }
}
