//! On a thread that a host has taken, the host answers; on all others, the machine does.

use crest_host::condition::Condition;
use crest_host::{Host, clock, draw, run_on, thread, timer};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// A host whose time passes where somebody waits, and who notes what it was asked for.
struct Noting {
    began: Instant,
    passed: Mutex<Duration>,
    asked: Mutex<Vec<String>>,
}

impl Noting {
    fn new() -> Arc<Self> {
        Arc::new(Noting { began: Instant::now(), passed: Mutex::default(), asked: Mutex::default() })
    }

    fn note(&self, what: &str, time: Duration) {
        *self.passed.lock() += time;
        self.asked.lock().push(format!("{what} {}", time.as_millis()));
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock())
    }
}

impl Host for Noting {
    fn now(&self) -> Instant {
        self.began + *self.passed.lock()
    }

    fn wall_clock_ms(&self) -> i64 {
        self.passed.lock().as_millis() as i64
    }

    fn sleep(&self, time: Duration) {
        self.note("sleep", time);
    }

    fn park(&self, time: Duration) {
        self.note("park", time);
    }

    fn wake_others(&self) {
        self.note("wake", Duration::ZERO);
    }

    fn spawn(&self, name: &str, run: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
        self.note(name, Duration::ZERO);
        std::thread::Builder::new().spawn(run)
    }

    fn draw(&self) -> u64 {
        7
    }
}

#[test]
fn a_host_answers_for_its_threads_only() {
    let host = Noting::new();
    run_on(host.clone(), || {
        let began = clock::now();
        thread::sleep(90 * SECOND);
        assert_eq!((clock::since(began), clock::wall_clock_ms()), (90 * SECOND, 90_000));
        assert_eq!((clock::until(began), clock::until(began + 91 * SECOND)), (Duration::ZERO, SECOND));
        assert_eq!((draw::random(), draw::id(), thread::processors()), (7, (7 << 64) | 7, 1));
        let other = thread::spawn("another", || assert!(!thread::is_taken()));
        assert!(other.is_ok_and(|other| other.join().is_ok()) && thread::is_taken());
    });
    assert_eq!(host.asked(), ["sleep 90000", "another 0"]);
    assert!(!thread::is_taken() && clock::wall_clock_ms() > 1_700_000_000_000);
    assert_ne!(draw::id(), draw::id());
}

#[test]
fn a_thread_is_given_back_when_its_call_panics() {
    let panicked = std::panic::catch_unwind(|| run_on(Noting::new(), || panic!("on purpose")));
    assert!(panicked.is_err() && !thread::is_taken());
}

#[test]
fn a_condition_is_waited_for_until_it_holds_or_the_time_is_over() {
    let (host, condition, value) = (Noting::new(), Condition::new(), Mutex::new(0));
    run_on(host.clone(), || {
        let mut guard = value.lock();
        condition.wait_while_for(&mut guard, |value| *value == 0, SECOND);
        condition.wait_while_for(&mut guard, |value| *value > 0, SECOND);
        condition.notify_all();
    });
    assert_eq!(host.asked(), ["park 1000", "wake 0"]);
    // On the machine: another thread sets it, and the mutex is free meanwhile.
    std::thread::scope(|scope| {
        let mut guard = value.lock();
        scope.spawn(|| {
            *value.lock() = 1;
            condition.notify_one();
        });
        condition.wait_while_until(&mut guard, |value| *value == 0, Instant::now() + 60 * SECOND);
        assert_eq!(*guard, 1);
    });
}

#[test]
fn a_turn_makes_the_calls_that_are_due_and_parks_until_the_next() {
    let (host, calls) = (Noting::new(), Rc::new(RefCell::new(Vec::new())));
    let call = |name: &'static str| {
        let calls = calls.clone();
        move || calls.borrow_mut().push(name)
    };
    run_on(host.clone(), || {
        assert!(timer::after(30 * SECOND, call("late")) && timer::after(SECOND, call("soon")));
        assert!(timer::after(SECOND, call("as soon")));
        let mut parks = Vec::new();
        (0..3).for_each(|_| thread::turn(10 * SECOND, |park| parks.push(park)));
        assert_eq!(parks, [Duration::ZERO; 3]);
        assert_eq!(*calls.borrow(), ["soon", "as soon"]);
        (0..2).for_each(|_| thread::turn(10 * SECOND, |_| {}));
    });
    assert_eq!(*calls.borrow(), ["soon", "as soon", "late"]);
    assert_eq!(host.asked(), ["park 1000", "park 10000", "park 10000", "park 9000", "park 10000"]);
    assert!(!timer::after(SECOND, || {}), "the machine has its own");
    thread::turn(SECOND, |park| assert_eq!(park, SECOND));
}
