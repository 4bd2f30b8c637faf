//! The durable state of a run: opened by process 0 alone, before anything is read, and told to the others at the
//! handshake. Here is what people are told of it too.

use crate::cluster::Run;
use crate::failure::Failure;
use crate::http::{PastRankings, StatePlace};
use crate::settings::{Settings, SourceSettings, StateSettings};
use crest_connectors::archive::Archive;
use crest_connectors::source::{Partition, SourceError, TopicPartition};
use crest_connectors::state::{StateError, StateStore};
use crest_connectors::{SourceOptions, Start, without_secrets};
use crest_dataflows::event_time::Clock;
use crest_state::error::StateRefusal;
use crest_state::job_state::{JobState, OpenOptions};
use crest_state::pane::Pane;
use crest_state::replay::Resume;
use crest_state::spec::JobSpec;
use crest_state::standby::Seen;
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// Partitions whose offsets are told one by one.
const TOLD_PARTITIONS: usize = 16;

/// Opens and claims the state, where this process is to.
///
/// # Errors
/// It cannot be read or written, or is another job's.
pub fn open(settings: &Settings, now_ms: u64) -> Result<Option<Arc<JobState>>, Failure> {
    let Some(place) = settings.state.as_ref().filter(|_| settings.shape.process == 0) else {
        return Ok(None);
    };
    let store = StateStore::open(&place.url, &place.options).map_err(cannot_open)?;
    let identity = identity(&settings.source)?;
    let state = open_as(settings, place, store, (&identity, None), now_ms);
    state.map(|state| Some(Arc::new(state))).map_err(refused)
}

/// Claims the state in this store for a job on the source of this identity, if it is still as it was `seen`.
///
/// # Errors
/// As [`JobState::open_with`].
pub fn open_as(
    settings: &Settings,
    place: &StateSettings,
    store: StateStore,
    (identity, seen): (&str, Option<&Seen>),
    now_ms: u64,
) -> Result<JobState, StateRefusal> {
    let url = &settings.source.url;
    let options = OpenOptions {
        reset: &place.reset,
        bounded: url.is_bounded(),
        // Nobody can stand by where the log is of this process alone, or ends.
        heartbeat: url.is_shared(),
        seen,
    };
    JobState::open_with(store, &settings.spec, identity, &place.retention, now_ms, &options)
}

/// What a state knows a source by: an archive is taken for the log that it is of.
///
/// # Errors
/// There is no archive, or it cannot be read.
pub fn identity(source: &SourceSettings) -> Result<String, Failure> {
    match source.url.archive() {
        None => Ok(source.identity()),
        Some(url) => Archive::source(url, &source.archive).map_err(Failure::of),
    }
}

/// Why a state is not for this job.
pub fn refused(error: StateRefusal) -> Failure {
    match error {
        StateRefusal::OtherJob { .. }
        | StateRefusal::OtherBoard { .. }
        | StateRefusal::ReadsOtherFields { .. }
        | StateRefusal::OtherSeed { .. } => Failure::Usage(error.to_string()),
        _ => Failure::of(error),
    }
}

/// The past of the job, for the API, where there is a state.
pub fn past(state: Option<&StateSettings>) -> Option<Arc<PastRankings>> {
    let StateSettings { url, options, .. } = state?;
    let place = StatePlace { name: String::new(), url: url.clone(), options: options.clone() };
    Some(Arc::new(PastRankings::new(vec![place])))
}

/// Why a state's place is not opened.
pub fn cannot_open(error: StateError) -> Failure {
    match error {
        StateError::Invalid { .. } => Failure::Usage(error.to_string()),
        _ => Failure::of(error),
    }
}

/// What this process knows of the run before it has met the others.
pub fn run(settings: &Settings, state: Option<&JobState>, now_ms: u64) -> Run {
    let sketch = &settings.spec.sketch;
    let seed = if settings.shape.process == 0 { Some(sketch.seed) } else { sketch.named_seed() };
    state.map_or(Run { epoch: now_ms, resume: None, seed }, |state| Run {
        epoch: state.epoch(),
        resume: state.resume(),
        seed: Some(state.seed()),
    })
}

