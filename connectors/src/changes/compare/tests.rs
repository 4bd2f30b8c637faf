//! Changes between two rankings: plain ones against rank lists, certain ones against every true ranking that the bounds allow.

use super::*;
use crate::snapshot::tests_support::{item, snapshot};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A ranking of the top `k` of these items, with their bounds.
fn ranking(rows: &[(&str, u64, u64)], k: u32, floor: u64) -> Snapshot {
    let mut rows = rows.to_vec();
    rows.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| b.0.cmp(a.0)));
    let rows = rows.iter().take(k as usize).zip(1..);
    let items: Vec<Item> = rows.map(|((id, lower, upper), rank)| item(rank, id, *upper, *lower)).collect();
    let error = items.iter().map(|item| item.upper - item.lower).max().unwrap_or(0);
    Snapshot { items, k, error, error_floor: floor, ..snapshot("b", "w", 10_000, true) }
}

fn exact(rows: &[(&str, u64)]) -> Snapshot {
    ranking(&rows.iter().map(|(id, count)| (*id, *count, *count)).collect::<Vec<_>>(), 10, 0)
}

fn told(before: Option<&Snapshot>, now: &Snapshot, k: usize, certain: bool) -> Vec<String> {
    let text = |change: Change| {
        let rank = |rank: Option<u32>| rank.map_or("-".into(), |rank| rank.to_string());
        let Change { change: kind, item_id, rank: now, was, over, .. } = change;
        let over: Vec<&str> = over.iter().map(|id| &**id).collect();
        format!("{kind:?} {item_id} {}>{} {}", rank(was), rank(now), over.join(",")).trim_end().to_owned()
    };
    changes(before, now, k, certain).into_iter().map(text).collect()
}

#[test]
fn who_enters_leaves_and_overtakes_is_told_with_ranks() {
    let before = exact(&[("a", 90), ("b", 80), ("c", 70), ("d", 60), ("e", 50)]);
    let now = exact(&[("c", 95), ("a", 90), ("e", 85), ("b", 80), ("f", 5)]);
    let expected = ["Overtook c 3>1 a,b", "Entered e 5>3", "Left b 2>4"];
    assert_eq!(told(Some(&before), &now, 3, false), expected);
    assert_eq!(told(Some(&before), &now, 3, true), expected, "all of it is exact");
    let all = changes(Some(&before), &now, 3, false);
    assert_eq!((all[0].count, all[0].lower, all[0].upper), (Some(95), 95, 95));
}

#[test]
fn all_enter_at_first_and_leave_at_last_and_the_same_ranking_is_no_news() {
    let (some, none) = (exact(&[("a", 2), ("b", 1)]), exact(&[]));
    assert_eq!(told(None, &some, 10, true), ["Entered a ->1", "Entered b ->2"]);
    assert_eq!(told(Some(&some), &none, 10, true), ["Left a 1>-", "Left b 2>-"]);
    assert_eq!(told(Some(&none), &none, 10, true), [""; 0]);
    assert_eq!(told(Some(&some), &exact(&[("a", 9), ("b", 8)]), 10, false), [""; 0]);
}

#[test]
fn an_item_that_is_passed_over_by_one_that_left_is_told_by_the_other() {
    let before = exact(&[("a", 9), ("b", 8)]);
    let now = exact(&[("b", 8)]);
    assert_eq!(told(Some(&before), &now, 2, false), ["Overtook b 2>1 a", "Left a 1>-"]);
}

#[test]
fn what_the_bounds_do_not_prove_is_not_certain() {
    let before = ranking(&[("a", 90, 90), ("b", 50, 60), ("c", 45, 55), ("d", 10, 20)], 4, 15);
    let now = ranking(&[("a", 90, 90), ("c", 65, 80), ("b", 50, 60), ("d", 10, 20)], 4, 15);
    assert_eq!(told(Some(&before), &now, 2, false), ["Entered c 3>2", "Left b 2>3"]);
    assert_eq!(told(Some(&before), &now, 2, true), [""; 0], "b and c may have changed places before");
    assert_eq!(told(Some(&before), &now, 3, false), ["Overtook c 3>2 b"]);
    let sure = ranking(&[("a", 90, 90), ("b", 58, 60), ("c", 45, 55), ("d", 10, 20)], 4, 15);
    assert_eq!(told(Some(&sure), &now, 2, true), ["Entered c 3>2", "Left b 2>3"]);
    assert_eq!(told(Some(&sure), &now, 3, true), ["Overtook c 3>2 b"]);
    let part = Snapshot { partial: true, ..now.clone() };
    assert_eq!(told(Some(&sure), &part, 2, true), [""; 0], "who was not counted may have had more");
    assert!(!told(Some(&sure), &part, 2, false).is_empty());
}

