//! The differential dataflow of one board, on every worker.
//!
//! ```text
//! rows (pane, group, item; count) ─ arranged by pane, once ─┐
//! members (pane, window) ─ to all workers ─ arranged ───────┴─ join ─ counts (window, group, item) ─ arranged ─┬─ asked
//!                                                                                                             │
//!          top K of the worker ─ reduce ─ join ┬── by magnitude of the count, arranged ── count ──────────────┘
//!                                              └── the magnitudes that hold the K greatest ─ reduce
//! ```
//!
//! A window is a relation: sliding it is one row that comes and one that goes, and the join with the panes' rows, which
//! all windows share, makes the changes of counts of it. Items live on the worker of their number, from the panes to
//! the top K of that worker; the aggregator ranks those.
//!
//! **The top K is bucketed** by magnitude, of eight buckets to a power of two. A `reduce` sees how many items each bucket
//! holds and takes as many of the greatest as hold K; a join takes only the items in these to the `reduce` that picks K.
//! So a change of one of the many small counts moves it within or between buckets, and touches no ranking; those that
//! hold the K greatest are few, unless as many items are equal.
//!
//! Times are *rounds*: numbers that the aggregator counts up. As they complete, arrangements forget what was in between:
//! memory follows what is in the windows.

use super::names::Name;
use differential_dataflow::AsCollection;
use differential_dataflow::input::{Input, InputSession};
use differential_dataflow::operators::CountTotal;
use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::trace::implementations::{KeyBatcher, KeySpine, ValBatcher, ValBuilder, ValSpine};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::vec::input::Handle;
use timely::dataflow::operators::vec::{Broadcast, Input as _};
use timely::dataflow::{Scope, Stream};
use timely::scheduling::Activator;
use timely::worker::Worker;

/// The time of the graph.
pub(super) type Round = u64;
/// A window, by its number, and a group, by its.
pub(super) type Slot = (u32, u32);
/// An item's count in a slot.
pub(super) type Leader = (i64, u32);

/// What the aggregator tells the worker on which an item lives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Row {
    /// The item's name, before its first count; none when its number is free again.
    Name(u32, Option<Name>),
    /// Its count in a group of a pane changes by so much.
    Count { pane: u64, group: u32, item: u32, round: Round, change: i64 },
}

impl Row {
    fn item(&self) -> u32 {
        match self {
            Row::Name(item, _) | Row::Count { item, .. } => *item,
        }
    }
}

/// What the graph has told, by round.
#[derive(Default)]
pub(super) struct Told {
    /// Items that came among the leaders of a worker, or left them.
    pub(super) leaders: BTreeMap<Round, Vec<(Slot, Leader, isize)>>,
    /// By how much the counts of items that are asked for have changed.
    pub(super) answers: BTreeMap<Round, Vec<(Slot, u32, i64)>>,
    /// Up to which round all leaders, and all answers, have come.
    reached: [Round; 2],
}

/// The aggregator's end of a board's graph. The graph ends when this is dropped.
pub(crate) struct Graph {
    pub(super) rows: Handle<Round, Row>,
    pub(super) members: InputSession<Round, (u64, u32), i64>,
    pub(super) asked: InputSession<Round, (u32, u32, u32), i64>,
    pub(super) told: Rc<RefCell<Told>>,
    /// Who is to run when a round is complete.
    pub(super) wake: Rc<RefCell<Option<Activator>>>,
}

impl Graph {
    /// Wakes this operator when a round is complete.
    pub(crate) fn wake(&self, activator: Activator) {
        *self.wake.borrow_mut() = Some(activator);
    }

    /// All rounds before it are complete.
    pub(super) fn complete(&self) -> Round {
        let told = self.told.borrow();
        told.reached.into_iter().min().unwrap_or(0)
    }

    /// Ends the round.
    pub(super) fn advance_to(&mut self, round: Round) {
        self.rows.advance_to(round);
        self.members.advance_to(round);
        self.members.flush();
        self.asked.advance_to(round);
        self.asked.flush();
    }
}

/// Builds a board's graph on a worker; its end is on the one that aggregates the board. Of each slot the graph tells at
/// least the `k` greatest counts.
pub(crate) fn build(worker: &mut Worker, aggregator: usize, k: usize) -> Option<Graph> {
    let index = worker.index();
    let graph = worker.dataflow::<Round, _, _>(|scope| {
        let (rows, row_stream) = scope.new_input();
        let (members, member_stream) = scope.new_collection();
        let (asked, asked_stream) = scope.new_collection();
        let told = Rc::<RefCell<Told>>::default();
        let wake = Rc::<RefCell<Option<Activator>>>::default();
        let outlet = Outlet { aggregator: aggregator as u64, told: told.clone(), wake: wake.clone() };
        wire(scope, row_stream, member_stream.inner, asked_stream.inner, k, outlet);
        Graph { rows, members, asked, told, wake }
    });
    (index == aggregator).then_some(graph)
}

