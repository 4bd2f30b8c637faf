//! Runs the job: takes what can be taken first (the cluster, the port, the state, the source, the sinks), so that
//! nothing is written before all of it is there; then starts the workers, and sees to it that they end.

mod archive;
pub(crate) mod blocklists;
pub(crate) mod descriptors;
mod exit;
pub(crate) mod ingest;
mod meet;
pub(crate) mod notify;
mod on_demand;
mod ready;
pub(crate) mod regions;
mod rising;
pub(crate) mod seed;
mod signals;
mod sinks;
mod standby;
pub(crate) mod state;
mod telemetry;
mod unmatched;
mod watch;
mod workers;

use crate::account::Account;
use crate::cluster::{Joined, Meeting, Run};
use crate::failure::Failure;
use crate::http::{self, Access, Bound, Ingest, Measured, Policy, Rankings, Shown};
use crate::progress::Progress;
use crate::settings::{Settings, SourceSettings};
use crate::summary::SummaryFile;
use crest_connectors::log::Log;
use crest_connectors::registry::{RegistryOptions, SchemaRegistry};
use crest_connectors::snapshot::SinkError;
use crest_connectors::source::SourceError;
use crest_connectors::tee::{ArchiveWriter, open_archived};
use crest_connectors::{SourceOptions, open_source, without_secrets};
use crest_dataflows::job::Job;
use crest_dataflows::registry::Schemas;
use crest_dataflows::rejects::Rejects;
use crest_dataflows::status::JobView;
use crest_dataflows::wiring::run_worker;
use crest_formats::decode::Registry;
use crest_host::clock::wall_clock_ms;
use crest_state::input::Input;
use crest_state::job_state::JobState;
use crest_state::replay::Resume;
pub(crate) use exit::end_on_panic;
use exit::{STATUS_FAILED, die};
use notify::Pulse;
use ready::{ReadyFile, tell_when_ready};
pub(crate) use signals::Stop;
pub(crate) use sinks::{Outputs, Publishes, redis_options};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use watch::{STOP_DEADLINE, WORKER_SILENCE, Watch};

/// For the last snapshots of a bounded job to be delivered.
const FLUSH_DEADLINE: Duration = Duration::from_secs(30);
/// For the manifest to say, after a stop, that whoever stands by may take over at once.
const RELEASE: Duration = Duration::from_millis(500);
/// Left of a stop's time when its last snapshots are given up.
const STOP_MARGIN: Duration = Duration::from_millis(200);

/// Runs the job until its source has ended or it was asked to stop.
///
/// # Errors
/// What could not be opened, or what the last snapshots could not be delivered to. Other failures of the
/// running job end the process from where they are found, since timely's threads would outlive an error.
pub fn run(mut settings: Settings, stop: &Stop) -> Result<(), Failure> {
    let started = Instant::now();
    end_on_panic();
    let pulse = Pulse::start()?;
    // Process 0 writes it, of all.
    let summary = settings.summary.as_deref().filter(|_| settings.shape.process == 0);
    let summary = summary.map(SummaryFile::prepare).transpose()?;
    if settings.source.by_default {
        tracing::info!(
            "no --source was given: reading {}",
            if settings.source.url.embedded().is_some() {
                "what is posted to /events"
            } else {
                "synthetic traffic, as with --demo"
            }
        );
    }
    seed::settle(&mut settings)?;
    // The processes of a cluster meet first, so that each hears at once what becomes of the others.
    let meeting = (settings.shape.processes > 1).then(|| meet::begin(&settings, stop)).transpose()?;
    let opened = match (Opened::open(&settings, meeting.as_ref(), started), meeting) {
        (Err(failure), Some(meeting)) => return Err(meet::give_up(meeting, failure)),
        (opened, None) => (opened?, None),
        (opened, Some(meeting)) => (opened?, Some(meet::complete(meeting)?)),
    };
    let (opened, joined) = opened;
    let Opened { ready_file, port, state, run, source, archive, outputs, rejects, ingest } = opened;
    let run = joined.as_ref().map_or(run, |joined| joined.run.clone());
    settings.spec.sketch.seed = run.seed.unwrap_or(settings.spec.sketch.seed);
    let registry = registry(&settings)?;
    let job = job(&settings, source, &outputs, run, state, rejects, registry);
    pulse.of(job.view.clone(), WORKER_SILENCE);
    outputs.tell_of(&job.view);
    tell(&settings);
    let tally = telemetry::tally(&settings);
    let shown = Shown {
        ingest,
        archive: archive.clone(),
        telemetry: tally.clone(),
        ..shown(&settings, &job, &outputs, started)
    };
    let measured = match port {
        Some(port) => serve(port, &settings, shown)?,
        None => Measured::of(shown, &settings.http.policy),
    };
    let telemetry = telemetry::start(&settings, &job, tally, measured)?;
    let progress = tell_of_input(&settings, &job, &outputs)?;
    let store = (settings.shape.process == 0).then(|| outputs.store());
    tell_when_ready(ready_file, job.view.clone(), store)?;
    let stop_wished = work(&settings, joined, &job, stop, &outputs)?;
    if stop_wished.is_none() {
        outputs.wait_for_reader(|| job.view.stopping());
        outputs.wait_for_receivers(FLUSH_DEADLINE, || job.view.stopping());
    }
    let delivered = deliver(&outputs, stop_wished);
    archive::finish(archive.as_ref(), deadline(stop_wished));
    if let Some(state) = job.state.as_ref().filter(|_| stop_wished.is_some()) {
        state.release(RELEASE);
    }
    let account = progress.map(|progress| progress.finish(stop_wished.map(|_| "stopped")));
    account.iter().for_each(Account::tell_boards);
    if let Some(summary) = summary {
        let live = || Account::of(&job.spec, &job.view);
        summary.write(&account.clone().unwrap_or_else(live), stop_wished.is_none())?;
    }
    telemetry.finish(stop_wished.is_some());
    delivered?;
    let Some(account) = account else { return Ok(()) };
    if stop_wished.is_none() { account.result() } else { Ok(()) }
}

