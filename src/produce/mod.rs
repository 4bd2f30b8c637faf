//! `crest produce`: loads NDJSON into a Kafka topic, keyed by item, so that all events of an item lie in one
//! partition. Lines are sent as they are, several files by event time.

mod inputs;
mod key;
mod progress;

use crate::args::ProduceArgs;
use crate::failure::Failure;
use crate::file::{File, Property};
use crate::settings;
use crest_connectors::endpoint::{EndpointError, KafkaUrl, SourceUrl};
use crest_connectors::kafka::{Loader, ProduceError, Topic, ensure_topic};
use crest_connectors::source::{Source, SourceError};
use crest_connectors::{SourceOptions, open_source};
use inputs::{Inputs, Line};
use key::{Keys, Unkeyed};
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
/// What cannot be opened or reached, a record that was not taken, or that not one line could be sent.
pub fn run(args: &ProduceArgs) -> Result<(), Failure> {
    let File { schema, source, .. } = match &args.config {
        Some(path) => File::read(path).map_err(|error| Failure::Usage(error.to_string()))?,
        None => File::default(),
    };
    let schema = settings::schema(schema);
    let keys = || {
        let keys = Keys::new(&schema);
        keys.map_err(|error| Failure::Usage(format!("schema: {error}")))
    };
    let properties = Property::into_texts(source.kafka);
    let sources = open_all(args)?;
    let to: KafkaUrl =
        args.to.parse().map_err(|error: EndpointError| failure(SourceError::from(error).into()))?;
    let partitions = Some(args.partitions.unwrap_or(DEFAULT_PARTITIONS));
    say_topic(args, &to, ensure_topic(&to, partitions, &properties).map_err(failure)?);
    let loader = Loader::connect(&to, &properties).map_err(failure)?;
    let mut load = Load {
        loader,
        keys: keys()?,
        refused: Refused::default(),
        progress: Progress::new(total_bytes(args)),
    };
    let mut inputs = Inputs::new(sources, keys()?).map_err(Failure::of)?;
    while let Some((name, line)) = inputs.next().map_err(Failure::of)? {
        load.line(name, &line).map_err(failure)?;
    }
    load.finish()
}

/// All files are looked at before anything is sent.
fn open_all(args: &ProduceArgs) -> Result<Vec<Box<dyn Source>>, Failure> {
    let standard = [PathBuf::from("-")];
    let paths = if args.files.is_empty() { &standard } else { args.files.as_slice() };
    let open = |path: &PathBuf| {
        if path.as_os_str() != "-" {
            std::fs::metadata(path)
                .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
        }
        open_source(&url_of(path), &SourceOptions::default()).and_then(|f| f.open(0, 1)).map_err(Failure::of)
    };
    paths.iter().map(open).collect()
}

/// A path is meant as it is: a glob was the shell's to expand.
fn url_of(path: &Path) -> SourceUrl {
    match path.to_str() {
        Some("-") => SourceUrl::Stdin,
        _ => SourceUrl::Files(glob::Pattern::escape(&path.to_string_lossy())),
    }
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
    keys: Keys,
    refused: Refused,
    progress: Progress,
}

impl Load {
    fn line(&mut self, name: &str, line: &Line) -> Result<(), ProduceError> {
        let keyed = match &line.bytes {
            Some(bytes) => self.keys.read(bytes).key.map(|key| (key, bytes)),
            None => Err(Unkeyed::TooLong),
        };
        let length = line.bytes.as_ref().map_or(0, Vec::len) as u64;
        match keyed {
            Ok((key, bytes)) => {
                self.loader.send(Some(key.as_bytes()), bytes)?;
                self.progress.sent(length, self.loader.delivered());
            }
            Err(reason) => {
                self.refused.note(reason, name, line.number);
                self.progress.passed(length);
            }
        }
        Ok(())
    }

    /// Waits for all acknowledgements.
    fn finish(self) -> Result<(), Failure> {
        let delivered = self.loader.finish(Instant::now() + FINISH_DEADLINE);
        let line = self.progress.finish();
        let delivered = delivered.map_err(failure)?;
        self.refused.say();
        tracing::info!("{line}");
        match (delivered, self.refused.count()) {
            (0, refused) if refused > 0 => {
                Err(Failure::Failed(format!("nothing was sent: {} refused", lines(refused))))
            }
            _ => Ok(()),
        }
    }
}

/// What was not sent.
#[derive(Default)]
struct Refused(BTreeMap<Unkeyed, (u64, String)>);

impl Refused {
    fn note(&mut self, reason: Unkeyed, name: &str, line: i64) {
        let (count, _) = self.0.entry(reason).or_insert_with(|| (0, format!("{name} line {line}")));
        *count += 1;
    }

    fn count(&self) -> u64 {
        self.0.values().map(|(count, _)| count).sum()
    }

    fn say(&self) {
        for (reason, (count, first)) in &self.0 {
            tracing::warn!("refused {}: {reason}; the first was {first}", lines(*count));
        }
    }
}

fn lines(count: u64) -> String {
    format!("{count} line{}", if count == 1 { "" } else { "s" })
}
