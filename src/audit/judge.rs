//! Judges one ranking by the true counts: how good it is, and whether every claim that it makes is true.
//!
//! What is found out here is a function of the two alone. The exact engine's counts are the truth; only where a board has
//! more groups than `max_groups` does that leave a floor, and then a claim is false where no count between it and the
//! floor makes it true; on a board that retracts, none that is less by the floor either.

use crest_connectors::snapshot::{Item, Snapshot};
use crest_state::top::Top;
use serde::Serialize;
use std::collections::HashSet;
use std::sync::Arc;

/// An estimate is off by more standard errors than this once in many more rows than an audit can see. Besides, it lacks what an
/// item had before it got its row, which is within the floor.
const MOST_ERRORS: u64 = 8;

/// What a ranking says of a board, window and group at one end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claim {
    pub total: u64,
    pub error_floor: u64,
    pub guaranteed: usize,
    /// Whether it counts different values.
    pub is_distinct: bool,
    pub rows: Vec<Row>,
    /// How many rows it had besides, whose items are blocked now.
    pub blocked: usize,
}

/// One row of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub item: Arc<str>,
    pub count: u64,
    pub lower: u64,
    pub upper: u64,
    pub exact: bool,
    /// Of an estimate, its standard error.
    pub standard_error: Option<u64>,
}

impl Claim {
    /// What a snapshot says of all items but those that `top` leaves out, its items' names by `keep`.
    pub fn of(snapshot: &Snapshot, top: &Top, mut keep: impl FnMut(&str) -> Arc<str>) -> Self {
        let is_left_out = |item: &Item| top.blocks(item.item_id.as_bytes());
        let blocked = snapshot.items.iter().filter(|item| is_left_out(item)).count();
        let certain = snapshot.items.iter().take(snapshot.guaranteed as usize);
        let guaranteed = snapshot.guaranteed as usize - certain.filter(|item| is_left_out(item)).count();
        let rows = snapshot.items.iter().filter(|item| !is_left_out(item)).map(|item| Row {
            item: keep(&item.item_id),
            count: item.count,
            lower: item.lower,
            upper: item.upper,
            exact: item.exact,
            standard_error: item.estimate.map(|estimate| estimate.standard_error),
        });
        Claim {
            total: snapshot.total,
            error_floor: snapshot.error_floor,
            guaranteed,
            is_distinct: snapshot.distinct.is_some(),
            rows: rows.collect(),
            blocked,
        }
    }

    /// Whether it says nothing but that there is nothing.
    pub fn is_empty(&self) -> bool {
        self.total == 0 && self.rows.is_empty()
    }
}

/// What is true there.
#[derive(Clone, Copy)]
pub struct Truth<'a> {
    /// The exact ranking.
    pub exact: &'a Snapshot,
    /// The counts of the claim's rows, in their order.
    pub counts: &'a [u64],
    /// The length of a ranking.
    pub k: usize,
}

/// Which kind of claim is false.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FalsehoodKind {
    /// A row's true count is not within its bounds.
    Bounds,
    /// A row is said to be exact and is not.
    Exact,
    /// An estimate is off by more standard errors than chance allows.
    Estimate,
    /// The total is another one.
    Total,
    /// A row's item is listed before.
    Twice,
    /// An item that is not listed has more than the ranking lets it have.
    Missed,
    /// A row that is said to be in the true top K for certain is not in it.
    Guaranteed,
    /// A final ranking was published twice, and not the same.
    Contradiction,
    /// There are events, and no ranking of them.
    MissingRanking,
    /// There is a ranking, and no event of it.
    UnfoundedRanking,
    /// What a state says of a single item is not so.
    Item,
    /// What it says of an item that rises, or does not, is not so.
    Rise,
}

impl FalsehoodKind {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            FalsehoodKind::Bounds => "wrong bounds",
            FalsehoodKind::Exact => "not exact",
            FalsehoodKind::Estimate => "wrong estimate",
            FalsehoodKind::Total => "wrong total",
            FalsehoodKind::Twice => "listed twice",
            FalsehoodKind::Missed => "missed item",
            FalsehoodKind::Guaranteed => "not certain",
            FalsehoodKind::Contradiction => "contradiction",
            FalsehoodKind::MissingRanking => "missing ranking",
            FalsehoodKind::UnfoundedRanking => "unfounded ranking",
            FalsehoodKind::Item => "wrong item",
            FalsehoodKind::Rise => "wrong rise",
        }
    }
}