/// Sees to it that process 0 tells what becomes of the input: of one that ends how far it is, and in the end the rest; of
/// one that does not, what matches nothing in it.
fn tell_of_input(settings: &Settings, job: &Job, outputs: &Outputs) -> Result<Option<Progress>, Failure> {
    match (settings.shape.process, settings.source.url.is_bounded()) {
        (0, true) => Progress::start(job, !outputs.on_terminal()).map(Some),
        (0, false) if settings.source.url.states().is_none() => unmatched::warn(job).map(|()| None),
        _ => Ok(None),
    }
}

/// All that can be taken before the job begins.
struct Opened {
    ready_file: Option<ReadyFile>,
    port: Option<Bound>,
    state: Option<Arc<JobState>>,
    run: Run,
    source: Input,
    archive: Option<ArchiveWriter>,
    outputs: Outputs,
    rejects: Option<Arc<Rejects>>,
    ingest: Option<Arc<Ingest>>,
}

impl Opened {
    fn open(settings: &Settings, meeting: Option<&Meeting>, started: Instant) -> Result<Self, Failure> {
        let ready_file = settings.ready_file.as_deref().map(ReadyFile::prepare).transpose()?;
        let port = settings.http.listen.as_deref().map(http::take_port).transpose()?;
        blocklists::follow(&settings.spec)?;
        let log = open_log(&settings.source)?;
        if settings.shape.standby {
            notify::ready("standing by");
        }
        let state =
            match settings.state.as_ref().filter(|_| settings.shape.standby && settings.shape.process == 0) {
                Some(place) => Some(Arc::new(standby::take_over(settings, place, port.as_ref(), started)?)),
                None => state::open(settings, wall_clock_ms().unsigned_abs())?,
            };
        if let Some(state) = &state {
            state.show_life().map_err(Failure::of)?;
        }
        let of_another = meeting.filter(|_| settings.shape.process != 0);
        // Only process 0 knows where a state says to begin; the others hear it.
        let told = of_another.filter(|_| settings.state.is_some()).map(meet::run).transpose()?;
        let run = told
            .clone()
            .unwrap_or_else(|| state::run(settings, state.as_deref(), wall_clock_ms().unsigned_abs()));
        if let Some(meeting) = meeting.filter(|_| settings.shape.process == 0) {
            meeting.tell(run.clone());
        }
        let (source, archive) = open(settings, log.clone(), run.resume.as_ref())?;
        match (&run.resume, &state) {
            (Some(resume), _) => state::tell(&settings.spec, &settings.source, resume),
            (None, Some(_)) => state::tell_new(settings),
            (None, None) => {}
        }
        let publishes = if source.bounded() { Publishes::Bounded } else { Publishes::Live };
        let outputs = Outputs::open(settings, publishes)?;
        let rejects = rejects(settings)?;
        let ingest = match port {
            Some(_) => {
                let spec = Arc::new(settings.spec.clone());
                let SourceSettings { url, kafka, .. } = &settings.source;
                ingest::open(&settings.http, (url.kafka(), kafka), log.as_ref(), &spec)?
            }
            None => None,
        };
        if let Some(meeting) = of_another {
            seed::check(settings, &told.map_or_else(|| meet::run(meeting), Ok)?)?;
        }
        Ok(Opened { ready_file, port, state, run, source, archive, outputs, rejects, ingest })
    }
}

