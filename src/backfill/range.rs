//! Which panes are meant: between two times, rounded outward to whole panes, or between offsets.
//!
//! Of offsets the panes are meant all of whose events lie between them. That is known of the brokers' time stamps: an
//! event is never counted that is further than `max_future_skew` ahead of its own. So the panes after the latest stamp
//! at the first offsets, and that, hold no event before these; and what is at or after the last offsets was stamped
//! later than the panes before the earliest stamp there.

use crate::Failure;
use crate::args::BackfillArgs;
use crate::launch::state;
use crate::settings::Settings;
use crest_connectors::source::Partition;
use crest_connectors::state::StateStore;
use crest_connectors::{Probed, Start, probe};
use crest_dataflows::event_time::{Clock, Pane};
use crest_dataflows::state::inspect::Inspection;
use std::collections::BTreeMap;
use std::ops::Range;

/// The panes that are to be counted.
///
/// # Errors
/// The texts mean no range, or the brokers do not say which.
pub fn resolve(settings: &Settings, store: &StateStore, args: &BackfillArgs) -> Result<Range<Pane>, Failure> {
    let clock = Clock::new(&settings.spec.time, false);
    let panes = match (bound("--from", &args.from)?, bound("--to", &args.to)?) {
        (Bound::Time(from), Bound::Time(to)) => clock.pane(from)..clock.pane((to - 1).max(0)) + 1,
        (Bound::Offsets(from), Bound::Offsets(to)) => between(settings, store, &clock, &from, &to)?,
        _ => return Err(Failure::Usage("--from and --to: must both be times, or both be offsets".into())),
    };
    match panes.start < panes.end && args.from != args.to {
        true => Ok(panes),
        false => Err(Failure::Usage(format!("--to = {:?}: there is no pane between it and --from", args.to))),
    }
}

enum Bound {
    Time(i64),
    Offsets(BTreeMap<Partition, i64>),
}

fn bound(flag: &str, text: &str) -> Result<Bound, Failure> {
    match text.parse() {
        Ok(Start::Time(ms)) if ms >= 0 => Ok(Bound::Time(ms)),
        Ok(Start::Offsets(offsets)) => Ok(Bound::Offsets(offsets)),
        _ => Err(Failure::Usage(format!(
            "{flag} = {text:?}: must be a time such as 2026-03-10T10:15:00Z, or offsets such as 0=123,1=456"
        ))),
    }
}

fn between(
    settings: &Settings,
    store: &StateStore,
    clock: &Clock,
    from: &BTreeMap<Partition, i64>,
    to: &BTreeMap<Partition, i64>,
) -> Result<Range<Pane>, Failure> {
    let source = &settings.source;
    if !source.is_log() {
        return Err(Failure::Usage(
            "--from: only a kafka:// or log: source has offsets to count between".into(),
        ));
    }
    let options = state::source_options(source, None);
    let ask = |offsets| probe(&source.url, &options, offsets).map_err(Failure::of);
    let (first, last): (BTreeMap<_, Probed>, BTreeMap<_, Probed>) = (ask(from)?, ask(to)?);
    let skew = settings.spec.time.max_future_skew.as_millis() as i64;
    // A partition that is read from its beginning lacks nothing.
    let begins = |(partition, probed): (&Partition, &Probed)| {
        let begun = from.get(partition).is_none_or(|offset| *offset <= probed.low) && probed.low == 0;
        if begun { None } else { probed.time }
    };
    let latest = first.iter().filter_map(begins).max().map(|time| clock.pane(time + skew) + 1);
    let earliest = first.values().filter_map(|probed| probed.time).min();
    let start = latest.or(earliest.map(|time| clock.pane(time - skew))).unwrap_or(0);
    let ends = last.iter().filter(|(partition, _)| to.contains_key(partition));
    let end = ends.filter_map(|(_, probed)| probed.time).min().map(|time| clock.pane(time));
    let durable = Inspection::open(store.clone()).map_err(Failure::of)?.report().durable_ms;
    let durable = clock.pane(durable.unwrap_or(0));
    let panes = start..end.map_or(durable, |end| end.min(durable));
    let time = |pane| state::time(clock.start(pane));
    tracing::info!("between these offsets lie the panes from {} to {}", time(panes.start), time(panes.end));
    Ok(panes)
}
