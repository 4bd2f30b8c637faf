//! Ranks a sample by the job itself: its decoder, its event time, its boards and its windows.

use super::replay::Replay;
use super::sample::Sample;
use crate::account::Account;
use crate::failure::Failure;
use crate::launch::{self, Outputs, Publishes, Stop};
use crate::settings::Settings;
use crest_connectors::endpoint::SinkUrl;
use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::Snapshot;
use crest_dataflows::job::Job;
use crest_dataflows::status::JobView;
use crest_formats::decode::Registry;
use crest_state::input::Input;
use crest_state::spec::WindowSpec;
use std::sync::Arc;

/// The window in which the sample is ranked.
const WINDOW: &str = "sample";

/// What a job made of a sample.
pub struct Counted {
    /// Of each board, in the order of the configuration; none of those that counted nothing.
    pub rankings: Vec<Arc<Snapshot>>,
    /// What became of the records.
    pub account: Account,
}

/// Runs the job of these settings over a sample, with rankings of `k` rows.
///
/// # Errors
/// The threads of the job cannot be started.
pub fn count(
    mut settings: Settings,
    sample: Arc<Sample>,
    registry: Option<Arc<dyn Registry>>,
    k: usize,
    stop: &Stop,
) -> Result<Counted, Failure> {
    for board in &mut settings.spec.boards {
        board.windows = vec![WindowSpec::whole(WINDOW)];
        board.counters = false;
        board.k = k;
    }
    settings.snapshots.urls = vec![SinkUrl::Memory];
    settings.snapshots.shards.clear();
    settings.snapshots.changes.clear();
    let outputs = Outputs::open(&settings, Publishes::Bounded)?;
    let job = Job {
        spec: Arc::new(settings.spec.clone()),
        source: Input::Records(Arc::new(Replay(sample))),
        sink: outputs.sink(),
        registry,
        rejects: None,
        view: Arc::new(JobView::new(1, 1)),
        workers_per_process: 1,
        epoch: 1,
        resume: None,
        range: None,
        audit: None,
        state: None,
    };
    if launch::work(&settings, None, &job, stop, &outputs)?.is_some() {
        return Err(Failure::Failed("stopped before all was counted".to_owned()));
    }
    let store = outputs.store();
    let ranking = |name: &Arc<str>| {
        store.latest_final(name, WINDOW, &GroupKey::WHOLE).filter(|ranking| ranking.total > 0)
    };
    let rankings = settings.spec.boards.iter().filter_map(|board| ranking(&board.name)).collect();
    Ok(Counted { rankings, account: Account::of(&job.spec, &job.view) })
}
