//! Colours, or none where `NO_COLOR` is set, and the bar of a count and its bound.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

/// Areas of a cell, from an eighth to seven.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// How things look. The colours are the terminal's own sixteen, so that they fit its background.
#[derive(Clone, Copy)]
pub struct Paint {
    coloured: bool,
}

impl Paint {
    /// A paint with colours, or without.
    pub fn new(coloured: bool) -> Self {
        Paint { coloured }
    }

    /// As the environment wishes.
    pub fn of_environment() -> Self {
        Paint::new(std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    /// What matters most.
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What matters least.
    pub fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// What went up, and what is well.
    pub fn good(self) -> Style {
        self.in_colour(Color::Green)
    }

    /// What went down.
    pub fn bad(self) -> Style {
        self.in_colour(Color::Red)
    }

    /// What is to be noticed.
    pub fn notice(self) -> Style {
        self.in_colour(Color::Yellow)
    }

    /// What is new, and the bars.
    pub fn accent(self) -> Style {
        self.in_colour(Color::Cyan)
    }

    fn in_colour(self, colour: Color) -> Style {
        if self.coloured { Style::new().fg(colour) } else { Style::new() }
    }

    /// A bar in so many columns, of which `most` would fill all: full up to `lower`, lighter from there to `upper`.
    pub fn bar(self, lower: u64, upper: u64, most: u64, columns: usize) -> Vec<Span<'static>> {
        let eighths =
            |count: u64| (count as f64 / most.max(1) as f64 * columns as f64 * 8.0).round() as usize;
        let full = eighths(lower).min(columns * 8);
        let least = usize::from(lower < upper);
        let end = eighths(upper).clamp(full + least, (columns * 8).max(full + least));
        let cells = (0..columns).map(|cell| (part(full, cell), part(end, cell)));
        cells.filter(|(_, end)| *end > 0).map(|(full, end)| self.cell(full, end)).collect()
    }

    /// One cell: so many eighths full, and light up to the end.
    fn cell(self, full: usize, end: usize) -> Span<'static> {
        if !self.coloured {
            return Span::raw(match (full, end) {
                (4.., _) => "█",
                (full, 4..) if full < end => "░",
                _ => " ",
            });
        }
        let light = Style::new().fg(Color::DarkGray);
        let glyph = |eighths: usize| if eighths == 8 { '█' } else { EIGHTHS[eighths.clamp(1, 7) - 1] };
        match (full, end) {
            (0, end) => Span::styled(glyph(end).to_string(), light),
            (1..=7, 8) => Span::styled(glyph(full).to_string(), self.accent().bg(Color::DarkGray)),
            (full, _) => Span::styled(glyph(full).to_string(), self.accent()),
        }
    }
}

/// What of the eighths falls into a cell.
fn part(eighths: usize, cell: usize) -> usize {
    eighths.saturating_sub(cell * 8).min(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(coloured: bool, lower: u64, upper: u64) -> String {
        Paint::new(coloured).bar(lower, upper, 80, 10).iter().map(|span| span.content.to_string()).collect()
    }

    #[test]
    fn a_bar_is_as_long_as_its_count_and_light_where_it_may_be_less() {
        assert_eq!((bar(true, 80, 80), bar(true, 12, 12)), ("█".repeat(10), "█▌".into()));
        assert_eq!((bar(false, 80, 80), bar(false, 40, 80)), ("█".repeat(10), "█████░░░░░".into()));
        assert_eq!(bar(false, 11, 11), "█ ", "an exact one has no lighter part");
        assert_eq!((bar(true, 0, 0), bar(true, 0, 1)), (String::new(), "▏".into()));
        let cells = Paint::new(true).bar(36, 60, 80, 10);
        let light: Vec<_> = cells.iter().map(|cell| (cell.style.fg, cell.style.bg)).collect();
        let (cyan, gray) = (Some(Color::Cyan), Some(Color::DarkGray));
        assert_eq!(light[3..6], [(cyan, None), (cyan, gray), (gray, None)]);
        assert_eq!(light.len(), 8);
        // The least of bounds is seen, and nothing is ever wider than its columns.
        for (lower, upper) in [(79, 80), (80, 80), (0, 80), (80, 90), (u64::MAX, u64::MAX)] {
            for coloured in [true, false] {
                assert!(bar(coloured, lower, upper).chars().count() <= 10, "{lower} {upper}");
            }
        }
        assert_eq!(Paint::new(true).bar(5, 5, 0, 0).len(), 0);
    }

    #[test]
    fn without_colours_there_are_none() {
        let paint = Paint::new(false);
        let styles =
            [paint.good(), paint.bad(), paint.notice(), paint.accent(), paint.faint(), paint.strong()];
        assert!(styles.iter().all(|style| style.fg.is_none() && style.bg.is_none()));
    }
}
