//! What the live view shows: the state behind the screen, which news and keys change.

use super::client::TopError;
use super::feed::News;
use super::history::History;
use super::keys::Action;
use super::model::{Board, Query, Ranking, Status};
use crest_connectors::snapshot::Other;
use std::time::{Duration, Instant};

/// Rows that one key adds or takes away.
const ROWS_STEP: usize = 5;

/// How the server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Not yet.
    Connecting,
    /// It answers.
    Live,
    /// It did, and is tried again.
    Lost(String),
}

/// What is to be done about a key or the news.
#[derive(Debug)]
pub enum Effect {
    /// Nothing but to show it.
    None,
    /// Another query is to be followed.
    Follow,
    /// To end.
    Quit,
    /// To end, and say why.
    Fail(TopError),
}

/// The state behind the screen.
pub struct View {
    /// The boards that the server has.
    pub boards: Vec<Board>,
    /// What is shown, or will be.
    pub query: Query,
    /// The latest ranking of the query's board, window and group, and when it came.
    pub ranking: Option<(Ranking, Instant)>,
    /// A newer one, while the view is held still.
    newer: Option<(Ranking, Instant)>,
    /// The latest one.
    pub status: Status,
    /// The state of the connection.
    pub connection: Connection,
    /// The history of the query's board, window and group.
    pub history: History,
    /// Whether the view is held still.
    pub paused: bool,
    /// Whether the help is shown.
    pub help: bool,
    /// Rows that are scrolled past.
    pub scroll: usize,
    /// Rows that fit on the screen, as it was last drawn.
    pub page: usize,
}

impl View {
    /// Before anything was heard.
    pub fn new(boards: Vec<Board>, query: Query) -> Self {
        View {
            boards,
            query,
            ranking: None,
            newer: None,
            status: Status::default(),
            connection: Connection::Connecting,
            history: History::default(),
            paused: false,
            help: false,
            scroll: 0,
            page: 0,
        }
    }

    /// Takes what the feed of the present query heard.
    pub fn update(&mut self, news: News) -> Effect {
        match news {
            News::Connected => self.connection = Connection::Live,
            News::Lost(reason) => self.connection = Connection::Lost(reason),
            News::Failed(error) => return Effect::Fail(error),
            News::Status(status) => self.status = status,
            News::Ranking(ranking, _) => {
                self.history.push(&ranking.snapshot);
                let ranking = Some((*ranking, Instant::now()));
                if self.paused { self.newer = ranking } else { self.ranking = ranking }
            }
        }
        Effect::None
    }

    /// Does what a key asks for.
    pub fn act(&mut self, action: Action) -> Effect {
        match action {
            Action::Quit if self.help => self.help = false,
            Action::Quit | Action::QuitAtOnce => return Effect::Quit,
            Action::Scroll(rows) => self.scroll_by(rows),
            Action::Page(pages) => self.scroll_by(pages * self.page.max(1) as isize),
            Action::Window(step) => return self.turn_to_window(step),
            Action::Board => return self.turn_to_next_board(),
            Action::Rows(step) => return self.change_rows(step),
            Action::Pause => {
                self.paused = !self.paused;
                self.ranking = self.newer.take().or(self.ranking.take());
            }
            Action::Help => self.help = !self.help,
        }
        Effect::None
    }

    /// How old the ranking that is shown is.
    pub fn age(&self) -> Option<Duration> {
        let (ranking, came) = self.ranking.as_ref()?;
        let then = Duration::try_from_secs_f64(ranking.snapshot_age_seconds?.max(0.0)).ok()?;
        then.checked_add(came.elapsed())
    }

    /// Rows that there are to show.
    pub fn rows(&self) -> usize {
        self.ranking.as_ref().map_or(0, |(ranking, _)| ranking.snapshot.items.len().min(self.query.k))
    }

    /// What all items without a row have, where there are such and all rows are shown.
    pub fn other(&self) -> Option<Other> {
        let (ranking, _) = self.ranking.as_ref()?;
        let snapshot = &ranking.snapshot;
        let whole = !snapshot.items.is_empty() && snapshot.items.len() <= self.query.k;
        whole.then(|| snapshot.other()).flatten().filter(|other| other.count > 0)
    }

    /// The rows, and the one of all others.
    pub fn lines(&self) -> usize {
        self.rows() + usize::from(self.other().is_some())
    }

    fn board(&self) -> Option<&Board> {
        self.boards.iter().find(|board| board.name == self.query.board)
    }

    fn scroll_by(&mut self, rows: isize) {
        let last = self.lines().saturating_sub(self.page.max(1));
        self.scroll = self.scroll.saturating_add_signed(rows).min(last);
    }

    fn turn_to_window(&mut self, step: isize) -> Effect {
        let windows = self.board().map_or(&[][..], |board| &board.windows);
        let place = windows.iter().position(|window| Some(&window.name) == self.query.window.as_ref());
        let next = match place {
            Some(place) => (place as isize + step).rem_euclid(windows.len() as isize) as usize,
            None => 0,
        };
        match windows.get(next) {
            Some(window) if Some(next) != place => {
                self.query.window = Some(window.name.clone());
                self.start_anew()
            }
            _ => Effect::None,
        }
    }

