//! The history of an item as columns of text: full up to what was counted at least, and dotted from there to what may have been.

use super::model::{Item, Point};
use crate::text::{count, interval, width};
use humantime::format_duration;
use std::time::Duration;

/// Lines of a column.
const ROWS: u64 = 6;
/// Columns at most, so that a terminal of 80 has them beside the scale.
const COLUMNS: usize = 64;
/// A cell that is full up to one, two, … of its eighths.
const EIGHTHS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// A cell that may be full.
const PERHAPS: char = '░';

/// With a line end after each line.
pub(super) fn chart(item: &Item) -> String {
    // A step that is not over would look like a fall.
    let whole = |point: &&Point| (point.window_end - point.window_start) as u64 == item.step_ms;
    let points: Vec<&Point> = match item.points.iter().filter(whole).collect::<Vec<_>>() {
        none if none.is_empty() => item.points.iter().collect(),
        points => points,
    };
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return "no history: nothing is kept of it\n".into();
    };
    // Bounds add up, so neighbours may share a column.
    let each = points.len().div_ceil(COLUMNS);
    let sum = |points: &[&Point]| {
        points.iter().fold((0, 0), |(lower, upper), point| (lower + point.lower, upper + point.upper))
    };
    let columns: Vec<(u64, u64)> = points.chunks(each).map(sum).collect();
    let most = columns.iter().map(|(_, upper)| *upper).max().unwrap_or(0);
    let scale = [count(most), "0".into()];
    let margin = scale.iter().map(|text| width(text)).max().unwrap_or(0);
    let mut text = String::new();
    for row in (0..ROWS).rev() {
        let mark = match row {
            _ if row + 1 == ROWS => scale[0].as_str(),
            0 => scale[1].as_str(),
            _ => "",
        };
        let line: String = columns.iter().map(|column| cell(*column, most, row)).collect();
        text += format!("{mark:>margin$} ┤{line}").trim_end();
        text.push('\n');
    }
    let step = format_duration(Duration::from_millis(item.step_ms * each as u64));
    let times = interval(first.window_start, last.window_end, false);
    text + &format!("{:margin$}  {times}, {step} a column\n", "")
}

/// A column's cell in one row.
fn cell((lower, upper): (u64, u64), most: u64, row: u64) -> char {
    let eighths = |count: u64| (count as f64 / most.max(1) as f64 * (ROWS * 8) as f64).round() as u64;
    let part = |count: u64| eighths(count).saturating_sub(row * 8).min(8) as usize;
    match (part(lower), part(upper)) {
        // The least of counts is seen.
        (0, 0) if row == 0 && upper > 0 => {
            if lower > 0 {
                EIGHTHS[0]
            } else {
                PERHAPS
            }
        }
        (0, 0) => ' ',
        (0, 1..4) if row > 0 => ' ',
        (0, _) => PERHAPS,
        (full, _) => EIGHTHS[full - 1],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(step_ms: u64, counts: &[(u64, u64)]) -> Item {
        let end = 1_773_137_700_000_i64;
        let start = end - (counts.len() as u64 * step_ms) as i64;
        let point = |(place, (lower, upper)): (u64, &(u64, u64))| {
            let from = start + (place * step_ms) as i64;
            serde_json::json!({"window_start": from, "window_end": from + step_ms as i64, "lower": lower, "upper": upper})
        };
        let points: Vec<_> = (0..).zip(counts).map(point).collect();
        serde_json::from_value(serde_json::json!({
            "board": "b", "item_id": "a", "window": "w", "group": {}, "window_start": start, "window_end": end,
            "final": true, "total": 1, "lower": 0, "upper": 0, "listed": true, "rank": null,
            "step_ms": step_ms, "points": points,
        }))
        .unwrap()
    }

    #[test]
    fn columns_are_full_up_to_the_lower_bound_and_dotted_up_to_the_upper() {
        let text = chart(&item(60_000, &[(0, 0), (12, 12), (24, 48), (48, 48), (1, 1), (0, 1)]));
        let expected = "\
48 ┤  ░█
   ┤  ░█
   ┤  ░█
   ┤  ██
   ┤ ▄██
 0 ┤ ███▁░
    2026-03-10 10:09:00 – 10:15:00 UTC, 1m a column
";
        assert_eq!(text, expected);
    }

    #[test]
    fn many_points_share_columns_and_a_step_that_is_not_over_is_left_out() {
        let mut long = item(10_000, &[(3, 5); 130]);
        let text = chart(&long);
        assert!(text.starts_with("15 ┤") && text.ends_with("30s a column\n"), "{text}");
        assert_eq!(text.lines().next().unwrap().chars().filter(|c| *c == PERHAPS).count(), 43, "{text}");
        let last = long.points.last_mut().unwrap();
        (last.window_end, last.upper) = (last.window_end - 5_000, 999);
        assert!(chart(&long).starts_with("15 ┤"), "{}", chart(&long));
        assert_eq!(chart(&item(1000, &[])), "no history: nothing is kept of it\n");
        assert!(chart(&item(1000, &[(0, 0); 3])).starts_with("0 ┤\n"));
    }
}
