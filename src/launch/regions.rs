//! The regions whose closed panes a job merges.

use crate::failure::Failure;
use crate::launch::state::cannot_open;
use crate::settings::SourceSettings;
use crest_connectors::endpoint::StatesUrl;
use crest_connectors::state::StateStore;
use crest_state::pane::{END, Pane};
use crest_state::region::{Region, RegionError, RegionFault};
use crest_state::region_feed::Regions;
use crest_state::replay::Resume;
use crest_state::spec::JobSpec;
use std::ops::Range;
use std::sync::Arc;

/// Looks at all regions, and checks that they fit the job. Those that the state has counted are known from `resume`.
///
/// # Errors
/// A region cannot be read, counts something else, or is another one than the one that was counted.
pub fn open(
    states: &StatesUrl,
    source: &SourceSettings,
    spec: &JobSpec,
    resume: Option<&Resume>,
) -> Result<Arc<Regions>, Failure> {
    let mut regions = Vec::new();
    for region in states.regions() {
        let options = source.regions.get(&region.name).cloned().unwrap_or_default();
        let store = StateStore::untried(&region.url, &options).map_err(cannot_open)?;
        regions.push(Region::new(&region.name, store));
    }
    let counted = resume.and_then(|resume| resume.log.as_deref());
    let ended = resume.is_some_and(|resume| resume.durable == END);
    Regions::open(regions, spec, counted, ended).map(Arc::new).map_err(refused)
}

/// The same for a range of panes, all of which must be there.
///
/// # Errors
/// As [`open`]; or a region does not have them.
pub fn open_range(
    states: &StatesUrl,
    source: &SourceSettings,
    (spec, panes): (&JobSpec, &Range<Pane>),
    resume: Option<&Resume>,
) -> Result<Arc<Regions>, Failure> {
    let regions = open(states, source, spec, resume)?;
    // Where a backfill goes on, it has some already.
    let begun = resume.map_or(0, |resume| resume.durable);
    regions.check_range(spec, &(panes.start.max(begun)..panes.end)).map_err(refused)?;
    Ok(regions)
}

fn refused(error: RegionError) -> Failure {
    match *error.fault {
        RegionFault::Pane { .. }
        | RegionFault::NoBoard { .. }
        | RegionFault::OtherBoard { .. }
        | RegionFault::Same { .. }
        | RegionFault::AfterTheEnd { .. } => Failure::Usage(error.to_string()),
        _ => Failure::of(error),
    }
}
