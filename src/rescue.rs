//! `crest log`: whether an embedded log is whole, and a new one of all that is whole of a damaged one.

use crate::args::{LogCommand, SalvageArgs, StateArgs, VerifyArgs};
use crate::failure::{Failure, print};
use crate::launch::state::cannot_open;
use crate::settings::StateSettings;
use crate::text::{json_line, shown};
use crest_connectors::endpoint::{EndpointError, LogUrl};
use crest_connectors::log::{CHECK, Contents, Known, PartitionContents, Salvaged, salvage, verify};
use crest_connectors::state::StateStore;
use crest_state::inspect::Inspection;
use serde_json::{Value, json};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Does what is asked for.
///
/// # Errors
/// The log is damaged, or cannot be read or salvaged.
pub fn run(command: &LogCommand) -> Result<(), Failure> {
    // Where a file is damaged the database may panic, which counts as damage.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() != Some(CHECK) {
            usual(panic);
        }
    }));
    match command {
        LogCommand::Verify(args) => check(args),
        LogCommand::Salvage(args) => save(args),
    }
}

fn check(args: &VerifyArgs) -> Result<(), Failure> {
    let contents = verify(&folder(&args.folder)?).map_err(Failure::of)?;
    print(&if args.json { json_line(&json(&contents).to_string()) } else { list(&contents) })?;
    if contents.damage.is_empty() {
        return Ok(());
    }
    let (path, folder) = (contents.path.display(), &args.folder);
    Err(Failure::Failed(format!("{path} is damaged; `crest log salvage {folder}` keeps what is whole")))
}

fn save(args: &SalvageArgs) -> Result<(), Failure> {
    let known = known(args)?;
    let salvaged = salvage(&folder(&args.folder)?, args.to.as_deref(), &known).map_err(Failure::of)?;
    let Salvaged { contents, log, aside, doubts } = &salvaged;
    if args.json {
        let mut whole = json(contents);
        whole["log"] = json!(log);
        whole["aside"] = json!(aside);
        whole["doubts"] = json!(doubts);
        return print(&json_line(&whole.to_string()));
    }
    let mut text = list(contents);
    match (log, aside) {
        (Some(log), Some(aside)) => {
            text += &format!("salvaged    {}; the damaged file is {}\n", named(log), named(aside));
        }
        (Some(log), None) => text += &format!("salvaged    {}\n", named(log)),
        (None, _) => text += "salvaged    nothing: the log is whole, and stays as it is\n",
    }
    for doubt in doubts {
        text += &format!("not certain {}\n", shown(doubt));
    }
    print(&text)
}

/// What the state of the log's job knows of it.
fn known(args: &SalvageArgs) -> Result<Known, Failure> {
    if args.state.is_none() && args.config.is_none() {
        return Ok(Known::default());
    }
    let place = StateArgs { state: args.state.clone(), config: args.config.clone(), ..StateArgs::default() };
    let Some(StateSettings { url, options, .. }) = StateSettings::load(&place)? else {
        return Ok(Known::default());
    };
    let store = StateStore::open_to_read(&url, &options).map_err(cannot_open)?;
    let report = Inspection::open(store).map_err(Failure::of)?.report();
    if report.source != "log" {
        let source = report.source;
        return Err(Failure::Usage(format!("--state = {url:?}: it is of {source}, and of no embedded log")));
    }
    let reached = report.partitions.into_iter();
    let reached = reached.filter_map(|(partition, at)| {
        Some((u32::try_from(partition).ok()?, u64::try_from(at.next).unwrap_or(0)))
    });
    let id = report.log.and_then(|id| u128::from_str_radix(&id, 16).ok());
    Ok(Known { id, reached: reached.collect() })
}

/// The folder, also of a URL as `--source` takes it.
fn folder(text: &str) -> Result<PathBuf, Failure> {
    if !text.starts_with("log:") {
        return Ok(text.into());
    }
    let log: LogUrl = text.parse().map_err(|error: EndpointError| Failure::Usage(error.to_string()))?;
    Ok(log.folder)
}

/// A path, fit for a terminal.
fn named(path: &Path) -> String {
    shown(&path.display().to_string())
}

fn list(contents: &Contents) -> String {
    let mut text = format!("log         {}\n", named(&contents.path));
    for (partition, PartitionContents { offsets, records, lost, .. }) in
        contents.partitions.iter().enumerate()
    {
        let (first, next) = (offsets.start, offsets.end);
        text += &format!("partition   {partition}: {records} events, from offset {first}, next {next}\n");
        for Range { start, end } in lost {
            text += &format!("            offsets {start} to {} were lost before\n", end - 1);
        }
    }
    if contents.damage.is_empty() {
        text += "whole       yes\n";
    }
    for fault in &contents.damage {
        text += &format!("damaged     {}\n", shown(fault));
    }
    text
}

fn json(contents: &Contents) -> Value {
    let ranges = |ranges: &[Range<u64>]| -> Vec<Value> {
        ranges.iter().map(|range| json!({ "from": range.start, "to": range.end })).collect()
    };
    let partition = |(number, part): (usize, &PartitionContents)| {
        json!({
            "partition": number,
            "first": part.offsets.start,
            "next": part.offsets.end,
            "events": part.records,
            "damaged": ranges(&part.damaged),
            "lost": ranges(&part.lost),
        })
    };
    json!({
        "file": contents.path,
        "whole": contents.damage.is_empty(),
        "damage": contents.damage,
        "partitions": contents.partitions.iter().enumerate().map(partition).collect::<Vec<_>>(),
    })
}
