//! What `crest try` prints, for a terminal: what was found, the reasons of the guesses, the configuration and the ranking.

use super::count::Counted;
use super::guess::{Guess, Proposed};
use super::sample::Sample;
use super::survey::{Field, Survey};
use crate::text::{count, fit, instant, shown, width};
use crest_connectors::snapshot::Snapshot;
use crest_connectors::{Compression, Framing};
use indicatif::HumanBytes;

/// What JSON is called, which alone may be cut into records in several ways.
pub const JSON: &str = "JSON";
/// Fields that are shown.
const MAX_FIELDS: usize = 20;
/// Columns of a path, of its kinds and of its example.
const PATH: usize = 38;
const KINDS: usize = 16;
const EXAMPLE: usize = 34;
/// Columns of an item of a ranking.
const ITEM: usize = 60;

/// The source, the records and their format: `events.ndjson: 1,000 records of 96 KiB, JSON in lines`.
pub fn found(source: &str, sample: &Sample, format: &str) -> String {
    let bytes = HumanBytes(sample.bytes as u64);
    let mut text =
        format!("{}: {} of {bytes}, {format}", shown(source), many(sample.records as u64, "record"));
    if let Some((framing, compression)) = sample.partitions.iter().find_map(|partition| partition.form) {
        text += match framing {
            Framing::Array => " in an array",
            Framing::Documents => " over several lines",
            Framing::Auto | Framing::Lines if format == JSON => " in lines",
            Framing::Auto | Framing::Lines | Framing::Csv { .. } => "",
        };
        text += &packed(compression);
    }
    text.push('\n');
    if !sample.ended {
        let of = match sample.partitions.len() {
            1 => String::new(),
            many => format!(" of each of {} partitions or files in turn", count(many as u64)),
        };
        text += &format!("These are the first records{of}: the whole may rank differently.\n");
    }
    text
}

fn packed(compression: Compression) -> String {
    match compression {
        Compression::Auto | Compression::None => String::new(),
        packed => format!(", compressed by {packed}"),
    }
}

/// A table of the first fields, and of those that were chosen.
pub fn fields(survey: &Survey, chosen: &[String]) -> String {
    let row = |path: &str, kinds: &str, share: &str, different: &str, example: &str| {
        let line = format!(
            "  {}  {}  {share:>6}  {different:>9}  {example}",
            fit_end(path, PATH),
            fit(kinds, KINDS)
        );
        format!("{}\n", line.trim_end())
    };
    let mut text = "\nFields\n".to_owned() + &row("path", "kind", "have", "different", "example");
    let is_chosen = |field: &Field| chosen.contains(&field.path);
    let late = survey.fields.iter().skip(MAX_FIELDS).filter(|field| is_chosen(field)).count();
    let first = MAX_FIELDS.saturating_sub(late);
    let (shown_fields, others): (Vec<_>, Vec<_>) =
        survey.fields.iter().enumerate().partition(|(index, field)| *index < first || is_chosen(field));
    for (_, field) in shown_fields {
        let events = survey.events(field.array.as_deref()).max(1);
        let share = share(field.kinds.usable(), events);
        let example = fit(&shown(&field.example), EXAMPLE);
        text += &row(
            &shown(&field.path),
            &field.kinds.names(),
            &share,
            &count(field.different()),
            example.trim_end(),
        );
    }
    if !others.is_empty() {
        let names: Vec<String> = others.iter().map(|(_, field)| shown(&field.path)).collect();
        text += &format!(
            "  and {} more: {}\n",
            count(others.len() as u64),
            fit(&names.join(", "), PATH + KINDS + EXAMPLE).trim_end()
        );
    }
    if survey.dropped > 0 {
        text += &format!(
            "  and {} of fields that are too many, too deep or too long\n",
            many(survey.dropped, "value")
        );
    }
    text
}

/// The text in so many columns: cut off at its beginning, or filled up. Paths differ at their ends.
fn fit_end(text: &str, columns: usize) -> String {
    let mut rest = text;
    while width(text) > columns && width(rest) >= columns {
        rest = rest.get(rest.chars().next().map_or(0, char::len_utf8)..).unwrap_or_default();
    }
    let marked = if rest.len() < text.len() { format!("…{rest}") } else { rest.to_owned() };
    fit(&marked, columns)
}

