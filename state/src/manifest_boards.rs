//! What the manifest knows of boards that came in later or changed: since when each is counted.

use crate::changes::Fate;
use crate::identity::Identity;
use crate::levels::Levels;
use crate::manifest::{Manifest, Part};
use crate::pane::Pane;
use crate::spans::Spans;
use crest_connectors::endpoint::StatesUrl;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

impl Manifest {
    /// The panes that were counted without a board, by the board's name, as a part sees it: a backfill counts those in its
    /// range for its boards.
    pub(super) fn uncounted_for(&self, part: &Part) -> BTreeMap<String, Spans> {
        let (mut uncounted, only) = (self.uncounted.clone(), self.only_board(part));
        if let Part::Backfill(range) = part {
            let counted = uncounted.iter_mut().filter(|(board, _)| only.is_none_or(|only| only == *board));
            counted.for_each(|(_, spans)| spans.remove(range));
        }
        uncounted
    }

    /// Notes that a backfill has counted a range, for one board or for all.
    pub(super) fn note_counted(&mut self, range: &Range<Pane>, only: Option<&str>) {
        let new = self.counted.missing(range.clone());
        // Before the first pane that was ever counted, nothing is lacking.
        let is_first = self.counted.iter().next().is_some_and(|first| range.start <= first.start);
        let from = if is_first { 0 } else { range.start };
        let boards = self.job.counted().map_or(Vec::new(), |job| job.boards);
        for board in boards {
            let counted = only.is_none_or(|only| only == &*board.name);
            let spans = self.uncounted.entry(board.name.to_string()).or_default();
            match counted {
                true => spans.remove(&(from..range.end)),
                false => new.iter().for_each(|run| spans.add(run.clone())),
            }
        }
        self.uncounted.retain(|_, spans| !spans.is_empty());
        self.counted.add(range.clone());
        let counted = self.missing.iter_mut().filter(|(board, _)| only.is_none_or(|only| only == *board));
        // A backfill counts no panes that a region lacks.
        counted.for_each(|(_, missing)| missing.remove(range));
        self.missing.retain(|_, missing| !missing.is_empty());
    }

