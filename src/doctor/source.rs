//! The source: it is there, and can be read from where the job would begin. It is opened by the same call as the job opens it,
//! and not read.

use super::finding::Finding;
use crate::failure::Failure;
use crate::launch::{regions, state};
use crate::settings::Settings;
use crest_connectors::endpoint::{LogUrl, SourceUrl};
use crest_connectors::log::Log;
use crest_connectors::source::{Partition, SourceError};
use crest_connectors::{Probed, SourceOptions, open_source, probe};
use crest_state::replay::Resume;
use indicatif::HumanCount;
use std::collections::BTreeMap;
use std::sync::Arc;

const CHECK: &str = "source";
/// What to do where brokers do not answer or let nobody in, by what they say.
pub fn of_brokers(said: &str) -> &'static str {
    if said.contains("uthentication") {
        "correct sasl.mechanism, sasl.username and sasl.password among the properties for Kafka"
    } else if said.contains("certificate verify failed") {
        "name the authority of the brokers' certificates by ssl.ca.location, or install it on this machine"
    } else if said.contains("uthorization") {
        "let the user describe the topic, and read or write it (kafka-acls.sh --add)"
    } else {
        "see that the brokers run, that this machine may reach the addresses that they advertise (advertised.listeners), and \
         whether they want TLS or a password (security.protocol, sasl.*)"
    }
}

/// A source that can be read.
pub struct Readable {
    /// How many partitions or files it has.
    pub partitions: usize,
    /// Of a log, the offsets that it keeps.
    pub kept: BTreeMap<Partition, Probed>,
    /// The embedded log, which only one can have open.
    pub log: Option<Arc<Log>>,
}

impl Readable {
    fn of(partitions: usize) -> Self {
        Readable { partitions, kept: BTreeMap::new(), log: None }
    }
}

/// Opens the source where the job would begin: where its state says, if there is one.
pub fn check(settings: &Settings, resume: Option<&Resume>) -> (Finding, Option<Readable>) {
    let url = &settings.source.url;
    let looked = match url {
        SourceUrl::Demo(_) => Ok(("synthetic traffic".to_owned(), Readable::of(1))),
        SourceUrl::Stdin => Ok(("standard input is not looked at".to_owned(), Readable::of(1))),
        SourceUrl::Log(log) if !Log::exists(log) => new_log(log),
        SourceUrl::States(states) => {
            let opened = regions::open(states, &settings.source, &settings.spec, resume);
            opened
                .map_err(|failure| Finding::fix(CHECK, failure, "see that its job has written a state there"))
                .map(|regions| {
                    let regions = regions.names().len();
                    (format!("{url}: {regions} regions can be read"), Readable::of(regions))
                })
        }
        SourceUrl::Kafka(_) | SourceUrl::Log(_) | SourceUrl::Archive(_) | SourceUrl::Files(_) => {
            open(settings, resume)
        }
    };
    match looked {
        Ok((found, readable)) => (Finding::ok(CHECK, found), Some(readable)),
        Err(finding) => (finding, None),
    }
}

/// A log that the job is going to make.
fn new_log(url: &LogUrl) -> Result<(String, Readable), Finding> {
    let folder = url.folder.display().to_string();
    crest_connectors::state::try_out(&folder, &BTreeMap::new())
        .map(|_| (format!("{url}: is made at the start"), Readable::of(1)))
        .map_err(|error| Finding::fix(CHECK, error, "let this user write there, or name another folder"))
}

fn open(settings: &Settings, resume: Option<&Resume>) -> Result<(String, Readable), Finding> {
    let url = &settings.source.url;
    let log = match url.embedded() {
        Some(log) => Some(Log::open_to_read(log).map_err(|error| fix(url, &error, false))?),
        None => None,
    };
    let options = untraced(settings, resume, log.clone());
    let opened = open_source(url, &options).map_err(|error| fix(url, &error, resume.is_some()))?;
    if let Some(resume) = resume {
        state::check_identity(&settings.source, opened.identity().as_deref(), resume).map_err(
            |failure: Failure| Finding::fix(CHECK, failure, "begin anew, with an empty place as --state"),
        )?;
    }
    if !url.is_log() {
        let partitions = opened.open(0, 1).map(|mut source| source.partitions().len());
        let files = partitions.map_err(|error| fix(url, &error, false))?;
        let plural = if files == 1 { "" } else { "s" };
        return Ok((format!("{url}: {files} file{plural}"), Readable::of(files)));
    }
    if url.kafka().is_some() && opened.starts().is_empty() {
        return Ok((format!("{url}: no topic matches yet"), Readable::of(0)));
    }
    drop(opened);
    let kept = probe(url, &options, &BTreeMap::new()).map_err(|error| fix(url, &error, false))?;
    let records: i64 = kept.values().map(|kept| kept.high - kept.low).sum();
    let (partitions, records) = (kept.len(), HumanCount(records.unsigned_abs()));
    let plural = if partitions == 1 { "" } else { "s" };
    let found = format!("{url}: {partitions} partition{plural}, which keep {records} offsets");
    Ok((found, Readable { partitions, kept, log }))
}

/// How the source is opened by somebody who leaves no trace.
pub fn untraced(settings: &Settings, resume: Option<&Resume>, log: Option<Arc<Log>>) -> SourceOptions {
    let options = state::source_options(&settings.source, resume);
    let mut options = SourceOptions { group_id: None, log, ..options };
    options.kafka.remove("group.id");
    options
}

fn fix(url: &SourceUrl, error: &SourceError, resumes: bool) -> Finding {
    let said = error.to_string();
    let fix = match error {
        SourceError::Lost { .. } if resumes => {
            "the state needs what is gone: count on without it by --on-gap skip, or give an empty place as --state"
        }
        SourceError::Lost { .. } => {
            "begin at what is kept (--start earliest), or skip what is gone (--on-gap skip)"
        }
        // As `connectors/src/file/mod.rs` says it.
        SourceError::Invalid { .. } if said.contains("no file matches") => {
            "see that it is there, or correct the pattern"
        }
        SourceError::Invalid { .. } => "correct the setting",
        // As the brokers are asked in `connectors/src/kafka/connect.rs`.
        SourceError::Unreachable { .. } if said.contains("have no topic") => {
            "make it (kafka-topics.sh --create, or crest produce --to, which makes it), or correct its name"
        }
        SourceError::Unreachable { .. } if url.kafka().is_some() => of_brokers(&said),
        SourceError::File { .. } if said.contains("held by another process") => {
            "stop the crest that has it open: it is of one process alone"
        }
        SourceError::File { .. } | SourceError::Unreachable { .. } => {
            "see that it is there, and that this user may read it"
        }
        SourceError::Archive(_) => "see that the archive is there, and that this user may read it",
        SourceError::SameNumber { .. } | SourceError::Replaced { .. } => {
            "read the topics by jobs of their own"
        }
    };
    Finding::fix(CHECK, said, fix)
}
