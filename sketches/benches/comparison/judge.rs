//! An answer against the truth: recall, errors, and whether its bounds hold for every item.

use crate::streams::{Stream, item_of};
use crest_sketches::{Bounds, Ranking};
use datasketches::frequencies::Row;

/// The length of the ranking that is asked for.
pub const K: usize = 100;

/// What every item truly has, by its number.
pub struct Truth {
    pub counts: Vec<u64>,
    pub total: u64,
}

impl Truth {
    pub fn new(items: u32) -> Self {
        Truth { counts: vec![0; items as usize + 1], total: 0 }
    }

    pub fn add(&mut self, stream: &Stream) {
        for (&item, &weight) in stream.items.iter().zip(&stream.weights) {
            self.counts[item as usize] += u64::from(weight);
            self.total += u64::from(weight);
        }
    }

    /// The heaviest items, in order.
    fn top(&self, k: usize) -> Vec<u32> {
        let mut items: Vec<_> = (0..self.counts.len() as u32).collect();
        let rank = |&item: &u32| std::cmp::Reverse(self.counts[item as usize]);
        items.select_nth_unstable_by_key(k, rank);
        items.truncate(k);
        items.sort_by_key(rank);
        items
    }
}

/// What someone says of a window.
pub struct Answer {
    /// All items that are told apart, and what is said of them, the heaviest first.
    pub rows: Vec<(u32, Bounds)>,
    /// Any other one has at most this; `None` where nothing certain is said.
    pub floor: Option<u64>,
    /// How many leading rows are certainly in the true top K.
    pub guaranteed: usize,
}

impl Answer {
    /// From all candidates of a window, and its top K.
    pub fn of_ranking(all: &Ranking, top: &Ranking) -> Self {
        let rows = all.rows.iter().map(|row| (item_of(&row.key), row.bounds)).collect();
        Answer { rows, floor: Some(all.floor), guaranteed: top.guaranteed() }
    }

    /// A row of these is guaranteed by the same rule as ours.
    pub fn of_items(rows: &[Row<String>], maximum_error: u64) -> Self {
        let bounds = |row: &Row<String>| Bounds::new(row.lower_bound(), row.upper_bound());
        let rows: Vec<_> = rows.iter().map(|row| (item_of(row.item().as_bytes()), bounds(row))).collect();
        let outside = rows.get(K).map_or(0, |(_, bounds)| bounds.upper()).max(maximum_error);
        let guaranteed = rows.iter().take(K).take_while(|(_, bounds)| bounds.lower() >= outside).count();
        Answer { rows, floor: Some(maximum_error), guaranteed }
    }

    /// What is estimated for each of these items, by someone who cannot list any.
    pub fn of_estimates(estimates: impl Iterator<Item = (u32, u64)>) -> Self {
        let mut rows: Vec<_> = estimates.map(|(item, upper)| (item, Bounds::at_most(upper))).collect();
        rows.sort_by_key(|(_, bounds)| std::cmp::Reverse(bounds.upper()));
        Answer { rows, floor: None, guaranteed: 0 }
    }

    pub fn exact(counts: impl Iterator<Item = (u32, u64)>) -> Self {
        let mut rows: Vec<_> = counts.map(|(item, count)| (item, Bounds::exactly(count))).collect();
        rows.sort_by_key(|(_, bounds)| std::cmp::Reverse(bounds.upper()));
        Answer { guaranteed: rows.len().min(K), rows, floor: Some(0) }
    }
}

/// How good an answer is.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub recall_10: f64,
    pub recall_100: f64,
    /// Of the counts reported for the true top K, relative to the true ones; all report upper bounds.
    pub mean_error: f64,
    pub greatest_error: f64,
    pub guaranteed: usize,
    /// As a share of the weight.
    pub floor: Option<f64>,
    /// Items of which something false was said: a bound that does not hold, a place that they do not have.
    pub violations: usize,
}

pub fn judge(answer: &Answer, truth: &Truth) -> Verdict {
    let top = truth.top(K);
    // Whoever ties with the last of the true top is as right as the last.
    let recall = |k: usize| {
        let enough = truth.counts[top[k - 1] as usize];
        let found = answer.rows.iter().take(k).filter(|(item, _)| truth.counts[*item as usize] >= enough);
        found.count() as f64 / k as f64
    };
    let enough = truth.counts[top[K - 1] as usize];
    let guaranteed = answer.rows.iter().take(answer.guaranteed);
    let wrongly = guaranteed.filter(|(item, _)| truth.counts[*item as usize] < enough).count();
    let mut said = vec![None; truth.counts.len()];
    answer.rows.iter().for_each(|(item, bounds)| said[*item as usize] = Some(*bounds));
    let errors: Vec<_> = top
        .iter()
        .map(|&item| {
            let true_count = truth.counts[item as usize];
            let reported = said[item as usize].map_or(answer.floor.unwrap_or(0), |bounds| bounds.upper());
            reported.abs_diff(true_count) as f64 / true_count as f64
        })
        .collect();
    let other = answer.floor.map(Bounds::at_most);
    let is_false = |&(said, &count): &(&Option<Bounds>, &u64)| {
        said.or(other).is_some_and(|bounds| !bounds.contains(count))
    };
    Verdict {
        recall_10: recall(10),
        recall_100: recall(K),
        mean_error: errors.iter().sum::<f64>() / K as f64,
        greatest_error: errors.iter().copied().fold(0.0, f64::max),
        guaranteed: answer.guaranteed,
        floor: answer.floor.map(|floor| floor as f64 / truth.total as f64),
        violations: wrongly + said.iter().zip(&truth.counts).filter(is_false).count(),
    }
}

/// The keys of all items that there were, as one batch of one event each.
pub fn keys_of(truth: &Truth) -> Stream {
    let mut stream = Stream::default();
    let there = truth.counts.iter().enumerate().filter(|(_, count)| **count > 0);
    there.for_each(|(item, _)| stream.push(item as u32, 1));
    stream
}

/// What is estimated for each key of a batch.
pub fn estimates(keys: &Stream, estimate: impl Fn(&str) -> u64) -> impl Iterator<Item = (u32, u64)> {
    keys.all().events().map(move |(key, _)| (item_of(key.as_bytes()), estimate(key)))
}