    /// Notes the panes that the events of regions are missing from, by the name of the board.
    pub(super) fn note_missing<'a>(
        &mut self,
        missing: impl Iterator<Item = (&'a str, &'a Arc<str>, Range<Pane>)>,
    ) {
        for (board, region, panes) in missing {
            self.missing.entry(board.to_owned()).or_default().add(region, panes);
        }
    }

    /// The regions that the job has counted and a backfill does not have.
    pub(super) fn absent_from(&self, part: &Part) -> Vec<Arc<str>> {
        let names = |log: Option<&str>| -> Vec<String> {
            let ids = log.into_iter().flat_map(|ids| ids.split(','));
            ids.filter_map(|id| Some(id.split_once('=')?.0.to_owned())).collect()
        };
        if self.job.counted().is_none_or(|job| job.source != StatesUrl::IDENTITY) {
            return Vec::new();
        }
        let theirs = names(self.tally(part).and_then(|tally| tally.log.as_deref()));
        let ours = names(self.live.log.as_deref()).into_iter();
        ours.filter(|name| !theirs.contains(name)).map(Into::into).collect()
    }

    /// Notes that regions are missing from what a backfill has counted without them.
    pub(super) fn note_absent(&mut self, absent: &[Arc<str>], range: &Range<Pane>, only: Option<&str>) {
        let boards = self.job.counted().map_or(Vec::new(), |job| job.boards);
        let counted = boards.iter().filter(|board| only.is_none_or(|only| only == &*board.name));
        for (board, region) in counted.flat_map(|board| absent.iter().map(move |region| (board, region))) {
            self.missing.entry(board.name.to_string()).or_default().add(region, range.clone());
        }
    }

    /// Lets windows begin with the events that a backfill has counted of their boards, as far as the job itself has counted
    /// others in those panes.
    pub(super) fn note_first(&mut self, part: &Part) {
        let Some(begun) = self.first() else { return };
        let boards: Vec<String> = self
            .job
            .counted()
            .map_or(Vec::new(), |job| job.boards.iter().map(|board| board.name.to_string()).collect());
        let only = self.only_board(part);
        let theirs: Vec<Option<Pane>> = self.tally(part).map_or(Vec::new(), |tally| tally.first.clone());
        let counted = boards.iter().enumerate().filter(|(_, name)| only.is_none_or(|only| only == *name));
        let firsts: Vec<(usize, Pane)> =
            counted.zip(theirs).filter_map(|((place, _), first)| Some((place, first?.max(begun)))).collect();
        self.live.first.resize(boards.len(), None);
        for (place, first) in firsts {
            let ours = &mut self.live.first[place];
            *ours = Some(ours.map_or(first, |ours| ours.min(first)));
        }
    }

    /// The panes that were counted for a board.
    pub(super) fn counted_for(&self, board: &str) -> Spans {
        let mut counted = self.counted.clone();
        self.uncounted.get(board).into_iter().flat_map(Spans::iter).for_each(|span| counted.remove(span));
        counted
    }

    /// The first pane with an event of any board there ever was.
    pub(super) fn first(&self) -> Option<Pane> {
        self.live.first.iter().flatten().copied().chain(self.begun).min()
    }

    /// Makes `job` the job of the state, whose boards have these names and fates. Those that count anew do so from the pane
    /// `open` on, or from the pane `later` where their fate says so. Backfills of other boards are given up.
    pub(super) fn take_over(&mut self, job: &Identity, boards: &[(&str, Fate)], open: Pane, later: Pane) {
        let job = job.with_seed_of(&self.job);
        if job == self.job {
            return;
        }
        let first = |fate: &Fate| match fate {
            Fate::Kept(place) => self.live.first.get(*place).copied().flatten(),
            Fate::Anew | Fate::AnewFromLater => None,
        };
        let firsts = boards.iter().map(|(_, fate)| first(fate)).collect();
        let goes_on = |(place, (_, fate)): (usize, &(&str, Fate))| *fate == Fate::Kept(place);
        let same = boards.iter().enumerate().all(goes_on)
            && self.job.counted().is_some_and(|counted| counted.boards.len() == boards.len());
        if !same {
            self.begun = self.first();
            // No later run may take the epoch of one that is given up.
            self.live.epoch = self.last_epoch();
            self.backfills.clear();
        }
        let waited =
            self.uncounted.values().filter_map(|spans| spans.end_before(Pane::MAX)).max().unwrap_or(0);
        self.live.first = firsts;
        self.uncounted.retain(|name, _| boards.iter().any(|(board, _)| board == name));
        let is_kept =
            |(board, fate): &(&str, Fate), name: &str| *board == name && matches!(fate, Fate::Kept(_));
        self.missing.retain(|name, _| boards.iter().any(|board| is_kept(board, name)));
        for (name, fate) in boards {
            // What another board waited for, this one may have to wait for as well.
            let from = match fate {
                Fate::Kept(_) => continue,
                Fate::Anew => open.max(waited),
                Fate::AnewFromLater => later.max(waited),
            };
            // From the first pane of all on: a rollup may begin before the first event, and there may have been events that
            // no board took.
            let mut uncounted = Spans::default();
            uncounted.add(0..from);
            self.uncounted.insert((*name).to_owned(), uncounted);
        }
        self.uncounted.retain(|_, spans| !spans.is_empty());
        self.fingerprint = Some(self.fingerprint());
        self.job = job;
    }

    /// From when on each board was counted without a gap, in milliseconds since 1970 UTC, of those that came in later than
    /// the state was begun.
    pub(super) fn since(&self, levels: &Levels) -> BTreeMap<String, i64> {
        let end = |spans: &Spans| spans.end_before(Pane::MAX).map(|pane| levels.pane().start(pane));
        self.uncounted.iter().filter_map(|(board, spans)| Some((board.clone(), end(spans)?))).collect()
    }
}
