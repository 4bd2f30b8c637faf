//! The live view on a screen of any size: a head, the rows, a line of status and one of keys, of which the less
//! important leave where there is no room.

use super::keys::HELP;
use super::model::Ranking;
use super::paint::Paint;
use super::rows;
use super::table::{subject, total};
use super::view::{Connection, View};
use crate::text::{count, fit, interval, seconds, shown, width};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Constraint, Flex, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Padding, Paragraph, Widget};

/// The parts of the screen; those of no height are not drawn.
struct Areas {
    title: Rect,
    facts: Rect,
    rows: Rect,
    status: Rect,
    keys: Rect,
}

/// Draws the view.
pub fn draw(view: &mut View, paint: Paint, frame: &mut Frame<'_>) {
    let area = frame.area();
    let parts = areas(area);
    let buffer = frame.buffer_mut();
    title(view, paint, parts.title, buffer);
    if let Some((ranking, _)) = &view.ranking {
        facts(ranking, view, paint, parts.facts, buffer);
    }
    rows(view, paint, parts.rows, buffer);
    line(status(view, paint), parts.status, buffer);
    line(keys(view, paint, parts.keys.width), parts.keys, buffer);
    if view.help {
        help(paint, area, buffer);
    }
}

fn areas(area: Rect) -> Areas {
    let when = |least: u16| Constraint::Length(u16::from(area.height >= least));
    let constraints =
        [Constraint::Length(1), when(8), when(12), Constraint::Fill(1), when(13), when(4), when(10)];
    let [title, facts, _, rows, _, status, keys] = Layout::vertical(constraints).areas(area);
    Areas { title, facts, rows, status, keys }
}

fn line(line: Line<'_>, area: Rect, buffer: &mut Buffer) {
    if area.height > 0 {
        buffer.set_line(area.x, area.y, &line, area.width);
    }
}

/// What is shown, and at the right end how fresh it is.
fn title(view: &View, paint: Paint, area: Rect, buffer: &mut Buffer) {
    let mut badge: Vec<Span<'_>> = Vec::new();
    if let Some((ranking, _)) = &view.ranking {
        badge.push(if ranking.snapshot.is_final {
            Span::styled("final", paint.good())
        } else {
            Span::styled("provisional", paint.notice())
        });
        if ranking.snapshot.partial {
            badge.push(Span::styled(" partial", paint.notice()));
        }
        if ranking.stale {
            badge.push(Span::styled(" stale", paint.bad()));
        }
    }
    if let Some(age) = view.age() {
        badge.push(Span::styled(format!(" · {} old", seconds(age.as_secs_f64())), paint.faint()));
    }
    let badge = Line::from(badge);
    // The subject keeps a third of the line, whatever is at its end.
    let right = (badge.width() as u16 + 1).min(area.width * 2 / 3);
    let left = area.width - right;
    let text = match &view.ranking {
        Some((ranking, _)) => subject(&ranking.snapshot),
        None => {
            let group = view.query.group.iter().map(|(name, value)| format!(" {name}={value}"));
            let window = view.query.window.clone().unwrap_or_default();
            shown(&format!("{} {window}{}", view.query.board, group.collect::<String>()))
        }
    };
    let text = fit(&text, usize::from(left.saturating_sub(1)));
    buffer.set_line(area.x, area.y, &Line::styled(text, paint.strong()), left);
    let place = Rect { x: area.x + left, width: right, ..area };
    Paragraph::new(badge).alignment(Alignment::Right).render(place, buffer);
}

/// The interval, what was counted in it, and how much of the ranking is certain.
fn facts(ranking: &Ranking, view: &View, paint: Paint, area: Rect, buffer: &mut Buffer) {
    let snapshot = &ranking.snapshot;
    let mut facts = vec![
        interval(snapshot.window_start, snapshot.window_end, area.width < 100),
        total(snapshot),
        format!("top {}", view.query.k),
    ];
    let (certain, rows) = (snapshot.guaranteed as usize, view.rows());
    if certain < rows {
        facts.push(format!("first {certain} certain"));
    }
    line(Line::styled(facts.join(" · "), paint.faint()), area, buffer);
}