/// A claim that is false.
#[derive(Clone, Debug, PartialEq)]
pub struct Falsehood {
    pub kind: FalsehoodKind,
    /// The item of the row that is false, or that is missing.
    pub item: Option<Arc<str>>,
    pub claimed: String,
    pub truth: String,
}

/// How good some rankings are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    pub rankings: u64,
    /// At each of the lengths that are asked for: how many of the true first were found, of how many.
    pub recall: Vec<Recall>,
    /// Pairs of rows whose true counts are in the opposite order …
    pub out_of_order: u64,
    /// … of so many.
    pub pairs: u64,
    /// Rows …
    pub rows: u64,
    /// … the sum of their relative errors, and the largest of these.
    pub error_sum: f64,
    pub error_max: f64,
    /// Rows that are said to be in the true top K for certain …
    pub certain: u64,
    /// … and those of them that are.
    pub certain_true: u64,
    pub falsehoods: u64,
}

/// How many of the true first `at` items were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recall {
    pub at: usize,
    pub found: u64,
    pub of: u64,
}

impl Recall {
    /// The part that was found; all of nothing.
    pub fn part(&self) -> f64 {
        if self.of == 0 { 1.0 } else { self.found as f64 / self.of as f64 }
    }
}

impl Figures {
    /// The figures of rankings of length `k`: recall at 10, at 100 and at all of it.
    pub fn new(k: usize) -> Self {
        let mut at: Vec<usize> = [10, 100].into_iter().filter(|at| *at < k).collect();
        at.push(k);
        let recall = at.into_iter().map(|at| Recall { at, ..Recall::default() }).collect();
        Figures { recall, ..Figures::default() }
    }

    /// Over all rows; 0 of none.
    pub fn error_mean(&self) -> f64 {
        if self.rows == 0 { 0.0 } else { self.error_sum / self.rows as f64 }
    }

    /// Takes in one ranking, and hands out what is false in it.
    pub fn judge(&mut self, claim: &Claim, truth: Truth<'_>, mut tell: impl FnMut(Falsehood)) {
        self.rankings += 1;
        self.take_recall(claim, truth);
        self.pairs += pairs(claim.rows.len());
        self.out_of_order += inversions(&mut truth.counts.to_vec());
        for (row, count) in claim.rows.iter().zip(truth.counts) {
            let error = row.count.abs_diff(*count) as f64 / (*count).max(1) as f64;
            self.rows += 1;
            self.error_sum += error;
            self.error_max = self.error_max.max(error);
        }
        let within = in_top(claim, truth);
        self.certain += claim.guaranteed as u64;
        self.certain_true += within.iter().take(claim.guaranteed).filter(|within| **within).count() as u64;
        falsehoods(claim, truth, &within, &mut |falsehood| {
            self.falsehoods += 1;
            tell(falsehood);
        });
    }

    /// Counts how many of the true first `at` items the claim has among its first `at`. An item that ties with the last of
    /// them is one of them.
    fn take_recall(&mut self, claim: &Claim, truth: Truth<'_>) {
        for recall in &mut self.recall {
            let of = recall.at.min(truth.exact.items.len());
            let Some(least) = truth.exact.items[..of].last().map(|item| item.lower) else { continue };
            let first = truth.counts.iter().take(recall.at.min(claim.rows.len()));
            let found = first.filter(|count| **count >= least).count().min(of);
            recall.found += found as u64;
            recall.of += of as u64;
        }
    }
}

/// Whether the true count of each row is one of the K greatest.
fn in_top(claim: &Claim, Truth { exact, counts, k }: Truth<'_>) -> Vec<bool> {
    // Where there are fewer than K, each of them.
    let least = exact.items.get(k.saturating_sub(1)).map_or(1, |item| item.lower);
    counts.iter().take(claim.rows.len()).map(|count| count + exact.error_floor >= least).collect()
}

