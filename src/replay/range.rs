//! Which panes are meant: between two times, rounded outward to whole panes, or between offsets.
//!
//! Of offsets the panes are meant all of whose events lie between them. That is known of the brokers' time stamps: an
//! event is never counted that is further than `max_future_skew` ahead of its own. So the panes after the latest stamp
//! at the first offsets, and that, hold no event before these; and what is at or after the last offsets was stamped
//! later than the panes before the earliest stamp there.

use crate::failure::Failure;
use crate::launch::state;
use crate::settings::Settings;
use crest_connectors::endpoint::SourceUrl;
use crest_connectors::source::Partition;
use crest_connectors::state::StateStore;
use crest_connectors::{Probed, Start, probe};
use crest_dataflows::event_time::Clock;
use crest_state::inspect::Inspection;
use crest_state::pane::Pane;
use std::collections::BTreeMap;
use std::ops::Range;

/// The panes from what `--from` says to what `--to` says. `durable`: up to which pane a job has counted, where there is
/// a state; between offsets no pane after it is meant.
///
/// # Errors
/// The texts mean no range, or the brokers do not say which.
pub fn resolve(
    settings: &Settings,
    (from, to): (&str, &str),
    durable: impl FnOnce() -> Result<Option<Pane>, Failure>,
) -> Result<Range<Pane>, Failure> {
    let clock = Clock::new(&settings.spec.time, false);
    let bound = |flag, text| bound(flag, text, &settings.source.url);
    let panes = match (bound("--from", from)?, bound("--to", to)?) {
        (Bound::Time(from), Bound::Time(to)) => clock.pane(from)..clock.pane((to - 1).max(0)) + 1,
        (Bound::Offsets(from), Bound::Offsets(to)) => between(settings, &clock, &from, &to, durable()?)?,
        _ => return Err(Failure::Usage("--from and --to: must both be times, or both be offsets".into())),
    };
    if panes.is_empty() || from == to {
        return Err(Failure::Usage(format!("--to = {to:?}: there is no pane between it and --from")));
    }
    Ok(panes)
}

/// Up to which pane the job has counted whose state this is.
///
/// # Errors
/// The state cannot be read.
pub fn durable(settings: &Settings, store: StateStore) -> Result<Pane, Failure> {
    let durable = Inspection::open(store).map_err(Failure::of)?.report().durable_ms;
    Ok(Clock::new(&settings.spec.time, false).pane(durable.unwrap_or(0)))
}

enum Bound {
    Time(i64),
    Offsets(BTreeMap<Partition, i64>),
}

fn bound(flag: &str, text: &str, source: &SourceUrl) -> Result<Bound, Failure> {
    let refuse = |allowed: &str| Err(Failure::Usage(format!("{flag} = {text:?}: {allowed}")));
    match text.parse::<Start>().map(|start| start.numbered(source)) {
        Ok(Ok(Start::Time(ms))) if ms >= 0 => Ok(Bound::Time(ms)),
        Ok(Ok(Start::Offsets(offsets))) => Ok(Bound::Offsets(offsets)),
        Ok(Err(unknown)) => refuse(&format!("the source has no partition {unknown}")),
        _ => refuse(
            "must be a time such as 2026-03-10T10:15:00Z, or offsets such as 0=123,1=456, and of several topics \
             a:0=123,b:0=456",
        ),
    }
}

fn between(
    settings: &Settings,
    clock: &Clock,
    from: &BTreeMap<Partition, i64>,
    to: &BTreeMap<Partition, i64>,
    durable: Option<Pane>,
) -> Result<Range<Pane>, Failure> {
    let source = &settings.source;
    if !source.url.is_log() {
        return Err(Failure::Usage(
            "--from: only a kafka://, log: or archive: source has offsets to count between".into(),
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
    let Some(end) = end.into_iter().chain(durable).min() else {
        return Err(Failure::Usage(
            "--to: nothing was written at or after these offsets yet, so it is not known which pane they end"
                .into(),
        ));
    };
    let panes = start..end;
    let time = |pane| state::time(clock.start(pane));
    tracing::info!("between these offsets lie the panes from {} to {}", time(panes.start), time(panes.end));
    Ok(panes)
}
