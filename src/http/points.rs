//! What items have in each step of an interval, as JSON.

use crest_dataflows::known_item::{Bounds, Count};
use crest_state::series::Point;
use serde::Serialize;

/// What an item has in one step. Times are milliseconds since 1970 UTC.
#[derive(Serialize)]
pub struct ItemPoint<'a> {
    /// Absent where the answer is of one item.
    #[serde(skip_serializing_if = "Option::is_none")]
    item_id: Option<&'a str>,
    window_start: i64,
    window_end: i64,
    /// The weight of all items in the step.
    total: u64,
    /// What the item has in it.
    #[serde(flatten)]
    pub count: Count,
    /// Whether a region is missing from some of the step.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
}

/// Whose points are shown: the place in the points, the id where there are several, and the count of the whole time, with which
/// the points are shown.
pub type Column<'a> = (usize, Option<&'a str>, Count);

/// The points of these items, by time and then by item, as a board with this `min_count` shows them.
pub fn points<'a>(points: &[Point], columns: &[Column<'a>], min_count: u64) -> Vec<ItemPoint<'a>> {
    let hidden = Hidden::of(points, columns, min_count);
    let mut all = Vec::with_capacity(points.len() * columns.len());
    for (step, Point { range, total, partial, bounds, estimates, .. }) in points.iter().enumerate() {
        for (column, (place, item_id, _)) in columns.iter().enumerate() {
            let Some(bounds) = bounds.get(*place) else { continue };
            let count = match (hidden.has(step, column), estimates.get(*place)) {
                (true, _) => bounds.hidden(min_count).into(),
                (false, Some(Some(estimate))) => Count::estimated(*bounds, estimate),
                (false, _) => (*bounds).into(),
            };
            all.push(ItemPoint {
                item_id: *item_id,
                window_start: range.from_ms,
                window_end: range.to_ms,
                total: *total,
                count,
                partial: *partial,
            });
        }
    }
    all
}

/// Which points are hidden: those that may be less than `min_count`; and, the least first, as many as it takes that neither what the
/// shown ones leave of the total of a step, nor what they leave of an item's count, is less than that.
struct Hidden {
    columns: usize,
    cells: Vec<bool>,
}

impl Hidden {
    fn of(points: &[Point], columns: &[Column<'_>], min_count: u64) -> Self {
        let mut hidden = Hidden { columns: columns.len(), cells: vec![false; points.len() * columns.len()] };
        if min_count == 0 {
            return hidden;
        }
        let bounds = |step: usize, column: usize| {
            let place = columns[column].0;
            points[step].bounds.get(place).copied().unwrap_or_default()
        };
        for (step, point) in points.iter().enumerate() {
            for column in 0..columns.len() {
                hidden.cells[step * columns.len() + column] = bounds(step, column).lower() < min_count;
            }
            let cells: Vec<_> = (0..columns.len()).map(|column| (step, column)).collect();
            hidden.until_enough_is_left(Bounds::exactly(point.total), &cells, &bounds, min_count);
        }
        for (column, (_, _, count)) in columns.iter().enumerate() {
            let cells: Vec<_> = (0..points.len()).map(|step| (step, column)).collect();
            if cells.iter().any(|(step, column)| hidden.has(*step, *column)) {
                let count = Bounds::new(count.lower, count.upper);
                hidden.until_enough_is_left(count, &cells, &bounds, min_count);
            }
        }
        hidden
    }

    fn has(&self, step: usize, column: usize) -> bool {
        self.cells[step * self.columns + column]
    }

    /// Hides the least of the points that are shown, until these leave nothing of the whole, or at least so much.
    fn until_enough_is_left(
        &mut self,
        whole: Bounds,
        cells: &[(usize, usize)],
        bounds: &impl Fn(usize, usize) -> Bounds,
        min_count: u64,
    ) {
        let mut shown: Vec<(Bounds, usize)> = cells
            .iter()
            .filter(|(step, column)| !self.has(*step, *column))
            .map(|(step, column)| (bounds(*step, *column), step * self.columns + column))
            .collect();
        shown.sort_by_key(|(bounds, _)| std::cmp::Reverse(bounds.upper()));
        loop {
            let sum: Bounds = shown.iter().map(|(bounds, _)| *bounds).sum();
            let most = whole.upper().saturating_sub(sum.lower());
            if most == 0 || whole.lower().saturating_sub(sum.upper()) >= min_count {
                return;
            }
            let Some((_, cell)) = shown.pop() else { return };
            self.cells[cell] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_state::inspect::Range;

    fn shown(steps: &[(u64, &[u64])], counts: &[u64], min_count: u64) -> Vec<Vec<u64>> {
        let point = |(at, (total, counts)): (i64, &(u64, &[u64]))| {
            let bounds = counts.iter().map(|count| Bounds::exactly(*count)).collect();
            let mut point = Point::new(Range { from_ms: at, to_ms: at + 1 }, bounds);
            point.total = *total;
            point
        };
        let all: Vec<Point> = (0..).zip(steps).map(point).collect();
        let columns: Vec<Column<'_>> =
            counts.iter().enumerate().map(|(at, count)| (at, None, Bounds::exactly(*count).into())).collect();
        let told = points(&all, &columns, min_count);
        told.chunks(counts.len().max(1))
            .map(|step| step.iter().map(|point| point.count.upper).collect())
            .collect()
    }

    #[test]
    fn neither_a_point_nor_what_is_left_beside_it_is_of_few() {
        assert_eq!(shown(&[(100, &[50]), (33, &[3])], &[53], 0), [[50], [3]]);
        // 53 less 50 would be the 3, so that neither is told.
        assert_eq!(shown(&[(100, &[50]), (33, &[3])], &[53], 20), [[60], [19]]);
        // 100 less 97 would be the 3 of others.
        assert_eq!(shown(&[(100, &[50]), (100, &[97])], &[147], 20), [[50], [100]]);
        assert_eq!(shown(&[(100, &[50]), (100, &[70]), (97, &[97])], &[217], 20), [[50], [70], [97]]);
        // Of two items the lesser one goes.
        assert_eq!(shown(&[(100, &[60, 37]), (200, &[60, 40])], &[120, 77], 20), [[60, 40], [60, 40]]);
        assert_eq!(shown(&[(100, &[60, 37]), (200, &[60, 40])], &[120, 77], 2), [[60, 37], [60, 40]]);
    }
}
