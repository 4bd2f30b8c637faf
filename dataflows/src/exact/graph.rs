//! The differential dataflow of one board, on every worker.
//!
//! ```text
//! rows (pane, group, item; count) ─ arranged by pane, once ─┐
//! members (pane, window) ─ to all workers ─ arranged ───────┴─ join ─ counts (window, group, item) ─ arranged ─┬─ queried
//!                                                                                                             └─ leaders
//! ```
//!
//! A window is a relation of panes: to slide it, one row is added and one is removed. The join with the panes' rows, which
//! all windows share, turns that into changes of the window's counts. An item's number decides on which worker it is
//! counted, from its panes to the [leaders](super::leaders) of that worker. The aggregator ranks the leaders of all
//! workers.
//!
//! Times are *rounds*, which the aggregator numbers. When a round is complete, arrangements are compacted up to it, so
//! memory is proportional to what is in the windows.

use super::leaders::{LocalNames, leaders};
use super::local::{Counted, Leader, Slot, Updates, arrange, arrange_keys};
use super::names::Name;
use super::round::Round;
use differential_dataflow::AsCollection;
use differential_dataflow::input::{Input, InputSession};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Exchange as _;
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::vec::input::Handle;
use timely::dataflow::operators::vec::{Broadcast, Input as _};
use timely::dataflow::{Scope, Stream};
use timely::scheduling::Activator;
use timely::worker::Worker;

/// What the aggregator sends to the worker that counts an item.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Row {
    /// The item's name, before its first count; `None` when its number is free again.
    Name(u32, Option<Name>),
    /// Its count in a group of a pane changes by `change`.
    Count { pane: u64, group: u32, item: u32, round: Round, change: i64 },
}

impl Row {
    fn item(&self) -> u32 {
        match self {
            Row::Name(item, _) | Row::Count { item, .. } => *item,
        }
    }
}

/// The output of the graph, by round.
#[derive(Default)]
pub(super) struct GraphOutput {
    /// Items that became leaders of a worker (1), or are leaders no longer (-1).
    pub(super) leaders: BTreeMap<Round, Vec<(Slot, Leader, isize)>>,
    /// The changes of the counts of queried items.
    pub(super) answers: BTreeMap<Round, Vec<(Slot, u32, i64)>>,
    /// The first round for which leaders may still come, and the first for which answers may.
    reached: [Round; 2],
}

/// The aggregator's end of a board's graph. The graph ends when this is dropped.
pub(crate) struct Graph {
    pub(super) rows: Handle<Round, Row>,
    pub(super) members: InputSession<Round, (u64, u32), i64>,
    pub(super) queried: InputSession<Round, Counted, i64>,
    pub(super) output: Rc<RefCell<GraphOutput>>,
    /// The operator that runs when a round is complete.
    pub(super) wake: Rc<RefCell<Option<Activator>>>,
}

impl Graph {
    /// Wakes this operator when a round is complete.
    pub(crate) fn wake(&self, activator: Activator) {
        *self.wake.borrow_mut() = Some(activator);
    }

    /// The first round that is not complete.
    pub(super) fn complete(&self) -> Round {
        let output = self.output.borrow();
        output.reached.into_iter().min().unwrap_or(0)
    }

    /// Ends the rounds before `round`.
    pub(super) fn advance_to(&mut self, round: Round) {
        self.rows.advance_to(round);
        self.members.advance_to(round);
        self.members.flush();
        self.queried.advance_to(round);
        self.queried.flush();
    }
}

/// Builds a board's graph on a worker. Only on the worker that aggregates the board does it return the aggregator's end.
/// The output has at least the `k` greatest counts of each slot.
pub(crate) fn build(worker: &mut Worker, aggregator: usize, k: usize) -> Option<Graph> {
    let index = worker.index();
    let graph = worker.dataflow::<Round, _, _>(|scope| {
        let (rows, row_stream) = scope.new_input();
        let (members, member_stream) = scope.new_collection();
        let (queried, queried_stream) = scope.new_collection();
        let output = Rc::<RefCell<GraphOutput>>::default();
        let wake = Rc::<RefCell<Option<Activator>>>::default();
        let outlet = Outlet { aggregator: aggregator as u64, output: output.clone(), wake: wake.clone() };
        wire(scope, row_stream, member_stream.inner, queried_stream.inner, k, outlet);
        Graph { rows, members, queried, output, wake }
    });
    (index == aggregator).then_some(graph)
}

fn wire<'scope>(
    scope: Scope<'scope, Round>,
    rows: Stream<'scope, Round, Vec<Row>>,
    members: Updates<'scope, (u64, u32), i64>,
    queried: Updates<'scope, Counted, i64>,
    k: usize,
    outlet: Outlet,
) {
    let names = Rc::new(RefCell::new(LocalNames::new(scope.peers())));
    let panes = arrange(learn(rows, names.clone()), "Panes");
    let members = arrange(members.broadcast(), "Members");
    let counts = panes.join_core(members, |_: &u64, &(group, item): &(u32, u32), &window: &u32| {
        Some((window, group, item))
    });
    let counts = arrange_keys(counts, "Counts");
    let queried = queried.exchange(|((_, _, item), _, _)| u64::from(*item)).as_collection();
    let queried = arrange_keys(queried, "Queries");
    let answers = counts.clone().join_core(queried, |queried: &Counted, _, _| Some(*queried));
    outlet.answers(answers.inner);
    outlet.leaders(leaders(counts, names, k).inner);
}

/// Notes the names of the items that this worker counts, and passes their counts on.
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

/// Collects the graph's output on the aggregator.
struct Outlet {
    aggregator: u64,
    output: Rc<RefCell<GraphOutput>>,
    wake: Rc<RefCell<Option<Activator>>>,
}

impl Outlet {
    fn leaders(&self, leaders: Updates<'_, (Slot, Leader), isize>) {
        let output = self.output.clone();
        self.collect(0, leaders, move |((slot, leader), round, change)| {
            output.borrow_mut().leaders.entry(round).or_default().push((slot, leader, change));
        });
    }

    fn answers(&self, answers: Updates<'_, Counted, i64>) {
        let output = self.output.clone();
        self.collect(1, answers, move |((window, group, item), round, count)| {
            output.borrow_mut().answers.entry(round).or_default().push(((window, group), item, count));
        });
    }

    fn collect<D: timely::ExchangeData, R: timely::ExchangeData>(
        &self,
        outlet: usize,
        updates: Updates<'_, D, R>,
        mut each: impl FnMut((D, Round, R)) + 'static,
    ) {
        let (aggregator, wake, output) = (self.aggregator, self.wake.clone(), self.output.clone());
        let pact = Exchange::new(move |_: &(D, Round, R)| aggregator);
        updates.sink(pact, "Output", move |(input, frontier)| {
            input.for_each(|_, updates| updates.drain(..).for_each(&mut each));
            let reached = frontier.frontier().first().copied().unwrap_or(Round::MAX);
            let before = std::mem::replace(&mut output.borrow_mut().reached[outlet], reached);
            if reached != before {
                wake.borrow().iter().for_each(Activator::activate);
            }
        });
    }
}
