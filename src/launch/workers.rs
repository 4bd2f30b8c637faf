//! Runs the workers of this process: threads of one process, or of a cluster whose connections already stand.

use crate::cluster::Joined;
use crate::settings::ClusterShape;
use timely::WorkerConfig;
use timely::communication::initialize::WorkerGuards;
use timely::worker::Worker;
use timely_communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely_communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely_communication::{Config, Hooks};

type Allocators = (Vec<AllocatorBuilder>, Box<dyn std::any::Any + Send>);

/// Starts the workers, each of which calls `run` once. Returns at once.
///
/// # Errors
/// Threads that cannot be started.
pub fn start(
    shape: &ClusterShape,
    joined: Option<Joined>,
    run: impl Fn(&mut Worker) + Send + Sync + 'static,
) -> Result<WorkerGuards<()>, String> {
    let (builders, others) = match joined {
        Some(joined) => over_sockets(shape, joined)?,
        None => in_one_process(shape.workers)?,
    };
    timely::execute::execute_from(builders, others, WorkerConfig::default(), run)
        .map_err(|error| format!("the threads of the workers cannot be started: {}", in_words(&error)))
}

/// Timely tells an error of the operating system as Rust writes it for programmers: `Os { …, message: "…" }`.
fn in_words(error: &str) -> &str {
    let message = error.strip_prefix("Os {").and_then(|os| os.split_once("message: \""));
    message.and_then(|(_, text)| text.split_once('"')).map_or(error, |(text, _)| text)
}

fn in_one_process(workers: usize) -> Result<Allocators, String> {
    match workers {
        1 => Config::Thread.try_build(),
        more => Config::Process(more).try_build(),
    }
}

fn over_sockets(shape: &ClusterShape, joined: Joined) -> Result<Allocators, String> {
    let hooks = Hooks::default();
    let local = ProcessBuilder::new_typed_vector(shape.workers, hooks.refill.clone(), None);
    let (builders, guard) =
        initialize_networking_from_sockets(local, joined.sockets, shape.process, shape.workers, hooks)
            .map_err(|error| format!("cannot start the cluster's threads: {error}"))?;
    Ok((builders.into_iter().map(AllocatorBuilder::Tcp).collect(), Box::new(guard)))
}
