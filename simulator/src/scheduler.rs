//! The scheduler: it runs one thread at a time, and decides by the seed which one, for how long another waits, and when a
//! life of the job ends.
//!
//! A thread gives its turn back where it waits: between two turns of a worker, in a pause, in a call of the store. Time
//! passes only there, and jumps to the next thread that has something to do.

use crest_host::Host;
use parking_lot::{Condvar, Mutex, MutexGuard};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The number of a life of the job, from 1 on. The director, who starts lives and outlives them, is of 0.
pub type Life = u32;

/// Pauses that are shorter than this take longer on a slow machine.
const SHORT: Duration = Duration::from_millis(60);

/// How a thread of a life that was killed comes to its end.
struct Killed;

/// Runs the threads of a simulation.
pub struct Scheduler {
    this: Weak<Scheduler>,
    began: Instant,
    slowness: u32,
    state: Mutex<State>,
}

struct State {
    random: StdRng,
    /// How long the simulation has run, by its own clock.
    now: Duration,
    /// What the wall clock shows when the simulation begins, or would have shown if it had not jumped.
    wall_ms: i64,
    threads: Vec<Thread>,
    running: usize,
    killed: Life,
    turns: u64,
    /// Of all turns, so that two runs can be compared.
    digest: u64,
    panics: Vec<String>,
}

struct Thread {
    life: Life,
    process: usize,
    /// Its process is dead, and its life goes on for a while.
    silent: bool,
    wake: Duration,
    /// Whether others can wake it before that.
    parked: bool,
    done: bool,
    /// Whether it comes to the end of its call though its life was killed meanwhile.
    lingers: bool,
    turn: Arc<Condvar>,
}

thread_local! {
    static INDEX: Cell<usize> = const { Cell::new(0) };
}

impl Scheduler {
    /// A scheduler whose first thread, the director, is the one that calls. Short pauses take `slowness` times as long as
    /// they were asked for, as on a machine that has much else to do.
    pub fn new(seed: u64, wall_ms: i64, slowness: u32) -> Arc<Self> {
        INDEX.set(0);
        let state = State {
            random: StdRng::seed_from_u64(seed),
            now: Duration::ZERO,
            wall_ms,
            threads: vec![Thread::new(0)],
            running: 0,
            killed: 0,
            turns: 0,
            digest: 0,
            panics: Vec::new(),
        };
        let state = Mutex::new(state);
        Arc::new_cyclic(|this| Scheduler { this: this.clone(), began: Instant::now(), slowness, state })
    }

    /// How long the simulation has run, by its own clock.
    pub fn elapsed(&self) -> Duration {
        self.state.lock().now
    }

    /// How many turns threads have had.
    pub fn turns(&self) -> u64 {
        self.state.lock().turns
    }

    /// A number that two runs share only if they are the same.
    pub fn digest(&self) -> u64 {
        self.state.lock().digest
    }

    /// What threads have panicked with.
    pub fn panics(&self) -> Vec<String> {
        self.state.lock().panics.clone()
    }

    /// Whether an event of this probability happens.
    pub fn happens(&self, probability: f64) -> bool {
        self.state.lock().random.random_bool(probability)
    }

    /// A number below `end`.
    pub fn below(&self, end: u64) -> u64 {
        self.state.lock().random.random_range(0..end)
    }

    /// Lets the wall clock jump by so many milliseconds.
    pub fn jump(&self, ms: i64) {
        self.state.lock().wall_ms += ms;
    }

    /// Kills all lives up to this one: none of their threads has another turn, but those that linger in a call.
    pub fn kill(&self, life: Life) {
        let mut state = self.state.lock();
        state.killed = life;
        let now = state.now;
        for thread in state.threads.iter_mut().filter(|thread| thread.is_of(life)) {
            // What a process has begun that is dead may come to its end now.
            thread.silent = false;
            if !thread.lingers {
                thread.wake = now;
            }
        }
    }

    /// Gives the threads of one process of a life no further turn, until the life is killed.
    pub fn silence(&self, life: Life, process: usize) {
        let mut state = self.state.lock();
        let theirs = |thread: &&mut Thread| thread.life == life && thread.process == process && !thread.done;
        state.threads.iter_mut().filter(theirs).for_each(|thread| thread.silent = true);
    }

    /// Whether a life was killed.
    pub fn is_killed(&self, life: Life) -> bool {
        life <= self.state.lock().killed
    }

    /// Whether threads of any life are left.
    pub fn has_threads(&self) -> bool {
        self.state.lock().threads.iter().any(|thread| !thread.done && thread.life > 0)
    }

    /// Lets the calling thread come to the end of its call, though its life may be killed while it waits there.
    pub fn linger(&self) {
        self.state.lock().threads[INDEX.get()].lingers = true;
    }

