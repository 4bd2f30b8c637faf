//! One board under audit: what is claimed of it, until the truth is known, and what came of that.
//!
//! Rankings of a state are ranked anew as the exact engine asks for them, so that those of one end are held at a time;
//! rankings that were published, and those of a run of the sketch engine, are all held before it begins: some 50 bytes a
//! row, each item's name once.

use super::judge::{Claim, Falsehood, FalsehoodKind, Figures, Truth};
use super::scope::Scope;
use super::spots::Spots;
use crate::launch::state::time;
use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::Snapshot;
use crest_dataflows::windows::past::{PastError, PastWindows, Step};
use crest_state::history::HistoryError;
use crest_state::spec::BoardSpec;
use crest_state::top::Top;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Falsehoods that are kept as examples.
pub const EXAMPLES: usize = 20;
/// How long a worker of the exact engine may be held up at once.
const TURN: Duration = Duration::from_millis(500);

/// A false claim, and of which ranking it is.
#[derive(Clone, Debug, Serialize)]
pub struct Violation {
    pub kind: FalsehoodKind,
    pub board: Arc<str>,
    pub window: Arc<str>,
    pub group: GroupKey,
    pub window_end: i64,
    pub item: Option<Arc<str>>,
    pub claimed: String,
    #[serde(rename = "true")]
    pub truth: String,
}

impl Violation {
    /// As one line.
    pub fn line(&self) -> String {
        let mut of = format!("{} {}", self.board, self.window);
        if !self.group.is_whole() {
            of += &format!(" {}", self.group);
        }
        let item = self.item.as_ref().map_or(String::new(), |item| format!(", item {item}"));
        let (kind, end) = (self.kind.name(), time(self.window_end));
        format!("{kind}: {of} until {end}{item}: claimed {}, true {}", self.claimed, self.truth)
    }
}

/// A board under audit.
pub struct Board {
    pub spec: BoardSpec,
    scope: Scope,
    names: HashSet<Arc<str>>,
    /// By end, and by window and group.
    claims: BTreeMap<i64, HashMap<(Arc<str>, GroupKey), Claim>>,
    past: Option<PastWindows>,
    /// The spot checks of a state.
    pub spots: Option<Spots>,
    /// Windows and ends that cannot be ranked any more.
    unheld: BTreeSet<(Arc<str>, i64)>,
    /// The last end of each window that the exact engine has ranked.
    last: HashMap<Arc<str>, i64>,
    /// The figures by the place of the window in the spec and by the group.
    pub figures: BTreeMap<(usize, GroupKey), Figures>,
    pub examples: Vec<Violation>,
    /// Rankings that nothing can be said of.
    pub not_judged: u64,
}

impl Board {
    /// A board of which nothing is claimed yet; what `past` ranks will be.
    pub fn new(spec: &BoardSpec, scope: Scope, past: Option<PastWindows>, spots: Option<Spots>) -> Self {
        Board {
            spec: spec.clone(),
            scope,
            names: HashSet::new(),
            claims: BTreeMap::new(),
            past,
            spots,
            unheld: BTreeSet::new(),
            last: HashMap::new(),
            figures: BTreeMap::new(),
            examples: Vec::new(),
            not_judged: 0,
        }
    }

    /// Takes in a ranking that is to be judged, unless it reaches beyond what is counted.
    pub fn claim(&mut self, snapshot: &Snapshot) {
        if !self.scope.holds(snapshot.window_start, snapshot.window_end) {
            return;
        }
        if snapshot.partial {
            // It says that it is not of all that is counted here.
            self.not_judged += 1;
            self.unheld.insert((snapshot.window.clone(), snapshot.window_end));
            return;
        }
        let names = &mut self.names;
        let top = Top::of(&self.spec);
        let claim = Claim::of(snapshot, &top, |name| match names.get(name) {
            Some(known) => known.clone(),
            None => {
                let name: Arc<str> = name.into();
                names.insert(name.clone());
                name
            }
        });
        let key = (snapshot.window.clone(), snapshot.group.clone());
        let (total, claims) = (claim.total, self.claims.entry(snapshot.window_end).or_default());
        // A run that was killed may publish a ranking again, but the same.
        let other = claims.get(&key).filter(|before| **before != claim).map(|before| before.total);
        claims.insert(key, claim);
        if let Some(before) = other {
            let truth = format!("published again, of {total}, and not the same");
            let of = (&snapshot.window, &snapshot.group, snapshot.window_end);
            self.accuse(of, FalsehoodKind::Contradiction, format!("a total of {before}"), truth);
        }
    }