/// The embedded log, which the job reads and the API writes.
fn open_log(source: &SourceSettings) -> Result<Option<Arc<Log>>, Failure> {
    let log = source.url.embedded().map(Log::open).transpose();
    log.map_err(|error| match error {
        SourceError::Invalid { .. } => Failure::Usage(error.to_string()),
        error => Failure::of(error),
    })
}

fn open(
    settings: &Settings,
    log: Option<Arc<Log>>,
    resume: Option<&Resume>,
) -> Result<(Input, Option<ArchiveWriter>), Failure> {
    let source = &settings.source;
    if let Some(states) = source.url.states() {
        let regions = regions::open(states, source, &settings.spec, resume)?;
        return Ok((Input::Regions(regions), None));
    }
    let options = SourceOptions { log, ..state::source_options(source, resume) };
    let store = settings.archive.as_ref().map(archive::open).transpose()?;
    let opened = match (&settings.archive, store) {
        (Some(archive), Some(store)) => {
            let tee = archive::options(archive, settings.shape.process == 0);
            open_archived(&source.url, &options, store, &tee).map(|(source, writer)| (source, Some(writer)))
        }
        _ => open_source(&source.url, &options).map(|source| (source, None)),
    };
    let (opened, archive) = opened.map_err(|error| match error {
        SourceError::Lost { .. } | SourceError::Invalid { .. } if resume.is_some() => {
            state::cannot_resume(&error)
        }
        SourceError::Invalid { .. } => Failure::Usage(error.to_string()),
        _ => Failure::of(error),
    })?;
    if let Some(resume) = resume {
        state::check_identity(source, opened.identity().as_deref(), resume)?;
    }
    Ok((opened.into(), archive))
}

fn job(
    settings: &Settings,
    source: Input,
    outputs: &Outputs,
    run: Run,
    state: Option<Arc<JobState>>,
    rejects: Option<Arc<Rejects>>,
    registry: Option<Arc<dyn Registry>>,
) -> Job {
    let shape = &settings.shape;
    Job {
        spec: Arc::new(settings.spec.clone()),
        source,
        sink: outputs.sink(),
        registry,
        rejects,
        view: Arc::new(JobView::new(shape.workers, shape.workers * shape.processes)),
        workers_per_process: shape.workers,
        epoch: run.epoch,
        resume: run.resume,
        range: None,
        audit: None,
        state,
    }
}

/// Asks the schema registry, where there is one.
///
/// # Errors
/// Its client cannot be started.
pub(crate) fn registry(settings: &Settings) -> Result<Option<Arc<dyn Registry>>, Failure> {
    let options = settings.source.registry.clone().filter(|_| settings.spec.format.wants_registry());
    Ok(options.map(start_registry).transpose()?.map(|schemas| schemas as Arc<dyn Registry>))
}

/// Starts the client of a schema registry.
///
/// # Errors
/// It cannot be started.
pub(crate) fn start_registry(options: RegistryOptions) -> Result<Arc<Schemas>, Failure> {
    let started = SchemaRegistry::start(options);
    let registry = started.map_err(|error| Failure::Failed(format!("source.registry: {error}")))?;
    Ok(Arc::new(Schemas(registry)))
}

/// Where refused records are kept, where they are.
pub(crate) fn rejects(settings: &Settings) -> Result<Option<Arc<Rejects>>, Failure> {
    let rejects = settings.rejects.as_deref().map(|path| {
        Rejects::create(path)
            .map(Arc::new)
            .map_err(|error| Failure::Failed(format!("--rejects {}: {error}", path.display())))
    });
    rejects.transpose()
}

