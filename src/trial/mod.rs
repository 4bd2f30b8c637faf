//! `crest try`: reads the first records of a source, says what is in them, and prints a configuration that ranks them.
//!
//! The steps: [`source`] reads a [`sample`], [`format`] says what its records are, [`decode`] makes JSON of them,
//! [`survey`] collects their fields, [`guess`] chooses the item and the time, [`config`] writes the configuration, [`count`]
//! ranks the sample by the job that it describes, and [`show`] prints. Where a configuration is given, it is not guessed
//! what it says.

mod config;
mod count;
mod csv;
mod decode;
mod format;
mod guess;
mod lines;
mod log_lines;
mod replay;
mod sample;
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
use crest_connectors::without_secrets;
use crest_formats::decode::{CsvSpec, SchemaKind};
use format::Format;
use guess::{Given, Guess};
use sample::Sample;
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
    let asked = decode::Asked::of(&settings)?;
    let (sample, format) = settle_format(sample, &mut file, &settings, asked.as_ref())?;
    let settings = Settings::resolve(&run, file.clone())?;
    let survey = decode::survey(&sample, &settings.spec.format, asked.as_ref())?;
    let source = shown_source(args);
    print(&show::found(&source, &sample, &format))?;
    if survey.records == 0 {
        return Err(Failure::Failed(format!("none of the records can be read as {format}")));
    }
    let is_stamped = sample.all().any(|record| record.time.is_some());
    let is_bounded = settings.source.url.is_bounded();
    let given = what_is_given(&file);
    let guess = guess::guess(&survey, given, is_stamped);
    let missing = missing(given, &guess);
    config::complete(&mut file, &guess, is_bounded);
    let shown = config::text(&without_secrets_of(&file), &guess)?;
    print(&(show::fields(&survey, &guess.chosen) + &show::reasons(&guess) + &show::configuration(&shown)))?;
    let text = config::text(&file, &guess)?;
    if let Some(missing) = missing {
        write(args, &text, text != shown)?;
        let written = args.write.as_ref().map(|path| format!("; {} is written without it", path.display()));
        return Err(Failure::Failed(missing.to_owned() + &written.unwrap_or_default()));
    }
    // What is ranked is what is printed, read again.
    let settings =
        Settings::resolve(&run, File::parse(Path::new("the configuration"), &text).map_err(Failure::of)?)?;
    let registry = asked.as_ref().map(decode::Asked::registry);
    let counted = count::count(settings, Arc::new(sample), registry, usize::from(args.k), &stop)?;
    print(&show::ranking(&counted))?;
    counted.account.result()?;
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
    let mut file = file.clone();
    file.source.format.get_or_insert_with(|| "json".to_owned());
    file
}

/// Notes the format of a sample in the file, unless that says it. Returns the sample, cut into records, and the format's
/// name for people.
fn settle_format(
    sample: Sample,
    file: &mut File,
    settings: &Settings,
    asked: Option<&decode::Asked>,
) -> Result<(Sample, String), Failure> {
    let source = &mut file.source;
    if let Some(format) = &source.format {
        return Ok((sample, format.clone()));
    }
    let (is_file, name) = (settings.source.url.is_bounded(), source.url.clone().unwrap_or_default());
    let named = |ending: &str| name.trim_end_matches(".gz").trim_end_matches(".zst").ends_with(ending);
    let is_csv = named(".csv") || named(".tsv");
    match format::guess(&sample, is_file, is_csv).map_err(Failure::of)? {
        Format::Json => {
            // Of a file of this name it would not be taken for JSON.
            source.format = is_csv.then(|| "json".to_owned());
            Ok((sample, show::JSON.to_owned()))
        }
        Format::Framed(id) => {
            let Some(asked) = asked else {
                return Err(Failure::Failed(format!(
                    "the records begin with the id of their schema, {id}: name the schema registry that has it, as in \
                     --registry http://host:8081"
                )));
            };
            let (format, shown) = match asked.schema(id)?.kind {
                SchemaKind::Avro => ("avro", "Avro"),
                SchemaKind::Protobuf => ("protobuf", "Protobuf"),
                SchemaKind::Json => ("json", "JSON"),
            };
            source.format = Some(format.to_owned());
            Ok((sample, format!("{shown} with the schemas of a registry")))
        }
        Format::Csv(mut section) => {
            if named(".tsv") {
                section.delimiter.get_or_insert_with(|| ",".to_owned());
            }
            let delimiter = section.delimiter.as_deref().and_then(|text| text.bytes().next()).unwrap_or(b',');
            let header = section.columns.is_none();
            let quote = CsvSpec::default().quote;
            source.format = Some("csv".to_owned());
            source.csv = Some(section).filter(|section| *section != crate::file::CsvSection::default());
            let framing = crest_connectors::Framing::Csv { delimiter, quote, header };
            let sample = if is_file { sample.cut_again(framing).map_err(Failure::of)? } else { sample };
            let by = match delimiter {
                b'\t' => "tabs".to_owned(),
                mark => format!("\"{}\"", char::from(mark)),
            };
            let header = if header { "a header" } else { "no header" };
            Ok((sample, format!("CSV with {header}, separated by {by}")))
        }
        Format::Text(pattern, what) => {
            (source.format, source.pattern) = (Some("text".to_owned()), Some(pattern));
            Ok((sample, what.to_owned()))
        }
    }
}

/// What need not be guessed, since the file says it.
fn what_is_given(file: &File) -> Given<'_> {
    let all =
        |is_given: &dyn Fn(&BoardSection) -> bool| !file.board.is_empty() && file.board.iter().all(is_given);
    let of_board = || file.board.iter().find_map(|board| board.each.as_deref());
    Given {
        each: file.schema.each.as_deref().or_else(of_board),
        item: file.schema.item.is_some() || all(&|board| board.item.is_some()),
        time: file.schema.timestamp.is_some() || all(&|board| board.timestamp.is_some()),
    }
}

/// What the configuration lacks to work.
fn missing(given: Given<'_>, guess: &Guess) -> Option<&'static str> {
    if !given.item && guess.item.is_none() {
        return Some(
            "no field can be the item, which is ranked: name one under [schema], as in item = \"data.id\"",
        );
    }
    (!given.time && guess.time.is_none()).then_some(
        "no field reads as an event time: name one under [schema], as in timestamp = \"created_at\", and how it is \
         written in timestamp_format, as in \"%d.%m.%Y %H:%M\"",
    )
}

/// Writes the configuration to a new file, which only its owner can read where it `has_secrets`.
fn write(args: &TryArgs, text: &str, has_secrets: bool) -> Result<(), Failure> {
    let Some(path) = &args.write else { return Ok(()) };
    let mode = if has_secrets { 0o600 } else { 0o666 };
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
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
