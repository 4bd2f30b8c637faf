//! How a process ends at once, from any of its threads: one line on standard error and a status. A panic of any
//! thread ends the process too, since timely's other threads would wait for the panicked one for ever.

use crate::text::shown;
use crest_dataflows::status::JobView;
use parking_lot::Mutex;
use std::io::Write;
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The job failed: its source, its sinks or its stop.
pub const STATUS_FAILED: i32 = 1;
/// It was started in a way that can never work.
pub const STATUS_USAGE: i32 = 2;
/// The program, or the cluster that it is part of, is broken.
pub const STATUS_BROKEN: i32 = 70;

/// For the cause of a panic to be told by the thread that knows it.
const CAUSE: Duration = Duration::from_secs(2);

/// What is still to be done before the process dies of a failure.
static LAST_DEED: Mutex<Option<Box<dyn FnOnce() + Send>>> = Mutex::new(None);

/// Runs `deed` before the process dies of a failure; a later call replaces it. It must end soon, and must not panic: nothing would
/// end the process then.
pub fn before_failing(deed: impl FnOnce() + Send + 'static) {
    *LAST_DEED.lock() = Some(Box::new(deed));
}

/// Prints the reason and ends the process, without running what is left of it but for what [`before_failing`] was given. Only the
/// first call prints.
pub fn die(status: i32, reason: &str) -> ! {
    static DYING: AtomicBool = AtomicBool::new(false);
    if DYING.swap(true, Ordering::AcqRel) {
        loop {
            std::thread::park();
        }
    }
    // Nobody may read it any more.
    let _ = writeln!(std::io::stderr(), "crest: {}", shown(reason));
    let deed = LAST_DEED.lock().take().filter(|_| [STATUS_FAILED, STATUS_BROKEN].contains(&status));
    if let Some(deed) = deed {
        deed();
    }
    signal_hook::low_level::exit(status)
}

/// Makes every panic end the process.
pub fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let_the_cause_be_told(&message(panic));
        die(STATUS_BROKEN, &describe(panic))
    }));
}

/// From now on, losing the connection to another process says so, and is no failure when `view` is stopping:
/// the other one was only faster.
pub fn end_on_lost_connection(view: Arc<JobView>) {
    std::panic::set_hook(Box::new(move |panic| {
        let_the_cause_be_told(&message(panic));
        let thread = std::thread::current();
        let lost = lost_connection(&message(panic), thread.name().unwrap_or_default());
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
    if lacks_threads(&message) {
        return format!(
            "the system gives this process no more threads (ulimit -u), or no memory for them: {message}"
        );
    }
    format!("internal error in thread {}{place}: {message}", thread.name().unwrap_or("without a name"))
}

/// A worker waits for the others of its process, and panics where one of their threads cannot be started. Whoever starts
/// them knows why, and ends the process before this returns.
fn let_the_cause_be_told(message: &str) {
    let missed = ["Failed to send buzzer", "Failed to recv buzzer"];
    if missed.iter().any(|start| message.starts_with(start)) {
        std::thread::sleep(CAUSE);
    }
}

/// What Rust and tokio say where a thread cannot be started.
fn lacks_threads(message: &str) -> bool {
    ["failed to spawn thread", "can't spawn worker thread"].iter().any(|words| message.contains(words))
}

/// Timely's communication threads are named `timely:recv-2` and `timely:send-2` after the other process, and
/// panic when they lose it; the workers, and the thread that joins them, panic in turn.
fn lost_connection(message: &str, thread: &str) -> Option<String> {
    let remote = thread.strip_prefix("timely:recv-").or_else(|| thread.strip_prefix("timely:send-"));
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Set in the process that dies.
    const CHILD: &str = "CREST_TEST_PANIC";

    /// Runs the test of this name again, in a process of its own, in which it dies.
    fn dying(test: &str) -> (Option<i32>, String) {
        let test = format!("launch::exit::tests::{test}");
        let mut command = Command::new(std::env::current_exe().unwrap());
        let output = command.args([&test, "--exact", "--nocapture"]).env(CHILD, "1").output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    fn panic_in_a_thread(name: &str, message: &'static str) {
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || panic!("{message}"));
        let _ = thread.unwrap().join();
    }

    #[test]
    fn a_panic_of_any_thread_ends_the_process_with_one_line() {
        if std::env::var_os(CHILD).is_some() {
            end_on_panic();
            panic_in_a_thread("worker", "first\nsecond");
        }
        let (status, stderr) = dying("a_panic_of_any_thread_ends_the_process_with_one_line");
        assert_eq!(status, Some(STATUS_BROKEN));
        assert!(
            stderr.starts_with("crest: internal error in thread worker at src/launch/exit.rs:"),
            "{stderr}"
        );
        assert!(stderr.ends_with(": first second\n") && stderr.lines().count() == 1, "{stderr}");
    }

    #[test]
    fn a_lost_process_is_named_and_passes_while_stopping() {
        let lost = "timely communication error: reading data: socket closed";
        if std::env::var_os(CHILD).is_some() {
            let view = Arc::new(JobView::new(1, 1));
            end_on_lost_connection(view.clone());
            view.request_stop();
            panic_in_a_thread("timely:recv-2", lost);
            end_on_lost_connection(Arc::new(JobView::new(1, 1)));
            panic_in_a_thread("timely:recv-3", lost);
        }
        let (status, stderr) = dying("a_lost_process_is_named_and_passes_while_stopping");
        assert_eq!(status, Some(STATUS_BROKEN));
        assert_eq!(stderr, format!("crest: lost the connection to process 3 of the cluster: {lost}\n"));
    }

    #[test]
    fn a_thread_that_cannot_be_started_is_no_error_of_the_program() {
        assert!(lacks_threads(
            "OS can't spawn worker thread: Resource temporarily unavailable (os error 11)"
        ));
        assert!(lacks_threads("failed to spawn thread: Os { code: 11, kind: WouldBlock }"));
        assert!(!lacks_threads("index out of bounds"));
    }

    #[test]
    fn what_panics_in_turn_is_a_lost_process_too() {
        assert!(lost_connection("MergeQueue poisoned.", "timely:work-0").is_some());
        assert!(lost_connection("Recv thread panic: Any { .. }", "main").is_some());
        assert_eq!(lost_connection("index out of bounds", "timely:work-0"), None);
    }
}
