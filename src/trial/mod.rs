//! `crest try`: reads the first records of a source, says what is in them, and prints a configuration that ranks them.
//!
//! The steps: [`source`] reads a [`sample`], [`format`] says what its records are, which
//! [`settle`] notes, [`decode`] makes JSON of them,
//! [`survey`] collects their fields, [`guess`] chooses the item and the time, [`config`] writes the configuration, [`count`]
//! ranks the sample by the job that it describes, and [`show`] prints. What a given configuration says is not guessed.

mod config;
pub(crate) mod count;
mod csv;
pub(crate) mod decode;
mod format;
mod guess;
mod lines;
mod log_lines;
mod replay;
pub(crate) mod sample;
mod settle;
mod show;
mod source;
mod survey;
mod time;
mod toml_text;
mod words;

use crate::args::{RunArgs, TryArgs};
use crate::failure::{Failure, print};
use crate::file::{BoardSection, File};
use crate::launch::{self, Stop};
use crate::settings::{Settings, without_secrets_of};
use crate::text;
use crest_connectors::without_secrets;
use guess::{Configured, Guess};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// Looks, guesses, prints, and writes the configuration where that is asked for.
///
/// # Errors
/// The source cannot be read, or no configuration that works can be guessed.
pub fn run(args: &TryArgs) -> Result<(), Failure> {
    launch::end_on_panic();
    let stop = Stop::of_task()?;
    if let Some(path) = args.write.as_ref().filter(|path| path.exists()) {
        return Err(Failure::Usage(format!("--write {}: is there already", path.display())));
    }
    let run = RunArgs { config: args.config.clone(), ..RunArgs::default() };
    let mut file = given(args)?;
    let settings = Settings::resolve(&run, as_read(&file))?;
    let sample = source::read(&settings, args.sample as usize)?;
    let registry = decode::TrialRegistry::of(&settings)?;
    let format = settle::format(&sample, &mut file.source, &settings.source.url, registry.as_ref())?;
    let settings = Settings::resolve(&run, file.without_cluster())?;
    let sample = source::cut_again(sample, &settings, args.sample as usize)?;
    let survey = decode::survey(&sample, &settings.spec.format, registry.as_ref())?;
    let source = shown_source(args);
    print(&show::found(&source, &sample, &format))?;
    if survey.records == 0 {
        return Err(Failure::Failed(format!("none of the records can be read as {format}")));
    }
    let is_stamped = sample.all().any(|record| record.time.is_some());
    let is_bounded = settings.source.url.is_bounded();
    let configured = what_is_configured(&file);
    let guess = guess::guess(&survey, configured, is_stamped);
    let missing = missing(configured, &guess);
    config::complete(&mut file, &guess, is_bounded);
    let shown = config::text(&without_secrets_of(file.clone()), &guess)?;
    print(&(show::fields(&survey, &guess.chosen) + &show::reasons(&guess) + &show::configuration(&shown)))?;
    let text = config::text(&file, &guess)?;
    if let Some(missing) = missing {
        write(args, &text, text != shown)?;
        let written = args.write.as_ref().map(|path| format!("; {} is written without it", path.display()));
        return Err(Failure::Failed(missing.to_owned() + &written.unwrap_or_default()));
    }
    // What is ranked is what is printed, read again.
    let read = File::parse(Path::new("the configuration"), &text).map_err(Failure::of)?;
    let settings = Settings::resolve(&run, read.without_cluster())?;
    let registry = registry.as_ref().map(decode::TrialRegistry::registry);
    let counted = count::count(settings, Arc::new(sample), registry, usize::from(args.k), &stop)?;
    print(&show::ranking(&counted))?;
    // It may name fields of the data.
    counted.account.result().map_err(|failure| Failure::Failed(text::shown(&failure.to_string())))?;
    write(args, &text, text != shown)?;
    print(&next(args, is_bounded))
}

