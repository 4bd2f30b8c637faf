//! Spot checks of a state: at some ends of each window, what it says of single items, listed or not, and what rises there, as the
//! API answers.
//!
//! The exact engine is asked for the counts of these items at the end, and, of those that rise, also at the end that this one is
//! compared with, to which it comes before. Costs: at each of some [`SPOTS`] ends of a window its interval is merged, and one more for
//! each time that it is compared with.

use super::judge::{Falsehood, FalsehoodKind, between};
use super::scope::Scope;
use crest_connectors::group_key::GroupKey;
use crest_connectors::rising::{Rising, RisingItem};
use crest_connectors::snapshot::Snapshot;
use crest_dataflows::known_item::KnownItem;
use crest_dataflows::risen::surge;
use crest_dataflows::spot::{Spot, SpotOf};
use crest_state::against::Against;
use crest_state::histories::Histories;
use crest_state::history::HistoryError;
use crest_state::inspect::Range;
use crest_state::spec::BoardSpec;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Ends of a window that are looked at, about.
const SPOTS: i64 = 24;

/// A window's place among those that are looked at, and an end of it.
type At = (usize, i64);
/// The counts of the exact top K, by id.
type Top = HashMap<Arc<str>, u64>;

/// The spot checks of a board.
pub struct Spots {
    history: Histories,
    board: BoardSpec,
    scope: Scope,
    windows: Vec<Window>,
    spots: BTreeMap<At, BTreeMap<GroupKey, Looked>>,
    /// The exact top K at ends that others are compared with.
    tops: HashMap<(At, GroupKey), Top>,
    /// How many counts of items were judged …
    pub items: u64,
    /// … and how many rankings of what rises.
    pub rises: u64,
}

struct Window {
    name: Arc<str>,
    size_ms: i64,
    /// Ends at multiples of this are looked at.
    stride_ms: i64,
    /// What they are compared with, and how much earlier that is.
    against: Vec<(Against, i64)>,
}

/// What is said of a group at an end, and the true counts before of what rises, once they are known: none where the group had no
/// event then.
struct Looked {
    said: Spot,
    before: Vec<Vec<u64>>,
}

impl Spots {
    /// The spot checks of a board of which `times` (ms since 1970 UTC) are judged.
    pub fn new(history: Histories, board: &BoardSpec, scope: &Scope, times: &std::ops::Range<i64>) -> Self {
        let windows = board.windows.iter().filter_map(|window| {
            let (size, slide) = window.size_and_slide()?;
            let (size_ms, slide_ms) = (size.as_millis() as i64, slide.as_millis() as i64);
            let ends = (times.end - times.start) / slide_ms.max(1);
            let against = if window.rising.is_empty() { &[Against::Previous][..] } else { &window.rising };
            let against = against.iter().map(|one| (*one, one.earlier_than(size).as_millis() as i64));
            Some(Window {
                name: window.name.clone(),
                size_ms,
                stride_ms: slide_ms * (ends / SPOTS).max(1),
                // Only ends of the window are counted.
                against: against.filter(|(_, by)| by % slide_ms == 0).collect(),
            })
        });
        let windows = windows.collect();
        let (spots, tops) = (BTreeMap::new(), HashMap::new());
        let (board, scope) = (board.clone(), scope.clone());
        Spots { history, board, scope, windows, spots, tops, items: 0, rises: 0 }
    }

