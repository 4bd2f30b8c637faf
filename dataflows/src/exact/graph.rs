//! The differential dataflow of one board, on every worker.
//!
//! ```text
//! rows (pane, group, item; count) ─ arranged by pane, once ─┐
//! members (pane, window) ─ to all workers ─ arranged ───────┴─ join ─ counts (window, group, item) ─ arranged ─┬─ asked
//!                                                                                                             └─ leaders
//! ```
//!
//! A window is a relation: sliding it is one row that comes and one that goes, and the join with the panes' rows, which
//! all windows share, makes the changes of counts of it. Items live on the worker of their number, from the panes to
//! the [leaders](super::leaders) of that worker; the aggregator ranks those.
//!
//! Times are *rounds*: numbers that the aggregator counts up. As they complete, arrangements forget what was in between:
//! memory follows what is in the windows.

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
    pub(super) asked: InputSession<Round, Counted, i64>,
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

fn wire<'scope>(
    scope: Scope<'scope, Round>,
    rows: Stream<'scope, Round, Vec<Row>>,
    members: Updates<'scope, (u64, u32), i64>,
    asked: Updates<'scope, Counted, i64>,
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
    let asked = asked.exchange(|((_, _, item), _, _)| u64::from(*item)).as_collection();
    let asked = arrange_keys(asked, "Asked");
    let answers = counts.clone().join_core(asked, |asked: &Counted, _, _| Some(*asked));
    outlet.answers(answers.inner);
    outlet.leaders(leaders(counts, names, k).inner);
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

    fn answers(&self, answers: Updates<'_, Counted, i64>) {
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
