//! What a process that stands by for a job says of itself.

use crest_state::standby::Sight;
use parking_lot::Mutex;
use std::time::Instant;

/// What was seen of the job that is stood by for.
#[derive(Debug, Default)]
pub struct StandbyView(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    epoch: Option<u64>,
    unreadable: Option<(Instant, String)>,
}

impl StandbyView {
    /// Notes what a look has shown.
    pub fn note(&self, sight: &Sight) {
        let mut seen = self.0.lock();
        match sight {
            Sight::Lives { epoch } => *seen = Seen { epoch: Some(*epoch), unreadable: None },
            Sight::Nothing => *seen = Seen::default(),
            Sight::Unreadable(reason) if seen.unreadable.is_none() => {
                seen.unreadable = Some((Instant::now(), reason.clone()));
            }
            Sight::Unreadable(_) | Sight::Free(..) => {}
        }
    }

    /// What `/readyz` says of it: it is never ready to do the job's work.
    pub fn account(&self) -> String {
        let seen = self.0.lock();
        let whose =
            seen.epoch.map_or("a job that has not begun".into(), |epoch| format!("the job of epoch {epoch}"));
        match &seen.unreadable {
            Some((since, reason)) => format!(
                "stands by for {whose}, and cannot take over: the state cannot be used for {} s: {reason}",
                since.elapsed().as_secs()
            ),
            None => format!("stands by for {whose}"),
        }
    }
}
