//! The differential dataflow of one board, on every worker.
//!
//! ```text
//! counts of panes, and which windows have them ─ by item ─ PaneCounts ─ counts (window, group, item) ─ arranged ─┬─ queried
//!                                                                                                               └─ leaders
//! ```
//!
//! Where a board counts different values, each item has its values in the place of its count. A window then has a value as many
//! times as it has panes with it, and `distinct` makes one of them:
//!
//! ```text
//! values of panes, and which windows have them ─ by item ─ PaneCounts ─ values (window, group, item, value) ─ distinct ─ counts
//! ```
//!
//! What a board that retracts removes of an item is taken from its count. Counts may be negative, and only those above 0 lead.
//!
//! A window is a set of panes: to slide it, one enters and one leaves. [`PaneCounts`] turns that into changes of the window's
//! counts. An item's number decides on which worker it is counted, from its panes to the [leaders](super::leaders) of that
//! worker. The aggregator ranks the leaders of all workers.
//!
//! Times are *rounds*, which the aggregator numbers. When a round is complete, arrangements are compacted up to it, so
//! memory is proportional to what is in the windows.

use super::leaders::{LocalNames, leaders};
use super::local::{Counted, Leader, Slot, Updates, arrange_keys};
use super::names::Name;
use super::pane_counts::PaneCounts;
use super::round::{Change, Round};
use crest_state::pane::Pane;
use differential_dataflow::AsCollection;
use differential_dataflow::input::{Input, InputSession};
use differential_dataflow::operators::ThresholdTotal;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Exchange as _;
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::vec::Input as _;
use timely::dataflow::operators::vec::input::Handle;
use timely::scheduling::Activator;
use timely::worker::Worker;

/// What the aggregator tells the workers. Each hears what is for it in the order in which it was said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Message {
    /// An item's name, before its first count; `None` when its number is free again. For the worker that counts the item.
    Name(u32, Option<Name>),
    /// The item's count in a group of a pane changes. For the same worker.
    Count { round: Round, pane: Pane, group: u32, item: u32, change: i64 },
    /// An item gets a value in a group of a pane (1), or loses it (-1). For the same worker.
    Value { round: Round, pane: Pane, group: u32, item: u32, value: u64, change: i8 },
    /// A pane enters a window.
    Enter { worker: u32, round: Round, pane: Pane, window: u32 },
    /// A pane leaves a window.
    Leave { worker: u32, round: Round, pane: Pane, window: u32 },
    /// No window has the pane any more, nor will.
    Forget { worker: u32, pane: Pane },
}

impl Message {
    /// A number that, divided by the number of workers, leaves that of the worker it is for.
    fn route(&self) -> u64 {
        match self {
            Message::Name(item, _) | Message::Count { item, .. } | Message::Value { item, .. } => {
                u64::from(*item)
            }
            Message::Enter { worker, .. }
            | Message::Leave { worker, .. }
            | Message::Forget { worker, .. } => u64::from(*worker),
        }
    }
}

/// The output of the graph, by round.
#[derive(Default)]
pub(super) struct GraphOutput {
    /// Items that became leaders of a worker (1), or are leaders no longer (-1).
    pub(super) leaders: BTreeMap<Round, Vec<(Slot, Leader, Change)>>,
    /// The changes of the counts of queried items.
    pub(super) answers: BTreeMap<Round, Vec<(Slot, u32, i64)>>,
    /// The first round for which leaders may still come, and the first for which answers may.
    reached: [Round; 2],
}

/// The aggregator's end of a board's graph. The graph ends when this is dropped.
pub(crate) struct Graph {
    messages: Handle<Round, Message>,
    workers: u32,
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

    /// Tells the worker that counts an item.
    pub(super) fn tell(&mut self, message: Message) {
        self.messages.send(message);
    }

    /// Tells each worker.
    pub(super) fn tell_all(&mut self, message: impl Fn(u32) -> Message) {
        (0..self.workers).for_each(|worker| self.messages.send(message(worker)));
    }

    /// Ends the rounds before `round`.
    pub(super) fn advance_to(&mut self, round: Round) {
        self.messages.advance_to(round);
        self.queried.advance_to(round);
        self.queried.flush();
    }
}

