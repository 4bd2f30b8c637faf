//! A process that stands by for the job on its state: it waits until nothing is heard of that job, shows meanwhile what the
//! state has, and takes over then.

use super::descriptors;
use super::state::{cannot_open, open_as, past, refused};
use crate::failure::Failure;
use crate::http::{Bound, Rankings, Served, Shown, StandbyView};
use crate::settings::{Settings, StateSettings};
use crest_connectors::outage::Outage;
use crest_connectors::state::{StateError, StateStore};
use crest_connectors::without_secrets;
use crest_dataflows::status::JobView;
use crest_host::clock::wall_clock_ms;
use crest_state::error::StateRefusal;
use crest_state::job_state::JobState;
use crest_state::standby::{Sight, Standby, Why};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two looks at the state.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Waits until the job on the state is gone, and opens the state. `port` is where it is shown meanwhile that this process
/// waits.
///
/// # Errors
/// The state is damaged, or of another job than this one; or the API cannot be served.
pub fn take_over(
    settings: &Settings,
    place: &StateSettings,
    port: Option<&Bound>,
    started: Instant,
) -> Result<JobState, Failure> {
    let store = StateStore::open(&place.url, &place.options).map_err(cannot_open)?;
    let view = Arc::new(StandbyView::default());
    let served = port.map(|port| serve(port, settings, place, view.clone(), started)).transpose()?;
    let identity = settings.source.identity();
    let mut standby = Standby::new(store.clone(), &settings.spec, &identity, &place.reset);
    let mut watch = Watch::new(&place.url, view);
    let state = loop {
        let sight = standby.look().map_err(refused)?;
        watch.note(&sight);
        if let Sight::Free(seen, why) = sight {
            match open_as(
                settings,
                place,
                store.clone(),
                (&identity, Some(&seen)),
                wall_clock_ms().unsigned_abs(),
            ) {
                Ok(state) => {
                    tell(&place.url, why);
                    break state;
                }
                // Another one was first, or the job was not gone.
                Err(StateRefusal::Store(StateError::Superseded { .. })) => {}
                Err(StateRefusal::Store(error)) => watch.note(&Sight::Unreadable(error.to_string())),
                Err(refusal) => return Err(refused(refusal)),
            }
        }
        std::thread::sleep(LOOK_AGAIN);
    };
    served.into_iter().for_each(Served::close);
    Ok(state)
}

fn tell(url: &str, why: Why) {
    let url = without_secrets(url);
    match why {
        Why::Released => tracing::info!("taking over: the job on {url} was stopped"),
        Why::Silent(time) => {
            tracing::warn!(
                "taking over: nothing was heard of the job on {url} for {:.1} s",
                time.as_secs_f64()
            );
        }
        Why::Unclaimed(_) => tracing::info!("beginning: there is no job on {url}"),
    }
}

/// Serves what the state has, and that this process waits.
fn serve(
    port: &Bound,
    settings: &Settings,
    place: &StateSettings,
    view: Arc<StandbyView>,
    started: Instant,
) -> Result<Served, Failure> {
    let shown = Shown {
        spec: Arc::new(settings.spec.clone()),
        rankings: Rankings::Standby(view),
        view: Arc::new(JobView::new(0, 0)),
        past: past(Some(place)),
        source: Some(settings.source.url.to_string()),
        ingest: None,
        archive: None,
        process: settings.shape.process,
        started,
        redis: Vec::new(),
        outboxes: Vec::new(),
        telemetry: None,
    };
    let served = port.serve_until_closed(shown, &descriptors::fitted(&settings.http.policy))?;
    tracing::info!("http://{}", port.address()?);
    Ok(served)
}

/// Says what is seen, when it changes.
struct Watch {
    url: String,
    view: Arc<StandbyView>,
    epoch: Option<Option<u64>>,
    outage: Outage,
}

impl Watch {
    fn new(url: &str, view: Arc<StandbyView>) -> Self {
        Watch { url: without_secrets(url), view, epoch: None, outage: Outage::default() }
    }

    fn note(&mut self, sight: &Sight) {
        self.view.note(sight);
        let epoch = match sight {
            Sight::Unreadable(reason) => {
                if self.outage.begin(reason.clone()) {
                    tracing::warn!("the state cannot be used, and who stands by cannot take over: {reason}");
                }
                return;
            }
            Sight::Lives { epoch } => Some(*epoch),
            Sight::Nothing => None,
            Sight::Free(..) => return,
        };
        if self.outage.end().is_some() {
            tracing::info!("the state can be used again");
        }
        if self.epoch.replace(epoch) != Some(epoch) {
            match epoch {
                Some(epoch) => tracing::info!("standing by for the job on {}, of epoch {epoch}", self.url),
                None => tracing::info!("standing by: there is no job on {} yet", self.url),
            }
        }
    }
}