/// Where the source begins: where the state says, or else the settings.
pub fn source_options(source: &SourceSettings, resume: Option<&Resume>) -> SourceOptions {
    let partitions = || resume.into_iter().flat_map(|resume| &resume.partitions);
    let several = source.url.kafka().is_some_and(|topics| topics.one().is_none());
    let numbered = || Start::Offsets(partitions().map(|(partition, at)| (*partition, at.replay)).collect());
    let named =
        || partitions().map(|(_, at)| Some((at.name.parse().ok()?, at.replay))).collect::<Option<_>>();
    let start = match resume {
        // By their names, so that one that is gone is named.
        Some(_) if several => Some(named().map_or_else(numbered, Start::TopicOffsets)),
        Some(_) => Some(numbered()),
        None => source.start.clone(),
    };
    SourceOptions {
        start,
        reached: partitions().map(|(partition, replay)| (*partition, replay.next)).collect(),
        on_gap: source.on_gap,
        framing: source.framing,
        compression: source.compression,
        group_id: source.group_id.clone(),
        archive: source.archive.clone(),
        kafka: if source.url.kafka().is_some() { source.kafka.clone() } else { BTreeMap::new() },
        ..SourceOptions::default()
    }
}

/// Refuses another log of the same name than the one that the state has counted.
///
/// # Errors
/// It is another one.
pub fn check_identity(source: &SourceSettings, found: Option<&str>, resume: &Resume) -> Result<(), Failure> {
    let (Some(counted), Some(found)) = (&resume.log, found) else { return Ok(()) };
    let (counted, found) = (ids(counted), ids(found));
    let differ = |(topic, counted): (&&str, &&str)| {
        let found = *found.get(topic).filter(|found| *found != counted)?;
        let name = if topic.is_empty() { source.url.identity() } else { format!("kafka:{topic}") };
        Some((name, (*counted).to_owned(), found))
    };
    let Some((name, counted, found)) = counted.iter().find_map(differ) else { return Ok(()) };
    Err(Failure::Failed(format!(
        "the state cannot be resumed: {name} was deleted and made anew, the state has counted the one of id {counted}, \
         and this is {found}; give another --state",
    )))
}

/// Refuses to count panes again without a part of the log that the state has counted.
///
/// # Errors
/// The partition, or the topic, that is not there any more.
pub fn check_none_gone(
    source: &SourceSettings,
    resume: &Resume,
    is_there: impl Fn(&Partition) -> bool,
) -> Result<(), Failure> {
    let partition = || resume.partitions.iter().find(|(number, _)| !is_there(number));
    let topic = || {
        let (url, log) = (source.url.kafka()?, resume.log.as_deref()?);
        let is_gone = |topic: &&str| {
            let first = TopicPartition { topic: (*topic).into(), number: 0 };
            url.number(&first).is_some_and(|number| !is_there(&number))
        };
        ids(log).into_keys().find(is_gone)
    };
    let gone = partition().map(|(_, at)| format!("partition {}", at.name));
    match gone.or_else(|| topic().map(|topic| format!("topic {topic:?}"))) {
        None => Ok(()),
        Some(gone) => Err(Failure::Failed(format!(
            "{gone} is not there any more: the state has counted it, and panes would be counted again without it"
        ))),
    }
}

/// The ids in a log's identity: each with its topic, or the only one.
fn ids(identity: &str) -> BTreeMap<&str, &str> {
    identity.split(',').map(|id| id.split_once('=').unwrap_or(("", id))).collect()
}

/// Why a source that was opened cannot be read from where the state says.
pub fn cannot_resume(error: &SourceError) -> Failure {
    Failure::Failed(format!(
        "the state cannot be resumed, since the source no longer has what it needs: {error}; a new --state begins anew"
    ))
}

/// Says where a new state is, which need not have been asked for.
pub fn tell_new(settings: &Settings) {
    if let Some(state) = &settings.state {
        tracing::info!("state: new, in {} (--state says where, or off)", without_secrets(&state.url));
    }
}

/// Says what is resumed.
pub fn tell(spec: &JobSpec, source: &SourceSettings, resume: &Resume) {
    let clock = Clock::new(&spec.time, source.url.is_bounded());
    let (what, from_where) = match resume.durable {
        Pane::MAX => ("was counted to its end".to_owned(), "which was at"),
        pane => (format!("before {} is durable", time(clock.start(pane))), "reading on from"),
    };
    // Regions have no offsets.
    match &*offsets(source_options(source, Some(resume)).start) {
        "" => tracing::info!("state: all {what}"),
        offsets => tracing::info!("state: all {what}, {from_where} offsets {offsets}"),
    }
    for (board, since) in spec.boards.iter().zip(&resume.since).filter(|(_, since)| **since > 0) {
        let since = time(clock.start(*since));
        tracing::info!(
            "state: the board {} counts from {since} on: the state was begun without it",
            board.name
        );
    }
    if source.start.is_some() {
        tracing::info!("state: --start is for a new state, and does not count here");
    }
}

/// A time as people write it, of milliseconds since 1970.
pub fn time(ms: i64) -> String {
    let time = UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    let mut text = String::new();
    match write!(text, "{}", humantime::format_rfc3339_millis(time)) {
        Ok(()) => text,
        // After the year 9999.
        Err(fmt::Error) => format!("{ms} ms"),
    }
}