fn falsehoods(claim: &Claim, truth: Truth<'_>, within: &[bool], tell: &mut impl FnMut(Falsehood)) {
    let Truth { exact, counts, k } = truth;
    // Of different values, some are counted again that were not known to be there.
    if claim.total < exact.total || (claim.total > exact.total && !claim.is_distinct) {
        tell(Falsehood {
            kind: FalsehoodKind::Total,
            item: None,
            claimed: format!("a total of {}", claim.total),
            truth: exact.total.to_string(),
        });
    }
    for (row, count) in claim.rows.iter().zip(counts) {
        let (least, most) = between(exact, *count);
        let (kind, claimed) = match row {
            Row { lower, upper, .. } if *lower > most || *upper < least => {
                (FalsehoodKind::Bounds, format!("{lower} to {upper}"))
            }
            Row { exact: true, count: said, .. } if *said < least || *said > most => {
                (FalsehoodKind::Exact, format!("exactly {said}"))
            }
            Row { standard_error: Some(error), count: said, lower, upper, .. }
                if said < lower
                    || said > upper
                    || said.abs_diff(*count) > MOST_ERRORS * error + claim.error_floor =>
            {
                (FalsehoodKind::Estimate, format!("about {said}, with a standard error of {error}"))
            }
            _ => continue,
        };
        tell(Falsehood { kind, item: Some(row.item.clone()), claimed, truth: count.to_string() });
    }
    let is_full = claim.rows.len() + claim.blocked >= k;
    let last = claim.rows.last().filter(|_| is_full).map_or(0, |row| row.upper);
    let limit = claim.error_floor.max(last);
    let mut listed = HashSet::new();
    for (row, count) in claim.rows.iter().zip(counts) {
        if !listed.insert(&*row.item) {
            tell(Falsehood {
                kind: FalsehoodKind::Twice,
                item: Some(row.item.clone()),
                claimed: "a row of its own, once more".into(),
                truth: count.to_string(),
            });
        }
    }
    let missed = exact.items.iter().filter(|item| item.lower > limit && !listed.contains(&*item.item_id));
    for item in missed {
        tell(Falsehood {
            kind: FalsehoodKind::Missed,
            item: Some(item.item_id.as_str().into()),
            claimed: format!("at most {limit}, since it is not listed"),
            truth: item.lower.to_string(),
        });
    }
    let least = exact.items.last().map_or(0, |item| item.lower);
    for place in (0..claim.guaranteed).filter(|place| !within.get(*place).copied().unwrap_or(false)) {
        tell(Falsehood {
            kind: FalsehoodKind::Guaranteed,
            item: claim.rows.get(place).map(|row| row.item.clone()),
            claimed: format!("row {} is certainly in the top {k}", place + 1),
            truth: match counts.get(place) {
                Some(count) => format!("{count}, where the last of these has {least}"),
                None => "there is no such row".into(),
            },
        });
    }
}

/// What a true count may be, where the exact engine has this one.
pub fn between(exact: &Snapshot, count: u64) -> (u64, u64) {
    let removed = if exact.retracts { exact.error_floor } else { 0 };
    (count.saturating_sub(removed), count + exact.error_floor)
}

fn pairs(rows: usize) -> u64 {
    let rows = rows as u64;
    rows * rows.saturating_sub(1) / 2
}

/// How many pairs of a list are in rising order, where it should fall; it is sorted by that.
fn inversions(counts: &mut [u64]) -> u64 {
    if counts.len() < 2 {
        return 0;
    }
    let (left, right) = counts.split_at_mut(counts.len() / 2);
    let mut found = inversions(left) + inversions(right);
    let (mut merged, mut at) = (Vec::with_capacity(left.len() + right.len()), 0);
    for count in &*right {
        while at < left.len() && left[at] >= *count {
            merged.push(left[at]);
            at += 1;
        }
        found += (left.len() - at) as u64;
        merged.push(*count);
    }
    merged.extend(&left[at..]);
    counts.copy_from_slice(&merged);
    found
}

#[cfg(test)]
mod tests;