/// What the arguments say, as a file.
fn given(args: &TryArgs) -> Result<File, Failure> {
    let file = args.config.as_deref().map(File::read).transpose();
    let mut file = file.map_err(|error| Failure::Usage(error.to_string()))?.unwrap_or_default();
    let source = &mut file.source;
    source.url = Some(source::url(&args.source)?);
    if let Some(registry) = &args.registry {
        source.registry = Some(registry.clone());
    }
    if let Some(schema) = &args.schema {
        let ending = schema.extension().unwrap_or_default();
        let format = if ending == "avsc" || ending == "json" { "avro" } else { "protobuf" };
        source.format.get_or_insert_with(|| format.to_owned());
        source.schema = Some(schema.clone());
    }
    if let Some(message) = &args.message {
        source.message = Some(message.clone());
    }
    if source.format.is_none() {
        let named = [(source.csv.is_some(), "csv"), (source.pattern.is_some(), "text")];
        source.format = named.into_iter().find(|(is_given, _)| *is_given).map(|(_, name)| name.to_owned());
    }
    Ok(file)
}

/// The file by which the source is read while its format is not known: lines are kept whole.
fn as_read(file: &File) -> File {
    let mut file = file.without_cluster();
    file.source.format.get_or_insert_with(|| "json".to_owned());
    file
}

/// What need not be guessed, since the file says it.
fn what_is_configured(file: &File) -> Configured<'_> {
    let all =
        |is_given: &dyn Fn(&BoardSection) -> bool| !file.board.is_empty() && file.board.iter().all(is_given);
    let of_board = || file.board.iter().find_map(|board| board.each.as_deref());
    let schema = &file.schema;
    let has_paths = |board: &BoardSection| {
        let BoardSection { timestamp, weight, by, filter, .. } = board;
        timestamp.is_some() || weight.is_some() || !by.is_empty() || !filter.is_empty()
    };
    Configured {
        each: file.schema.each.as_deref().or_else(of_board),
        item: file.schema.item.is_some() || all(&|board| board.item.is_some()),
        time: file.schema.timestamp.is_some() || all(&|board| board.timestamp.is_some()),
        paths: schema.weight.is_some() || schema.event_type.is_some() || file.board.iter().any(has_paths),
        form: (schema.timestamp_format.as_deref(), schema.timezone.as_deref()),
    }
}

/// What the configuration lacks to work.
fn missing(configured: Configured<'_>, guess: &Guess) -> Option<&'static str> {
    if !configured.item && guess.item.is_none() {
        return Some(
            "no field can be the item, which is ranked: name one under [schema], as in item = \"data.id\"",
        );
    }
    (!configured.time && guess.time.is_none()).then_some(
        "no field reads as an event time: name one under [schema], as in timestamp = \"created_at\", and how it is \
         written in timestamp_format, as in \"%d.%m.%Y %H:%M\"",
    )
}

/// Writes the configuration to a new file, which only its owner can read where it `has_secrets`.
fn write(args: &TryArgs, text: &str, has_secrets: bool) -> Result<(), Failure> {
    let Some(path) = &args.write else { return Ok(()) };
    let mode = if has_secrets { 0o600 } else { 0o666 };
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| {
        file.write_all(text.as_bytes()).inspect_err(|_| {
            // Half of it is of no use, and would be in the way of the next attempt.
            let _ = std::fs::remove_file(path);
        })
    });
    written.map_err(Failure::system(format!("--write {}", path.display())))
}

/// The source as it was typed, without secrets.
fn shown_source(args: &TryArgs) -> String {
    match args.source.as_str() {
        "-" => "standard input".to_owned(),
        source => without_secrets(source),
    }
}

/// What to type next.
fn next(args: &TryArgs, is_bounded: bool) -> String {
    let page = if is_bounded { "" } else { ", and open http://127.0.0.1:8080" };
    match &args.write {
        Some(path) => format!("Written to {0}. Next: crest --config {0}{page}\n", path.display()),
        None => format!(
            "Next: add --write crest.toml to keep the configuration, then crest --config crest.toml{page}\n"
        ),
    }
}
