//! Whether the brokers take records just now, as far as is known: an outage is told of once, and ends when they answer.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What is known.
#[derive(Default)]
pub(super) struct Outage(Mutex<State>);

#[derive(Default)]
struct State {
    /// Why and since when they do not.
    down: Option<(String, Instant)>,
    /// What makes one ask them.
    suspicion: Option<String>,
}

impl Outage {
    /// Why they do not take records, where that is so.
    pub(super) fn reason(&self) -> Option<String> {
        self.lock().down.as_ref().map(|(reason, _)| reason.clone())
    }

    /// Something was heard that may mean an outage.
    pub(super) fn suspect(&self, reason: &str) {
        self.lock().suspicion.get_or_insert_with(|| reason.to_owned());
    }

    /// Whether the brokers should be asked.
    pub(super) fn is_in_doubt(&self) -> bool {
        let state = self.lock();
        state.down.is_some() || state.suspicion.is_some()
    }

    /// They do not take records.
    pub(super) fn begin(&self, reason: &str) {
        let mut state = self.lock();
        let why = state.suspicion.take().unwrap_or_else(|| reason.to_owned());
        if state.down.is_none() {
            tracing::warn!("Kafka: events cannot be written, and are refused: {why}");
            state.down = Some((why, Instant::now()));
        }
    }

    /// They do.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.suspicion = None;
        if let Some((_, since)) = state.down.take() {
            tracing::info!("Kafka: events are taken again after {:.1} s", since.elapsed().as_secs_f64());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspicion_is_no_outage_but_says_why_there_is_one() {
        let outage = Outage::default();
        assert!(!outage.is_in_doubt());
        outage.suspect("connection refused");
        assert!(outage.is_in_doubt() && outage.reason().is_none());
        outage.begin("no answer");
        assert_eq!(outage.reason().as_deref(), Some("connection refused"));
        outage.begin("another");
        assert_eq!(outage.reason().as_deref(), Some("connection refused"));
        outage.end();
        assert!(!outage.is_in_doubt() && outage.reason().is_none());
    }
}
