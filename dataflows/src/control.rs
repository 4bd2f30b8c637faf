//! The control dataflow: every worker tells all others, four times a second (where durable state waits for it, as
//! soon as there is news), how far it is, what it has
//! counted and whether to stop. The view of each process is made from it; its silence is how a process that
//! hangs or was cut off is noticed.

use crate::status::{JobView, WorkerStatus};
use crest_state::pane::Pane;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Scope;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator::{Operator, source};
use timely::dataflow::operators::vec::Broadcast;
use timely::scheduling::Activator;

/// How often a worker speaks.
pub const PERIOD: Duration = Duration::from_millis(250);

/// How often a worker looks whether there is news to tell at once.
const LOOK: Duration = Duration::from_millis(50);

/// A worker's own status, written by its source, told by its control dataflow.
pub type OwnStatus = Rc<RefCell<WorkerStatus>>;

/// Wakes an operator after a while, with one timer at a time however often it is asked.
pub struct Alarm {
    activator: Activator,
    due: Option<Instant>,
}

impl Alarm {
    /// For an operator's activator.
    pub fn new(activator: Activator) -> Self {
        Alarm { activator, due: None }
    }

    /// The operator is to run again at once.
    pub fn now(&self) {
        self.activator.activate();
    }

    /// The operator is to run again no later than after `delay`.
    pub fn after(&mut self, delay: Duration) {
        let now = Instant::now();
        if self.due.is_some_and(|due| due > now && due <= now + delay) {
            return;
        }
        self.due = Some(now + delay);
        self.activator.activate_after(delay);
    }
}

/// Builds the control dataflow of one worker.
pub fn control(scope: Scope<'_, u64>, view: Arc<JobView>, own: OwnStatus) {
    let keeper = view.clone();
    source::<u64, CapacityContainerBuilder<Vec<WorkerStatus>>, _, _>(
        scope,
        "Tell",
        move |capability, info| {
            let mut teller = Teller {
                capability: Some(capability),
                view,
                own,
                told: None,
                told_end: false,
                told_held: None,
            };
            let mut alarm = Alarm::new(scope.activator_for(info.address));
            move |output| {
                if let Some((capability, status)) = teller.turn() {
                    output.session(&capability).give(status);
                }
                if teller.capability.is_some() {
                    alarm.after(LOOK);
                }
            }
        },
    )
    .broadcast()
    .sink(Pipeline, "Note", move |(input, _frontier)| {
        input.for_each(|_, statuses| statuses.drain(..).for_each(|status| keeper.note(status)));
    });
}

struct Teller {
    capability: Option<Capability<u64>>,
    view: Arc<JobView>,
    own: OwnStatus,
    told: Option<Instant>,
    told_end: bool,
    told_held: Option<Pane>,
}

impl Teller {
    /// What to say now, if anything. The last word of a worker is that it stops, or that all have ended.
    fn turn(&mut self) -> Option<(Capability<u64>, WorkerStatus)> {
        let awaited = self.awaited();
        let capability = self.capability.as_mut()?;
        let stopping = self.view.stopping();
        if !stopping && all_ended(&self.view) {
            self.capability = None;
            return None;
        }
        let news = stopping || self.own.borrow().ended != self.told_end || awaited;
        if !news && self.told.is_some_and(|told| told.elapsed() < PERIOD) {
            return None;
        }
        self.told = Some(Instant::now());
        let mut status = self.own.borrow().clone();
        (self.told_end, self.told_held) = (status.ended, status.held);
        status.stopping |= stopping;
        let now = capability.clone();
        let next = capability.time() + 1;
        capability.downgrade(&next);
        if stopping {
            self.capability = None;
        }
        Some((now, status))
    }

    /// Whether time has passed, and the durable frontier waits for the word of it.
    fn awaited(&self) -> bool {
        let own = self.own.borrow();
        !own.read.is_empty() && own.held != self.told_held
    }
}

fn all_ended(view: &JobView) -> bool {
    view.with_workers(|workers| {
        workers.iter().all(|worker| matches!(worker, Some((_, status)) if status.ended))
    })
}