    /// The items whose counts are wanted at an end, in an order that stays.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn asks(&mut self, window: &str, group: &GroupKey, end: i64) -> Result<Vec<Arc<str>>, HistoryError> {
        let Some(place) = self.place(window) else { return Ok(Vec::new()) };
        self.look((place, end))?;
        for (_, by) in self.windows[place].against.clone() {
            self.look((place, end + by))?;
        }
        let mut names = Vec::new();
        if let Some(looked) = self.spots.get(&(place, end)).and_then(|groups| groups.get(group)) {
            names.extend(looked.said.items.iter().map(|(name, _)| name.clone()));
            looked.said.rising.iter().for_each(|(_, rising)| names.extend(ids(rising)));
        }
        self.compared_with(place, end, group).for_each(|(rising, _)| names.extend(ids(rising)));
        Ok(names)
    }

    /// Judges what is said of a group at an end by the true counts of what was asked for.
    pub fn answer(&mut self, exact: &Snapshot, counts: &[u64], mut tell: impl FnMut(Falsehood)) {
        let (group, end) = (&exact.group, exact.window_end);
        let Some(place) = self.place(&exact.window) else { return };
        let mut counts = counts.iter().copied();
        if let Some(looked) = self.spots.get_mut(&(place, end)).and_then(|groups| groups.remove(group)) {
            for ((name, said), count) in looked.said.items.iter().zip(counts.by_ref()) {
                self.items += 1;
                judge_item((name, said), exact, count, &mut tell);
            }
            for ((by, rising), before) in looked.said.rising.iter().zip(&looked.before) {
                let now: Vec<u64> = counts.by_ref().take(rising.items.len()).collect();
                let top = self.tops.get(&((place, end - by), group.clone()));
                self.rises += 1;
                Truth { exact, now: &now, before, top, k: self.board.k }.judge(rising, &mut tell);
            }
        }
        let mut is_compared = false;
        for (rising, before) in self.compared_with(place, end, group) {
            *before = counts.by_ref().take(rising.items.len()).collect();
            is_compared = true;
        }
        if is_compared {
            let top = exact.items.iter().map(|item| (item.item_id.as_str().into(), item.upper));
            self.tops.insert(((place, end), group.clone()), top.collect());
        }
    }

    fn place(&self, window: &str) -> Option<usize> {
        self.windows.iter().position(|known| *known.name == *window)
    }

    /// What rises at later ends that are compared with this one, and the true counts here.
    fn compared_with<'a>(
        &'a mut self,
        place: usize,
        end: i64,
        group: &'a GroupKey,
    ) -> impl Iterator<Item = (&'a Rising, &'a mut Vec<u64>)> {
        let later = self.spots.range_mut((place, end + 1)..(place, i64::MAX));
        later.filter_map(move |((_, later), groups)| Some((*later, groups.get_mut(group)?))).flat_map(
            move |(later, looked)| {
                let Looked { said, before } = looked;
                let here = said.rising.iter().zip(before).filter(move |((by, _), _)| later - by == end);
                here.map(|((_, rising), before)| (rising, before))
            },
        )
    }

    /// Reads what is said at an end, if it is one that is looked at and nobody has.
    fn look(&mut self, at: At) -> Result<(), HistoryError> {
        let (place, end) = at;
        let window = &self.windows[place];
        let range = Range { from_ms: end - window.size_ms, to_ms: end };
        if end % window.stride_ms != 0
            || self.spots.contains_key(&at)
            || !self.scope.holds(range.from_ms, range.to_ms)
        {
            return Ok(());
        }
        let counted = |(_, by): &&(Against, i64)| self.scope.holds(range.from_ms - by, range.to_ms - by);
        let against: Vec<_> = window.against.iter().filter(counted).copied().collect();
        let of = SpotOf { board: &self.board, window: &window.name, range, k: self.board.k };
        let said = of.look(&self.history, &against)?;
        let looked = said.into_iter().map(|(group, said)| {
            let before = vec![Vec::new(); said.rising.len()];
            (group, Looked { said, before })
        });
        self.spots.insert(at, looked.collect());
        Ok(())
    }
}

fn ids(rising: &Rising) -> impl Iterator<Item = Arc<str>> + '_ {
    rising.items.iter().map(|item| item.item_id.as_str().into())
}

