//! How a process ends at once, from any of its threads: one line on standard error and a status. A panic of any
//! thread ends the process too, since timely's other threads would wait for the panicked one for ever.

use crest_dataflows::status::JobView;
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;

/// The job failed: its source, its sinks or its stop.
pub const STATUS_FAILED: i32 = 1;
/// The program, or the cluster that it is part of, is broken.
pub const STATUS_BROKEN: i32 = 70;

/// Says why and ends the process, without running what is left of it. Only the first caller is heard.
pub fn die(status: i32, reason: &str) -> ! {
    static DYING: AtomicBool = AtomicBool::new(false);
    if DYING.swap(true, Ordering::AcqRel) {
        loop {
            std::thread::park();
        }
    }
    eprintln!("crest: {reason}");
    signal_hook::low_level::exit(status)
}

/// Makes every panic end the process.
pub fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| die(STATUS_BROKEN, &describe(panic))));
}

/// From now on, losing the connection to another process says so, and is no failure when `view` is stopping:
/// the other one was only faster.
pub fn end_on_lost_connection(view: Arc<JobView>) {
    std::panic::set_hook(Box::new(move |panic| {
        let lost = lost_connection(&message(panic), std::thread::current());
        match lost {
            Some(_) if view.stopping() => {}
            Some(reason) => die(STATUS_BROKEN, &reason),
            None => die(STATUS_BROKEN, &describe(panic)),
        }
    }));
}

fn message(panic: &PanicHookInfo<'_>) -> String {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".into())
}

fn describe(panic: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
    let message = message(panic).replace('\n', " ");
    format!("internal error in thread {}{place}: {message}", thread.name().unwrap_or("without a name"))
}

/// Timely's communication threads are named `timely:recv-2` and `timely:send-2` after the other process, and
/// panic when they lose it; the workers, and who joins them, panic in turn.
fn lost_connection(message: &str, thread: Thread) -> Option<String> {
    let name = thread.name().unwrap_or("");
    let remote = name.strip_prefix("timely:recv-").or_else(|| name.strip_prefix("timely:send-"));
    let in_turn =
        ["timely communication error:", "MergeQueue poisoned", "Send thread panic", "Recv thread panic"];
    match remote {
        Some(process) => Some(format!("lost the connection to process {process} of the cluster: {message}")),
        None if in_turn.iter().any(|start| message.starts_with(start)) => {
            Some("lost the connection to another process of the cluster".into())
        }
        None => None,
    }
}
