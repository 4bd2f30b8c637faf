//! What a page has its reader do, one step after the other.
//!
//! - A block that begins with a comment of nothing but a file's name (`# crest.toml`) is that file.
//! - Each line of a block of `sh` is a command, and each line of `console` that begins with `$ `; what follows it there is
//!   what it prints.
//! - A command whose comment says `until Ctrl-C` goes on while those after it run.
//! - A block with a line `# not run: …` is not, for the reason that its readers can see there.
//! - A comment that begins with `setup` has commands that readers need not see.

use crate::pages::{Found, Page, Piece};

/// A step.
pub struct Step {
    /// Where it is on the page.
    pub line: usize,
    pub action: Action,
}

/// What is to be done.
pub enum Action {
    /// A file is written.
    Write { name: String, text: String },
    /// A command is run to its end, and prints something like this.
    Run { command: String, prints: String },
    /// A command is started, and goes on.
    Start(String),
}

/// The steps of a page, in their order.
pub fn of(page: &Page) -> Vec<Step> {
    let mut steps = Vec::new();
    for Found { line, piece } in &page.pieces {
        match piece {
            Piece::Comment(text) => {
                if let Some(script) = text.strip_prefix("setup\n") {
                    steps.extend(commands(*line, script));
                }
            }
            Piece::Fence { language, text } => steps.extend(of_block(*line, language, text)),
            Piece::Heading(_) | Piece::Prose(_) => {}
        }
    }
    steps
}

fn of_block(line: usize, language: &str, text: &str) -> Vec<Step> {
    if text.lines().any(|line| line.trim_start().starts_with("# not run: ")) {
        return Vec::new();
    }
    match language {
        "sh" => commands(line, text),
        "console" => session(line, text),
        _ => {
            let name = text.lines().next().and_then(file_name).map(str::to_owned);
            name.map(|name| Step { line, action: Action::Write { name, text: text.to_owned() } })
                .into_iter()
                .collect()
        }
    }
}

/// The file that a comment names, if it is nothing but a name.
fn file_name(line: &str) -> Option<&str> {
    let name = ["# ", "// ", "-- ", "<!-- "].iter().find_map(|sign| line.strip_prefix(sign))?;
    let name = name.trim_end_matches(" -->").trim();
    let is_name = name.contains('.') && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    is_name.then_some(name)
}

/// The commands of a script, of which one may go over several lines.
fn commands(line: usize, script: &str) -> Vec<Step> {
    let joined = script.replace("\\\n", " ");
    let commands = joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    commands.map(|command| Step { line, action: action(command, String::new()) }).collect()
}

/// The commands of a session, with what they print.
fn session(line: usize, text: &str) -> Vec<Step> {
    let joined = text.replace("\\\n", " ");
    let mut steps: Vec<(String, String)> = Vec::new();
    for line in joined.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push((command.to_owned(), String::new())),
            (None, Some((_, prints))) => *prints += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    steps.into_iter().map(|(command, prints)| Step { line, action: action(&command, prints) }).collect()
}

fn action(command: &str, prints: String) -> Action {
    if command.split_once(" #").is_some_and(|(_, comment)| comment.contains("until Ctrl-C")) {
        return Action::Start(command.to_owned());
    }
    Action::Run { command: command.to_owned(), prints }
}