type Updates<'scope, D, R> = Stream<'scope, Round, Vec<(D, Round, R)>>;

fn wire<'scope>(
    scope: Scope<'scope, Round>,
    rows: Stream<'scope, Round, Vec<Row>>,
    members: Updates<'scope, (u64, u32), i64>,
    asked: Updates<'scope, (u32, u32, u32), i64>,
    k: usize,
    outlet: Outlet,
) {
    let names = Rc::new(RefCell::new(LocalNames::new(scope.peers())));
    let panes = arrange_core::<_, _, ValBatcher<_, _, _, _>, ValSpine<u64, (u32, u32), Round, i64>>(
        learn(rows, names.clone()),
        Pipeline,
        "Panes",
        ValBatcher::new,
    );
    let members = arrange_core::<_, _, ValBatcher<_, _, _, _>, ValSpine<u64, u32, Round, i64>>(
        members.broadcast(),
        Pipeline,
        "Members",
        ValBatcher::new,
    );
    let counts = panes.join_core(members, |_, &(group, item), &window| Some(((window, group, item), ())));
    let counts = arrange_core::<_, _, KeyBatcher<_, _, _>, KeySpine<(u32, u32, u32), Round, i64>>(
        counts.inner,
        Pipeline,
        "Counts",
        KeyBatcher::new,
    );

    let asked = arrange_core::<_, _, KeyBatcher<_, _, _>, KeySpine<(u32, u32, u32), Round, i64>>(
        asked.as_collection().map(|asked| (asked, ())).inner,
        Exchange::new(|((asked, ()), _, _): &(((u32, u32, u32), ()), Round, i64)| u64::from(asked.2)),
        "Asked",
        KeyBatcher::new,
    );
    let answers = counts.clone().join_core(asked, |asked, _, _| Some(*asked));
    outlet.answers(answers.inner);

    let by_magnitude = counts
        .count_total_core::<isize>()
        .map(|((window, group, item), count)| ((window, group, magnitude(count)), (count, item)));
    let by_magnitude = arrange_core::<
        _,
        _,
        ValBatcher<_, _, _, _>,
        ValSpine<(u32, u32, u16), Leader, Round, isize>,
    >(by_magnitude.inner, Pipeline, "Magnitudes", ValBatcher::new);
    let held = by_magnitude
        .clone()
        .flat_map_ref(|&(window, group, magnitude), _| Some(((window, group), magnitude)));
    let greatest = arrange_core::<_, _, ValBatcher<_, _, _, _>, ValSpine<Slot, u16, Round, isize>>(
        held.inner,
        Pipeline,
        "Held",
        ValBatcher::new,
    )
    .reduce_abelian::<_, ValBuilder<_, _, _, _>, ValSpine<Slot, u16, Round, isize>, _, _>(
        "Greatest",
        move |_, magnitudes, greatest| {
            let mut items = 0;
            for (magnitude, held) in magnitudes.iter().rev() {
                greatest.push((**magnitude, 1));
                items += *held as usize;
                if items >= k {
                    break;
                }
            }
        },
        refill,
    )
    .as_collection(|&(window, group), &magnitude| ((window, group, magnitude), ()));
    let greatest = arrange_core::<_, _, KeyBatcher<_, _, _>, KeySpine<(u32, u32, u16), Round, isize>>(
        greatest.inner,
        Pipeline,
        "Greatest",
        KeyBatcher::new,
    );
    let candidates =
        by_magnitude.join_core(greatest, |&(window, group, _), &leader, _| Some(((window, group), leader)));
    let leaders = arrange_core::<_, _, ValBatcher<_, _, _, _>, ValSpine<Slot, Leader, Round, isize>>(
        candidates.inner,
        Pipeline,
        "Candidates",
        ValBatcher::new,
    )
    .reduce_abelian::<_, ValBuilder<_, _, _, _>, ValSpine<Slot, Leader, Round, isize>, _, _>(
        "TopK",
        move |_, candidates, leaders| {
            let lead = names.borrow().lead(candidates, k);
            leaders.extend(lead.map(|leader| (leader, 1)));
        },
        refill,
    )
    .as_collection(|&slot, &leader| (slot, leader));
    outlet.leaders(leaders.inner);
}

