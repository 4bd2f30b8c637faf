//! Plans a backfill: which panes it has to count so that the rollups at its edges can be built.

use crate::error::StateRefusal;
use crate::levels::Levels;
use crate::manifest::Manifest;
use crate::mend::with_whole_edges;
use crate::pane::{Pane, PaneWidth};
use crate::spans::Spans;
use std::ops::Range;

/// The runs of panes that a backfill of `range` has to count, in order: those that were never counted, or, of one
/// `board`, that were counted without it, or, with `replace`, all. A run is extended where a rollup at its edge could not be built, since panes beside the run have
/// expired.
///
/// # Errors
/// The range ends after the durable frontier, or an extended run reaches beyond the range.
pub(super) fn runs(
    url: &str,
    manifest: &Manifest,
    width: &PaneWidth,
    levels: &Levels,
    range: &Range<Pane>,
    replace: bool,
    board: Option<&str>,
) -> Result<Vec<Range<Pane>>, StateRefusal> {
    if range.end > manifest.live.durable {
        return Err(StateRefusal::NotDurable {
            url: url.to_owned(),
            durable_ms: width.start(manifest.live.durable),
            to_ms: width.start(range.end),
        });
    }
    let wanted = if replace { vec![range.clone()] } else { manifest.counted.missing(range.clone()) };
    let mut runs = Spans::default();
    let within = |span: &Range<Pane>| span.start.max(range.start)..span.end.min(range.end);
    let of_board = |(name, _): &(&String, &Spans)| board == Some(*name);
    let uncounted = manifest.uncounted.iter().filter(of_board);
    let uncounted = uncounted.flat_map(|(_, spans)| spans.iter().map(within));
    let wanted = wanted.into_iter().chain(uncounted.filter(|run| !run.is_empty()));
    wanted.for_each(|run| runs.add(with_whole_edges(&manifest.held, levels, run)));
    let runs: Vec<Range<Pane>> = runs.iter().cloned().collect();
    match (runs.first(), runs.last()) {
        (Some(first), Some(last)) if first.start < range.start || range.end < last.end => {
            Err(StateRefusal::Edges {
                url: url.to_owned(),
                from_ms: width.start(first.start.min(range.start)),
                to_ms: width.start(last.end.max(range.end)),
            })
        }
        _ => Ok(runs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::manifest::tests::{levels, spec};
    use crate::spec::TimeSpec;

    /// The manifest of a job that counted four days from their 10th pane on, and has kept the panes of the last day.
    fn manifest() -> Manifest {
        let mut manifest = Manifest::new(&Identity::of(&spec(), "kafka:events"), &levels());
        manifest.live.durable = 4 * 8640;
        manifest.counted.add(9..4 * 8640);
        manifest.held.drop_before(0, 3 * 8640);
        manifest
    }

    fn plan(manifest: &Manifest, range: Range<Pane>, replace: bool) -> Result<Vec<(Pane, Pane)>, String> {
        let width = PaneWidth::new(TimeSpec::default().pane);
        let runs = runs("s", manifest, &width, &levels(), &range, replace, None)
            .map_err(|error| error.to_string())?;
        Ok(runs.into_iter().map(|run| (run.start, run.end)).collect())
    }

    #[test]
    fn what_was_not_counted_is_planned_up_to_where_rollups_can_be_built() {
        let manifest = manifest();
        assert_eq!(plan(&manifest, 100..200, false), Ok(vec![]));
        assert_eq!(
            plan(&manifest, 0..12, false),
            Ok(vec![(0, 12)]),
            "its minute begins before the job's first pane"
        );
        assert_eq!(plan(&manifest, 0..600, false), Ok(vec![(0, 12)]));
        let refused = plan(&manifest, 0..9, false).unwrap_err();
        assert!(refused.contains("from 1970-01-01T00:00:00.000Z to 1970-01-01T00:02:00.000Z"), "{refused}");
    }

    #[test]
    fn what_is_replaced_is_all_of_it_where_what_is_beside_it_is_held() {
        let manifest = manifest();
        assert_eq!(plan(&manifest, 3 * 8640 + 7..3 * 8640 + 9, true), Ok(vec![(3 * 8640 + 7, 3 * 8640 + 9)]));
        assert_eq!(plan(&manifest, 60..66, true), Ok(vec![(60, 66)]));
        let refused = plan(&manifest, 61..65, true).unwrap_err();
        assert!(refused.contains("from 1970-01-01T00:10:00.000Z to 1970-01-01T00:11:00.000Z"), "{refused}");
    }

    #[test]
    fn nothing_is_planned_that_the_job_has_still_to_count() {
        let refused = plan(&manifest(), 4 * 8640 - 1..4 * 8640 + 1, false).unwrap_err();
        assert!(refused.contains("up to 1970-01-05T00:00:00.000Z"), "{refused}");
        assert!(refused.contains("ends at 1970-01-05T00:00:10.000Z"), "{refused}");
    }
}
