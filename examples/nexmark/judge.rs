//! Rankings held against the recount: of the exact engine every row, of the sketch the answer and every bound.

use super::job::K;
use super::naive::{Recount, Window};
use crest_connectors::snapshot::{Item, Snapshot};
use crest_state::spec::Engine;
use std::sync::Arc;

/// Holds all final rankings of an engine against the recount.
///
/// # Errors
/// The first thing that differs.
pub fn judge(engine: Engine, rankings: &[Arc<Snapshot>], truth: &Recount) -> Result<(), String> {
    let ends: Vec<i64> = rankings.iter().map(|ranking| ranking.window_end).collect();
    let expected: Vec<i64> = truth.0.keys().copied().collect();
    if ends != expected {
        return Err(format!("windows end at {ends:?}, and should at {expected:?}"));
    }
    rankings.iter().zip(truth.0.values()).try_for_each(|(ranking, window)| {
        let judged = agree_on_hot_items(ranking, window).and_then(|()| match engine {
            Engine::Exact => every_row_is_true(ranking, window),
            Engine::Sketch => every_bound_holds(ranking, window),
        });
        judged.map_err(|difference| format!("the window to {}: {difference}", ranking.window_end))
    })
}

/// The query's answer, by a ranking: all auctions that may have had the most bids. It is no more than those that had
/// where their counts are exact.
///
/// # Errors
/// There may be others that are not in the ranking.
fn hot_items(ranking: &Snapshot) -> Result<Vec<&Item>, String> {
    let most = ranking.items.iter().map(|item| item.lower).max().unwrap_or(0);
    let hot: Vec<_> = ranking.items.iter().filter(|item| item.upper >= most).collect();
    if hot.len() == K || ranking.error_floor >= most {
        return Err(format!("auctions beyond the {K} of the ranking may have the most bids as well"));
    }
    Ok(hot)
}

/// Whether the answer is what it would be if all counts were known.
pub fn is_certain(ranking: &Snapshot) -> bool {
    hot_items(ranking).is_ok_and(|hot| hot.len() == 1 || hot.iter().all(|item| item.exact))
}

fn agree_on_hot_items(ranking: &Snapshot, window: &Window) -> Result<(), String> {
    if ranking.total != window.total {
        return Err(format!("{} bids instead of {}", ranking.total, window.total));
    }
    let told: Vec<&str> = hot_items(ranking)?.iter().map(|item| &*item.item_id).collect();
    let hot = window.hot_items();
    match hot.iter().all(|id| told.contains(id)) && (told.len() == hot.len() || !is_certain(ranking)) {
        true => Ok(()),
        false => Err(format!("the hot items are {told:?}, and should be {hot:?}")),
    }
}

fn every_row_is_true(ranking: &Snapshot, window: &Window) -> Result<(), String> {
    let expected = &window.ranking[..K.min(window.ranking.len())];
    if ranking.items.len() != expected.len() {
        return Err(format!("{} rows instead of {}", ranking.items.len(), expected.len()));
    }
    for (item, (count, id)) in ranking.items.iter().zip(expected) {
        if (&*item.item_id, item.lower, item.upper, item.count) != (id, *count, *count, *count) {
            return Err(format!("{item:?} should be auction {id} with {count} bids"));
        }
    }
    Ok(())
}

fn every_bound_holds(ranking: &Snapshot, window: &Window) -> Result<(), String> {
    for item in &ranking.items {
        let truth = window.counts.get(&*item.item_id).copied().unwrap_or(0);
        if !(item.lower..=item.upper).contains(&truth) {
            let (id, lower, upper) = (&item.item_id, item.lower, item.upper);
            return Err(format!("auction {id} has {truth} bids, and not {lower} to {upper}"));
        }
    }
    Ok(())
}

/// # Errors
/// Two runs' rankings differ in anything but the time of their computation.
pub fn same(one: &[Arc<Snapshot>], other: &[Arc<Snapshot>]) -> Result<(), String> {
    let timeless = |ranking: &Arc<Snapshot>| Snapshot { computed_at: 0, ..Snapshot::clone(ranking) };
    match one.iter().map(timeless).eq(other.iter().map(timeless)) {
        true => Ok(()),
        false => Err("not what one worker has found".into()),
    }
}
