//! `crest serve`: the API without a job. Rankings come from the Redis in which a job publishes, or from its state; both are
//! only read, so that any number of these can stand beside one job or after it.

use crate::args::ServeArgs;
use crate::failure::Failure;
use crate::http::{self, PastRankings, Rankings, Shown};
use crate::launch::{blocklists, descriptors, ingest, notify, warn_of_open_access};
use crate::mirror::Mirror;
use crate::settings::{IngestTo, ServeSettings};
use crest_connectors::endpoint::RedisUrl;
use crest_connectors::redis::RedisOptions;
use crest_connectors::without_secrets;
use crest_dataflows::status::JobView;
use crest_state::spec::{JobSpec, TimeSpec};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rankings of Redis are looked at as often as the job publishes them, but no more often.
const LEAST_PERIOD: Duration = Duration::from_millis(200);

/// Serves until the process is told to end, which it may at any moment.
///
/// # Errors
/// There is no state, it or Redis cannot be read, Kafka cannot be reached, or the port is taken.
pub fn run(args: &ServeArgs) -> Result<(), Failure> {
    let started = Instant::now();
    notify::Pulse::start()?;
    let settings = ServeSettings::load(args)?;
    let port = http::take_port(&settings.listen)?;
    let address = port.address()?;
    let spec = Arc::new(spec(&settings)?);
    blocklists::follow(&spec)?;
    let mirror = settings.redis.as_ref().map(|redis| mirror(redis, &spec)).transpose()?;
    let shown = Shown {
        ingest: ingest::open(&settings.http, (settings.topics.as_ref(), &settings.kafka), None, &spec)?,
        spec,
        rankings: mirror.map_or(Rankings::State, Rankings::Mirror),
        view: Arc::new(JobView::new(0, 0)),
        past: past(&settings),
        source: None,
        archive: None,
        process: 0,
        started,
        redis: Vec::new(),
        outboxes: Vec::new(),
        telemetry: None,
    };
    warn_of_open_access(address, &settings.http.policy);
    let (serving, _) = port.serve(shown, &descriptors::fitted(&settings.http.policy))?;
    tracing::info!("http://{address}");
    tell(&settings);
    notify::ready("serving");
    serving.join().map_err(|_| Failure::Failed("the API has ended".into()))
}

/// One line that says what runs.
fn tell(settings: &ServeSettings) {
    let redis = settings.redis.iter().map(|(url, _)| url.to_string());
    let state = settings.states.iter().map(|state| without_secrets(&state.url));
    let rankings: Vec<String> = redis.chain(state).collect();
    let events = match &settings.http.ingest {
        IngestTo::Topic(url) => Some(url.to_string()),
        IngestTo::Default | IngestTo::Source => settings.topics.as_ref().map(ToString::to_string),
        IngestTo::Off => None,
    };
    let events = events.unwrap_or_else(|| "nowhere".to_owned());
    tracing::info!("serving rankings from {}; events go to {events}", rankings.join(" and "));
}

fn past(settings: &ServeSettings) -> Option<Arc<PastRankings>> {
    let places = Some(&settings.states).filter(|places| !places.is_empty())?;
    Some(Arc::new(PastRankings::new(places.clone())))
}

/// The boards of the file, or else those of the state, or of the states of all regions.
fn spec(settings: &ServeSettings) -> Result<JobSpec, Failure> {
    if settings.states.is_empty() || (settings.boards_known && settings.states.len() == 1) {
        return Ok(settings.spec.clone());
    }
    let history = http::open_histories(&settings.states).map_err(Failure::of)?;
    if settings.boards_known {
        return Ok(settings.spec.clone());
    }
    let time = TimeSpec { pane: history.pane().map_err(Failure::of)?, ..settings.spec.time.clone() };
    let boards = history.boards().map_err(Failure::of)?;
    Ok(JobSpec { boards, time, ..settings.spec.clone() })
}

fn mirror((url, key_prefix): &(RedisUrl, String), spec: &Arc<JobSpec>) -> Result<Arc<Mirror>, Failure> {
    let options = RedisOptions { key_prefix: key_prefix.clone(), ..RedisOptions::new(url.clone()) };
    Mirror::start(options, spec.clone(), spec.time.refresh.max(LEAST_PERIOD))
}
