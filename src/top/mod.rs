//! `crest top`: the ranking in a terminal, once or live, as a table or as lines of JSON. It is a client of the HTTP
//! API like any other.

mod client;
mod feed;
mod frames;
mod history;
mod keys;
mod lines;
mod model;
mod paint;
mod rising;
mod rows;
mod screen;
mod table;
mod terminal;
mod view;

use crate::args::{RankedBy, TopArgs};
use crate::failure::Failure;
use crate::text;
pub use client::{Client, TopError};
use model::Board;
pub use model::Query;
use std::io::IsTerminal;
pub use table::subject_of as subject;

/// Rows, unless it is said, where the board has as many.
const DEFAULT_K: usize = 10;

impl From<TopError> for Failure {
    fn from(error: TopError) -> Self {
        match error {
            TopError::Invalid(_) => Failure::Usage(error.to_string()),
            error => Failure::of(error),
        }
    }
}

/// Shows what the arguments name.
///
/// # Errors
/// A server that cannot be reached or refuses, and what it does not know. A closed pipe is none.
pub fn run(args: &TopArgs) -> Result<(), Failure> {
    let client = Client::new(&args.reader.url, args.reader.token.as_deref())?;
    let boards = client.boards()?;
    let query = query(args, &boards)?;
    if args.by == RankedBy::Rise {
        let (against, json) = (args.against.as_deref(), args.json);
        let question = rising::Question { client: &client, query: &query, against, json };
        return if args.watch { question.watch() } else { question.once() };
    }
    if let Some(against) = &args.against {
        return Err(TopError::Invalid(format!("--against {against:?}: needs --by rise")).into());
    }
    if !args.watch {
        return once(args, &client, &query);
    }
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if args.json || dumb || !std::io::stdout().is_terminal() {
        return lines::watch(client, query, args.json);
    }
    terminal::watch(client, boards, query)
}

fn once(args: &TopArgs, client: &Client, query: &Query) -> Result<(), Failure> {
    let body = client.ranking(query)?;
    let text = if args.json { text::json_line(&body) } else { table::table(&client.parse(&body)?) };
    crate::failure::print(&text)
}

/// What is asked for, with the defaults of the boards that there are. What they do not have the server refuses itself,
/// naming what there is.
fn query(args: &TopArgs, boards: &[Board]) -> Result<Query, TopError> {
    let named = |name: &String| boards.iter().find(|board| board.name == *name);
    let board = args.reader.board.as_ref().map_or(boards.first(), named);
    let name = args.reader.board.clone().or_else(|| board.map(|board| board.name.clone()));
    let name = name.ok_or_else(|| TopError::Refused("the server has no board".into()))?;
    let first = board.and_then(|board| board.windows.first()).map(|window| window.name.clone());
    Ok(Query {
        board: name,
        window: args.window.clone().or(first),
        k: args.k.unwrap_or_else(|| board.map_or(DEFAULT_K, |board| DEFAULT_K.min(board.k))),
        group: args.reader.group.clone(),
    })
}