/// The true counts of some items, and bounds around them. Of some, all that was counted was taken away again.
fn counted() -> impl Strategy<Value = BTreeMap<String, (u64, u64, u64)>> {
    let bounds = (0u64..30, 0u64..8, 0u64..8)
        .prop_map(|(count, below, above)| (count.saturating_sub(below), count, count + above));
    prop::collection::btree_map("[a-h]", bounds, 0..8)
}

/// The ranking that the bounds give, and the true one, best first.
fn views(counted: &BTreeMap<String, (u64, u64, u64)>, listed: u32) -> (Snapshot, Vec<(String, u64)>) {
    // What is not listed has at most the floor, as in a sketch that lists only some.
    let (rows, rest): (Vec<_>, Vec<_>) = counted.iter().partition(|(id, _)| id.as_str() < "g");
    let floor = rest.iter().map(|(_, bounds)| bounds.2).max().unwrap_or(0);
    let rows = rows.iter().map(|(id, (lower, _, upper))| (id.as_str(), *lower, *upper));
    let rows: Vec<(&str, u64, u64)> = rows.filter(|(_, _, upper)| *upper > 0).collect();
    let mut truth: Vec<(String, u64)> =
        counted.iter().map(|(id, (_, count, _))| (id.clone(), *count)).collect();
    truth.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    (ranking(&rows, listed, floor), truth)
}

/// The count of an item, and how many have more.
fn place(truth: &[(String, u64)], id: &str) -> (u64, usize, usize) {
    let count = truth.iter().find(|(known, _)| known == id).map_or(0, |(_, count)| *count);
    let others = || truth.iter().filter(|(known, _)| known != id);
    (
        count,
        others().filter(|(_, other)| *other > count).count(),
        others().filter(|(_, other)| *other >= count).count(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn what_is_certain_is_true(first in counted(), second in counted(), listed in 1u32..7, k in 1usize..5) {
        let ((before, was), (now, is)) = (views(&first, listed), views(&second, listed));
        for change in changes(Some(&before), &now, k, true) {
            let id = &*change.item_id;
            // With as many ahead, equal counts count as either order.
            let is_in = |truth: &[(String, u64)]| place(truth, id).0 > 0 && place(truth, id).1 < k;
            let is_out = |truth: &[(String, u64)]| place(truth, id).0 == 0 || place(truth, id).2 >= k;
            let ((in_before, out_before), (in_now, out_now)) = ((is_in(&was), is_out(&was)), (is_in(&is), is_out(&is)));
            match change.change {
                Kind::Entered => prop_assert!(in_now && out_before, "{change:?}"),
                Kind::Left => prop_assert!(in_before && out_now, "{change:?}"),
                Kind::Overtook => for other in &change.over {
                    prop_assert!(place(&was, other).0 >= place(&was, id).0, "{change:?}");
                    prop_assert!(place(&is, id).0 >= place(&is, other).0, "{change:?}");
                },
            }
            let count = place(&is, id).0;
            prop_assert!(change.lower <= count && count <= change.upper, "{change:?}");
        }
    }

    #[test]
    fn plain_changes_turn_the_ranking_before_into_the_next_one(first in counted(), second in counted(), k in 1usize..5) {
        let ((before, _), (now, _)) = (views(&first, 6), views(&second, 6));
        let top = |of: &Snapshot| -> Vec<String> { of.items.iter().take(k).map(|item| item.item_id.to_string()).collect() };
        let (mut items, wanted) = (top(&before), top(&now));
        let mut overtaken = Vec::new();
        for change in changes(Some(&before), &now, k, false) {
            let id = change.item_id.to_string();
            match change.change {
                Kind::Entered => items.push(id),
                Kind::Left => items.retain(|known| *known != id),
                Kind::Overtook => overtaken.extend(change.over.iter().map(|over| (id.clone(), over.to_string()))),
            }
        }
        items.sort_unstable();
        let mut sorted = wanted.clone();
        sorted.sort_unstable();
        prop_assert_eq!(items, sorted);
        let was = top(&before);
        let place = |of: &[String], id: &String| of.iter().position(|known| known == id);
        for (a, b) in wanted.iter().flat_map(|a| was.iter().map(move |b| (a, b))) {
            let passed = a != b && place(&was, a) > place(&was, b) && place(&wanted, b).is_none_or(|b| place(&wanted, a).unwrap() < b);
            prop_assert_eq!(passed && was.contains(a), overtaken.contains(&(a.clone(), b.clone())), "{} {}", a, b);
        }
    }
}
