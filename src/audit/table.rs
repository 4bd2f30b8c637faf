//! The report for people: a line for each board, window and group.

use super::report::{BoardReport, GroupReport, Report};
use crate::launch::state::time;
use crate::text::{count, shown, width};

use std::fmt::Write;

/// With a line end after each line.
pub fn of(report: &Report) -> String {
    let mut text = head(report);
    for line in lines(&rows(report)) {
        let _ = writeln!(text, "{}", line.trim_end());
    }
    if report.violations > 0 {
        let _ = writeln!(text, "violations: {}, of which", count(report.violations));
        for example in &report.examples {
            let _ = writeln!(text, "  {}", shown(&example.line()));
        }
    }
    text
}

fn head(report: &Report) -> String {
    let of = report.range.as_ref().map_or("all of the source".into(), |range| {
        format!("{} to {}", time(range.from_ms), time(range.to_ms))
    });
    let mut text = format!("judged {}: {of}, {} rankings", shown(&report.judged), count(report.rankings));
    let sum = |of: fn(&BoardReport) -> u64| report.boards.iter().map(of).sum::<u64>();
    let (items, rises) = (sum(|board| board.items), sum(|board| board.rises));
    if items > 0 {
        let _ = write!(text, ", {} counts of items, {} rankings of what rises", count(items), count(rises));
    }
    if report.not_judged > 0 {
        let _ = write!(text, "; {} more could not be judged", count(report.not_judged));
    }
    text + "\n"
}

/// The names of the columns, and a row for each group.
fn rows(report: &Report) -> Vec<Vec<String>> {
    // Boards may be of different lengths.
    let groups = report.boards.iter().flat_map(|board| &board.windows).flat_map(|window| &window.groups);
    let mut at: Vec<usize> = groups.flat_map(|group| &group.recall).map(|recall| recall.counts.at).collect();
    at.sort_unstable();
    at.dedup();
    let names = ["board", "window", "group", "rankings"].map(str::to_owned).into_iter();
    let recalls = at.iter().map(|at| format!("recall@{at}"));
    let rest = ["out of order", "mean error", "worst error", "certain", "of them true", "violations"];
    let mut rows = vec![names.chain(recalls).chain(rest.map(str::to_owned)).collect()];
    for board in &report.boards {
        for window in &board.windows {
            for group in &window.groups {
                rows.push(row(&board.board, &window.window, group, &at));
            }
        }
    }
    rows
}

fn row(board: &str, window: &str, group: &GroupReport, at: &[usize]) -> Vec<String> {
    let text = group.group.as_str();
    let name = if text.is_empty() { "(all)".to_owned() } else { shown(text) };
    let mut row = vec![shown(board), shown(window), name, count(group.rankings)];
    row.extend(at.iter().map(|at| {
        let recall = group.recall.iter().find(|recall| recall.counts.at == *at);
        recall.map_or("-".into(), |recall| format!("{:.4}", recall.recall))
    }));
    row.extend([
        part(group.pairs_out_of_order as f64 / group.pairs.max(1) as f64),
        part(group.error_mean),
        part(group.error_max),
        count(group.certain_claimed),
        count(group.certain_true),
        count(group.violations),
    ]);
    row
}

/// In columns: names are read from their beginning, numbers from their end.
fn lines(rows: &[Vec<String>]) -> impl Iterator<Item = String> {
    let columns = rows.first().map_or(0, Vec::len);
    let widest = |column: usize| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(widest).collect();
    rows.iter().map(move |row| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, widest))| {
            let blank = " ".repeat(widest - width(cell));
            if column < 3 { format!("{cell}{blank}") } else { format!("{blank}{cell}") }
        });
        cells.collect::<Vec<_>>().join("  ")
    })
}

/// A part of one as percent, with as many digits as tell something.
fn part(part: f64) -> String {
    match part * 100.0 {
        0.0 => "0 %".into(),
        percent if percent < 0.001 => "<0.001 %".into(),
        percent if percent < 1.0 => format!("{percent:.3} %"),
        percent => format!("{percent:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::WindowReport;
    use super::*;
    use crest_connectors::group_key::GroupKey;

    #[test]
    fn parts_are_told_in_percent_and_never_as_nothing_where_they_are_something() {
        let told = [0.0, 0.000_001, 0.000_123_4, 0.012_34, 1.0, 23.5].map(part);
        assert_eq!(told, ["0 %", "<0.001 %", "0.012 %", "1.2 %", "100.0 %", "2350.0 %"]);
    }

    fn report(group: &str) -> Report {
        let group = GroupReport {
            group: GroupKey::from_values([("region", group)]),
            rankings: 1,
            recall: Vec::new(),
            pairs_out_of_order: 0,
            pairs: 0,
            error_mean: 0.0,
            error_max: 0.0,
            certain_claimed: 0,
            certain_true: 0,
            violations: 0,
        };
        let windows = vec![WindowReport { window: "last_1m".into(), groups: vec![group] }];
        Report {
            judged: "file:\u{1b}]0;title\u{7}".into(),
            range: None,
            rankings: 1,
            not_judged: 0,
            violations: 0,
            boards: vec![BoardReport { board: "videos".into(), k: 1, windows, items: 0, rises: 0 }],
            examples: Vec::new(),
        }
    }

    #[test]
    fn no_name_from_outside_is_obeyed_by_a_terminal() {
        let text = of(&report("\u{1b}[2J\u{202e}\nfake line"));
        assert!(text.chars().all(|c| c == '\n' || !crate::text::is_obeyed(c)), "{text:?}");
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.contains("region=\\u{1b}"), "{text}");
    }

    #[test]
    fn a_name_takes_the_columns_that_a_terminal_gives_it() {
        let lines = |group: &str| of(&report(group)).lines().map(width).collect::<Vec<_>>();
        let found = lines("東京タワー");
        assert_eq!(found[1], found[2], "the numbers end in one column: {}", of(&report("東京タワー")));
        assert_eq!(found, lines("0123456789"), "each of these letters is two columns wide");
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let row = |cells: [&str; 5]| cells.map(str::to_owned).to_vec();
        let rows = [
            row(["board", "window", "group", "rankings", "x"]),
            row(["b", "last_10m", "(all)", "1,000", "y"]),
        ];
        let found: Vec<String> = lines(&rows).collect();
        assert_eq!(found, ["board  window    group  rankings  x", "b      last_10m  (all)     1,000  y"]);
    }
}
