//! The answer as anybody would count it: a map of auctions a pane, summed for each window, sorted.

use super::auctions::Bid;
use super::job::{SLIDE, WINDOW};
use std::collections::{BTreeMap, HashMap};

type Counts = HashMap<usize, u64>;

/// The exact counts of one window.
pub struct Window {
    pub total: u64,
    pub counts: HashMap<String, u64>,
    /// Most bids first; of equal ones the greater id, as text, first.
    pub ranking: Vec<(u64, String)>,
}

/// All windows with a bid, by their end (ms).
pub struct Recount(pub BTreeMap<i64, Window>);

impl Recount {
    pub fn of(bids: &[Bid]) -> Self {
        let slide = SLIDE.as_millis() as i64;
        let panes_of_window = (WINDOW.as_millis() / SLIDE.as_millis()) as i64;
        let mut panes: BTreeMap<i64, Counts> = BTreeMap::new();
        for bid in bids {
            *panes.entry(bid.time / slide).or_default().entry(bid.auction).or_default() += 1;
        }
        let first = panes.keys().next().copied().unwrap_or(0);
        let after = panes.keys().next_back().map_or(0, |last| last + 1);
        let window = |end: i64| (end * slide, Window::of(panes.range(end - panes_of_window..end)));
        Recount((first + 1..=after).map(window).filter(|(_, window)| window.total > 0).collect())
    }
}

impl Window {
    fn of<'a>(panes: impl Iterator<Item = (&'a i64, &'a Counts)>) -> Self {
        let mut counts: HashMap<String, u64> = HashMap::new();
        for (auction, count) in panes.flat_map(|(_, counts)| counts) {
            *counts.entry(auction.to_string()).or_default() += count;
        }
        let mut ranking: Vec<(u64, String)> = counts.iter().map(|(id, count)| (*count, id.clone())).collect();
        ranking.sort_by(|a, b| b.cmp(a));
        Window { total: counts.values().sum(), counts, ranking }
    }

    /// All auctions with the most bids.
    pub fn hot_items(&self) -> Vec<&str> {
        let most = self.ranking.first().map(|(count, _)| *count);
        let hot = self.ranking.iter().take_while(|(count, _)| Some(*count) == most);
        hot.map(|(_, id)| id.as_str()).collect()
    }
}
