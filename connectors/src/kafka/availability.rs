//! Whether the brokers take records just now, as far as is known: by what the producer reports, and by what they answer
//! when they are asked.

use crate::outage::Outage;
use parking_lot::Mutex;

/// What is known.
#[derive(Default)]
pub(super) struct Availability(Mutex<Reports>);

#[derive(Default)]
struct Reports {
    outage: Outage,
    /// A report that may mean an outage: the brokers are to be asked.
    suspicion: Option<String>,
}

impl Availability {
    /// Why they do not take records, where that is so.
    pub(super) fn outage(&self) -> Option<String> {
        self.0.lock().outage.reason().map(str::to_owned)
    }

    /// A report came that may mean an outage.
    pub(super) fn suspect(&self, reason: &str) {
        self.0.lock().suspicion.get_or_insert_with(|| reason.to_owned());
    }

    /// Whether the brokers should be asked.
    pub(super) fn is_in_doubt(&self) -> bool {
        let state = self.0.lock();
        state.outage.is_on() || state.suspicion.is_some()
    }

    /// They do not take records. The first reason is the one that tells most.
    pub(super) fn lose(&self, reason: &str) {
        let mut state = self.0.lock();
        let why = state.suspicion.take().unwrap_or_else(|| reason.to_owned());
        if !state.outage.is_on() {
            tracing::warn!("Kafka: events cannot be written, and are refused: {why}");
            state.outage.begin(why);
        }
    }

    /// They do.
    pub(super) fn recover(&self) {
        let mut state = self.0.lock();
        state.suspicion = None;
        if let Some(lasted) = state.outage.end() {
            tracing::info!("Kafka: events are taken again after {:.1} s", lasted.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspicion_is_no_outage_but_says_why_there_is_one() {
        let brokers = Availability::default();
        assert!(!brokers.is_in_doubt());
        brokers.suspect("connection refused");
        assert!(brokers.is_in_doubt() && brokers.outage().is_none());
        brokers.lose("no answer");
        assert_eq!(brokers.outage().as_deref(), Some("connection refused"));
        brokers.lose("another");
        assert_eq!(brokers.outage().as_deref(), Some("connection refused"));
        brokers.recover();
        assert!(!brokers.is_in_doubt() && brokers.outage().is_none());
    }
}
