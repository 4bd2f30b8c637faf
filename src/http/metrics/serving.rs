//! What was asked of this API, and what became of the events that were sent to it.

use crate::figures::{Family, Figures};
use crate::http::api::{Api, Rankings};
use crest_connectors::append::AppendStats;
use std::fmt::Display;

/// Requests, streams and the events that came.
pub fn write(page: &mut Figures, api: &Api) {
    let counted: Vec<_> = api.route_counts.counted().collect();
    page.family("http_requests_total", "Requests answered, by route and class of status.");
    for route in &counted {
        for (class, count) in route.answers {
            let labels: [(&str, &dyn Display); 2] = [("route", &route.route), ("status", &class)];
            page.sample(&labels, count);
        }
    }
    page.family("http_seconds_total", "Time from a request's head to its answer's, in all, by route.");
    for route in &counted {
        page.sample(&[("route", &route.route)], route.time.as_secs_f64());
    }
    page.one("http_streams", "Streams that are open.", &[], api.open_streams());
    ingest(page, api);
    mirror(page, api);
    let standby = match api.rankings {
        Rankings::Job(_) => false,
        Rankings::Standby(_) => true,
        Rankings::Mirror(_) | Rankings::State => return,
    };
    page.one("standby", "1 while this process stands by for the job on its state.", &[], standby);
}

fn mirror(page: &mut Figures, api: &Api) {
    let Rankings::Mirror(mirror) = &api.rankings else { return };
    let stats = mirror.stats();
    page.one("mirror_reads_total", "Rankings read from Redis.", &[], stats.reads);
    page.one("mirror_failures_total", "Attempts to read from Redis that failed.", &[], stats.failures);
    page.one("mirror_rankings", "Rankings of Redis that are kept fresh here.", &[], stats.rankings);
    page.one("mirror_read_seconds", "How long the last look at Redis took.", &[], stats.last_read_ms / 1e3);
    let away = stats.disconnected_for.map_or(0.0, |time| time.as_secs_f64());
    page.one("mirror_disconnected_seconds", "Since when Redis cannot be read; 0 while it can.", &[], away);
    let lost = "Windows whose rankings no job that is alive writes.";
    page.one("mirror_windows_without_job", lost, &[], stats.without_job);
}

fn ingest(page: &mut Figures, api: &Api) {
    let Some(ingest) = &api.ingest else { return };
    page.one(
        "ingest_refused_total",
        "Requests with events in which something was wrong, and of which nothing was taken.",
        &[],
        ingest.refused(),
    );
    let families: [Family<AppendStats, f64>; 8] = [
        ("ingest_events_total", "Events that came and that the log has.", |s| s.events as f64),
        ("ingest_bytes_total", "Their bytes, keys included.", |s| s.bytes as f64),
        ("ingest_batches_total", "Requests with events that the log has.", |s| s.batches as f64),
        ("ingest_full_total", "Requests refused since too much waited to be written.", |s| s.full as f64),
        ("ingest_failed_total", "Requests that the log could not keep.", |s| s.failed as f64),
        (
            "ingest_seconds_total",
            "Time from taking a request's events to having them in the log, in all.",
            |s| s.time.as_secs_f64(),
        ),
        ("ingest_waiting_bytes", "Bytes that wait to be written to the log.", |s| s.waiting_bytes as f64),
        ("ingest_unavailable", "1 while the log cannot be written.", |s| f64::from(u8::from(s.unavailable))),
    ];
    let stats = ingest.stats();
    for (name, help, count) in families {
        page.one(name, help, &[], count(&stats));
    }
}
