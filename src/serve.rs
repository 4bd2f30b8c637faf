//! `crest serve`: the API without a job. Every ranking comes from a job's state, which is only read, so that any number
//! of these can stand beside one job or after it.

use crate::Failure;
use crate::args::ServeArgs;
use crate::http::{self, Api, PastRankings, Shown};
use crate::launch::state::cannot_open;
use crate::settings::{ServeSettings, StateSettings};
use crest_connectors::memory::MemoryStore;
use crest_connectors::state::StateStore;
use crest_dataflows::spec::{JobSpec, TimeSpec};
use crest_dataflows::state::history::History;
use crest_dataflows::status::JobView;
use std::sync::Arc;
use std::time::Instant;

/// Serves until the process is told to end, which it may at any moment.
///
/// # Errors
/// There is no state, it cannot be read, or the port is taken.
pub fn run(args: &ServeArgs) -> Result<(), Failure> {
    let started = Instant::now();
    let ServeSettings { state: StateSettings { url, options, .. }, listen, http } =
        ServeSettings::load(args)?;
    let port = http::take_port(&listen)?;
    let store = StateStore::open_to_read(&url, &options).map_err(cannot_open)?;
    let history = History::open(store).map_err(Failure::of)?;
    let time = TimeSpec { pane: history.pane().map_err(Failure::of)?, ..TimeSpec::default() };
    let boards = history.boards().map_err(Failure::of)?;
    let spec = JobSpec { boards, time, ..JobSpec::default() };
    let address = port.address().map_err(Failure::of)?;
    let shown = Shown {
        spec: Arc::new(spec),
        store: Arc::new(MemoryStore::new()),
        view: Arc::new(JobView::new(0, 0)),
        live: false,
        past: Some(Arc::new(PastRankings::new(&url, &options))),
        source: None,
        ingest: None,
        process: 0,
        started,
        redis: Vec::new(),
    };
    let serving = port.serve(Arc::new(Api::new(shown, &http))).map_err(Failure::of)?;
    tracing::info!("http://{address}");
    serving.join().map_err(|_| Failure::Failed("the API has ended".into()))
}