/// What the API shows of the job; events that are sent to it go nowhere.
fn shown(settings: &Settings, job: &Job, outputs: &Outputs, started: Instant) -> Shown {
    Shown {
        spec: job.spec.clone(),
        rankings: Rankings::Job(outputs.store()),
        view: job.view.clone(),
        past: state::past(settings.state.as_ref()),
        source: Some(settings.source.url.to_string()),
        ingest: None,
        archive: None,
        process: settings.shape.process,
        started,
        redis: outputs.redis(),
        outboxes: outputs.outboxes(),
        telemetry: None,
    }
}

fn serve(port: Bound, settings: &Settings, shown: Shown) -> Result<Measured, Failure> {
    let address = port.address()?;
    warn_of_open_access(address, &settings.http.policy);
    let (_, measured) = port.serve(shown, &descriptors::fitted(&settings.http.policy))?;
    tracing::info!("http://{address}");
    Ok(measured)
}

/// One line that says what runs.
fn tell(settings: &Settings) {
    let (shape, boards) = (&settings.shape, &settings.spec.boards);
    let names: Vec<&str> = boards.iter().map(|board| &*board.name).collect();
    let shards = settings.snapshots.shards.iter().map(|shard| shard.url.to_string());
    let snapshots: Vec<String> =
        settings.snapshots.urls.iter().map(ToString::to_string).chain(shards).collect();
    let state = settings.state.as_ref().map_or("nowhere".into(), |state| without_secrets(&state.url));
    let archive = settings.archive.as_ref().map(|archive| without_secrets(&archive.url));
    tracing::info!(
        source = settings.source.url.to_string(),
        snapshots = snapshots.join(" "),
        state,
        archive,
        boards = names.join(" "),
        workers = shape.workers,
        process = format!("{} of {}", shape.process, shape.processes),
        "crest {}",
        env!("CARGO_PKG_VERSION")
    );
}

/// Warns where other machines can reach the API and no token is set.
pub(crate) fn warn_of_open_access(address: SocketAddr, policy: &Policy) {
    let Access { ingest, read } = &policy.access;
    if !address.ip().is_loopback() && (ingest.is_empty() || read.is_empty()) {
        let whom = if read.is_empty() { "read, and maybe send events" } else { "send events" };
        tracing::warn!(
            "{address} is open to other machines, and whoever reaches it may {whom}: no token is set"
        );
    }
}

/// Runs the workers to their end. When the wish to stop was seen, if it was.
pub(crate) fn work(
    settings: &Settings,
    joined: Option<Joined>,
    job: &Job,
    stop: &Stop,
    outputs: &Outputs,
) -> Result<Option<Instant>, Failure> {
    let shape = &settings.shape;
    let watch = Watch::start(job.view.clone(), shape.workers, joined.is_some())?;
    if joined.is_some() {
        exit::end_on_lost_connection(job.view.clone());
    }
    stop.applies_to(job.view.clone());
    outputs.stop_when_nobody_reads(&job.view)?;
    let (theirs, watched) = (job.clone(), watch.clone());
    let guards = workers::start(shape, joined, move |worker| match run_worker(worker, &theirs) {
        Ok(()) => watched.worker_ended(),
        // The other workers, here and elsewhere, would wait for this one.
        Err(error) => die(STATUS_FAILED, &error.to_string()),
    });
    let guards = guards.map_err(Failure::Failed)?;
    // Threads that lost a faster process while stopping have panicked, and were heard and let pass.
    let _ = catch_unwind(AssertUnwindSafe(|| guards.join()));
    Ok(watch.over())
}

/// By when all that is written at the end must be.
fn deadline(stop_wished: Option<Instant>) -> Instant {
    stop_wished.map_or(Instant::now() + FLUSH_DEADLINE, |at| at + STOP_DEADLINE - STOP_MARGIN)
}

/// Delivers the last snapshots. After a stop there is little time, and a server that is down then is no failure
/// of the stop.
fn deliver(outputs: &Outputs, stop_wished: Option<Instant>) -> Result<(), Failure> {
    let deadline = deadline(stop_wished);
    let flushed = outputs.flush(deadline);
    outputs.close(deadline);
    match flushed {
        Err(error @ SinkError::Unreachable { .. }) if stop_wished.is_some() => {
            tracing::warn!(%error, "stopped before all snapshots were delivered");
            Ok(())
        }
        flushed => flushed.map_err(Failure::of),
    }
}
