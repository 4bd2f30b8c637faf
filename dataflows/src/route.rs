//! Which boards count an event, as which item, in which groups and with what weight.
//!
//! **In**: a parsed event. **Out**: the event in a batch, once for each sketch that counts it. **Always holds**: an event
//! is refused only where boards take it and none of them can count it. **Costs**: at most one hash of the item for each
//! board that counts it; the board's groups share it.

use crate::condition::Condition;
use crate::event_batch::{EventBatch, Placed};
use crate::match_counts::MatchCounts;
use crate::match_monitor::MatchMonitor;
use crest_connectors::group_key::GroupBuffer;
use crest_formats::normalize::Normalizer;
use crest_formats::parser::Event;
use crest_formats::plan::{FieldId, ViewId};
use crest_formats::refusal::Refusal;
use crest_sketches::item_hash;
use crest_state::fields::BoardFields;
use crest_state::pane::Pane;
use crest_state::spec::{BoardSpec, JobSpec};

/// The longest item id, in bytes.
pub const MAX_ITEM_BYTES: usize = 1024;
/// The longest value of a dimension, in bytes; a longer one is treated as absent.
pub const MAX_DIMENSION_BYTES: usize = 256;

/// The boards of a job, with their fields resolved.
#[derive(Debug)]
pub struct Router {
    boards: Vec<Board>,
    seed: u64,
    hits: Vec<Hit>,
    group: GroupBuffer,
}

#[derive(Debug)]
struct Board {
    view: ViewId,
    filter: Vec<(FieldId, Condition)>,
    item: FieldId,
    normalizer: Normalizer,
    /// Whether an event without an item is passed over rather than refused.
    skips_missing_items: bool,
    event_type: FieldId,
    weight: Option<FieldId>,
    by: Vec<(String, FieldId)>,
    weights: Vec<(String, u32)>,
    monitor: MatchMonitor,
}

#[derive(Clone, Copy, Debug)]
struct Hit {
    board: u32,
    weight: u32,
}

impl Router {
    /// The router of a job, whose boards find their fields at these places.
    pub fn new(spec: &JobSpec, fields: &[BoardFields]) -> Self {
        let boards = spec.boards.iter().zip(fields).map(|(board, fields)| Board::new(spec, board, fields));
        let boards = boards.collect();
        Router { boards, seed: spec.sketch.seed, hits: Vec::new(), group: GroupBuffer::WHOLE }
    }