    /// A place for another thread of a process of a life, which [takes](Self::take_place) it.
    pub fn place(&self, life: Life, process: usize) -> usize {
        let mut state = self.state.lock();
        let wake = state.now;
        state.threads.push(Thread { wake, process, ..Thread::new(life) });
        state.threads.len() - 1
    }

    /// Runs on the calling thread, which takes this place, when it has its turn; until it ends or is killed.
    pub fn take_place(self: &Arc<Self>, place: usize, run: impl FnOnce()) {
        INDEX.set(place);
        let killed = {
            let mut state = self.state.lock();
            let turn = state.threads[place].turn.clone();
            while state.running != place {
                turn.wait(&mut state);
            }
            state.is_killed(place)
        };
        if !killed {
            let ran = catch_unwind(AssertUnwindSafe(|| crest_host::run_on(self.clone(), run)));
            if let Err(panic) = ran
                && !panic.is::<Killed>()
            {
                self.state.lock().panics.push(said(&*panic));
            }
        }
        let mut state = self.state.lock();
        state.threads[place].done = true;
        state.next();
    }

    fn give_way(&self, time: Duration, parked: bool) {
        if std::thread::panicking() {
            return;
        }
        let (me, mut state) = (INDEX.get(), self.state.lock());
        let time = if time < SHORT && me > 0 { time * self.slowness } else { time };
        let wake = state.now + time;
        let thread = &mut state.threads[me];
        (thread.wake, thread.parked) = (wake, parked);
        let turn = thread.turn.clone();
        state.next();
        while state.running != me {
            turn.wait(&mut state);
        }
        self.unless_killed(me, state);
    }

    fn unless_killed(&self, me: usize, mut state: MutexGuard<'_, State>) {
        let lingers = std::mem::take(&mut state.threads[me].lingers);
        if state.is_killed(me) && !lingers {
            drop(state);
            resume_unwind(Box::new(Killed));
        }
    }
}

impl Thread {
    fn new(life: Life) -> Self {
        let turn = Arc::new(Condvar::new());
        let wake = Duration::ZERO;
        Thread { life, process: 0, silent: false, wake, parked: false, done: false, lingers: false, turn }
    }

    /// Whether it has another turn.
    fn goes_on(&self) -> bool {
        !self.done && !self.silent
    }

    fn is_of(&self, life: Life) -> bool {
        self.life != 0 && self.life <= life && !self.done
    }
}

impl State {
    fn is_killed(&self, index: usize) -> bool {
        self.threads[index].is_of(self.killed)
    }

    /// Gives the next turn to one of the threads that have something to do, or else to the first that will.
    fn next(&mut self) {
        let first = self.threads.iter().filter(|thread| thread.goes_on()).map(|thread| thread.wake).min();
        self.now = self.now.max(first.unwrap_or_default());
        let now = self.now;
        let ready = || {
            let threads = self.threads.iter().enumerate();
            threads.filter(move |(_, thread)| thread.goes_on() && thread.wake <= now).map(|(index, _)| index)
        };
        let count = ready().count();
        let place = if count > 1 { self.random.random_range(0..count) } else { 0 };
        let Some(next) = ready().nth(place) else { return };
        self.now += Duration::from_micros(self.random.random_range(1..20));
        self.turns += 1;
        self.digest =
            (self.digest ^ next as u64 ^ self.now.as_micros() as u64).wrapping_mul(0x0100_0000_01b3);
        if self.running != next {
            self.running = next;
            self.threads[next].turn.notify_one();
        }
    }
}

impl Host for Scheduler {
    fn now(&self) -> Instant {
        let mut state = self.state.lock();
        // Who asks until it is later comes to an end.
        state.now += Duration::from_micros(1);
        self.began + state.now
    }

    fn wall_clock_ms(&self) -> i64 {
        let state = self.state.lock();
        state.wall_ms + state.now.as_millis() as i64
    }

    fn sleep(&self, time: Duration) {
        self.give_way(time, false);
    }

    fn park(&self, time: Duration) {
        self.give_way(time, true);
    }

    fn wake_others(&self) {
        let mut state = self.state.lock();
        let State { threads, random, now, .. } = &mut *state;
        for thread in threads.iter_mut().filter(|thread| thread.parked && !thread.done) {
            let soon = *now + Duration::from_micros(random.random_range(0..5_000));
            if soon < thread.wake && random.random_bool(0.5) {
                thread.wake = soon;
            }
        }
    }

    fn spawn(&self, _name: &str, run: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
        let Some(this) = self.this.upgrade() else { return Err(io::ErrorKind::NotConnected.into()) };
        let (life, process) = {
            let thread = &self.state.lock().threads[INDEX.get()];
            (thread.life, thread.process)
        };
        let place = self.place(life, process);
        std::thread::Builder::new().spawn(move || this.take_place(place, run))
    }

    fn draw(&self) -> u64 {
        self.state.lock().random.random()
    }
}

/// What a panic says.
fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}
