//! The rows of the live view: which columns there is room for, and what stands in them.

use super::history::History;
use super::model::Ranking;
use super::paint::Paint;
use super::table::OTHERS;
use crate::text::{apart, change, count, doubt, fit, shown, width};
use crest_connectors::snapshot::{Item, Other};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Between two columns.
const GAP: usize = 2;
/// An id is not cut down further, for the sake of what is not needed.
const LEAST_ITEM: usize = 12;
/// A bar says nothing in less, and is not worth more.
const BAR: std::ops::RangeInclusive<usize> = 8..=40;
/// A history, likewise.
const HISTORY: std::ops::RangeInclusive<usize> = 10..=30;

/// The rows of one ranking.
pub struct Rows<'a> {
    history: &'a History,
    paint: Paint,
    /// The count whose bar has the full width.
    most: u64,
    certain: u32,
    columns: Columns,
}

/// The widths; 0 where a column is left out.
#[derive(Debug, PartialEq, Eq)]
struct Columns {
    rank: usize,
    change: usize,
    item: usize,
    count: usize,
    apart: usize,
    bar: usize,
    history: usize,
}

impl<'a> Rows<'a> {
    /// For a screen of so many columns.
    pub fn new(ranking: &Ranking, history: &'a History, paint: Paint, screen: usize) -> Self {
        let snapshot = &ranking.snapshot;
        let items = &snapshot.items;
        Rows {
            history,
            paint,
            most: items.iter().map(|item| item.upper).max().unwrap_or(0),
            certain: snapshot.guaranteed,
            columns: Columns::of(items, snapshot.other().as_ref(), screen),
        }
    }

    /// What the columns are called.
    pub fn head(&self) -> Line<'static> {
        let columns = &self.columns;
        let mut text = format!(
            "{}{}{}{}",
            right("#", columns.rank),
            right("", columns.change + GAP),
            fit("  item", columns.item + GAP),
            right("count", columns.count + GAP)
        );
        if columns.apart > 0 {
            text.push_str(&right("less", columns.apart + 1));
        }
        if columns.history > 0 {
            text.push_str(&format!("{}history", " ".repeat(2 * GAP + columns.bar)));
        }
        Line::styled(text, self.paint.faint())
    }

    /// The row at this place, counted from 0.
    pub fn row(&self, place: usize, item: &Item) -> Line<'static> {
        let (columns, paint) = (&self.columns, self.paint);
        let certain = place < self.certain as usize;
        let gap = || Span::raw(" ".repeat(GAP));
        let name = if certain { paint.strong() } else { Style::new() };
        let mut spans = vec![
            Span::styled(
                right(&item.rank.to_string(), columns.rank),
                if certain { name } else { paint.faint() },
            ),
            gap(),
            Span::styled(right(&change(item.change), columns.change), self.change_style(item.change)),
            gap(),
            Span::styled(fit(&shown(&item.item_id), columns.item), name),
            gap(),
            Span::raw(right(&count(item.count), columns.count)),
        ];
        if columns.apart > 0 {
            spans.push(Span::styled(right(&doubt(item), columns.apart + 1), paint.faint()));
        }
        if columns.bar > 0 {
            let bar = paint.bar(item.lower, item.upper, self.most, columns.bar);
            let blank = " ".repeat(columns.bar - bar.len());
            spans.push(gap());
            spans.extend(bar);
            spans.push(Span::raw(blank));
        }
        if columns.history > 0 {
            spans.push(gap());
            spans.push(Span::styled(self.history.line(&item.item_id, columns.history), paint.faint()));
        }
        Line::from(spans)
    }

    /// The row of all items that have none.
    pub fn other(&self, other: &Other) -> Line<'static> {
        let (columns, gap) = (&self.columns, " ".repeat(GAP));
        let mut text = format!(
            "{}{gap}{}{gap}{}{gap}{}",
            right("", columns.rank),
            right("", columns.change),
            fit(OTHERS, columns.item),
            right(&count(other.count), columns.count),
        );
        if columns.apart > 0 {
            text.push_str(&right(&apart(other.lower, other.upper), columns.apart + 1));
        }
        Line::styled(text, self.paint.faint())
    }

    fn change_style(&self, change: Option<i32>) -> Style {
        match change {
            None => self.paint.accent(),
            Some(0) => self.paint.faint(),
            Some(1..) => self.paint.good(),
            Some(_) => self.paint.bad(),
        }
    }
}

impl Columns {
    fn of(items: &[Item], other: Option<&Other>, screen: usize) -> Self {
        let widest = |cell: &dyn Fn(&Item) -> String| items.iter().map(|item| width(&cell(item))).max();
        let rank = widest(&|item| item.rank.to_string()).unwrap_or(1).max(2);
        let change = widest(&|item| change(item.change)).unwrap_or(1).max(3);
        let least = other.map_or(0, |other| width(&count(other.count))).max("count".len());
        let counts = widest(&|item| count(item.count)).unwrap_or(1).max(least);
        let least = other.map_or(0, |other| width(&apart(other.lower, other.upper)));
        let mut apart = widest(&doubt).filter(|wide| *wide > 0);
        apart = apart.map(|wide| wide.max(least));
        if let Some(wide) = &mut apart {
            *wide = (*wide).max("less".len());
        }
        let needed = rank + change + counts + 3 * GAP;
        // The bounds leave before the ids become too short to be told apart.
        let apart = apart.filter(|wide| screen > needed + LEAST_ITEM + wide).unwrap_or(0);
        let left = screen.saturating_sub(needed + if apart > 0 { apart + 1 } else { 0 });
        let longest = widest(&|item| shown(&item.item_id)).unwrap_or(0).max("item".len());
        let item = longest.min((left * 45 / 100).max(LEAST_ITEM)).min(left);
        let free = (left - item).saturating_sub(GAP);
        let (bar, history) = share(free);
        // What neither takes is the id's again.
        let used = if bar > 0 { bar + GAP } else { 0 } + if history > 0 { history + GAP } else { 0 };
        let item = longest.min(left - used);
        Columns { rank, change, item, count: counts, apart, bar, history }
    }
}

/// The free columns, shared between the bar and the history.
fn share(free: usize) -> (usize, usize) {
    if free < *BAR.start() {
        return (0, 0);
    }
    let history = (free * 2 / 5).min(*HISTORY.end());
    if history < *HISTORY.start() {
        return (free.min(*BAR.end()), 0);
    }
    ((free - history - GAP).min(*BAR.end()), history)
}

/// In so many columns, at their right end.
fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}
