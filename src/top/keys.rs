//! What the keys of the live view mean.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// To end, or first to close the help.
    Quit,
    /// To end.
    QuitAtOnce,
    /// So many rows down, or up.
    Scroll(isize),
    /// So many pages down, or up.
    Page(isize),
    /// The next window, or the one before.
    Window(isize),
    /// The next board.
    Board,
    /// More rows, or fewer.
    Rows(isize),
    /// To hold the ranking still, or go on.
    Pause,
    /// The help, or no longer.
    Help,
}

/// The help, line by line: keys, and what they do.
pub const HELP: [(&str, &str); 8] = [
    ("q, Esc, Ctrl-C", "quit"),
    ("← →, Tab", "the window before, the next one"),
    ("b", "the next board"),
    ("+ −", "more rows, fewer rows"),
    ("↑ ↓, PgUp PgDn", "scroll"),
    ("Home, End", "to the first row, to the last"),
    ("space", "hold still, go on"),
    ("?", "this help"),
];

/// A key's action, where it has one.
pub fn action(key: KeyEvent) -> Option<Action> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return (key.code == KeyCode::Char('c')).then_some(Action::QuitAtOnce);
    }
    Some(match key.code {
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => Action::Quit,
        KeyCode::Up | KeyCode::Char('k') => Action::Scroll(-1),
        KeyCode::Down | KeyCode::Char('j') => Action::Scroll(1),
        KeyCode::PageUp => Action::Page(-1),
        KeyCode::PageDown => Action::Page(1),
        KeyCode::Home => Action::Scroll(isize::MIN),
        KeyCode::End => Action::Scroll(isize::MAX),
        KeyCode::Left | KeyCode::BackTab => Action::Window(-1),
        KeyCode::Right | KeyCode::Tab => Action::Window(1),
        KeyCode::Char('b' | 'B') => Action::Board,
        KeyCode::Char('+' | '=') => Action::Rows(1),
        KeyCode::Char('-' | '_') => Action::Rows(-1),
        KeyCode::Char(' ') => Action::Pause,
        KeyCode::Char('?' | 'h') => Action::Help,
        _ => return None,
    })
}