/// Builds a board's graph on a worker. Only on the worker that aggregates the board does it return the aggregator's end.
/// The output has at least the `k` greatest counts of each slot. `is_distinct` says whether different values are counted.
pub(crate) fn build(worker: &mut Worker, aggregator: usize, k: usize, is_distinct: bool) -> Option<Graph> {
    let index = worker.index();
    let graph = worker.dataflow::<Round, _, _>(|scope| {
        let (messages, message_stream) = scope.new_input();
        let (queried, queried_stream) = scope.new_collection();
        let output = Rc::<RefCell<GraphOutput>>::default();
        let wake = Rc::<RefCell<Option<Activator>>>::default();
        let outlet = Outlet { aggregator: aggregator as u64, output: output.clone(), wake: wake.clone() };
        let names = Rc::new(RefCell::new(LocalNames::new(scope.peers())));
        let counts = match is_distinct {
            true => value_counts(message_stream, names.clone()),
            false => window_counts(message_stream, names.clone()),
        };
        wire(counts, names, queried_stream.inner, k, outlet);
        Graph { messages, workers: scope.peers() as u32, queried, output, wake }
    });
    (index == aggregator).then_some(graph)
}

fn wire<'scope>(
    counts: Updates<'scope, (Counted, ()), i64>,
    names: Rc<RefCell<LocalNames>>,
    queried: Updates<'scope, Counted, i64>,
    k: usize,
    outlet: Outlet,
) {
    let counts = arrange_keys(counts, "Counts");
    let queried = queried.exchange(|((_, _, item), _, _)| u64::from(*item)).as_collection();
    let queried = arrange_keys(queried.map(|key| (key, ())).inner, "Queries");
    let answers = counts.clone().join_core(queried, |queried: &Counted, _, _| Some(*queried));
    outlet.answers(answers.inner);
    outlet.leaders(leaders(counts, names, k).inner);
}

/// Notes the names of the items that this worker counts; gives the changes of their counts in windows.
fn window_counts<'scope>(
    messages: Stream<'scope, Round, Vec<Message>>,
    names: Rc<RefCell<LocalNames>>,
) -> Updates<'scope, (Counted, ()), i64> {
    in_windows(
        messages,
        names,
        |message| match message {
            Message::Count { round, pane, group, item, change } => Some((round, pane, (group, item), change)),
            _ => None,
        },
        |window, (group, item), change| (((window, group, item), ()), change),
    )
}

/// The same where different values are counted.
fn value_counts<'scope>(
    messages: Stream<'scope, Round, Vec<Message>>,
    names: Rc<RefCell<LocalNames>>,
) -> Updates<'scope, (Counted, ()), i64> {
    let values = in_windows(
        messages,
        names,
        |message| match message {
            Message::Value { round, pane, group, item, value, change } => {
                Some((round, pane, (group, item, value), change.into()))
            }
            _ => None,
        },
        |window, (group, item, value), change| ((((window, group, item), value), ()), change as Change),
    );
    let different = arrange_keys(values, "Values").distinct_total_core::<i64>();
    different.map(|(counted, _)| (counted, ())).inner
}

/// What the messages change in windows. `change_of` reads a change of a pane: its round, the pane, the key, and by how much its
/// count changes; `update` makes an update of a window, a key, and by how much its count there changes.
fn in_windows<'scope, K, D, R>(
    messages: Stream<'scope, Round, Vec<Message>>,
    names: Rc<RefCell<LocalNames>>,
    change_of: impl Fn(Message) -> Option<(Round, Pane, K, i64)> + 'static,
    update: impl Fn(u32, K, i64) -> (D, R) + 'static,
) -> Updates<'scope, D, R>
where
    K: Copy + Ord + 'static,
    D: Clone + 'static,
    R: Clone + 'static,
{
    let mut panes = PaneCounts::default();
    messages.unary::<CapacityContainerBuilder<_>, _, _, _>(
        Exchange::new(Message::route),
        "WindowCounts",
        move |_, _| {
            move |input, output| {
                input.for_each(|capability, messages| {
                    let mut session = output.session(&capability);
                    let mut give = |round, window, key, change| {
                        let (of, change) = update(window, key, change);
                        session.give((of, round, change));
                    };
                    for message in messages.drain(..) {
                        match message {
                            Message::Name(item, name) => names.borrow_mut().set(item, name),
                            Message::Enter { round, pane, window, .. } => {
                                panes.enter(pane, window, |window, key, change| {
                                    give(round, window, key, change)
                                });
                            }
                            Message::Leave { round, pane, window, .. } => {
                                panes.leave(pane, window, |window, key, change| {
                                    give(round, window, key, change)
                                });
                            }
                            Message::Forget { pane, .. } => panes.forget(pane),
                            message => {
                                let Some((round, pane, key, change)) = change_of(message) else { continue };
                                panes.change(pane, key, change, |window, key, change| {
                                    give(round, window, key, change)
                                });
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
    fn leaders(&self, leaders: Updates<'_, (Slot, Leader), Change>) {
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
