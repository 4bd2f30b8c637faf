//! A board's exact rankings, on the worker that aggregates it: feeds the graph, round by round, and hands out the rankings
//! that come of it.
//!
//! A round has all changes up to the first one to a window that was ranked in this round. A few rounds are under way at
//! once, and their rankings are handed out in the order in which they were requested.

use super::blocked::BlockedItems;
use super::graph::{Graph, Message};
use super::local::{Leader, Slot};
use super::members::{Members, Moved, Weight};
use super::panes::{Changed, Dictionary, PaneRows};
use super::round::{Change, Round};
use crest_connectors::group_key::GroupKey;
use crest_sketches::{Bounds, Digest, Estimate, RankedRow, Ranking, item_hash};
use crest_state::blocklist::Blocked;
use crest_state::pane::Pane;
use crest_state::spec::BoardSpec;
use std::collections::hash_map::{Entry, HashMap};
use std::collections::{BTreeMap, VecDeque};
use std::hash::Hash;
use std::ops::{AddAssign, Range};
use std::rc::Rc;
use std::sync::Arc;
use timely::scheduling::Activator;

/// How many rounds may be under way at once.
const UNDER_WAY: usize = 16;
/// How many changes of counts they may have together, if there is more than one round.
const CHANGES_UNDER_WAY: u64 = 1 << 20;

/// The aggregator's end of a board's graph, with what is in its windows.
pub(crate) struct ExactRanks {
    graph: Graph,
    k: usize,
    /// The seed of the item hash.
    seed: u64,
    /// Whether different values are counted.
    is_distinct: bool,
    /// Whether some events take away what others have counted.
    retracts: bool,
    names: Dictionary,
    blocked: BlockedItems,
    panes: BTreeMap<Pane, PaneRows>,
    /// The panes of each window for its finals, and after these the panes of each window for its provisional ranking. The
    /// graph knows both by their places here.
    windows: Vec<Members>,
    /// How many windows there are, which is the place of the first one for a provisional ranking.
    provisional: usize,
    /// Windows that were ranked in the open round.
    ranked: Vec<usize>,
    /// The open round.
    round: Round,
    /// Whether anything was sent in the open round.
    changed: bool,
    /// About how many counts change in the open round.
    changes: u64,
    /// The rounds that may be under way, each with about how many counts change in it.
    under_way: VecDeque<(Round, u64)>,
    /// The items that were queried in the open round. The queries are retracted in the next round.
    queried: Vec<(u32, u32, u32)>,
    pending: VecDeque<Pending>,
    leaders: HashMap<Slot, HashMap<Leader, Change>>,
    answers: HashMap<(Slot, u32), i64>,
}

/// A window to rank, for some groups.
pub(crate) struct View {
    /// The window's place on its board.
    pub(crate) window: usize,
    /// Its end.
    pub(crate) end: Pane,
    /// `None` if the ranking is final; otherwise the watermark, in milliseconds since 1970 UTC.
    pub(crate) provisional: Option<i64>,
    /// The groups to rank.
    pub(crate) groups: Vec<GroupKey>,
    /// For each group, the items to count beside its ranking.
    pub(crate) queried: Vec<Vec<Arc<str>>>,
}

/// A view with its results: for each group, the ranking and the counts of the items asked for.
pub(crate) struct Ranked {
    pub(crate) view: View,
    pub(crate) rankings: Vec<Ranking>,
    /// For each group, whether the window has anything of it.
    pub(crate) held: Vec<bool>,
    pub(crate) answers: Vec<Vec<u64>>,
}

/// A ranking under way.
struct Pending {
    round: Round,
    view: View,
    /// For each group, its slot and its weight in the window; `None` where the window has nothing of it.
    slots: Vec<Option<(Slot, Weight)>>,
    /// The weight that a group may have which no pane of the window lists.
    rest: u64,
}

impl ExactRanks {
    /// The rankings of a board with this many windows, whose items are hashed with this seed.
    pub(crate) fn new(graph: Graph, windows: usize, board: &BoardSpec, seed: u64) -> Self {
        ExactRanks {
            graph,
            k: board.k,
            seed,
            is_distinct: board.count.is_distinct(),
            retracts: board.retracts(),
            names: Dictionary::default(),
            blocked: BlockedItems::default(),
            panes: BTreeMap::new(),
            windows: (0..2 * windows).map(|_| Members::default()).collect(),
            provisional: windows,
            ranked: Vec::new(),
            round: 0,
            changed: false,
            changes: 0,
            under_way: VecDeque::new(),
            queried: Vec::new(),
            pending: VecDeque::new(),
            leaders: HashMap::new(),
            answers: HashMap::new(),
        }
    }