    /// Ranks anew what is stored, up to this end. False when that takes longer: it is to be asked again.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn reach(&mut self, end: i64) -> Result<bool, PastError> {
        let until = Instant::now() + TURN;
        while let Some(past) =
            self.past.as_mut().filter(|past| past.next_end().is_some_and(|next| next <= end))
        {
            if Instant::now() > until {
                return Ok(false);
            }
            match past.step()? {
                Step::Read | Step::Over => {}
                Step::Ranked(ranked) => ranked.snapshots.iter().for_each(|snapshot| self.claim(snapshot)),
                Step::Unheld(window, end) => {
                    self.not_judged += 1;
                    self.unheld.insert((window, end));
                }
            }
        }
        Ok(true)
    }

    /// The items whose counts are wanted: those of the ranking, and those that are looked at beside it.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn asks(&mut self, window: &str, group: &GroupKey, end: i64) -> Result<Vec<Arc<str>>, HistoryError> {
        let claim = self.claims.get(&end).and_then(|claims| claims.get(&(window.into(), group.clone())));
        let mut items: Vec<Arc<str>> =
            claim.map_or(Vec::new(), |claim| claim.rows.iter().map(|row| row.item.clone()).collect());
        if let Some(spots) = &mut self.spots {
            items.extend(spots.asks(window, group, end)?);
        }
        Ok(items)
    }

    /// Judges what is claimed there.
    pub fn answer(&mut self, exact: &Snapshot, counts: &[u64]) {
        let (window, end, group) = (exact.window.clone(), exact.window_end, &exact.group);
        let key = (window.clone(), group.clone());
        let rows =
            self.claims.get(&end).and_then(|claims| claims.get(&key)).map_or(0, |claim| claim.rows.len());
        let (counts, beside) = counts.split_at(rows.min(counts.len()));
        self.answer_beside(exact, beside);
        let last = self.last.entry(window.clone()).or_insert(end);
        *last = end.max(*last);
        if !self.scope.holds(exact.window_start, end) || self.unheld.contains(&(window.clone(), end)) {
            return;
        }
        let claim = self.claims.get_mut(&end).and_then(|claims| claims.remove(&key));
        // Where events take away, some items may have what is left while the total of all is 0.
        let is_nothing = exact.total == 0 && exact.items.is_empty();
        match claim {
            // That there is nothing need not be said.
            Some(claim) if claim.is_empty() && is_nothing => {}
            Some(claim) => {
                let truth = Truth { exact, counts, k: self.spec.k };
                let mut found = Vec::new();
                let figures = self.figures_of(&window, group);
                figures.judge(&claim, truth, |falsehood| found.push(falsehood));
                found.into_iter().for_each(|falsehood| self.note((&window, group, end), falsehood));
            }
            None if is_nothing => {}
            None => {
                let truth = format!("a total of {}", exact.total);
                self.accuse((&window, group, end), FalsehoodKind::MissingRanking, "no ranking".into(), truth);
            }
        }
    }

    /// Judges what is looked at beside the rankings.
    fn answer_beside(&mut self, exact: &Snapshot, counts: &[u64]) {
        let Some(mut spots) = self.spots.take() else { return };
        let mut found = Vec::new();
        spots.answer(exact, counts, |falsehood| found.push(falsehood));
        self.spots = Some(spots);
        self.figures_of(&exact.window, &exact.group).falsehoods += found.len() as u64;
        let of = (&exact.window, &exact.group, exact.window_end);
        found.into_iter().for_each(|falsehood| self.note(of, falsehood));
    }

    /// What is claimed and was not asked for has no event. Where only a part of a log was counted, the exact engine
    /// ranks no window after the one with its last event; what is claimed of those is not judged.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn finish(&mut self) -> Result<(), PastError> {
        while !self.reach(i64::MAX)? {}
        for (end, claims) in std::mem::take(&mut self.claims) {
            let mut claims: Vec<_> = claims.into_iter().filter(|(_, claim)| !claim.is_empty()).collect();
            claims.sort_by(|(a, _), (b, _)| a.cmp(b));
            for ((window, group), claim) in claims {
                if !self.scope.is_all() && self.last.get(&window).is_none_or(|last| *last < end) {
                    self.not_judged += 1;
                    continue;
                }
                let claimed = format!("a total of {}", claim.total);
                self.accuse(
                    (&window, &group, end),
                    FalsehoodKind::UnfoundedRanking,
                    claimed,
                    "no event".into(),
                );
            }
        }
        Ok(())
    }

    /// Where only a part of a log was counted, and the board has more groups than it may have, those that are listed
    /// depend on what came before that part: groups are not judged.
    pub fn set_aside_groups(&mut self) {
        if self.scope.is_all() {
            return;
        }
        let groups = self.figures.extract_if(.., |(_, group), _| !group.is_whole());
        self.not_judged += groups.map(|(_, figures)| figures.rankings).sum::<u64>();
        self.examples.retain(|example| example.group.is_whole());
    }

    fn figures_of(&mut self, window: &str, group: &GroupKey) -> &mut Figures {
        let place = self.spec.windows.iter().position(|spec| &*spec.name == window);
        let place = place.unwrap_or(self.spec.windows.len());
        let new = || Figures::new(self.spec.k);
        self.figures.entry((place, group.clone())).or_insert_with(new)
    }

    /// Counts and keeps a falsehood that is in no row of a ranking, given by its window, group and end.
    fn accuse(
        &mut self,
        of: (&Arc<str>, &GroupKey, i64),
        kind: FalsehoodKind,
        claimed: String,
        truth: String,
    ) {
        self.figures_of(of.0, of.1).falsehoods += 1;
        self.note(of, Falsehood { kind, item: None, claimed, truth });
    }

    fn note(&mut self, (window, group, window_end): (&Arc<str>, &GroupKey, i64), falsehood: Falsehood) {
        if self.examples.len() < EXAMPLES {
            let Falsehood { kind, item, claimed, truth } = falsehood;
            let (board, window, group) = (self.spec.name.clone(), window.clone(), group.clone());
            self.examples.push(Violation { kind, board, window, group, window_end, item, claimed, truth });
        }
    }
}
