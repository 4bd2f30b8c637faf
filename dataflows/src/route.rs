//! Which boards count an event, as which item, in which groups and with what weight.
//!
//! **In**: a parsed event. **Out**: the event in a batch, once for each feed that has it. **Always holds**: an event
//! is refused only where boards take it and none of them can count it; what takes away has feeds of its own. **Costs**: boards that select alike share all the
//! work, down to the columns of the batch; the groups of boards that have the same dimensions do too. At most one hash of
//! the item for each place where boards look for it.

use crate::event_batch::{Counts, EventBatch, Feed, Placed};
use crate::match_counts::MatchCounts;
use crate::selector::Selector;
use crest_connectors::group_key::{Dimension, GroupBuffer};
use crest_formats::parser::Event;
use crest_formats::plan::FieldId;
use crest_formats::refusal::Refusal;
use crest_sketches::item_hash;
use crest_state::fields::BoardFields;
use crest_state::pane::Pane;
use crest_state::spec::{BoardSpec, JobSpec};
use std::sync::Arc;

/// The longest value of a dimension, in bytes; a longer one is treated as absent.
pub const MAX_DIMENSION_BYTES: usize = 256;

/// The boards of a job, with their fields resolved.
#[derive(Debug)]
pub struct Router {
    /// In the order of their first boards.
    routes: Vec<Route>,
    /// How many boards there are.
    boards: usize,
    seed: u64,
    hits: Vec<Hit>,
    group: GroupBuffer,
}

/// The way of the events of boards that select alike.
#[derive(Debug)]
struct Route {
    selector: Selector,
    /// All of its boards, as a whole.
    whole: Feeds,
    groupings: Vec<Grouping>,
}

/// The boards of a route that have the same dimensions.
#[derive(Debug)]
struct Grouping {
    by: Dimensions,
    feeds: Feeds,
}

/// The feeds of some boards.
#[derive(Debug)]
struct Feeds {
    counted: Feed,
    /// Of events that take away, where the boards retract.
    removed: Option<Feed>,
}

impl Feeds {
    #[inline]
    fn of(&self, removes: bool) -> &Feed {
        match &self.removed {
            Some(removed) if removes => removed,
            _ => &self.counted,
        }
    }
}

/// Dimensions in the order of their names, and their fields.
type Dimensions = Vec<(Dimension, FieldId)>;

/// A board with its fields, and its place in the spec.
type PlacedBoard<'s> = ((&'s BoardSpec, &'s BoardFields), u32);

/// A route that takes the event at hand.
#[derive(Clone, Copy, Debug)]
struct Hit {
    route: u32,
    weight: u32,
}

impl Router {
    /// The router of a job, whose boards find their fields at these places.
    pub fn new(spec: &JobSpec, fields: &[BoardFields]) -> Self {
        let mut alike: Vec<Vec<PlacedBoard<'_>>> = Vec::new();
        for (board, index) in spec.boards.iter().zip(fields).zip(0..) {
            match alike.iter_mut().find(|others| Selector::are_alike(others[0].0, board)) {
                Some(others) => others.push((board, index)),
                None => alike.push(vec![(board, index)]),
            }
        }
        let mut feeds = 0..;
        let routes = alike.iter().map(|boards| Route::new(spec, boards, &mut feeds)).collect();
        Router {
            routes,
            boards: spec.boards.len(),
            seed: spec.sketch.seed,
            hits: Vec::new(),
            group: GroupBuffer::WHOLE,
        }
    }