fn rows(view: &mut View, paint: Paint, area: Rect, buffer: &mut Buffer) {
    let (head, rows) = match area.height {
        0..4 => (0, area),
        _ => (1, Rect { y: area.y + 1, height: area.height - 1, ..area }),
    };
    view.page = usize::from(rows.height);
    view.scroll = view.scroll.min(view.lines().saturating_sub(view.page.max(1)));
    let Some((ranking, _)) = view.ranking.as_ref().filter(|(ranking, _)| !ranking.snapshot.items.is_empty())
    else {
        return nothing(view, paint, area, buffer);
    };
    let table = rows::Rows::new(ranking, &view.history, paint, usize::from(area.width));
    if head > 0 {
        line(table.head(), Rect { height: 1, ..area }, buffer);
    }
    let items = &ranking.snapshot.items[..view.rows()];
    for (y, (place, item)) in (rows.y..rows.bottom()).zip(items.iter().enumerate().skip(view.scroll)) {
        buffer.set_line(rows.x, y, &table.row(place, item), rows.width);
    }
    let last = rows.y + items.len().saturating_sub(view.scroll).min(view.page) as u16;
    if let Some(other) = view.other().filter(|_| last < rows.bottom()) {
        buffer.set_line(rows.x, last, &table.other(&other), rows.width);
    }
}

fn nothing(view: &View, paint: Paint, area: Rect, buffer: &mut Buffer) {
    let why = view.status.why_empty(&view.query.board).map(shown);
    let text = match (&view.connection, &view.ranking) {
        (_, Some(_)) => why.unwrap_or_else(|| "nothing was counted in this window".to_owned()),
        (Connection::Connecting, _) => "connecting…".to_owned(),
        (Connection::Live, _) => why.map_or_else(
            || "waiting for the first ranking…".to_owned(),
            |why| format!("there is no ranking yet: {why}"),
        ),
        (Connection::Lost(reason), _) => reason.clone(),
    };
    let [middle] = Layout::vertical([Constraint::Length(area.height.min(3))]).flex(Flex::Center).areas(area);
    let wrapped = ratatui::widgets::Wrap { trim: true };
    Paragraph::new(text).style(paint.faint()).centered().wrap(wrapped).render(middle, buffer);
}

/// The connection first: it says how far the rest is to be believed.
fn status<'a>(view: &View, paint: Paint) -> Line<'a> {
    let mut spans = vec![match &view.connection {
        Connection::Connecting => Span::styled("○ connecting", paint.notice()),
        Connection::Live => Span::styled("● live", paint.good()),
        Connection::Lost(_) => Span::styled("○ connection lost, trying again", paint.bad()),
    }];
    if view.paused {
        spans.push(Span::styled(" ‖ held still", paint.notice()));
    }
    let status = &view.status;
    let facts = [
        status.events_per_second.map(|rate| format!("{} events/s", count(rate.max(0.0).round() as u64))),
        status.watermark_lag_ms.map(|lag| format!("lag {}", seconds(lag as f64 / 1e3))),
        status.late.map(|late| format!("late {}", count(late))),
        status.refused.map(|refused| format!("refused {}", count(refused))),
    ];
    let facts: String = facts.into_iter().flatten().map(|fact| format!("  {fact}")).collect();
    spans.push(Span::raw(facts));
    Line::from(spans)
}

/// As many as fit, and where the rows are that do not.
fn keys<'a>(view: &View, paint: Paint, columns: u16) -> Line<'a> {
    let (all, first) = (view.rows(), view.scroll + 1);
    let last = (view.scroll + view.page).min(all);
    let mut text = if all > view.page { format!("{first}–{last} of {all}  ") } else { String::new() };
    let hints = ["? help", "q quit", "←→ window", "b board", "+− rows", "↑↓ scroll", "space hold still"];
    for hint in hints {
        if width(&text) + width(hint) <= usize::from(columns) {
            text.push_str(hint);
            text.push_str("  ");
        }
    }
    Line::styled(text.trim_end().to_owned(), paint.faint())
}

fn help(paint: Paint, area: Rect, buffer: &mut Buffer) {
    let mut lines: Vec<Line<'_>> = HELP
        .iter()
        .map(|(keys, what)| Line::from(vec![Span::styled(fit(keys, 16), paint.strong()), Span::raw(*what)]))
        .collect();
    lines.push(Line::default());
    let mut legend = paint.bar(6, 10, 10, 10);
    legend.push(Span::raw("      the count, and lighter how much less it"));
    lines.push(Line::from(legend));
    lines.push(Line::raw("                may truly be: −12 is at most 12 less."));
    lines.push(Line::raw("A faint rank is not certain to be in the top."));
    let wide = lines.iter().map(Line::width).max().unwrap_or(0) as u16 + 4;
    let [place] = Layout::horizontal([Constraint::Length(wide)]).flex(Flex::Center).areas(area);
    let [place] =
        Layout::vertical([Constraint::Length(lines.len() as u16 + 2)]).flex(Flex::Center).areas(place);
    Clear.render(place, buffer);
    let block = Block::bordered().title(" crest top ").padding(Padding::horizontal(1)).style(Style::new());
    Paragraph::new(lines).block(block).render(place, buffer);
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