    /// Wakes this operator when there may be rankings to hand out.
    pub(crate) fn wake(&self, activator: Activator) {
        self.graph.wake(activator);
    }

    /// Counts the rows of a pane, in place of those counted for it before.
    pub(crate) fn count(&mut self, pane: Pane, groups: &BTreeMap<GroupKey, Rc<Digest>>) {
        if self.ranked.iter().any(|window| self.windows[*window].has(pane)) {
            self.flush();
        }
        let (graph, blocked) = (&mut self.graph, &mut self.blocked);
        let after = PaneRows::new(groups, &mut self.names, |item, name| {
            blocked.note(item, &name);
            graph.tell(Message::Name(item, Some(name)));
        });
        self.replace(pane, after);
    }

    /// Leaves out of the rankings that are requested from now on who is in the list.
    pub(crate) fn block(&mut self, list: Option<Arc<Blocked>>) {
        if self.blocked.is_of(list.as_ref()) {
            return;
        }
        self.flush();
        let (seed, items) = (self.seed, &self.names.items);
        let (came, left) = self.blocked.follow(list, |id| items.find(item_hash(id, seed), id));
        let (graph, round) = (&mut self.graph, self.round);
        for (&pane, rows) in &self.panes {
            for (is_taken, turned) in
                [(true, &came), (false, &left)].into_iter().filter(|(_, of)| !of.is_empty())
            {
                rows.each(is_taken, |group, item, changed| {
                    if turned.contains(&item) {
                        graph.tell(message(round, pane, (group, item), changed));
                        self.changed = true;
                        self.changes += 1;
                    }
                });
            }
        }
    }

    /// Adds a counted pane to a window, for its finals.
    pub(crate) fn enter(&mut self, window: usize, pane: Pane) {
        self.open(window);
        let Some(rows) = self.panes.get(&pane) else { return };
        if self.windows[window].enter(pane, rows) {
            enter(&mut self.graph, self.round, pane, window);
            self.changed = true;
            self.changes += rows.len();
        }
    }

    /// Ends the open round if the window was ranked in it, so that the window can change.
    pub(crate) fn open(&mut self, window: usize) {
        if self.ranked.contains(&window) {
            self.flush();
        }
    }

    /// Whether a pane of the window, for its finals, has the group.
    pub(crate) fn holds(&self, window: usize, group: &GroupKey) -> bool {
        self.names.group(group).is_some_and(|group| self.windows[window].weight(group).is_some())
    }

    /// Requests the final ranking of a window. Its panes before `from` leave it after that.
    pub(crate) fn rank_final(&mut self, view: View, from: Pane) {
        let window = view.window;
        self.rank(window, view);
        self.windows[window].from = from;
    }

    /// Requests the ranking of a window that is made of the counted panes of `range`. No new panes before `settled` come
    /// after this.
    pub(crate) fn rank_provisional(&mut self, view: View, range: Range<Pane>, settled: Pane) {
        let window = self.provisional + view.window;
        self.open(window);
        let (graph, changed) = (&mut self.graph, &mut self.changed);
        let (panes, changes, round) = (&self.panes, &mut self.changes, self.round);
        self.windows[window].set(range, settled, panes, |pane, moved| {
            match moved {
                Moved::Entered => enter(graph, round, pane, window),
                Moved::Left => leave(graph, round, pane, window),
            }
            *changed = true;
            *changes += panes.get(&pane).map_or(0, PaneRows::len);
        });
        self.rank(window, view);
    }

    fn rank(&mut self, window: usize, view: View) {
        self.open(window);
        self.ranked.push(window);
        let (mut slots, first_queried) = (Vec::with_capacity(view.groups.len()), self.queried.len());
        for (at, group) in view.groups.iter().enumerate() {
            let group = self.names.group(group);
            let weight = group.and_then(|group| self.windows[window].weight(group));
            let slot = group.zip(weight).map(|(group, weight)| ((window as u32, group), weight));
            if let (Some(((window, group), _)), Some(items)) = (slot, view.queried.get(at)) {
                let mut items: Vec<u32> = items.iter().filter_map(|item| self.item(item)).collect();
                items.sort_unstable();
                items.dedup();
                self.queried.extend(items.into_iter().map(|item| (window, group, item)));
            }
            slots.push(slot);
        }
        for queried in &self.queried[first_queried..] {
            self.graph.queried.update(*queried, 1);
            self.changed = true;
        }
        let rest = self.windows[window].rest();
        self.pending.push_back(Pending { round: self.round, view, slots, rest });
    }

