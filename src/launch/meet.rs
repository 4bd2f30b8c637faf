//! The cluster's meeting, as the job sees it: what a process says of itself, and how it ends where there will be no job.

use super::exit::{STATUS_FAILED, STATUS_USAGE, die};
use super::signals::Stop;
use crate::cluster::{Cause, ClusterError, Hello, Joined, Meeting, Run, START_DEADLINE};
use crate::failure::Failure;
use crate::file::{ClusterSection, HttpSection, SnapshotsSection, StateSection};
use crate::settings::Settings;

/// Begins to meet the others, and goes on with it beside what is opened meanwhile. When it comes to nothing the process
/// ends from there, however long a broker does not answer.
///
/// # Errors
/// The own address is taken.
pub fn begin(settings: &Settings, stop: &Stop) -> Result<Meeting, Failure> {
    let shape = &settings.shape;
    let ours = Hello {
        build: crest_dataflows::frame::build_id(),
        processes: shape.processes,
        workers: shape.workers,
        process: shape.process,
        config: common(settings).map_err(Failure::of)?,
    };
    let open = shape.access.secret.is_none() && shape.access.tls.is_none();
    if let Some(address) = shape.reachable().filter(|_| open) {
        tracing::warn!(
            "{address} is open to other machines, and whoever reaches it may take part in the cluster, read what it counts, \
             and end it: no secret is set"
        );
    }
    stop.joining();
    let asked = stop.clone();
    let over = |error: &ClusterError| {
        // A failure of this process itself is told by who found it.
        if !matches!(error, ClusterError::Own { .. }) {
            die(status(error.cause()), &error.to_string());
        }
    };
    Meeting::begin(shape, ours, START_DEADLINE, move || asked.wished(), over).map_err(failure)
}

/// Where the job begins, as process 0 says.
///
/// # Errors
/// There will be no job.
pub fn run(meeting: &Meeting) -> Result<Run, Failure> {
    meeting.run().map_err(failure)
}

/// Waits until all processes begin.
///
/// # Errors
/// There will be no job.
pub fn complete(meeting: Meeting) -> Result<Joined, Failure> {
    meeting.ready().map_err(failure)
}

/// Tells the others of `failure`, so that nobody waits for this process.
pub fn give_up(meeting: Meeting, failure: Failure) -> Failure {
    let cause = match failure {
        Failure::Usage(_) => Cause::Mismatch,
        Failure::Failed(_) => Cause::Failure,
    };
    meeting.give_up(failure.to_string(), cause);
    failure
}

fn status(cause: Cause) -> i32 {
    match cause {
        Cause::Mismatch => STATUS_USAGE,
        Cause::Failure => STATUS_FAILED,
        Cause::Stop => 0,
    }
}

fn failure(error: ClusterError) -> Failure {
    match error.cause() {
        Cause::Mismatch => Failure::Usage(error.to_string()),
        Cause::Failure | Cause::Stop => Failure::of(error),
    }
}

/// What must be equal in all processes, as the configuration file says it and without secrets: what is computed,
/// and from where. The properties of librdkafka may differ, since they name files and addresses of a machine; where
/// the state is kept is for process 0 alone, and that there is one for all.
fn common(settings: &Settings) -> serde_json::Result<serde_json::Value> {
    let mut file = settings.to_file();
    file.snapshots = SnapshotsSection { empty: file.snapshots.empty, ..SnapshotsSection::default() };
    file.http = HttpSection::default();
    // Whoever hears it has proved that the secret is the same.
    file.cluster = ClusterSection::default();
    file.source.kafka.clear();
    file.archive.options.clear();
    let kept = if settings.state.is_some() { "on" } else { "off" };
    file.state = StateSection { url: Some(kept.into()), ..StateSection::default() };
    let mut common = serde_json::to_value(&file)?;
    common["standby"] = settings.shape.standby.into();
    Ok(common)
}
