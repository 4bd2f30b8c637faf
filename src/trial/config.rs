//! The configuration that comes of what was given and what was guessed, as TOML with the other choices as comments.

use super::guess::{Guess, Proposed, TimeField};
use super::time::Reading;
use super::toml_text::{pair, pairs, quoted};
use crate::failure::Failure;
use crate::file::{BoardSection, File, OneOrMore, WindowSection};
use toml::{Table, Value};

/// The sections that come first, in this order.
const SECTIONS: [&str; 7] = ["source", "schema", "time", "sketch", "state", "snapshots", "http"];
/// What is added up in decimals is counted in hundredths.
const SCALE: u32 = 100;

/// Adds to a file what was guessed. `is_bounded` says whether the source ends, so that all of it can be ranked at its end.
pub fn complete(file: &mut File, guess: &Guess, is_bounded: bool) {
    let schema = &mut file.schema;
    let path = |proposed: &Proposed| OneOrMore::One(proposed.path.clone());
    if let Some(each) = &guess.each {
        schema.each = Some(each.clone());
    }
    if let Some(item) = &guess.item {
        schema.item = Some(path(item));
    }
    if let Some(TimeField { path, reading }) = &guess.time {
        schema.timestamp = Some(OneOrMore::One(path.clone()));
        let form = reading.as_ref().and_then(|reading| reading.format);
        schema.timestamp_format = schema.timestamp_format.take().or(form.map(str::to_owned));
        if reading.as_ref().is_some_and(|reading| reading.lacks_zone) {
            schema.timezone.get_or_insert_with(|| "UTC".to_owned());
        }
    }
    if file.board.is_empty() {
        let lacks_some = guess.item.as_ref().is_some_and(|item| item.share.0 < item.share.1);
        let window = |name: &str, span: Option<(&str, &str)>| WindowSection {
            name: name.to_owned(),
            size: span.map(|(size, _)| size.to_owned()),
            slide: span.map(|(_, slide)| slide.to_owned()),
            calendar: None,
            timezone: None,
            rising: Vec::new(),
        };
        let windows = match is_bounded {
            true => vec![window("all", None)],
            false => vec![window("last_1h", Some(("1h", "1m"))), window("last_24h", Some(("24h", "10m")))],
        };
        file.board.push(BoardSection {
            name: "default".to_owned(),
            on_missing_item: lacks_some.then_some(crest_state::spec::MissingItem::Skip),
            windows: Some(windows),
            ..BoardSection::default()
        });
    }
}

/// The file as TOML; the guess gives the comments.
///
/// # Errors
/// None that a file is known to cause.
pub fn text(file: &File, guess: &Guess) -> Result<String, Failure> {
    let table = Table::try_from(file).map_err(Failure::of)?;
    let mut sections = Vec::new();
    let others = table.keys().map(String::as_str).filter(|name| *name != "board" && !SECTIONS.contains(name));
    for name in SECTIONS.into_iter().chain(others) {
        let mut section = table.get(name).and_then(Value::as_table).cloned().unwrap_or_default();
        section.retain(|_, value| value.as_table().is_none_or(|table| !table.is_empty()));
        let notes = if name == "schema" { schema_notes(file, guess) } else { String::new() };
        if !section.is_empty() || !notes.is_empty() {
            sections.push(format!("[{name}]\n{}{notes}", lines(&section)));
        }
    }
    let boards =
        table.get("board").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table);
    for (index, board) in boards.enumerate() {
        let notes = match file.board.get(index) {
            Some(board) if index == 0 => board_notes(board, guess),
            _ => String::new(),
        };
        sections.push(format!("[[board]]\n{}{notes}", lines(board)));
    }
    Ok(sections.join("\n"))
}

/// The keys of a table, a line each.
fn lines(table: &Table) -> String {
    pairs(table).into_iter().map(|pair| pair + "\n").collect()
}

/// A line that is not in force, with what it is for.
fn note(line: &str, what: &str) -> String {
    format!("# {line}  # {what}\n")
}

fn schema_notes(file: &File, guess: &Guess) -> String {
    let mut notes = String::new();
    if guess.time.is_none()
        && file.schema.timestamp.is_none()
        && file.board.iter().any(|b| b.timestamp.is_none())
    {
        notes += &note("timestamp = \"…\"", "missing: the field that says when an event happened");
    }
    if guess.item.is_none() && file.schema.item.is_none() && file.board.iter().any(|b| b.item.is_none()) {
        notes += &note("item = \"…\"", "missing: the field that is ranked");
    }
    if let Some(Reading { is_ambiguous: true, format: Some(format), .. }) =
        guess.time.as_ref().and_then(|time| time.reading.as_ref())
    {
        let other = format.replacen("%m/%d", "%d/%m", 1);
        notes +=
            &note(&format!("timestamp_format = {}", quoted(&other)), "instead, where the day comes first");
    }
    for other in &guess.others {
        notes += &note(&format!("item = {}", quoted(&other.path)), "instead");
    }
    if file.schema.weight.is_none() {
        for weight in &guess.weights {
            let scale = if weight.decimal {
                format!("; weight_scale = {SCALE} counts hundredths")
            } else {
                String::new()
            };
            notes += &note(
                &format!("weight = {}", quoted(&weight.path)),
                &format!("to add up instead of counting{scale}"),
            );
        }
    }
    notes
}

fn board_notes(board: &BoardSection, guess: &Guess) -> String {
    let mut notes = String::new();
    if let Some((path, value)) = guess.filter.as_ref().filter(|_| board.filter.is_empty()) {
        let filter = pair(path, &Value::from(value.clone()));
        notes += &note(&format!("filter = {{ {filter} }}"), "only some of the events");
    }
    if let Some(by) = guess.by.as_ref().filter(|_| board.by.is_empty()) {
        notes += &note(&format!("by = [{}]", quoted(&by.path)), "a ranking for each value, too");
    }
    notes
}
