//! The rankings of a stream, one after another on standard output: what `--watch` does where there is no terminal.

use super::client::Client;
use super::feed::{self, News};
use super::model::Query;
use super::table;
use crate::failure::Failure;
use crate::text;
use std::cell::{Cell, RefCell};
use std::io::{self, Write};

/// Prints every ranking that differs from the one before, as a table or a line of JSON, until nobody reads.
///
/// # Errors
/// What the server refuses, and output that cannot be written. A connection that is lost is told once on standard
/// error, and made again.
pub fn watch(client: Client, query: Query, json: bool) -> Result<(), Failure> {
    let (outcome, last, lost) = (RefCell::new(Ok(())), RefCell::new(None), Cell::new(false));
    let explained = Cell::new(false);
    let tell = |news| match news {
        News::Ranking(ranking, line) => {
            // Its age is not what makes it another one.
            if last.borrow().as_ref() == Some(&ranking.snapshot) {
                return true;
            }
            last.replace(Some(ranking.snapshot.clone()));
            let text = if json { text::json_line(&line) } else { table::table(&ranking) + "\n" };
            let printed = print(&text);
            let go_on = printed.is_ok();
            *outcome.borrow_mut() = crate::failure::seen(printed);
            go_on
        }
        News::Lost(reason) => {
            if !lost.replace(true) {
                eprintln!("crest: {reason}; it is tried again");
            }
            true
        }
        News::Failed(error) => {
            *outcome.borrow_mut() = Err(error.into());
            false
        }
        News::Connected => {
            lost.set(false);
            true
        }
        News::Status(status) => {
            if let Some(why) = status.why_empty(&query.board)
                && !explained.replace(true)
            {
                eprintln!("crest: there is no ranking yet: {}; it is waited for", text::shown(why));
            }
            true
        }
    };
    feed::follow(&client, &query, &tell);
    outcome.into_inner()
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
