//! The state whose stored panes are judged, where there is one.

use super::scope::Scope;
use super::spots::Spots;
use crate::args::AuditArgs;
use crate::failure::Failure;
use crate::launch::state;
use crate::replay::range;
use crate::settings::{Settings, StateSettings};
use crest_connectors::state::StateStore;
use crest_dataflows::windows::past::PastWindows;
use crest_state::error::StateRefusal;
use crest_state::histories::Histories;
use crest_state::history::History;
use crest_state::pane::Pane;
use crest_state::spec::BoardSpec;
use std::ops::Range;

/// The state that is judged.
pub struct StoredState(StateStore);

impl StoredState {
    /// The state that was asked for; or else the one that is configured, or usual, where a job has left any there.
    /// `None` where rankings are to be judged instead.
    ///
    /// # Errors
    /// It cannot be read, or is another job's.
    pub fn open(settings: &Settings, args: &AuditArgs) -> Result<Option<StoredState>, Failure> {
        let Some(StateSettings { url, options, .. }) =
            settings.state.as_ref().filter(|_| args.rankings.is_none())
        else {
            return Ok(None);
        };
        let asked = args.run.state.is_some();
        let store = match StateStore::open_to_read(url, options) {
            Ok(store) => store,
            Err(error) if asked => return Err(state::cannot_open(error)),
            Err(error) => {
                tracing::info!("{error}: judging the sketch engine itself");
                return Ok(None);
            }
        };
        let identity = state::identity(&settings.source)?;
        match PastWindows::open(store.clone(), &settings.spec, &identity, 0, &(0..0)) {
            Ok(_) => Ok(Some(StoredState(store))),
            Err(error @ StateRefusal::NoManifest { .. }) if !asked => {
                tracing::info!("{error}: judging the sketch engine itself");
                Ok(None)
            }
            Err(StateRefusal::NoManifest { url }) => {
                Err(Failure::Usage(format!("--state = {url:?}: no job has kept its state there")))
            }
            Err(error) => Err(state::refused(error)),
        }
    }

    /// Where it is, without secrets.
    pub fn url(&self) -> &str {
        self.0.url()
    }

    /// Up to which pane it has counted.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn durable(&self, settings: &Settings) -> Result<Pane, Failure> {
        range::durable(settings, self.0.clone())
    }

    /// The spot checks of a board, of which these times (ms since 1970 UTC) are judged.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn spots(&self, board: &BoardSpec, scope: &Scope, times: &Range<i64>) -> Result<Spots, Failure> {
        let history = History::open(self.0.clone()).map_err(state::refused)?;
        let history = Histories::of("".into(), history, Vec::new()).map_err(Failure::of)?;
        Ok(Spots::new(history, board, scope, times))
    }

    /// The windows of these boards that lie in the range, or in all that was counted; and the panes, of the range, that
    /// were.
    ///
    /// # Errors
    /// It cannot be read, or has nothing of the range.
    pub fn windows(
        &self,
        settings: &Settings,
        boards: &[usize],
        range: Option<Range<Pane>>,
    ) -> Result<(Option<Range<Pane>>, Vec<PastWindows>), Failure> {
        let identity = state::identity(&settings.source)?;
        let (mut panes, mut windows) = (range.unwrap_or(0..Pane::MAX), Vec::new());
        for board in boards {
            let past = PastWindows::open(self.0.clone(), &settings.spec, &identity, *board, &panes);
            let past = past.map_err(state::refused)?;
            // The job may go on meanwhile.
            panes = past.panes();
            windows.push(past);
        }
        if panes.is_empty() {
            return Err(Failure::Failed(format!("{}: nothing of the range was counted there", self.url())));
        }
        Ok((Some(panes), windows))
    }
}