/// As `--start` takes them: `0=123,1=456`.
fn offsets(start: Option<Start>) -> String {
    let all = start.map(|start| start.offsets()).unwrap_or_default();
    let mut text = all[..all.len().min(TOLD_PARTITIONS)].join(",");
    if all.len() > TOLD_PARTITIONS {
        text += &format!(" and of {} more partitions", all.len() - TOLD_PARTITIONS);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_state::replay::Replay;

    fn resume(partitions: u64) -> Resume {
        let replay = |n: u64| Replay {
            name: format!("events/{n}"),
            replay: n as i64,
            next: n as i64 + 5,
            stamped: None,
            newest: None,
            since: None,
        };
        let partitions = (0..partitions).map(|n| (n, replay(n))).collect();
        Resume { durable: 7, partitions, log: None, since: Vec::new() }
    }

    #[test]
    fn the_source_begins_where_the_state_says_and_else_where_it_was_told_to() {
        let source = "kafka://h/events".parse().unwrap();
        let source = SourceSettings { start: Some(Start::Latest), ..SourceSettings::new(source) };
        let new = source_options(&source, None);
        assert_eq!((new.start, new.reached.len()), (Some(Start::Latest), 0));
        let resumed = source_options(&source, Some(&resume(2)));
        assert_eq!(resumed.start, Some(Start::Offsets([(0, 0), (1, 1)].into())));
        assert_eq!(resumed.reached, [(0, 5), (1, 6)].into());
        let several = SourceSettings::new("kafka://h/events,other".parse().unwrap());
        let resumed = source_options(&several, Some(&resume(2)));
        assert_eq!(resumed.start, "events:0=0,events:1=1".parse().ok());
        let mut nameless = resume(2);
        nameless.partitions.values_mut().take(1).for_each(|at| at.name = "events".into());
        let resumed = source_options(&several, Some(&nameless));
        assert_eq!(
            resumed.start,
            "0=0,1=1".parse().ok(),
            "whoever opens it refuses that, and none is left out"
        );
    }

    #[test]
    fn nothing_is_counted_again_without_what_the_state_has_counted() {
        let check = |url: &str, resume: &Resume, there: &[u64]| {
            let source = SourceSettings::new(url.parse().unwrap());
            check_none_gone(&source, resume, |partition| there.contains(partition))
                .map_err(|failure| failure.to_string())
        };
        assert_eq!(check("kafka://h/events", &resume(2), &[0, 1, 2]), Ok(()));
        assert!(check("kafka://h/events", &resume(2), &[0]).unwrap_err().contains("partition events/1"));
        let (url, log) = ("kafka://h/^.", Some("a=1,b=2".to_owned()));
        let counted = Resume { log, ..resume(0) };
        let number = |topic: &str| {
            let source = SourceSettings::new(url.parse().unwrap());
            let first = TopicPartition { topic: topic.into(), number: 0 };
            source.url.kafka().and_then(|url| url.number(&first)).unwrap()
        };
        assert_eq!(check(url, &counted, &[number("a"), number("b"), number("new")]), Ok(()));
        assert!(check(url, &counted, &[number("a"), number("new")]).unwrap_err().contains("topic \"b\""));
    }

    #[test]
    fn a_topic_made_anew_is_named_among_others() {
        let resume = |log: &str| Resume { log: Some(log.into()), ..resume(1) };
        let check = |url: &str, counted: &str, found| {
            let source = SourceSettings::new(url.parse().unwrap());
            check_identity(&source, Some(found), &resume(counted)).map_err(|failure| failure.to_string())
        };
        assert_eq!(check("kafka://h/a", "1", "1"), Ok(()));
        assert!(check("kafka://h/a", "1", "2").unwrap_err().contains("kafka:a was deleted and made anew"));
        assert_eq!(
            check("kafka://h/^.", "a=1,gone=2", "a=1,new=3"),
            Ok(()),
            "what is gone is another matter"
        );
        let error = check("kafka://h/a,b", "a=1,b=2", "a=1,b=3").unwrap_err();
        assert!(error.contains("kafka:b was deleted") && error.contains("of id 2, and this is 3"), "{error}");
    }

    #[test]
    fn offsets_are_told_as_start_takes_them_and_not_without_end() {
        let source = SourceSettings::new("kafka://h/events".parse().unwrap());
        let told = |partitions| offsets(source_options(&source, Some(&resume(partitions))).start);
        assert_eq!(told(3), "0=0,1=1,2=2");
        assert!(told(20).ends_with(",15=15 and of 4 more partitions"));
        assert_eq!(time(1_711_670_400_000), "2024-03-29T00:00:00.000Z");
        assert_eq!(time(i64::MAX), "9223372036854775807 ms");
    }
}
