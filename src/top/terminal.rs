//! The live view's loop, and the terminal that it borrows: given back on every way out, a panic and SIGTERM too.

use super::client::Client;
use super::feed::{Feed, News};
use super::keys;
use super::model::{Board, Query};
use super::paint::Paint;
use super::screen;
use super::view::{Effect, View};
use crate::failure::Failure;
use crate::launch;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event, KeyEvent};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::{Terminal, backend::CrosstermBackend};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::{self, Stdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// Ages are shown to the tenth of a second up to some minutes; more often they need not be drawn.
const REDRAW: Duration = Duration::from_millis(500);
/// What waits to be shown; who tells more waits.
const WAITING: usize = 64;

/// What the loop waits for.
enum Happening {
    Key(KeyEvent),
    /// The terminal has another size.
    Resized,
    /// News of the query of this number.
    News(u64, News),
    /// A signal, or no more keys.
    Stop,
}

/// Shows the ranking until a key or a signal ends it.
///
/// # Errors
/// What the server refuses, and a terminal that cannot be used.
pub fn watch(client: Client, boards: Vec<Board>, query: Query) -> Result<(), Failure> {
    let (sender, happenings) = sync_channel(WAITING);
    let borrowed = Borrowed::borrow().map_err(unusable())?;
    let outcome = run(View::new(boards, query), &Feed::new(client), &sender, &happenings);
    // Before anything is said about it.
    drop(borrowed);
    outcome
}

fn run(
    mut view: View,
    feed: &Feed,
    sender: &SyncSender<Happening>,
    happenings: &Receiver<Happening>,
) -> Result<(), Failure> {
    listen(sender).map_err(Failure::system("cannot listen for keys and signals"))?;
    let paint = Paint::of_environment();
    let mut terminal = Terminal::new(CrosstermBackend::new(io::stdout())).map_err(unusable())?;
    let follow = |query: &Query| {
        let sender = sender.clone();
        feed.follow(query.clone(), move |number, news| sender.send(Happening::News(number, news)).is_ok())
    };
    let mut current = follow(&view.query)?;
    loop {
        terminal.draw(|frame| screen::draw(&mut view, paint, frame)).map_err(unusable())?;
        let first = match happenings.recv_timeout(REDRAW) {
            Ok(first) => Some(first),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        // All that has come is shown at once.
        for happening in first.into_iter().chain(happenings.try_iter()) {
            match take(&mut view, happening, current) {
                Effect::None => {}
                Effect::Quit => return Ok(()),
                Effect::Fail(error) => return Err(error.into()),
                Effect::Follow => current = follow(&view.query)?,
            }
        }
    }
}

fn take(view: &mut View, happening: Happening, current: u64) -> Effect {
    match happening {
        Happening::Stop => Effect::Quit,
        Happening::Key(key) => keys::action(key).map_or(Effect::None, |action| view.act(action)),
        Happening::News(number, news) if number == current => view.update(news),
        Happening::News(..) | Happening::Resized => Effect::None,
    }
}

fn unusable() -> impl FnOnce(io::Error) -> Failure {
    Failure::system("the terminal cannot be used")
}

/// Starts the threads that tell of keys and signals.
fn listen(sender: &SyncSender<Happening>) -> io::Result<()> {
    let (stops, mut signals) = (sender.clone(), Signals::new([SIGINT, SIGTERM, SIGHUP])?);
    let wait = move || {
        if signals.forever().next().is_some() {
            let _ = stops.send(Happening::Stop);
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait)?;
    let keys = sender.clone();
    let read = move || {
        loop {
            let happening = match event::read() {
                Ok(Event::Key(key)) => Happening::Key(key),
                Ok(Event::Resize(..)) => Happening::Resized,
                Ok(_) => continue,
                Err(_) => Happening::Stop,
            };
            let over = matches!(happening, Happening::Stop);
            if keys.send(happening).is_err() || over {
                return;
            }
        }
    };
    std::thread::Builder::new().name("keys".into()).spawn(read).map(drop)
}

/// The terminal in raw mode, on its other screen, for as long as this lives.
struct Borrowed;

impl Borrowed {
    fn borrow() -> io::Result<Self> {
        launch::end_on_panic();
        let then = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            then(panic);
        }));
        enable_raw_mode()?;
        let borrowed = Borrowed;
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        Ok(borrowed)
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        give_back();
    }
}

/// Whatever fails here, there is no other way to give it back.
fn give_back() {
    let mut out: Stdout = io::stdout();
    let _ = execute!(out, LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}
