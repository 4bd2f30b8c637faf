//! A ranking as a plain table: a line that says what it is of, and a line for each item.

use super::model::Ranking;
use crate::text::{apart, change, count, doubt, instant, interval, seconds, shown, width};
use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::{Item, Other, Snapshot};

/// What the columns are called; the last is left out where all counts are exact.
const HEADS: [&str; 5] = ["rank", "change", "item", "count", "error"];

/// With a line end after each line.
pub fn table(ranking: &Ranking) -> String {
    let snapshot = &ranking.snapshot;
    let other = snapshot.other();
    let bounded = snapshot.items.iter().any(|item| !item.exact) || other.is_some_and(|other| !other.exact);
    let rows = std::iter::once(HEADS.map(str::to_owned)).chain(snapshot.items.iter().map(row));
    let rows = rows.chain(other.filter(|other| other.count > 0).map(|other| other_row(&other)));
    head(ranking) + &aligned(rows.collect(), "item", if bounded { 5 } else { 4 })
}

/// So many columns of these rows, whose first one has the names of the columns, each as wide as its widest cell. The ids, in the
/// column of this name, are read from their beginning, the rest from the end.
pub(super) fn aligned<const N: usize>(rows: Vec<[String; N]>, ids: &str, columns: usize) -> String {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0));
    let ids = rows.first().and_then(|heads| heads.iter().position(|head| head == ids));
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate().take(columns) {
            let blank = " ".repeat(widths[column] - width(cell));
            let (left, right) = if ids == Some(column) { ("", blank.as_str()) } else { (blank.as_str(), "") };
            let gap = if column == 0 { "" } else { "  " };
            line.push_str(&format!("{gap}{left}{cell}{right}"));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The words of the head line: what the ranking is of.
pub fn subject(snapshot: &Snapshot) -> String {
    subject_of(&snapshot.board, &snapshot.window, &snapshot.group)
}

/// The words for a board, a window and a group.
pub fn subject_of(board: &str, window: &str, group: &GroupKey) -> String {
    let mut subject = format!("{} {}", shown(board), shown(window));
    for (name, value) in group.pairs() {
        subject.push_str(&format!(" {}={}", shown(&name), shown(&value)));
    }
    subject
}

fn head(ranking: &Ranking) -> String {
    let snapshot = &ranking.snapshot;
    let mut facts = vec![
        subject(snapshot),
        interval(snapshot.window_start, snapshot.window_end, false),
        if snapshot.is_final { "final".into() } else { "provisional".into() },
        match &snapshot.distinct {
            Some(field) => format!("different {}", shown(field)),
            None => total(snapshot),
        },
    ];
    if let Some(age) = ranking.snapshot_age_seconds {
        facts.push(format!("{} old", seconds(age)));
    }
    if snapshot.partial {
        let since = snapshot.since.map(instant).map(|(day, time)| format!(", counted from {day} {time} UTC"));
        let without = match &*snapshot.missing {
            [] => String::new(),
            regions => format!(", without {}", regions.join(", ")),
        };
        facts.push(format!("partial{}{without}", since.unwrap_or_default()));
    }
    if ranking.stale {
        facts.push("stale".into());
    }
    facts.join(" · ") + "\n"
}

/// What was counted, or what is left of it.
pub fn total(snapshot: &Snapshot) -> String {
    let net = if snapshot.retracts { " net of removals" } else { "" };
    format!("total {}{net}", count(snapshot.total))
}

fn row(item: &Item) -> [String; 5] {
    [item.rank.to_string(), change(item.change), shown(&item.item_id), count(item.count), doubt(item)]
}

/// What the last row is called: all items without one.
pub const OTHERS: &str = "(all others)";

fn other_row(other: &Other) -> [String; 5] {
    let blank = String::new;
    [blank(), blank(), OTHERS.into(), count(other.count), apart(other.lower, other.upper)]
}

/// Rankings for the tests of what shows them.
#[cfg(test)]
pub(super) mod tests_support {
    use super::*;

    /// Of the board `videos` and the hour up to 2026-03-10T10:15:00Z, with items of these ids, bounds and changes.
    pub(in crate::top) fn ranking(items: &[(&str, u64, u64, Option<i32>)]) -> Ranking {
        let end = 1_773_137_700_000;
        let item = |(rank, (id, lower, upper, change)): (u32, &(&str, u64, u64, Option<i32>))| Item {
            rank,
            item_id: (*id).into(),
            count: *upper,
            lower: *lower,
            upper: *upper,
            exact: lower == upper,
            estimate: None,
            change: *change,
        };
        let snapshot = Snapshot {
            board: "videos".into(),
            window: "last_1h".into(),
            group: GroupKey::WHOLE,
            window_start: end - 3_600_000,
            window_end: end,
            computed_at: end,
            watermark: end,
            is_final: false,
            total: 91_234,
            error: items.iter().map(|item| item.2 - item.1).max().unwrap_or(0),
            error_floor: 0,
            guaranteed: items.len() as u32,
            partial: false,
            since: None,
            missing: Vec::new(),
            distinct: None,
            retracts: false,
            items: (1..).zip(items).map(item).collect(),
            k: 10,
            rising: None,
            unit: None,
            lacking: 0,
            removed: 0,
            epoch: 1,
            bucket: false,
            counters: false,
        };
        Ranking { snapshot, other: None, snapshot_age_seconds: Some(0.4), stale: false }
    }
}

#[cfg(test)]
mod tests {
    use super::tests_support::ranking;
    use super::*;

    #[test]
    fn the_columns_are_aligned_whatever_the_items_are_called() {
        let items = [
            ("product:abc123", 5312, 5312, Some(2)),
            ("東京", 4000, 4012, Some(-1)),
            ("\u{1b}[2J", 99, 99, None),
        ];
        let expected = "\
videos last_1h · 2026-03-10 09:15:00 – 10:15:00 UTC · provisional · total 91,234 · 400 ms old
rank  change  item             count  error
   1      ▲2  product:abc123   5,312
   2      ▼1  東京             4,012    −12
   3     new  \\u{1b}[2J           99
              (all others)    81,823    −12
";
        assert_eq!(table(&ranking(&items)), expected);
    }

    #[test]
    fn an_exact_ranking_has_no_column_of_errors() {
        let mut exact = ranking(&[("a", 5, 5, Some(0))]);
        (exact.snapshot.is_final, exact.stale, exact.snapshot.total) = (true, true, 5);
        let text = table(&exact);
        assert!(
            !text.contains("error") && text.contains("· final ·") && text.contains("· stale\n"),
            "{text}"
        );
        assert!(!text.contains(OTHERS), "there are none: {text}");
        exact.snapshot.total = 1005;
        assert!(table(&exact).ends_with(&format!("{OTHERS}  1,000\n")), "{}", table(&exact));
        (exact.snapshot.total, exact.snapshot.items) = (0, Vec::new());
        assert!(table(&exact).ends_with("rank  change  item  count\n"));
    }
}
