//! The source that is tried: what was typed as a URL, and its first records.

use super::sample::{Asked, Sample};
use crate::failure::Failure;
use crate::launch::state;
use crate::settings::Settings;
use crest_connectors::endpoint::{EndpointError, LogUrl, SourceUrl};
use crest_connectors::log::Log;
use crest_connectors::source::SourceError;
use crest_connectors::{Framing, OnGap, SourceOptions, Until, open_source};
use crest_state::fields::JobFields;
use std::path::Path;

/// Where an embedded log is in the folder of all that a job keeps.
const LOG_IN_FOLDER: &str = "log";

/// The URL that a typed source means: a path is a file.
///
/// # Errors
/// It is a folder, or a URL that makes no sense.
pub fn url(typed: &str) -> Result<String, Failure> {
    match typed.parse::<SourceUrl>() {
        Ok(SourceUrl::Log(log)) => Ok(settle_log(typed, &log)),
        Ok(_) => Ok(typed.to_owned()),
        Err(EndpointError::Unknown { .. }) if !typed.contains("://") && !typed.is_empty() => {
            let path = Path::new(typed);
            if path.is_dir() {
                let example = path.join("*");
                let reason = format!("is a folder: name its files, as in 'file:{}'", example.display());
                return Err(Failure::Usage(format!("{typed}: {reason}")));
            }
            let glob = if path.exists() { glob::Pattern::escape(typed) } else { typed.to_owned() };
            Ok(format!("file:{glob}"))
        }
        Err(error) => Err(Failure::Usage(error.to_string())),
    }
}

/// The log of a folder, or the one that a job keeps in it.
fn settle_log(typed: &str, log: &LogUrl) -> String {
    let within = LogUrl::of_folder(&log.folder.join(LOG_IN_FOLDER).to_string_lossy());
    if Log::exists(log) || !Log::exists(&within) {
        return typed.to_owned();
    }
    let options = typed.split_once('?').map_or(String::new(), |(_, options)| format!("?{options}"));
    format!("log:{}{options}", within.folder.display())
}

/// Reads the first records of the source of these settings, and leaves no trace.
///
/// # Errors
/// It cannot be read, or has no record.
pub fn read(settings: &Settings, records: usize) -> Result<Sample, Failure> {
    let source = &settings.source;
    let fields = JobFields::new(&settings.spec).map_err(|error| Failure::Usage(error.to_string()))?;
    let headers = fields.plan.headers();
    let mut options = SourceOptions { group_id: None, ..state::source_options(source, None) };
    options.kafka.remove("group.id");
    if source.url.is_log() {
        (options.until, options.on_gap) = (Some(Until::Now), OnGap::Skip);
    }
    options.log = source.url.embedded().map(open_log).transpose()?;
    let asked = Asked { records, headers: &headers, waits: source.url == SourceUrl::Stdin };
    let read = open_source(&source.url, &options).and_then(|factory| factory.open(0, 1));
    let sample =
        read.and_then(|mut source| Sample::read(&mut *source, &asked)).map_err(|error| match error {
            SourceError::Invalid { .. } => Failure::Usage(error.to_string()),
            error => Failure::of(error),
        })?;
    if sample.records == 0 {
        let why = if sample.ended { "there is no record in it" } else { "no record came" };
        return Err(Failure::Failed(format!("{}: {why}", source.url)));
    }
    Ok(sample)
}

/// The sample, cut as the settings say now that its format is known: files are read again, and what came on standard
/// input is cut from its lines.
///
/// # Errors
/// It cannot be read, or has no record.
pub fn cut_again(sample: Sample, settings: &Settings, records: usize) -> Result<Sample, Failure> {
    let framing = settings.source.framing;
    let is_cut = sample.partitions.iter().all(|part| part.form.is_none_or(|(cut, _)| cut == framing));
    if is_cut || !matches!(framing, Framing::Csv { .. }) {
        return Ok(sample);
    }
    match settings.source.url {
        SourceUrl::Stdin => sample.cut_again(framing).map_err(Failure::of),
        _ => read(settings, records),
    }
}

/// Opens a log that is there to read it.
fn open_log(url: &LogUrl) -> Result<std::sync::Arc<Log>, Failure> {
    if !Log::exists(url) {
        return Err(Failure::Failed(format!("{url}: there is no embedded log in this folder")));
    }
    Log::open_to_read(url).map_err(Failure::of)
}
