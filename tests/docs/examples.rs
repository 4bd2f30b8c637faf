//! Examples of configurations and of JSON, which must be what the program would take or say.

use crate::pages::{Found, Page, Piece};
use crest::args::RunArgs;
use crest::file::File;
use crest::settings::Settings;
use serde_json::Value;
use std::path::Path;

/// What of the examples of a page cannot be read.
pub fn faults(page: &Page) -> Vec<String> {
    let mut faults = Vec::new();
    for Found { line, piece } in &page.pieces {
        let Piece::Fence { language, text } = piece else { continue };
        let read = match language.as_str() {
            "toml" => configuration(text),
            "json" => json(text),
            "sh" | "console" | "sql" | "python" | "js" | "go" | "html" | "text" | "ini" | "yaml"
            | "nginx" => Ok(()),
            other => Err(format!("{other:?} is not among the languages that the pages use")),
        };
        if let Err(reason) = read {
            faults.push(format!("{}: {reason}", page.at(*line)));
        }
    }
    faults
}

/// A whole configuration file. The files that it names need not be there.
fn configuration(text: &str) -> Result<(), String> {
    let file = File::parse(Path::new("crest.toml"), text).map_err(|error| error.to_string())?;
    // Where it does not say what is read, it may be for files, too.
    let files = RunArgs { source: Some("file:events.ndjson".into()), ..RunArgs::default() };
    let runs =
        if file.source.url.is_some() { vec![RunArgs::default()] } else { vec![files, RunArgs::default()] };
    let resolved = |run: &RunArgs| match Settings::resolve(run, file.clone()) {
        Err(error) if !error.to_string().contains("No such file") => Err(error.to_string()),
        _ => Ok(()),
    };
    runs.iter().map(resolved).reduce(Result::or).unwrap()
}

/// One value, or one on each line.
fn json(text: &str) -> Result<(), String> {
    let whole: Result<Value, _> = serde_json::from_str(text);
    let each = || text.lines().try_for_each(|line| serde_json::from_str::<Value>(line).map(drop));
    whole.map(drop).or_else(|error| each().map_err(|_| error.to_string()))
}
