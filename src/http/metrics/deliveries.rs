//! The metrics of what is delivered to receivers that may lose nothing.

use super::super::api::Api;
use crate::figures::{Family, Figures};
use crest_connectors::outbox::OutboxStats;

/// Those of each receiver, where there are any.
pub(super) fn write(page: &mut Figures, api: &Api) {
    if api.outboxes.is_empty() {
        return;
    }
    let families: [Family<OutboxStats, u64>; 6] = [
        ("deliveries_total", "Messages that the receiver has taken.", |s| s.delivered),
        (
            "deliveries_refused_total",
            "Messages that the receiver refused for good, and that were given up.",
            |s| s.refused,
        ),
        (
            "delivery_failures_total",
            "Attempts to deliver that failed; what they carried is sent again.",
            |s| s.failures,
        ),
        ("deliveries_pending", "Messages that wait for the receiver.", |s| s.pending),
        ("deliveries_pending_bytes", "Their size.", |s| s.pending_bytes),
        ("deliveries_disconnected", "1 while the receiver takes nothing.", |s| u64::from(s.disconnected)),
    ];
    let stats: Vec<(&str, OutboxStats)> =
        api.outboxes.iter().map(|outbox| (outbox.name(), outbox.stats())).collect();
    let stats: Vec<_> = stats.iter().map(|(to, stats)| (to, stats)).collect();
    page.table(&families, "to", &stats);
}