    /// With the same window and group where it has them.
    fn turn_to_next_board(&mut self) -> Effect {
        let place = self.boards.iter().position(|board| board.name == self.query.board);
        let next = place.map_or(0, |place| (place + 1) % self.boards.len());
        if Some(next) == place || self.boards.is_empty() {
            return Effect::None;
        }
        let board = &self.boards[next];
        let same = |name: &String| board.windows.iter().any(|window| window.name == *name);
        let first = board.windows.first().map(|window| window.name.clone());
        let query = &mut self.query;
        query.board.clone_from(&board.name);
        query.window = query.window.take().filter(same).or(first);
        query.k = query.k.min(board.k);
        let grouped = |(name, _): &(String, String)| board.by.contains(name);
        if query.group.len() != board.by.len() || !query.group.iter().all(grouped) {
            query.group.clear();
        }
        self.start_anew()
    }

    fn change_rows(&mut self, step: isize) -> Effect {
        let most = self.board().map_or(usize::MAX, |board| board.k);
        let (k, was) = (self.query.k, self.query.k);
        let k = match step {
            1.. => (k / ROWS_STEP + 1) * ROWS_STEP,
            _ => k.saturating_sub(1) / ROWS_STEP * ROWS_STEP,
        };
        self.query.k = k.clamp(1, most);
        self.scroll_by(0);
        if self.query.k == was { Effect::None } else { Effect::Follow }
    }

    fn start_anew(&mut self) -> Effect {
        (self.ranking, self.newer, self.scroll, self.paused) = (None, None, 0, false);
        self.history = History::default();
        Effect::Follow
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Window;
    use super::super::table::tests_support::ranking;
    use super::*;

    fn view() -> View {
        let board = |name: &str, k, by: &[&str], windows: &[&str]| Board {
            name: name.into(),
            k,
            by: by.iter().map(|name| name.to_string()).collect(),
            windows: windows.iter().map(|name| Window { name: name.to_string() }).collect(),
        };
        let boards = vec![
            board("videos", 100, &["region"], &["last_1m", "last_1h"]),
            board("sales", 12, &[], &["last_1h", "day"]),
        ];
        let group = vec![("region".into(), "IN".into())];
        View::new(boards, Query { board: "videos".into(), window: Some("last_1m".into()), k: 10, group })
    }

    fn hear(view: &mut View, count: u64) {
        let ranking = ranking(&[("a", count, count, None)]);
        assert!(matches!(view.update(News::Ranking(Box::new(ranking), String::new())), Effect::None));
    }

    fn top_count(view: &View) -> Option<u64> {
        view.ranking.as_ref().map(|(ranking, _)| ranking.snapshot.items[0].count)
    }

    #[test]
    fn windows_and_boards_go_round() {
        let mut view = view();
        let window = |view: &View| view.query.window.clone().unwrap();
        hear(&mut view, 1);
        assert!(matches!(view.act(Action::Window(1)), Effect::Follow));
        assert_eq!((window(&view), top_count(&view)), ("last_1h".into(), None));
        view.act(Action::Window(1));
        assert_eq!(window(&view), "last_1m");
        view.act(Action::Window(-1));
        assert_eq!(window(&view), "last_1h");
        view.query.k = 50;
        assert!(matches!(view.act(Action::Board), Effect::Follow));
        assert_eq!((window(&view), view.query.k, view.query.group.len()), ("last_1h".into(), 12, 0));
        view.query.window = Some("3h".into());
        view.act(Action::Window(1));
        assert_eq!(window(&view), "last_1h", "one that was asked for by its size has no next");
        view.act(Action::Window(1));
        view.act(Action::Board);
        assert_eq!((view.query.board.as_str(), window(&view)), ("videos", "last_1m".into()));
    }

    #[test]
    fn rows_are_added_and_taken_within_what_the_board_keeps() {
        let mut view = view();
        let rows = |view: &mut View, step| {
            view.act(Action::Rows(step));
            view.query.k
        };
        assert_eq!([rows(&mut view, 1), rows(&mut view, -1), rows(&mut view, -1)], [15, 10, 5]);
        assert_eq!([rows(&mut view, -1), rows(&mut view, 1)], [1, 5]);
        view.query.k = 98;
        assert_eq!([rows(&mut view, 1), rows(&mut view, 1), rows(&mut view, -1)], [100, 100, 95]);
    }

    #[test]
    fn held_still_it_shows_what_it_showed_and_then_the_newest() {
        let mut view = view();
        hear(&mut view, 1);
        view.act(Action::Pause);
        hear(&mut view, 2);
        hear(&mut view, 3);
        assert_eq!(top_count(&view), Some(1));
        view.act(Action::Pause);
        assert_eq!(top_count(&view), Some(3));
        view.act(Action::Pause);
        view.act(Action::Pause);
        assert_eq!(top_count(&view), Some(3), "nothing new came");
    }

    #[test]
    fn a_lost_connection_leaves_the_last_ranking() {
        let mut view = view();
        view.update(News::Connected);
        hear(&mut view, 7);
        view.update(News::Lost("gone".into()));
        assert_eq!((top_count(&view), &view.connection), (Some(7), &Connection::Lost("gone".into())));
        assert!(view.age().is_some_and(|age| age >= Duration::from_millis(400)));
    }

    #[test]
    fn the_first_quit_closes_the_help() {
        let mut view = view();
        view.act(Action::Help);
        assert!(matches!(view.act(Action::Quit), Effect::None));
        assert!(matches!(view.act(Action::Quit), Effect::Quit));
        view.act(Action::Help);
        assert!(matches!(view.act(Action::QuitAtOnce), Effect::Quit));
    }
}
