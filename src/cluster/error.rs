//! Why a cluster does not begin, and whether it may another time.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// What kind of reason there is not to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// The processes can never work together as they were started.
    Mismatch,
    /// Something went wrong that may go right another time.
    Failure,
    /// A process was asked to stop, and so all do.
    Stop,
}

/// Why the job does not begin. See [`cause`](Self::cause).
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // each message says what its fields are
pub enum ClusterError {
    #[error("process {process} cannot listen on {address} for the others: {error}")]
    Listen { process: usize, address: String, error: std::io::Error },
    #[error("cluster.tls.{key} = {file:?} cannot be used: {reason}")]
    Certificate { key: &'static str, file: PathBuf, reason: String },
    #[error(
        "no certificate can be for the host {host:?} of the hostfile; cluster.tls.name can say what they are for"
    )]
    NoName { host: String },
    #[error("{what}: {error}")]
    System { what: String, error: std::io::Error },
    #[error(
        "{peer} is another build: {theirs:016x} there, {ours:016x} here; run one binary in the whole cluster"
    )]
    Build { peer: String, ours: u64, theirs: u64 },
    #[error(
        "the process at {peer} is another build: version {theirs} of the handshake; run one binary in the whole cluster"
    )]
    Version { peer: String, theirs: u32 },
    #[error("{peer} has another configuration: {key} is {theirs} there, {ours} here")]
    Configuration { peer: String, key: String, ours: String, theirs: String },
    #[error("{peer} has another cluster shape: {what} is {theirs} there, {ours} here")]
    ClusterShape { peer: String, what: &'static str, ours: usize, theirs: usize },
    #[error(
        "cluster shape: the index {index} is taken twice, by the process at {first} and by the one at {second}"
    )]
    IndexTaken { index: usize, first: String, second: String },
    #[error("cluster shape: {address} was to be process {expected}, but process {found} answers there")]
    WrongProcess { address: String, expected: usize, found: usize },
    #[error("cluster shape: process {caller} takes process {own} for another one; compare their hostfiles")]
    TakenForAnother { caller: usize, own: usize },
    #[error("process {by} gave up: {reason}")]
    GaveUp { by: usize, reason: String, cause: Cause },
    #[error("process {index} at {address} went away just as the job began")]
    Lost { index: usize, address: String },
    #[error("process 0 at {address} was started again, and goes on from elsewhere: so must this one be")]
    Elsewhere { address: String },
    #[error("the cluster is not complete after {} s: waited for {missing}", after.as_secs())]
    Deadline { after: Duration, missing: String },
    #[error("stopped by a signal before the job began")]
    Stopped,
    #[error("{reason}")]
    Own { reason: String, cause: Cause },
}

impl ClusterError {
    /// What kind of reason it is.
    pub fn cause(&self) -> Cause {
        match self {
            ClusterError::Listen { .. } | ClusterError::System { .. } => Cause::Failure,
            ClusterError::Deadline { .. } | ClusterError::Lost { .. } => Cause::Failure,
            ClusterError::Elsewhere { .. } => Cause::Failure,
            ClusterError::Stopped => Cause::Stop,
            ClusterError::GaveUp { cause, .. } | ClusterError::Own { cause, .. } => *cause,
            _ => Cause::Mismatch,
        }
    }

    /// What was being done when the operating system refused.
    pub fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |error| ClusterError::System { what, error }
    }
}