    /// Finds the boards that count the event. Returns the text of its item in the first of them, before any rules, or
    /// `None` where no board takes it.
    ///
    /// # Errors
    /// Boards take the event, but none finds a usable item and weight in it; a weight that is too great once multiplied
    /// by the board's factor is not usable.
    #[inline]
    pub fn select<'e>(&mut self, event: &Event<'e>) -> Result<Option<&'e str>, Refusal> {
        self.hits.clear();
        let (mut first, mut refusal) = (None, None);
        for (route, index) in self.routes.iter_mut().zip(0..) {
            match route.selector.select(event) {
                Ok(None) => {}
                Ok(Some((item, weight))) => {
                    first = first.or(Some(item));
                    self.hits.push(Hit { route: index, weight });
                }
                Err(reason) => {
                    if !route.selector.passes_over(reason) {
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
        for (index, route) in self.routes.iter_mut().enumerate() {
            let selector = &mut route.selector;
            if !selector.takes(event) {
                continue;
            }
            match selector.item(event) {
                Ok(item) => {
                    found = Some((index, item));
                    break;
                }
                Err(reason) if selector.passes_over(reason) => {}
                Err(reason) => refusal = refusal.or(Some(reason)),
            }
        }
        match (found, refusal) {
            (Some((index, item)), _) => Ok(Some(self.routes[index].selector.id(item))),
            (None, Some(reason)) => Err(reason),
            (None, None) => Ok(None),
        }
    }

    /// The id under which the first board would rank the event if its filter took it; `None` where the event is not one of
    /// those that the board looks at, or has no usable item.
    pub fn item_if_taken<'i>(&'i mut self, event: &Event<'i>) -> Option<&'i str> {
        let selector = &mut self.routes.first_mut()?.selector;
        let item = selector.sees(event).then(|| selector.item(event).ok())??;
        Some(selector.id(item))
    }

    /// The id under which the first board counts the event that was selected last. `item` is what
    /// [`select`](Self::select) returned.
    pub fn first_id<'i>(&'i mut self, item: &'i str) -> &'i str {
        match self.hits.first() {
            Some(hit) => self.routes[hit.route as usize].selector.id(item),
            None => item,
        }
    }

    /// The boards that take the event which was selected last, by their places in the spec.
    pub fn selected(&self) -> impl Iterator<Item = u32> {
        self.hits.iter().flat_map(|hit| self.routes[hit.route as usize].whole.counted.boards.iter().copied())
    }

    /// The match counts of each board so far, in the order of the spec.
    pub fn match_counts(&self) -> Vec<MatchCounts> {
        let mut counts = vec![MatchCounts::default(); self.boards];
        for route in &self.routes {
            for (board, of_board) in route.whole.counted.boards.iter().zip(route.selector.match_counts()) {
                counts[*board as usize] = of_board;
            }
        }
        counts
    }

    /// Adds the event that was selected last to the batch, in its pane. `item` is what [`select`](Self::select) returned;
    /// boards that find the same text in the same place share its bytes and its hash.
    #[inline]
    pub fn push(&mut self, event: &Event<'_>, item: &str, pane: Pane, batch: &mut EventBatch) {
        let mut first = Some(item);
        let mut shared: Option<(FieldId, Placed)> = None;
        for hit in &self.hits {
            let Route { selector, whole, groupings } = &mut self.routes[hit.route as usize];
            let text = first.take();
            let placed = match shared {
                Some((field, placed)) if selector.takes_texts_of(field) => placed,
                _ => {
                    let Some(text) = text.or_else(|| event.field(selector.item_field()).text()) else {
                        continue;
                    };
                    let id = selector.id(text);
                    let placed = batch.place(item_hash(id.as_bytes(), self.seed), id);
                    if selector.takes_texts_of(selector.item_field()) {
                        shared = Some((selector.item_field(), placed));
                    }
                    placed
                }
            };
            let value =
                selector.value(event).map(|text| Counts::Value(item_hash(text.as_bytes(), self.seed)));
            let counts = value.unwrap_or(Counts::Weight(hit.weight));
            let removes = selector.removes(event);
            batch.push(whole.of(removes), &GroupBuffer::WHOLE, pane, placed, counts);
            for Grouping { by, feeds } in groupings {
                if write_group(by, event, &mut self.group) {
                    batch.push(feeds.of(removes), &self.group, pane, placed, counts);
                }
            }
        }
    }
}

impl Route {
    /// The route of boards that select alike, of which there is at least one, with their places in the spec.
    fn new(job: &JobSpec, boards: &[PlacedBoard<'_>], feeds: &mut impl Iterator<Item = u32>) -> Self {
        let mut groupings: Vec<(Dimensions, Vec<u32>)> = Vec::new();
        for ((spec, fields), index) in boards.iter().filter(|((spec, _), _)| !spec.by.is_empty()) {
            let mut by: Vec<_> = spec.by.iter().zip(fields.by.iter().copied()).collect();
            by.sort_by_key(|(name, _)| *name);
            let by: Dimensions = by.into_iter().map(|(name, field)| (Dimension::new(name), field)).collect();
            match groupings.iter_mut().find(|(others, _)| *others == by) {
                Some((_, indexes)) => indexes.push(*index),
                None => groupings.push((by, vec![*index])),
            }
        }
        let retracts = boards[0].0.0.retracts();
        let mut feeds = |boards: Vec<u32>| {
            let boards: Arc<[u32]> = boards.into();
            let mut feed =
                |removes| Feed { id: feeds.next().unwrap_or(u32::MAX), boards: boards.clone(), removes };
            Feeds { counted: feed(false), removed: retracts.then(|| feed(true)) }
        };
        let whole = feeds(boards.iter().map(|(_, index)| *index).collect());
        let groupings = groupings.into_iter().map(|(by, indexes)| Grouping { by, feeds: feeds(indexes) });
        let of_boards: Vec<_> = boards.iter().map(|(board, _)| *board).collect();
        Route { groupings: groupings.collect(), selector: Selector::new(&job.schema, &of_boards), whole }
    }
}

/// Writes the event's group. Returns false when the event lacks a dimension.
fn write_group(by: &[(Dimension, FieldId)], event: &Event<'_>, group: &mut GroupBuffer) -> bool {
    group.clear();
    for (dimension, field) in by {
        let Some(value) = event.field(*field).text().filter(|value| value.len() <= MAX_DIMENSION_BYTES)
        else {
            return false;
        };
        group.push(dimension, value);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_batch::{BatchPool, SketchBatch};
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
        let boards = |part: &SketchBatch| {
            let counted = counted(&batch, part);
            let of = |board| counted.iter().map(move |(group, weight)| (board, group.clone(), *weight));
            part.feed.boards.iter().copied().flat_map(of).collect::<Vec<_>>()
        };
        Ok(batch.parts().iter().flat_map(boards).collect())
    }

    /// The groups of a part in the order of their first events, with what they have counted.
    fn counted(batch: &EventBatch, part: &SketchBatch) -> Vec<(String, u64)> {
        let mut counted: Vec<(String, u64)> = Vec::new();
        for (place, weight) in batch.events(part).weights.iter().enumerate() {
            let group = part.groups().map_or("", |groups| batch.group(groups[place]).1.as_str());
            match counted.iter_mut().find(|(known, _)| known == group) {
                Some((_, sum)) => *sum += u64::from(*weight),
                None => counted.push((group.to_owned(), (*weight).into())),
            }
        }
        counted
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
        let match_counts = router.match_counts();
        let counts = |matched, without_item, without_weight, seen: &[bool]| MatchCounts {
            matched,
            without_item,
            without_weight,
            without_value: 0,
            seen: seen.into(),
        };
        // Its item, its filter, region and device, the weight, and the type of its factor.
        assert_eq!(match_counts[0], counts(4, 2, 1, &[true, true, false, true, true, false]));
        assert_eq!(match_counts[1], counts(5, 1, 1, &[true, true]));
        assert_eq!(match_counts[2], counts(0, 0, 0, &[false, false, false]));
    }

    #[test]
    fn what_takes_away_has_feeds_of_its_own() {
        let mut likes = board("likes");
        likes.by = vec!["region".into()];
        let plain = likes.clone();
        likes.retract.insert("op".into(), Filter::AnyOf(vec!["d".into()]));
        likes.retract.insert("event_type".into(), Filter::AnyOf(vec!["like".into(), "love".into()]));
        let mut all = board("all");
        all.retract.clone_from(&likes.retract);
        let spec = spec(vec![likes, all, BoardSpec { name: "plain".into(), ..plain }]);
        let (mut parser, mut router) = reader(&spec);
        let mut batch = BatchPool::default().take(0);
        for (op, kind, weight) in [("c", "like", 7), ("d", "like", 2), ("d", "view", 3), ("d", "love", 1)] {
            let event = format!(
                r#"{{"op":"{op}","event":"{kind}","item_id":"a","region":"IN","weight":{weight},"timestamp":1711670400}}"#
            );
            let mut events = parser.read(event.as_bytes(), &()).unwrap();
            let event = events.next().unwrap();
            let item = router.select(&event).unwrap().unwrap();
            router.push(&event, item, 7, &mut batch);
        }
        let of = |part: &SketchBatch| (part.feed.boards.to_vec(), part.feed.removes, counted(&batch, part));
        let parts: Vec<_> = batch.parts().iter().map(of).collect();
        let expected: [(&[u32], bool, &str, u64); 6] = [
            (&[0, 1], false, "", 10),
            (&[0], false, "region=IN", 10),
            (&[2], false, "", 13),
            (&[2], false, "region=IN", 13),
            (&[0, 1], true, "", 3),
            (&[0], true, "region=IN", 3),
        ];
        let expected = expected
            .map(|(boards, removes, group, weight)| (boards.to_vec(), removes, vec![(group.into(), weight)]));
        assert_eq!(parts, expected);
        // Its item, the region, its weight, and what it retracts by.
        assert_eq!(router.match_counts()[0].seen, [true; 5]);
    }

    #[test]
    fn an_event_that_no_board_takes_is_no_error() {
        let mut videos = board("videos");
        videos.filter.insert("region".into(), Filter::AnyOf(vec!["IN".into()]));
        let elsewhere = r#"{"item_id":"a","region":"US","timestamp":1711670400}"#;
        assert_eq!(route(&spec(vec![videos]), elsewhere), Ok(vec![]));
    }

    #[test]
    fn boards_that_select_alike_share_what_is_in_the_batch() {
        let (mut by_region, mut by_both, mut likes) = (board("by_region"), board("by_both"), board("likes"));
        by_region.by = vec!["region".into()];
        by_both.by = vec!["region".into(), "device".into()];
        likes.filter.insert("event_type".into(), Filter::AnyOf(vec!["like".into()]));
        let mut again = board("again");
        again.by = vec!["device".into(), "region".into()];
        let spec = spec(vec![by_region, likes, by_both, again]);
        let (mut parser, mut router) = reader(&spec);
        let mut batch = BatchPool::default().take(0);
        for kind in ["view", "like"] {
            let event = format!(
                r#"{{"event":"{kind}","item_id":"a","region":"IN","device":"tv","timestamp":1711670400}}"#
            );
            let mut events = parser.read(event.as_bytes(), &()).unwrap();
            let event = events.next().unwrap();
            let item = router.select(&event).unwrap().unwrap();
            router.push(&event, item, 7, &mut batch);
        }
        let of = |part: &SketchBatch| (part.feed.boards.to_vec(), counted(&batch, part));
        let parts: Vec<_> = batch.parts().iter().map(of).collect();
        let expected: [(&[u32], &str, u64); 4] =
            [(&[0, 2, 3], "", 2), (&[0], "region=IN", 2), (&[2, 3], "device=tv,region=IN", 2), (&[1], "", 1)];
        assert_eq!(
            parts,
            expected.map(|(boards, group, weight)| (boards.to_vec(), vec![(group.into(), weight)]))
        );
        let matched = router.match_counts().iter().map(|counts| counts.matched).collect::<Vec<_>>();
        assert_eq!(matched, [2, 1, 2, 2]);
    }
}