/// Judges what is said of an item by its true count, and its rank as far as the exact top K tells it.
fn judge_item(
    (name, said): (&Arc<str>, &KnownItem),
    exact: &Snapshot,
    count: u64,
    tell: &mut impl FnMut(Falsehood),
) {
    let mut is_false = |claimed: String, truth: String| {
        tell(Falsehood { kind: FalsehoodKind::Item, item: Some(name.clone()), claimed, truth });
    };
    let (lower, upper) = (said.count.lower, said.count.upper);
    let (least, most) = between(exact, count);
    if lower > most || upper < least {
        is_false(format!("{lower} to {upper}"), count.to_string());
    }
    // Of who is withheld no rank is told.
    if exact.error_floor > 0 || said.withheld {
        return;
    }
    let place = exact.items.iter().position(|item| item.item_id == **name).map(|place| place as u64 + 1);
    let (least, most) = (place.unwrap_or(exact.items.len() as u64 + 1), place.unwrap_or(u64::MAX));
    let rank = said.rank.as_ref().map(|rank| (rank.best, rank.worst));
    if !rank.map_or(count == 0, |(best, worst)| best <= most && worst >= least) {
        let claimed = rank.map_or("no rank".into(), |(best, worst)| format!("rank {best} to {worst}"));
        let or_worse = if place.is_some() { "" } else { " or worse" };
        is_false(claimed, format!("rank {least}{or_worse}"));
    }
}

/// What is true of what is said to rise.
struct Truth<'a> {
    exact: &'a Snapshot,
    /// The counts now, and before, of what is said to rise.
    now: &'a [u64],
    before: &'a [u64],
    /// The exact top K before.
    top: Option<&'a Top>,
    k: usize,
}

impl Truth<'_> {
    fn judge(&self, said: &Rising, tell: &mut impl FnMut(Falsehood)) {
        let mut is_false = |item: &str, claimed: String, truth: String| {
            let claimed = format!("{claimed} against {}", said.against);
            tell(Falsehood { kind: FalsehoodKind::Rise, item: Some(item.into()), claimed, truth });
        };
        for (place, item) in said.items.iter().enumerate() {
            let (before, now) = self.counts(place);
            if !self.is_within(item, before, now) {
                let claimed = format!("a rise of {} to {}", item.rise_lower, item.rise);
                is_false(&item.item_id, claimed, format!("{before} to {now}"));
            }
        }
        if self.exact.error_floor > 0 {
            return;
        }
        let full = said.items.len() >= self.k;
        let last = said.items.last().filter(|_| full).map_or(0.0, |item| item.surge);
        let most = last.max(said.error_floor as f64);
        let is_listed = |id: &str| said.items.iter().any(|item| item.item_id == id);
        for item in self.exact.items.iter().filter(|item| !is_listed(&item.item_id)) {
            let least = surge(item.lower, self.most_before(&item.item_id));
            if least > most {
                let claimed = format!("a surge of at most {most}, since it is not listed,");
                is_false(&item.item_id, claimed, format!("at least {least}"));
            }
        }
        let surges: Vec<f64> = (0..said.items.len()).map(|place| self.surge(place)).collect();
        for (item, risen) in said.items.iter().zip(&surges).take(said.guaranteed as usize) {
            if *risen <= 0.0 || surges.iter().filter(|other| *other > risen).count() >= self.k {
                let claimed = format!("row {} of what rises for certain", item.rank);
                is_false(&item.item_id, claimed, format!("a surge of {risen}"));
            }
        }
    }

    fn counts(&self, place: usize) -> (u64, u64) {
        let at = |counts: &[u64]| counts.get(place).copied().unwrap_or(0);
        (at(self.before), at(self.now))
    }

    fn surge(&self, place: usize) -> f64 {
        let (before, now) = self.counts(place);
        surge(now, before)
    }

    /// Whether the bounds hold, as far as the exact engine knows.
    fn is_within(&self, item: &RisingItem, before: u64, now: u64) -> bool {
        let holds = |lower: u64, upper: u64, count: u64| {
            let (least, most) = between(self.exact, count);
            lower <= most && upper >= least
        };
        holds(item.lower, item.upper, now) && holds(item.before_lower, item.before, before)
    }

    /// The most that an item had before: what had no place in a full top K had at most as much as the last one that had.
    fn most_before(&self, id: &str) -> u64 {
        let Some(top) = self.top else { return 0 };
        let last = || top.values().min().copied().filter(|_| top.len() >= self.k);
        top.get(id).copied().or_else(last).unwrap_or(0)
    }
}
