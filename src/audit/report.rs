//! What an audit has found, as one object.

use super::board::{Board, EXAMPLES, Violation};
use super::judge::{Figures, Recall};
use crate::failure::Failure;
use crest_connectors::group_key::GroupKey;
use crest_state::spec::JobSpec;
use serde::Serialize;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// What an audit has found. Times are in milliseconds since 1970 UTC.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whose rankings.
    pub judged: String,
    /// Windows that lie in it were judged; all where it is null.
    pub range: Option<Interval>,
    pub rankings: u64,
    /// Rankings that nothing could be said of: what they are made of was let go of, or they are of a time after the last
    /// event.
    pub not_judged: u64,
    pub violations: u64,
    pub boards: Vec<BoardReport>,
    /// The first violations.
    pub examples: Vec<Violation>,
}

#[derive(Debug, Serialize)]
pub struct Interval {
    pub from_ms: i64,
    pub to_ms: i64,
}

#[derive(Debug, Serialize)]
pub struct BoardReport {
    pub board: Arc<str>,
    pub k: usize,
    pub windows: Vec<WindowReport>,
    /// Counts of single items, and rankings of what rises, that were judged beside; only those of a state are.
    pub items: u64,
    pub rises: u64,
}

#[derive(Debug, Serialize)]
pub struct WindowReport {
    pub window: Arc<str>,
    pub groups: Vec<GroupReport>,
}

/// The rankings of one group at all ends of one window, taken together.
#[derive(Debug, Serialize)]
pub struct GroupReport {
    /// Empty for the whole board.
    pub group: GroupKey,
    pub rankings: u64,
    pub recall: Vec<RecallReport>,
    /// Pairs of rows whose true counts are in the opposite order …
    pub pairs_out_of_order: u64,
    /// … of so many.
    pub pairs: u64,
    /// The relative error of a row's count, over all rows, and the largest.
    pub error_mean: f64,
    pub error_max: f64,
    /// Rows that are said to be in the true top K for certain, and those of them that are.
    pub certain_claimed: u64,
    pub certain_true: u64,
    pub violations: u64,
}

#[derive(Debug, Serialize)]
pub struct RecallReport {
    #[serde(flatten)]
    pub counts: Recall,
    pub recall: f64,
}

impl Report {
    /// The report on boards that were judged.
    pub fn of(
        judged: String,
        range: Option<Range<i64>>,
        spec: &JobSpec,
        boards: &[impl Deref<Target = Board>],
    ) -> Self {
        let in_order =
            spec.boards.iter().filter_map(|board| boards.iter().find(|b| b.spec.name == board.name));
        let reports: Vec<BoardReport> = in_order.clone().map(|board| BoardReport::of(board)).collect();
        let groups = || reports.iter().flat_map(|b| &b.windows).flat_map(|window| &window.groups);
        Report {
            judged,
            range: range.map(|range| Interval { from_ms: range.start, to_ms: range.end }),
            rankings: groups().map(|group| group.rankings).sum(),
            not_judged: boards.iter().map(|board| board.not_judged).sum(),
            violations: groups().map(|group| group.violations).sum(),
            examples: in_order.flat_map(|board| &board.examples).take(EXAMPLES).cloned().collect(),
            boards: reports,
        }
    }

    /// As one line.
    ///
    /// # Errors
    /// It has no JSON.
    pub fn json(&self) -> Result<String, Failure> {
        Ok(serde_json::to_string(self).map_err(Failure::of)? + "\n")
    }

    /// A failure where something that was claimed is false, or nothing was judged.
    ///
    /// # Errors
    /// So it is.
    pub fn result(&self) -> Result<(), Failure> {
        match (self.examples.first(), self.rankings) {
            (Some(first), _) => {
                Err(Failure::Failed(format!("{} violations; the first: {}", self.violations, first.line())))
            }
            (None, 0) => {
                Err(Failure::Failed("nothing was judged: no window with an event lies in the range".into()))
            }
            (None, _) => Ok(()),
        }
    }
}

impl BoardReport {
    fn of(board: &Board) -> Self {
        let windows = board.spec.windows.iter().enumerate().map(|(place, window)| {
            let groups = board.figures.range((place, GroupKey::WHOLE)..(place + 1, GroupKey::WHOLE));
            let groups = groups.map(|((_, group), figures)| GroupReport::of(group, figures)).collect();
            WindowReport { window: window.name.clone(), groups }
        });
        let beside = board.spots.as_ref().map(|spots| (spots.items, spots.rises));
        let (items, rises) = beside.unwrap_or_default();
        BoardReport {
            board: board.spec.name.clone(),
            k: board.spec.k,
            windows: windows.collect(),
            items,
            rises,
        }
    }
}

impl GroupReport {
    fn of(group: &GroupKey, figures: &Figures) -> Self {
        let recall =
            figures.recall.iter().map(|counts| RecallReport { counts: *counts, recall: counts.part() });
        GroupReport {
            group: group.clone(),
            rankings: figures.rankings,
            recall: recall.collect(),
            pairs_out_of_order: figures.out_of_order,
            pairs: figures.pairs,
            error_mean: figures.error_mean(),
            error_max: figures.error_max,
            certain_claimed: figures.certain,
            certain_true: figures.certain_true,
            violations: figures.falsehoods,
        }
    }
}
