//! `crest produce`: loads files into a Kafka topic, keyed by item, so that all events of an item lie in one partition.
//! What is in them is read as a job would read it; records are sent as they are, those of several files by event time.

mod inputs;
mod key;
mod progress;

use crate::args::{ProduceArgs, RunArgs};
use crate::failure::Failure;
use crate::file::File;
use crate::launch::state;
use crate::settings::Settings;
use crest_connectors::endpoint::{EndpointError, KafkaUrl};
use crest_connectors::kafka::{Loader, ProduceError, Topic, ensure_topic};
use crest_connectors::open_source;
use crest_connectors::source::{Source, SourceError};
use crest_formats::decode::{CsvSpec, FormatSpec};
use crest_formats::refusal::Refusal;
use crest_state::fields::looked_for;
use crest_state::spec::JobSpec;
use inputs::{Inputs, Record};
use key::Keys;
use progress::Progress;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Partitions of a topic that is made, unless the arguments say how many.
const DEFAULT_PARTITIONS: u32 = 4;
/// How long the last records may take to be acknowledged, after all were sent. librdkafka gives up before.
const FINISH_DEADLINE: Duration = Duration::from_secs(120);

/// Loads what the arguments name.
///
/// # Errors
/// What cannot be opened or reached, a record that was not taken, or that not one could be sent.
pub fn run(args: &ProduceArgs) -> Result<(), Failure> {
    let (Settings { spec, source, .. }, sources) = open_all(args)?;
    let properties = source.kafka;
    let to: KafkaUrl =
        args.to.parse().map_err(|error: EndpointError| failure(SourceError::from(error).into()))?;
    let partitions = Some(args.partitions.unwrap_or(DEFAULT_PARTITIONS));
    say_topic(args, &to, ensure_topic(&to, partitions, &properties).map_err(failure)?);
    let loader = Loader::connect(&to, &properties).map_err(failure)?;
    let keys = Keys::new(&spec).map_err(|error| Failure::Usage(error.to_string()))?;
    let mut inputs = Inputs::new(sources, keys)?;
    let total = total_bytes(args).filter(|_| !inputs.are_packed());
    let mut load = Load { loader, refused: Refused::default(), progress: Progress::new(total) };
    while let Some((name, record)) = inputs.next()? {
        load.record(name, &record).map_err(failure)?;
    }
    load.finish(&spec)
}

/// All files are looked at before anything is sent. The settings are those of a job that reads the first.
fn open_all(args: &ProduceArgs) -> Result<(Settings, Vec<Box<dyn Source>>), Failure> {
    let file = args.config.as_deref().map(File::read).transpose();
    let file = file.map_err(|error| Failure::Usage(error.to_string()))?.unwrap_or_default();
    let standard = PathBuf::from("-");
    let first = args.files.first().unwrap_or(&standard);
    let settings = settings_of(first, args, &file)?;
    let mut sources = vec![open(&settings)?];
    for path in args.files.iter().skip(1) {
        let other = settings_of(path, args, &file)?;
        if other.spec.format != settings.spec.format {
            let (path, first) = (path.display(), first.display());
            return Err(Failure::Usage(format!(
                "{path}: its name says another format than that of {first}, and a topic has one: source.format of \
                 --config says which"
            )));
        }
        sources.push(open(&other)?);
    }
    Ok((settings, sources))
}