    fn item(&self, item: &str) -> Option<u32> {
        self.names.items.find(item_hash(item.as_bytes(), self.seed), item.as_bytes())
    }

    /// Ends the open round, if a window was ranked in it, so that its rankings come.
    pub(crate) fn flush(&mut self) {
        if self.ranked.is_empty() {
            return;
        }
        if self.changed || self.round == 0 {
            self.under_way.push_back((self.round, std::mem::take(&mut self.changes)));
            self.round += 1;
            self.graph.advance_to(self.round);
            self.changed = false;
        } else {
            // Nothing has changed since the previous round, whose output serves these rankings too.
            let round = self.round;
            let open = self.pending.iter_mut().rev().take_while(|pending| pending.round == round);
            open.for_each(|pending| pending.round -= 1);
        }
        for window in std::mem::take(&mut self.ranked) {
            let from = self.windows[window].from;
            self.expire_panes(window, from);
        }
        for queried in std::mem::take(&mut self.queried) {
            self.graph.queried.update(queried, -1);
            self.changed = true;
        }
        self.drop_expired_panes();
    }

    /// Takes the panes before `from` out of a window.
    fn expire_panes(&mut self, window: usize, from: Pane) {
        let (graph, changed) = (&mut self.graph, &mut self.changed);
        let (panes, changes, round) = (&self.panes, &mut self.changes, self.round);
        self.windows[window].expire_before(from, panes, |pane| {
            leave(graph, round, pane, window);
            *changed = true;
            *changes += panes.get(&pane).map_or(0, PaneRows::len);
        });
    }

    /// Drops the panes that are in no window any more.
    fn drop_expired_panes(&mut self) {
        let finals = &self.windows[..self.provisional];
        let from = finals.iter().map(|window| window.from).min().unwrap_or(0);
        while let Some(pane) = self.panes.keys().next().copied().filter(|pane| *pane < from) {
            // Windows of provisional rankings may still have older panes.
            (self.provisional..self.windows.len()).for_each(|window| self.expire_panes(window, from));
            let rows = self.panes.remove(&pane).unwrap_or_default();
            self.graph.tell_all(|worker| Message::Forget { worker, pane });
            PaneRows::default().hold_instead(&rows, &mut self.names, self.round);
        }
    }

    fn replace(&mut self, pane: Pane, now: PaneRows) {
        let before = self.panes.remove(&pane).unwrap_or_default();
        let (graph, round) = (&mut self.graph, self.round);
        let (changed, changes, blocked) = (&mut self.changed, &mut self.changes, &self.blocked);
        before.changes(&now, |group, item, changed_by| {
            if blocked.has(item) {
                return;
            }
            graph.tell(message(round, pane, (group, item), changed_by));
            *changed = true;
            *changes += 1;
        });
        self.windows.iter_mut().for_each(|window| window.replace(pane, &before, &now));
        now.hold_instead(&before, &mut self.names, self.round);
        self.panes.insert(pane, now);
    }

    /// Whether too many rounds are under way for more rankings to be requested.
    pub(crate) fn is_full(&mut self) -> bool {
        let complete = self.graph.complete();
        while self.under_way.pop_front_if(|(round, _)| *round < complete).is_some() {}
        let changes: u64 = self.under_way.iter().map(|(_, changes)| changes).sum();
        let rounds = self.under_way.len();
        rounds > UNDER_WAY || (rounds > 1 && changes > CHANGES_UNDER_WAY)
    }

    /// Whether all rankings were handed out.
    pub(crate) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// The end of the first window whose final ranking was not handed out.
    pub(crate) fn next_end(&self) -> Option<Pane> {
        let finals = self.pending.iter().filter(|pending| pending.view.provisional.is_none());
        finals.map(|pending| pending.view.end).min()
    }

    /// The next ranking, if its round is complete.
    pub(crate) fn next_ranked(&mut self) -> Option<Ranked> {
        let complete = self.graph.complete();
        match self.pending.pop_front_if(|pending| pending.round < complete) {
            Some(pending) => {
                self.apply_output(pending.round);
                Some(self.ranked(pending))
            }
            None => {
                if let Some(last) = complete.min(self.round).checked_sub(1) {
                    self.apply_output(last);
                    self.reclaim(last + 1);
                }
                None
            }
        }
    }

