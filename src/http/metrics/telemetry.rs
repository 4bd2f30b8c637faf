//! The figures of what is sent by OTLP, where anything is.

use super::super::api::Api;
use crate::figures::{Family, Figures};
use crate::telemetry::{Counts, Signal};

/// Writes them.
pub(super) fn write(page: &mut Figures, api: &Api) {
    let Some(counts) = &api.telemetry else { return };
    let families: [Family<Counts, u64>; 4] = [
        ("telemetry_exports_total", "Requests with telemetry that the collector has taken.", |c| c.exports),
        ("telemetry_failures_total", "Requests with telemetry that the collector has not taken.", |c| {
            c.failures
        }),
        (
            "telemetry_dropped_total",
            "Points of metrics, or spans, that were not sent, or that the collector has not taken.",
            |c| c.dropped,
        ),
        ("telemetry_disconnected", "1 while the collector takes nothing.", |c| u64::from(c.disconnected)),
    ];
    let counts = [Signal::Metrics, Signal::Traces].map(|signal| (signal, counts.of(signal)));
    page.table(
        &families,
        "signal",
        &counts.iter().map(|(signal, counts)| (signal, counts)).collect::<Vec<_>>(),
    );
}