/// The settings of a job that reads a file. A path is meant as it is: a glob was the shell's to expand.
fn settings_of(path: &Path, args: &ProduceArgs, file: &File) -> Result<Settings, Failure> {
    let is_standard = path.as_os_str() == "-";
    let source = if is_standard {
        "-".to_owned()
    } else {
        std::fs::metadata(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
        format!("file:{}", glob::Pattern::escape(&path.to_string_lossy()))
    };
    // A job that reads standard input keeps no state, whatever that of the configuration does.
    let state = is_standard.then(|| "off".to_owned());
    let run = RunArgs { source: Some(source), config: args.config.clone(), state, ..RunArgs::default() };
    let settings = Settings::resolve(&run, file.without_cluster())?;
    if let FormatSpec::Csv(CsvSpec { columns: None, .. }) = settings.spec.format {
        return Err(Failure::Usage(format!(
            "{}: a topic has no header: source.csv.columns of --config must name the columns, and source.csv.header = true \
             says that the file has one",
            path.display()
        )));
    }
    Ok(settings)
}

fn open(settings: &Settings) -> Result<Box<dyn Source>, Failure> {
    let options = state::source_options(&settings.source, None);
    open_source(&settings.source.url, &options).and_then(|factory| factory.open(0, 1)).map_err(Failure::of)
}

/// `None` where an input's size cannot be known.
fn total_bytes(args: &ProduceArgs) -> Option<u64> {
    let sizes = args.files.iter().map(|path| std::fs::metadata(path).ok().map(|file| file.len()));
    sizes.sum::<Option<u64>>().filter(|_| !args.files.is_empty())
}

fn failure(error: ProduceError) -> Failure {
    match error {
        ProduceError::Connect(SourceError::Invalid { reason, url }) => {
            Failure::Usage(format!("--to = {url:?}: {reason}"))
        }
        ProduceError::Connect(SourceError::Unreachable { reason, url }) => {
            Failure::Failed(format!("--to {url}: {reason}"))
        }
        error => Failure::of(error),
    }
}

fn say_topic(args: &ProduceArgs, url: &KafkaUrl, topic: Topic) {
    match (topic.created, args.partitions) {
        (true, _) => tracing::info!("made {url} with {} partitions", topic.partitions),
        (false, Some(wanted)) if wanted as usize != topic.partitions => tracing::warn!(
            "{url} is there already, with {} partitions rather than {wanted}; it stays as it is",
            topic.partitions
        ),
        (false, _) => {}
    }
}

/// A load under way.
struct Load {
    loader: Loader,
    refused: Refused,
    progress: Progress,
}

impl Load {
    fn record(&mut self, name: &str, record: &Record) -> Result<(), ProduceError> {
        let length = record.bytes.len() as u64;
        match &record.key {
            Ok(key) => {
                self.loader.send(key.as_deref().map(str::as_bytes), &record.bytes)?;
                self.progress.sent(length, self.loader.delivered());
            }
            Err(reason) => {
                self.refused.note(*reason, name, record.offset);
                self.progress.passed(length);
            }
        }
        Ok(())
    }

    /// Waits for all acknowledgements.
    fn finish(self, spec: &JobSpec) -> Result<(), Failure> {
        let delivered = self.loader.finish(Instant::now() + FINISH_DEADLINE);
        let told = self.progress.finish();
        let delivered = delivered.map_err(failure)?;
        self.refused.say(spec);
        tracing::info!("{told}");
        match (delivered, self.refused.count()) {
            (0, refused) if refused > 0 => {
                Err(Failure::Failed(format!("nothing was sent: {} refused", records(refused))))
            }
            _ => Ok(()),
        }
    }
}

/// What was not sent.
#[derive(Default)]
struct Refused(BTreeMap<Refusal, (u64, String)>);

impl Refused {
    fn note(&mut self, reason: Refusal, name: &str, offset: i64) {
        let first = || (0, format!("{name} at offset {offset}"));
        self.0.entry(reason).or_insert_with(first).0 += 1;
    }

    fn count(&self) -> u64 {
        self.0.values().map(|(count, _)| count).sum()
    }

    fn say(&self, spec: &JobSpec) {
        for (reason, (count, first)) in &self.0 {
            let (count, name) = (records(*count), reason.name());
            let because = match looked_for(spec, *reason).join(" or ") {
                field if field.is_empty() => String::new(),
                field => format!(", since {field} {}", reason.requirement()),
            };
            tracing::warn!("refused {count} as {name}{because}; the first was {first}");
        }
    }
}

fn records(count: u64) -> String {
    format!("{count} record{}", if count == 1 { "" } else { "s" })
}
