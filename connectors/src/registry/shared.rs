//! What a registry and its thread share.

use super::cache::Cache;
use crate::outage::Outage;
use crest_host::condition::Condition;
use parking_lot::Mutex;
use std::collections::VecDeque;

/// What the registry and its thread share.
pub(super) struct Shared {
    pub(super) state: Mutex<Lookups>,
    /// There is something to ask for, or to stop for.
    pub(super) news: Condition,
}

#[derive(Default)]
pub(super) struct Lookups {
    pub(super) cache: Cache,
    /// The ids to ask for, each once.
    pub(super) wanted: VecDeque<u32>,
    pub(super) outage: Outage,
    pub(super) is_over: bool,
}