    /// Finds the boards that count the event. Returns the text of its item in the first of them, before any rules, or
    /// `None` where no board takes it.
    ///
    /// # Errors
    /// Boards take the event, but none finds a usable item and weight in it; a weight that is too great once multiplied
    /// by the board's factor is not usable.
    pub fn select<'e>(&mut self, event: &Event<'e>) -> Result<Option<&'e str>, Refusal> {
        self.hits.clear();
        let (mut first, mut refusal) = (None, None);
        for (index, board) in self.boards.iter_mut().enumerate() {
            if board.view != event.view {
                continue;
            }
            board.monitor.met(event);
            if !board.takes(event) {
                continue;
            }
            board.monitor.taken(event);
            match board.item_and_weight(event) {
                Ok((item, weight)) => {
                    first = first.or(Some(item));
                    self.hits.push(Hit { board: index as u32, weight });
                }
                Err(reason) => {
                    board.note(reason);
                    if !(reason == Refusal::Item && board.skips_missing_items) {
                        refusal = refusal.or(Some(reason));
                    }
                }
            }
        }
        match refusal {
            Some(reason) if first.is_none() => Err(reason),
            _ => Ok(first),
        }
    }

    /// The id under which the first board that takes the event ranks it, whatever its weight; `None` where no board takes
    /// it, or those that do pass over events without an item.
    ///
    /// # Errors
    /// Boards take the event, but none finds a usable item in it.
    pub fn item<'i>(&'i mut self, event: &Event<'i>) -> Result<Option<&'i str>, Refusal> {
        let (mut found, mut refusal) = (None, None);
        for (index, board) in self.boards.iter_mut().enumerate() {
            if board.view != event.view || !board.takes(event) {
                continue;
            }
            match board.item(event) {
                Ok(item) => {
                    found = Some((index, item));
                    break;
                }
                Err(Refusal::Item) if board.skips_missing_items => {}
                Err(reason) => refusal = refusal.or(Some(reason)),
            }
        }
        match (found, refusal) {
            (Some((index, item)), _) => Ok(Some(self.boards[index].normalizer.apply(item))),
            (None, Some(reason)) => Err(reason),
            (None, None) => Ok(None),
        }
    }

    /// The id under which the first board would rank the event if its filter took it; `None` where the event is not one of
    /// those that the board looks at, or has no usable item.
    pub fn item_if_taken<'i>(&'i mut self, event: &Event<'i>) -> Option<&'i str> {
        let board = self.boards.first_mut().filter(|board| board.view == event.view)?;
        let item = board.item(event).ok()?;
        Some(board.normalizer.apply(item))
    }

    /// The id under which the first board counts the event that was selected last. `item` is what
    /// [`select`](Self::select) returned.
    pub fn first_id<'i>(&'i mut self, item: &'i str) -> &'i str {
        match self.hits.first() {
            Some(hit) => self.boards[hit.board as usize].normalizer.apply(item),
            None => item,
        }
    }

    /// The boards that take the event which was selected last, by their places in the spec.
    pub fn selected(&self) -> impl Iterator<Item = u32> {
        self.hits.iter().map(|hit| hit.board)
    }

    /// The match counts of each board so far, in the order of the spec.
    pub fn match_counts(&self) -> impl Iterator<Item = &MatchCounts> {
        self.boards.iter().map(|board| board.monitor.counts())
    }

    /// Adds the event that was selected last to the batch, in its pane. `item` is what [`select`](Self::select) returned;
    /// boards that find the same text in the same place share its bytes and its hash.
    pub fn push(&mut self, event: &Event<'_>, item: &str, pane: Pane, batch: &mut EventBatch) {
        let mut first = Some(item);
        let mut shared: Option<(FieldId, Placed)> = None;
        for hit in &self.hits {
            let board = &mut self.boards[hit.board as usize];
            let text = first.take();
            let as_it_is = board.normalizer.is_empty();
            let placed = match shared {
                Some((field, placed)) if field == board.item && as_it_is => placed,
                _ => {
                    let Some(text) = text.or_else(|| event.field(board.item).text()) else { continue };
                    let id = board.normalizer.apply(text);
                    batch.place(item_hash(id.as_bytes(), self.seed), id)
                }
            };
            if as_it_is {
                shared = Some((board.item, placed));
            }
            batch.push(hit.board, &GroupBuffer::WHOLE, pane, placed, hit.weight);
            if board.group(event, &mut self.group) {
                batch.push(hit.board, &self.group, pane, placed, hit.weight);
            }
        }
    }
}

impl Board {
    fn new(job: &JobSpec, spec: &BoardSpec, fields: &BoardFields) -> Self {
        let filter = fields.filter.iter().copied().zip(spec.filter.values().map(Condition::new));
        let mut by: Vec<_> = spec.by.iter().cloned().zip(fields.by.iter().copied()).collect();
        by.sort_by(|(a, _), (b, _)| a.cmp(b));
        Board {
            view: fields.view,
            filter: filter.collect(),
            item: fields.item,
            normalizer: Normalizer::new(&spec.normalize),
            skips_missing_items: !spec.on_missing_item.is_refused(),
            event_type: fields.event_type,
            weight: fields.weight,
            by,
            weights: spec.weights.iter().map(|(name, factor)| (name.clone(), *factor)).collect(),
            monitor: MatchMonitor::new(&job.schema, spec, fields),
        }
    }

    /// Notes that an event which the board took cannot be counted.
    #[cold]
    fn note(&mut self, reason: Refusal) {
        match reason {
            Refusal::Weight => self.monitor.without_weight(),
            _ => self.monitor.without_item(),
        }
    }