/// What a reduction puts into its output for one key.
fn refill<K: Clone, V, R>(out: &mut Vec<((K, V), Round, R)>, key: &K, updates: &mut Vec<(V, Round, R)>) {
    out.clear();
    out.extend(updates.drain(..).map(|(value, round, change)| ((key.clone(), value), round, change)));
}

/// Notes the names of the items that live here, and passes their counts on.
fn learn<'scope>(
    rows: Stream<'scope, Round, Vec<Row>>,
    names: Rc<RefCell<LocalNames>>,
) -> Updates<'scope, (u64, (u32, u32)), i64> {
    rows.unary::<CapacityContainerBuilder<_>, _, _, _>(
        Exchange::new(|row: &Row| u64::from(row.item())),
        "Learn",
        move |_, _| {
            move |input, output| {
                input.for_each(|capability, rows| {
                    let mut session = output.session(&capability);
                    for row in rows.drain(..) {
                        match row {
                            Row::Name(item, name) => names.borrow_mut().set(item, name),
                            Row::Count { pane, group, item, round, change } => {
                                session.give(((pane, (group, item)), round, change));
                            }
                        }
                    }
                });
            }
        },
    )
}

/// The names of the items that live on this worker.
struct LocalNames {
    peers: usize,
    /// By number, of which this worker has every so-many-eth.
    names: Vec<Option<Name>>,
}

impl LocalNames {
    fn new(peers: usize) -> Self {
        LocalNames { peers, names: Vec::new() }
    }

    fn set(&mut self, item: u32, name: Option<Name>) {
        let at = item as usize / self.peers;
        if at >= self.names.len() {
            self.names.resize(at + 1, None);
        }
        self.names[at] = name;
    }

    /// The `k` leaders among candidates that come by count, least first; of equal ones those of the greatest names.
    fn lead(&self, candidates: &[(&Leader, isize)], k: usize) -> impl Iterator<Item = Leader> + use<> {
        let least = candidates.len().checked_sub(k).map_or(i64::MIN, |place| candidates[place].0.0);
        let tied = candidates.partition_point(|(leader, _)| leader.0 < least);
        let above = candidates.partition_point(|(leader, _)| leader.0 <= least);
        let mut last: Vec<Leader> = candidates[tied..above].iter().map(|(leader, _)| **leader).collect();
        let places = k.saturating_sub(candidates.len() - above);
        let name = |leader: &Leader| self.names.get(leader.1 as usize / self.peers);
        if places < last.len() {
            last.select_nth_unstable_by(places, |a, b| name(b).cmp(&name(a)));
            last.truncate(places);
        }
        last.extend(candidates[above..].iter().map(|(leader, _)| **leader));
        last.into_iter()
    }
}

/// The bucket of a count: exact below 16, then eight to a power of two.
fn magnitude(count: i64) -> u16 {
    let count = count.unsigned_abs();
    let power = count.max(1).ilog2();
    match power.checked_sub(3) {
        None => count as u16,
        Some(shift) => 8 * shift as u16 + (count >> shift) as u16,
    }
}

/// Where what the graph tells arrives.
struct Outlet {
    aggregator: u64,
    told: Rc<RefCell<Told>>,
    wake: Rc<RefCell<Option<Activator>>>,
}

impl Outlet {
    fn leaders(&self, leaders: Updates<'_, (Slot, Leader), isize>) {
        let told = self.told.clone();
        self.collect(0, leaders, move |((slot, leader), round, change)| {
            told.borrow_mut().leaders.entry(round).or_default().push((slot, leader, change));
        });
    }

    fn answers(&self, answers: Updates<'_, (u32, u32, u32), i64>) {
        let told = self.told.clone();
        self.collect(1, answers, move |((window, group, item), round, count)| {
            told.borrow_mut().answers.entry(round).or_default().push(((window, group), item, count));
        });
    }

    fn collect<D: timely::ExchangeData, R: timely::ExchangeData>(
        &self,
        outlet: usize,
        updates: Updates<'_, D, R>,
        mut each: impl FnMut((D, Round, R)) + 'static,
    ) {
        let (aggregator, wake, told) = (self.aggregator, self.wake.clone(), self.told.clone());
        let pact = Exchange::new(move |_: &(D, Round, R)| aggregator);
        updates.sink(pact, "Told", move |(input, frontier)| {
            input.for_each(|_, updates| updates.drain(..).for_each(&mut each));
            let reached = frontier.frontier().first().copied().unwrap_or(Round::MAX);
            let before = std::mem::replace(&mut told.borrow_mut().reached[outlet], reached);
            if reached != before {
                wake.borrow().iter().for_each(Activator::activate);
            }
        });
    }
}