    /// Applies the graph's output for the rounds up to this one.
    fn apply_output(&mut self, round: Round) {
        let output = self.graph.output.clone();
        let mut output = output.borrow_mut();
        while let Some(entry) = output.leaders.first_entry().filter(|entry| *entry.key() <= round) {
            for (slot, leader, change) in entry.remove() {
                let leaders = self.leaders.entry(slot).or_default();
                add(leaders, leader, change);
                if leaders.is_empty() {
                    self.leaders.remove(&slot);
                }
            }
        }
        while let Some(entry) = output.answers.first_entry().filter(|entry| *entry.key() <= round) {
            entry
                .remove()
                .into_iter()
                .for_each(|(slot, item, change)| add(&mut self.answers, (slot, item), change));
        }
    }

    /// Frees the numbers of items and groups that nothing needs any more.
    fn reclaim(&mut self, complete: Round) {
        let (graph, blocked) = (&mut self.graph, &mut self.blocked);
        self.names.items.reclaim(complete, |item| {
            blocked.forget(item);
            graph.tell(Message::Name(item, None));
        });
        self.names.groups.reclaim(complete, |_| {});
    }

    fn ranked(&self, pending: Pending) -> Ranked {
        let Pending { view, slots, rest, .. } = pending;
        let nothing = || Ranking::default().add_unseen(rest);
        let rankings = slots.iter().map(|slot| slot.map_or_else(nothing, |slot| self.ranking(slot)));
        let answer = |(slot, items): (&Option<(Slot, Weight)>, &Vec<Arc<str>>)| {
            let count = |item: &Arc<str>| {
                let key = slot.zip(self.item(item)).map(|((slot, _), item)| (slot, item));
                // Where more was removed than counted, nothing is left.
                key.and_then(|key| self.answers.get(&key)).map_or(0, |count| (*count).max(0) as u64)
            };
            items.iter().map(count).collect()
        };
        let answers = slots.iter().zip(&view.queried).map(answer).collect();
        let held = slots.iter().map(Option::is_some).collect();
        Ranked { rankings: rankings.collect(), held, answers, view }
    }

    fn ranking(&self, (slot, weight): (Slot, Weight)) -> Ranking {
        let mut leaders: Vec<Leader> =
            self.leaders.get(&slot).into_iter().flat_map(HashMap::keys).copied().collect();
        let name = |leader: &Leader| self.names.items.name(leader.item);
        leaders.sort_unstable_by(|a, b| b.count().cmp(&a.count()).then_with(|| name(b).cmp(name(a))));
        let upper = |leader: &Leader| leader.count() as u64 + weight.floor;
        let outside = leaders.get(self.k).map_or(0, upper).max(weight.floor);
        // What was not counted for sure may have been removed.
        let doubt = if self.retracts { weight.removed_floor } else { 0 };
        let lower = |leader: &Leader| (leader.count() as u64).saturating_sub(doubt);
        let row = |leader: &Leader| RankedRow {
            key: name(leader).to_vec(),
            bounds: Bounds::new(lower(leader), upper(leader)),
            estimate: self.is_distinct.then(|| Estimate::exactly(leader.count() as u64)),
        };
        let rows = leaders.iter().take(self.k).map(row).collect();
        let Weight { total, removed, floor, .. } = weight;
        Ranking { total: total.saturating_sub(removed), removed, floor, outside, rows }
    }

    /// Memory held on this worker beside the graph's, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.names.items.bytes() + self.panes.values().map(PaneRows::bytes).sum::<usize>()
    }
}

fn message(round: Round, pane: Pane, (group, item): (u32, u32), changed: Changed) -> Message {
    match changed {
        Changed::Count(change) => Message::Count { round, pane, group, item, change },
        Changed::Value(value, change) => Message::Value { round, pane, group, item, value, change },
    }
}

fn enter(graph: &mut Graph, round: Round, pane: Pane, window: usize) {
    graph.tell_all(|worker| Message::Enter { worker, round, pane, window: window as u32 });
}

fn leave(graph: &mut Graph, round: Round, pane: Pane, window: usize) {
    graph.tell_all(|worker| Message::Leave { worker, round, pane, window: window as u32 });
}

/// Adds a change to the count of a key. A count that becomes zero is removed.
fn add<K: Hash + Eq, N: Copy + Default + PartialEq + AddAssign>(
    counts: &mut HashMap<K, N>,
    key: K,
    change: N,
) {
    match counts.entry(key) {
        Entry::Vacant(entry) => {
            entry.insert(change);
        }
        Entry::Occupied(mut entry) => {
            *entry.get_mut() += change;
            if *entry.get() == N::default() {
                entry.remove();
            }
        }
    }
}