    #[inline]
    fn takes(&self, event: &Event<'_>) -> bool {
        self.filter.iter().all(|(field, condition)| condition.holds(event.field(*field)))
    }

    /// The item for which the board counts the event, before any rules.
    #[inline]
    fn item<'e>(&mut self, event: &Event<'e>) -> Result<&'e str, Refusal> {
        let item = event.field(self.item).text().ok_or(Refusal::Item)?;
        match self.normalizer.apply(item).len() {
            0 => Err(Refusal::Item),
            1..=MAX_ITEM_BYTES => Ok(item),
            _ => Err(Refusal::ItemTooLong),
        }
    }

    /// The item, before any rules, and the weight for which the board counts the event.
    #[inline]
    fn item_and_weight<'e>(&mut self, event: &Event<'e>) -> Result<(&'e str, u32), Refusal> {
        let item = self.item(event)?;
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

    /// Writes the event's group. Returns false when the board has no groups, or the event lacks a dimension.
    fn group(&self, event: &Event<'_>, group: &mut GroupBuffer) -> bool {
        group.clear();
        for (name, field) in &self.by {
            let Some(value) = event.field(*field).text() else { return false };
            if value.len() > MAX_DIMENSION_BYTES {
                return false;
            }
            group.push(name, value);
        }
        !self.by.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_batch::BatchPool;
    use crest_formats::parser::Parser;
    use crest_formats::schema::SchemaSpec;
    use crest_state::fields::JobFields;
    use crest_state::spec::Filter;

    /// With a weight that may be absent.
    fn spec(boards: Vec<BoardSpec>) -> JobSpec {
        let schema =
            SchemaSpec { weight: vec!["weight".into()], weight_default: Some(1), ..SchemaSpec::default() };
        JobSpec { boards, schema, ..JobSpec::default() }
    }

    fn board(name: &str) -> BoardSpec {
        BoardSpec { name: name.into(), ..BoardSpec::default() }
    }

    fn reader(spec: &JobSpec) -> (Parser, Router) {
        let fields = JobFields::new(spec).unwrap();
        (Parser::new(fields.plan), Router::new(spec, &fields.boards))
    }

    /// For each sketch that counts the event: its board, group and the weight.
    fn route(spec: &JobSpec, json: &str) -> Result<Vec<(u32, String, u64)>, Refusal> {
        let (mut parser, mut router) = reader(spec);
        let mut batch = BatchPool::default().take(0);
        let mut events = parser.read(json.as_bytes(), &())?;
        while let Some(event) = events.next() {
            if let Some(item) = router.select(&event)? {
                router.push(&event, item, 7, &mut batch);
            }
        }
        Ok(batch
            .by_sketch()
            .iter()
            .map(|part| (part.board, part.group.as_str().to_owned(), part.weight()))
            .collect())
    }

    #[test]
    fn a_board_takes_its_events_by_type_item_and_dimension() {
        let mut videos = board("videos");
        videos.filter.insert("event_type".into(), Filter::AnyOf(vec!["video_view".into()]));
        videos.item = Some("video_id".into());
        videos.by = vec!["region".into(), "device".into()];
        let mut sales = board("sales");
        sales.weights.insert("purchase".into(), 5);
        let spec = spec(vec![videos, sales]);
        let view =
            r#"{"event":"video_view","video_id":"a","region":"IN","device":"a=b","timestamp":1711670400}"#;
        let group = "device=a%3Db,region=IN".to_string();
        assert_eq!(route(&spec, view), Ok(vec![(0, String::new(), 1), (0, group, 1)]));
        let no_region = r#"{"event":"video_view","video_id":"a","timestamp":1711670400}"#;
        assert_eq!(route(&spec, no_region), Ok(vec![(0, String::new(), 1)]));
        let sale = r#"{"event_type":"purchase","item_id":"a","weight":3,"timestamp":1711670400}"#;
        assert_eq!(route(&spec, sale), Ok(vec![(1, String::new(), 15)]));
    }

    #[test]
    fn an_event_that_boards_take_and_that_names_no_item_is_refused() {
        let spec = spec(vec![board("all")]);
        let refused = |json: &str| route(&spec, json).unwrap_err();
        assert_eq!(refused(r#"{"timestamp":1711670400}"#), Refusal::Item);
        assert_eq!(refused(r#"{"item_id":"","timestamp":1711670400}"#), Refusal::Item);
        assert_eq!(refused(r#"{"item_id":["a"],"timestamp":1711670400}"#), Refusal::Item);
        let long = format!(r#"{{"item_id":"{}","timestamp":1711670400}}"#, "x".repeat(1025));
        assert_eq!(refused(&long), Refusal::ItemTooLong);
    }

    #[test]
    fn a_weight_that_a_factor_makes_too_great_is_refused() {
        let mut sales = board("sales");
        sales.weights.insert("purchase".into(), 2);
        let heavy = r#"{"event_type":"purchase","item_id":"a","weight":4294967295,"timestamp":1711670400}"#;
        assert_eq!(route(&spec(vec![sales]), heavy), Err(Refusal::Weight));
    }

    #[test]
    fn a_weight_that_is_named_is_asked_for_by_the_boards_that_take_the_event() {
        let mut sales = board("sales");
        sales.filter.insert("event_type".into(), Filter::AnyOf(vec!["purchase".into()]));
        let mut spec = spec(vec![sales]);
        spec.schema.weight_default = None;
        let sale = r#"{"event_type":"purchase","item_id":"a","timestamp":1711670400}"#;
        assert_eq!(route(&spec, sale), Err(Refusal::Weight));
        assert_eq!(route(&spec, &sale.replace("purchase", "view")), Ok(vec![]));
        assert_eq!(route(&spec, &sale.replace("item_id", "id")), Err(Refusal::Item), "first its item");
    }

    #[test]
    fn each_board_tells_what_it_took_what_it_lacked_and_what_no_event_had() {
        let mut videos = board("videos");
        videos.filter.insert("event_type".into(), Filter::AnyOf(vec!["view".into(), "like".into()]));
        videos.item = Some("video_id".into());
        videos.by = vec!["region".into(), "device".into()];
        videos.weights.insert("like".into(), 5);
        let all = board("all");
        let mut other = board("other");
        other.filter.insert("kind".into(), Filter::AnyOf(vec!["x".into()]));
        let mut spec = spec(vec![videos, all, other]);
        spec.schema.weight_default = None;
        let (mut parser, mut router) = reader(&spec);
        for event in [
            r#"{"event":"view","video_id":"v","item_id":"i","weight":1,"device":"tv","timestamp":1711670400}"#,
            r#"{"event":"view","item_id":"i","weight":2,"device":"tv","timestamp":1711670400}"#,
            r#"{"event":"view","video_id":"v","item_id":"i","device":null,"timestamp":1711670400}"#,
            r#"{"event":"view","video_id":{},"item_id":"","weight":0,"timestamp":1711670400}"#,
            r#"{"event":"buy","item_id":"i","weight":1,"region":"IN","timestamp":1711670400}"#,
        ] {
            let _ = router.select(&parser.read(event.as_bytes(), &()).unwrap().next().unwrap());
        }
        let match_counts: Vec<MatchCounts> = router.match_counts().cloned().collect();
        let counts = |matched, without_item, without_weight, seen: &[bool]| MatchCounts {
            matched,
            without_item,
            without_weight,
            seen: seen.into(),
        };
        // Its item, its filter, region and device, the weight, and the type of its factor.
        assert_eq!(match_counts[0], counts(4, 2, 1, &[true, true, false, true, true, false]));
        assert_eq!(match_counts[1], counts(5, 1, 1, &[true, true]));
        assert_eq!(match_counts[2], counts(0, 0, 0, &[false, false, false]));
    }

    #[test]
    fn an_event_that_no_board_takes_is_no_error() {
        let mut videos = board("videos");
        videos.filter.insert("region".into(), Filter::AnyOf(vec!["IN".into()]));
        let elsewhere = r#"{"item_id":"a","region":"US","timestamp":1711670400}"#;
        assert_eq!(route(&spec(vec![videos]), elsewhere), Ok(vec![]));
    }
}