fn share(part: u64, all: u64) -> String {
    match part {
        part if part == all => "all".to_owned(),
        part => format!("{:.0} %", (100.0 * part as f64 / all as f64).clamp(0.0, 99.0).floor()),
    }
}

/// The reasons of the guesses, a line each.
pub fn reasons(guess: &Guess) -> String {
    let mut lines = Vec::new();
    if let Some((each, item)) = guess.each.as_ref().zip(guess.item.as_ref()) {
        let elements = count(item.share.1);
        lines.push((
            "events",
            format!("{}: each of its {elements} elements is one, since they hold the item", shown(each)),
        ));
    }
    if let Some(item) = &guess.item {
        lines.push(("item", format!("{}: {}", shown(&item.path), why_item(item))));
    }
    if !guess.others.is_empty() {
        let others: Vec<String> = guess.others.iter().map(|other| shown(&other.path)).collect();
        lines.push(("", format!("it could also be {}", others.join(" or "))));
    }
    if let Some(time) = &guess.time {
        lines.push(("time", format!("{}: {}", shown(&time.path), why_time(time.reading.as_ref()))));
    }
    if lines.is_empty() {
        return String::new();
    }
    let line = |(what, why): (&str, String)| format!("  {what:<8}{why}\n");
    "\nGuesses\n".to_owned() + &lines.into_iter().map(line).collect::<String>()
}

fn why_item(item: &Proposed) -> String {
    let (have, events) = item.share;
    let values = match item.different {
        1 => format!("one value in {}", many(have, "event")),
        different if different >= have => format!("a different value in each of {}", many(have, "event")),
        different => format!("{} in {}", many(different, "different value"), many(have, "event")),
    };
    match events.saturating_sub(have) {
        0 => values,
        without => format!("{values}; {} without it", many(without, "event")),
    }
}

fn why_time(reading: Option<&super::time::Reading>) -> String {
    let Some(reading) = reading else {
        return "when the broker received the record, since no field reads as a time".to_owned();
    };
    let (read, of) = reading.read;
    let values = match of {
        1 => "its value is a time".to_owned(),
        of if of == read && reading.has_more => {
            format!("all {of} of its values that were looked at are times")
        }
        of if of == read => "its values are times".to_owned(),
        of => format!("{read} of {of} values are times"),
    };
    let name = if reading.is_named { ", and its name says so" } else { "" };
    let zone = if reading.lacks_zone {
        "; they name no zone: UTC is assumed, and timezone can name another"
    } else {
        ""
    };
    let order = if reading.is_ambiguous { "; the month is taken to come first" } else { "" };
    let (text, ms) = &reading.example;
    let (day, time) = instant(*ms);
    format!("{values}{name}: {} is {day} {time} UTC{zone}{order}", shown(text))
}

/// The configuration, indented.
pub fn configuration(toml: &str) -> String {
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") };
    "\nConfiguration\n".to_owned() + &toml.lines().map(line).collect::<String>()
}

/// The rankings, and what became of the records.
pub fn ranking(counted: &Counted) -> String {
    let mut text = String::new();
    for snapshot in &counted.rankings {
        let board = if counted.rankings.len() > 1 {
            format!(", board {}", shown(&snapshot.board))
        } else {
            String::new()
        };
        text += &format!("\nTop {}{board}\n", snapshot.items.len());
        text += &rows(snapshot);
    }
    text + &format!("\nThe job {}.\n", shown(&counted.account.headline()))
}

fn rows(snapshot: &Snapshot) -> String {
    let counts: Vec<String> = snapshot.items.iter().map(|item| count(item.count)).collect();
    let widest = counts.iter().map(|count| width(count)).max().unwrap_or(0);
    let row = |(item, count): (&crest_connectors::snapshot::Item, &String)| {
        let id = shown(&item.item_id);
        let id = if width(&id) > ITEM { fit(&id, ITEM) } else { id };
        format!("  {:>3}  {count:>widest$}  {id}\n", item.rank)
    };
    snapshot.items.iter().zip(&counts).map(row).collect()
}

fn many(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}
