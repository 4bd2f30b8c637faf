//! Where a range of panes is read: from the first record that may hold an event of them, or from where an earlier run
//! had come.

use crate::failure::Failure;
use crate::launch::state;
use crate::settings::Settings;
use crest_connectors::source::{Partition, SourceFactory};
use crest_connectors::{OnGap, SourceOptions, Start, Until, open_source, probe};
use crest_dataflows::event_time::Clock;
use crest_state::pane::Pane;
use crest_state::replay::Resume;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Opens the source of a run of panes. A log ends there where `until` says.
///
/// # Errors
/// It cannot be opened, is another log, or no longer has what the panes need.
pub fn open(
    settings: &Settings,
    run: &Range<Pane>,
    resume: Option<&Resume>,
    mut until: Until,
) -> Result<Arc<dyn SourceFactory>, Failure> {
    let source = &settings.source;
    let reached = resume.filter(|resume| !resume.partitions.is_empty());
    let mut options = state::source_options(source, reached);
    if source.url.is_log() {
        let begins = begins(settings, run, &options, reached.is_none())?;
        if let Some(resume) = resume {
            state::check_none_gone(source, resume, |partition| begins.contains_key(partition))?;
        }
        // A partition that was made after the ends were settled is not meant: it is read up to where it begins.
        if let Until::Offsets(ends) = &mut until {
            for (partition, start) in &begins {
                ends.entry(*partition).or_insert(*start);
            }
        }
        options.until = Some(until);
        let starts = begins.into_iter().map(|(partition, start)| {
            let read = reached.and_then(|resume| resume.partitions.get(&partition));
            (partition, read.map_or(start, |read| read.replay))
        });
        options.start = Some(Start::Offsets(starts.collect()));
    }
    let opened = open_source(&source.url, &options).map_err(Failure::of)?;
    if let Some(resume) = resume {
        state::check_identity(source, opened.identity().as_deref(), resume)?;
    }
    Ok(opened)
}

/// The first record of each partition that may hold an event of the panes: an event that is further than
/// `max_future_skew` ahead of its stamp is not counted.
fn begins(
    settings: &Settings,
    run: &Range<Pane>,
    options: &SourceOptions,
    anew: bool,
) -> Result<BTreeMap<Partition, i64>, Failure> {
    let (source, time) = (&settings.source, &settings.spec.time);
    let skew = time.max_future_skew.as_millis() as i64;
    let from = (Clock::new(time, false).start(run.start) - skew).max(0);
    // It may begin after where it is to end.
    let (start, until) = (Some(Start::Time(from)), Some(Until::Now));
    let by_time = SourceOptions { start, until, reached: BTreeMap::new(), ..options.clone() };
    let opened = open_source(&source.url, &by_time).map_err(Failure::of)?;
    let begins: BTreeMap<Partition, i64> =
        opened.ranges().into_iter().map(|(partition, range)| (partition, range.start)).collect();
    drop(opened);
    if anew {
        let kept = probe(&source.url, options, &begins).map_err(Failure::of)?;
        for (partition, start) in &begins {
            let Some(kept) = kept.get(partition).filter(|kept| kept.low > 0 && kept.low == *start) else {
                continue;
            };
            let since =
                kept.time.map_or("nothing".into(), |ms| format!("what came since {}", state::time(ms)));
            let gap = format!(
                "{}: what was stamped from {} on is wanted, and the broker may have let go of some of \
                 it: it keeps {since}, from offset {} on",
                kept.name,
                state::time(from),
                kept.low
            );
            match source.on_gap {
                OnGap::Skip => tracing::warn!("{gap}; going on without it"),
                OnGap::Fail => {
                    return Err(Failure::Failed(format!("{gap}; --on-gap skip goes on without it")));
                }
            }
        }
    }
    Ok(begins)
}
