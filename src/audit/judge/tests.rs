//! Small rankings whose figures are worked out by hand, and each kind of falsehood by itself.

use super::*;
use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::Item;
use proptest::prelude::*;

type Bounds = (&'static str, u64, u64);

fn claim(total: u64, floor: u64, guaranteed: usize, rows: &[Bounds]) -> Claim {
    let row = |(item, lower, upper): &Bounds| Row {
        item: (*item).into(),
        count: *upper,
        lower: *lower,
        upper: *upper,
        exact: lower == upper,
        standard_error: None,
    };
    let rows = rows.iter().map(row).collect();
    Claim { total, error_floor: floor, guaranteed, is_distinct: false, rows, blocked: 0 }
}

/// The exact ranking of length `k` of these counts, which are in order.
fn exact(counts: &[(&str, u64)], k: usize, floor: u64) -> Snapshot {
    let item = |(index, (item, count)): (usize, &(&str, u64))| Item {
        rank: index as u32 + 1,
        item_id: (*item).into(),
        count: *count,
        lower: *count,
        upper: *count,
        exact: true,
        estimate: None,
        change: None,
    };
    Snapshot {
        board: "b".into(),
        window: "w".into(),
        group: GroupKey::WHOLE,
        window_start: 0,
        window_end: 10,
        computed_at: 0,
        watermark: 10,
        is_final: true,
        total: counts.iter().map(|(_, count)| count).sum(),
        error: 0,
        error_floor: floor,
        guaranteed: k.min(counts.len()) as u32,
        partial: false,
        since: None,
        missing: Vec::new(),
        distinct: None,
        retracts: false,
        items: counts.iter().take(k).enumerate().map(item).collect(),
        k: k as u32,
        rising: None,
        unit: None,
        lacking: 0,
        removed: 0,
        epoch: 0,
        bucket: false,
        counters: false,
    }
}

fn judged(claim: &Claim, counts: &[(&str, u64)], k: usize) -> (Figures, Vec<Falsehood>) {
    let of = |row: &Row| counts.iter().find(|(item, _)| **item == *row.item).map_or(0, |(_, count)| *count);
    let listed: Vec<u64> = claim.rows.iter().map(of).collect();
    let (mut figures, mut falsehoods) = (Figures::new(k), Vec::new());
    let exact = exact(counts, k, 0);
    figures.judge(claim, Truth { exact: &exact, counts: &listed, k }, |falsehood| falsehoods.push(falsehood));
    assert_eq!(figures.falsehoods, falsehoods.len() as u64);
    (figures, falsehoods)
}

const TRUE: [(&str, u64); 5] = [("a", 50), ("b", 40), ("c", 30), ("d", 30), ("e", 10)];

fn kinds(falsehoods: &[Falsehood]) -> Vec<(FalsehoodKind, Option<&str>)> {
    falsehoods.iter().map(|falsehood| (falsehood.kind, falsehood.item.as_deref())).collect()
}

#[test]
fn the_figures_of_a_ranking_without_a_fault() {
    // c and d tie at the end of the top three, b is out of order, and a is 4 off.
    let good = claim(160, 12, 2, &[("a", 46, 54), ("d", 30, 44), ("b", 38, 42)]);
    let (figures, falsehoods) = judged(&good, &TRUE, 3);
    assert_eq!(falsehoods, []);
    assert_eq!((figures.rankings, figures.pairs, figures.out_of_order), (1, 3, 1));
    assert_eq!(figures.recall, [Recall { at: 3, found: 3, of: 3 }]);
    assert_eq!((figures.certain, figures.certain_true, figures.rows), (2, 2, 3));
    let errors = [4.0 / 50.0, 14.0 / 30.0, 2.0 / 40.0];
    assert!((figures.error_mean() - errors.iter().sum::<f64>() / 3.0).abs() < 1e-12);
    assert!((figures.error_max - errors[1]).abs() < 1e-12);
}

#[test]
fn recall_is_of_as_many_as_there_are_and_of_the_first_only() {
    let rows: Vec<Bounds> = vec![("e", 10, 60), ("a", 50, 50), ("b", 40, 40)];
    let (figures, _) = judged(&claim(160, 60, 0, &rows), &TRUE, 100);
    assert_eq!(figures.recall, [Recall { at: 10, found: 3, of: 5 }, Recall { at: 100, found: 3, of: 5 }]);
    let (figures, _) = judged(&claim(160, 60, 0, &rows), &TRUE, 2);
    assert_eq!(figures.recall, [Recall { at: 2, found: 1, of: 2 }]);
    assert_eq!(Figures::new(1000).recall.iter().map(|recall| recall.at).collect::<Vec<_>>(), [10, 100, 1000]);
    assert_eq!(Recall::default().part(), 1.0);
}

#[test]
fn each_false_claim_is_told_once_by_its_kind() {
    let full: [Bounds; 3] = [("a", 50, 50), ("b", 40, 40), ("c", 30, 30)];
    let of = |claim: &Claim, k| judged(claim, &TRUE, k).1;
    assert_eq!(of(&claim(160, 0, 3, &full), 3), []);
    assert_eq!(kinds(&of(&claim(161, 0, 3, &full), 3)), [(FalsehoodKind::Total, None)]);
    let told = of(&claim(160, 0, 2, &[("a", 50, 50), ("b", 41, 45), ("c", 30, 30)]), 3);
    assert_eq!(kinds(&told), [(FalsehoodKind::Bounds, Some("b"))]);
    assert_eq!((told[0].claimed.as_str(), told[0].truth.as_str()), ("41 to 45", "40"));
    let told = of(&claim(160, 0, 2, &[("a", 50, 50), ("b", 30, 39), ("c", 30, 30)]), 3);
    assert_eq!(kinds(&told), [(FalsehoodKind::Bounds, Some("b"))]);
    let mut said = claim(160, 0, 2, &[("a", 50, 50), ("b", 30, 42), ("c", 30, 30)]);
    said.rows[1].exact = true;
    assert_eq!(kinds(&of(&said, 3)), [(FalsehoodKind::Exact, Some("b"))]);
    // Who is last has 30, and b 40.
    let told = of(&claim(160, 5, 1, &[("a", 50, 50), ("d", 30, 30), ("c", 30, 30)]), 3);
    assert_eq!(kinds(&told), [(FalsehoodKind::Missed, Some("b"))]);
    assert_eq!(of(&claim(160, 40, 0, &[("a", 50, 50), ("d", 30, 30), ("c", 30, 30)]), 3), []);
    let told = of(&claim(160, 40, 1, &[("a", 50, 50), ("b", 40, 40), ("b", 40, 40)]), 3);
    assert_eq!(kinds(&told), [(FalsehoodKind::Twice, Some("b"))]);
    // Of a ranking that is not full only the floor says that something may be missing.
    let short = claim(160, 9, 0, &full);
    assert_eq!(
        kinds(&of(&short, 5)),
        [(FalsehoodKind::Missed, Some("d")), (FalsehoodKind::Missed, Some("e"))]
    );
    let told = of(&claim(160, 60, 3, &[("a", 50, 50), ("e", 10, 60), ("b", 40, 40)]), 3);
    assert_eq!(kinds(&told), [(FalsehoodKind::Guaranteed, Some("e"))]);
    let told = of(&claim(160, 60, 2, &[("a", 50, 50)]), 3);
    assert_eq!(kinds(&told), [(FalsehoodKind::Guaranteed, None)]);
}

#[test]
fn a_floor_under_the_truth_leaves_room() {
    let (claimed, mut told) = (claim(60, 9, 1, &[("a", 55, 58)]), Vec::new());
    let truth = exact(&[("a", 50)], 3, 6);
    let total = Snapshot { total: 60, ..truth };
    let mut figures = Figures::new(3);
    let mut judge = |exact: &Snapshot| {
        told.clear();
        figures.judge(&claimed, Truth { exact, counts: &[50], k: 3 }, |falsehood| told.push(falsehood.kind));
        told.clone()
    };
    assert_eq!(judge(&total), []);
    assert_eq!(judge(&Snapshot { error_floor: 4, ..total }), [FalsehoodKind::Bounds]);
}

proptest! {
    #[test]
    fn pairs_out_of_order_are_counted_as_by_looking_at_each(mut counts in prop::collection::vec(0u64..9, 0..60)) {
        let at = |i: usize| counts[i + 1..].iter().filter(|later| **later > counts[i]).count() as u64;
        let expected: u64 = (0..counts.len()).map(at).sum();
        prop_assert_eq!(inversions(&mut counts), expected);
    }
}
