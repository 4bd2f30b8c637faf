//! The control dataflow: every worker broadcasts how far it is, what it has counted and whether to stop. It does so four
//! times a second, and at once where durable state waits for its progress.
//!
//! Each process builds its [`JobView`] from these reports. When a process hangs or is cut off, its reports stop, and the
//! others notice that.

use crate::status::{JobView, WorkerStatus};
use crest_host::{clock, timer};
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

/// How often a worker reports its status.
pub const PERIOD: Duration = Duration::from_millis(250);

/// How often a worker checks whether something has to be reported at once.
const LOOK: Duration = Duration::from_millis(50);

/// A worker's own status. Its source writes it, and its control dataflow reports it.
pub type OwnStatus = Rc<RefCell<WorkerStatus>>;

/// Wakes an operator after a delay. It has one timer at a time, however often it is asked.
pub struct Alarm {
    activator: Rc<Activator>,
    due: Option<Instant>,
}

impl Alarm {
    /// An alarm that wakes the operator of this activator.
    pub fn new(activator: Activator) -> Self {
        Alarm { activator: Rc::new(activator), due: None }
    }

    /// Makes the operator run again at once.
    pub fn now(&self) {
        self.activator.activate();
    }

    /// Makes the operator run again after `delay` at the latest.
    pub fn after(&mut self, delay: Duration) {
        let now = clock::now();
        if self.due.is_some_and(|due| due > now && due <= now + delay) {
            return;
        }
        self.due = Some(now + delay);
        let activator = self.activator.clone();
        if !timer::after(delay, move || activator.activate()) {
            self.activator.activate_after(delay);
        }
    }
}

/// Builds the control dataflow of one worker.
pub fn control(scope: Scope<'_, u64>, view: Arc<JobView>, own: OwnStatus) {
    let receiver = view.clone();
    source::<u64, CapacityContainerBuilder<Vec<WorkerStatus>>, _, _>(
        scope,
        "ReportStatus",
        move |capability, info| {
            let mut reporter = StatusReporter {
                capability: Some(capability),
                view,
                own,
                reported_at: None,
                reported_end: false,
                reported_held: None,
            };
            let mut alarm = Alarm::new(scope.activator_for(info.address));
            move |output| {
                if let Some((capability, status)) = reporter.next_report() {
                    output.session(&capability).give(status);
                }
                if reporter.capability.is_some() {
                    alarm.after(LOOK);
                }
            }
        },
    )
    .broadcast()
    .sink(Pipeline, "ReceiveStatus", move |(input, _frontier)| {
        input.for_each(|_, statuses| statuses.drain(..).for_each(|status| receiver.note(status)));
    });
}

struct StatusReporter {
    capability: Option<Capability<u64>>,
    view: Arc<JobView>,
    own: OwnStatus,
    reported_at: Option<Instant>,
    reported_end: bool,
    reported_held: Option<Pane>,
}

impl StatusReporter {
    /// The status to report now, if one is due. None is due any more once the worker has reported that it stops, or all
    /// workers have ended.
    fn next_report(&mut self) -> Option<(Capability<u64>, WorkerStatus)> {
        let frontier_moved = self.frontier_moved();
        let capability = self.capability.as_mut()?;
        let stopping = self.view.stopping();
        if !stopping && all_ended(&self.view) {
            self.capability = None;
            return None;
        }
        let news = stopping || self.own.borrow().ended != self.reported_end || frontier_moved;
        if !news && self.reported_at.is_some_and(|at| clock::since(at) < PERIOD) {
            return None;
        }
        self.reported_at = Some(clock::now());
        let mut status = self.own.borrow().clone();
        (self.reported_end, self.reported_held) = (status.ended, status.held);
        status.stopping |= stopping;
        let now = capability.clone();
        let next = capability.time() + 1;
        capability.downgrade(&next);
        if stopping {
            self.capability = None;
        }
        Some((now, status))
    }

    /// Whether this worker's frontier has moved since its last report, and durable state waits to learn of it.
    fn frontier_moved(&self) -> bool {
        let own = self.own.borrow();
        !own.read.is_empty() && own.held != self.reported_held
    }
}

fn all_ended(view: &JobView) -> bool {
    view.with_workers(|workers| {
        workers.iter().all(|worker| matches!(worker, Some((_, status)) if status.ended))
    })
}
