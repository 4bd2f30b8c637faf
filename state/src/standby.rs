//! What a process that stands by sees of the job on its state, and when it is to take over.

use crate::claim::read_for_run;
use crate::error::StateRefusal;
use crate::identity::Identity;
use crate::lease::{Heartbeat, SILENCE};
use crate::manifest::Manifest;
use crate::pane::Pane;
use crate::spec::JobSpec;
use crest_connectors::state::{StateError, StateStore, Version};
use crest_host::clock;
use std::time::{Duration, Instant};

/// A standby takes over a state whose job says nothing of its life, since it is of an older release, when it has seen no
/// change for so long.
const SILENCE_OF_OTHERS: Duration = Duration::from_secs(60);

/// A state as it was seen, by which it is known again.
#[derive(Clone, Debug)]
pub struct Seen(Option<Version>);

impl Seen {
    /// Whether this is its version; `None` is of a state that nobody has written.
    pub(super) fn is(&self, version: Option<&Version>) -> bool {
        self.0.as_ref() == version
    }
}

/// What a look at the state has shown.
#[derive(Clone, Debug)]
pub enum Sight {
    /// The job lives, or has not been silent for long enough.
    Lives {
        /// The epoch of its newest run.
        epoch: u64,
    },
    /// There is nothing yet. Whoever was started with this process may be about to begin.
    Nothing,
    /// The state is to be taken over, if it is still as it was seen.
    Free(Seen, Why),
    /// The store cannot be used just now, and why.
    Unreadable(String),
}

/// Why a state is to be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its job was stopped.
    Released,
    /// Nothing was heard of its job for so long.
    Silent(Duration),
    /// There was none for so long.
    Unclaimed(Duration),
}

/// Watches the job on a state.
pub struct Standby<'a> {
    store: StateStore,
    identity: Identity,
    seed: Option<u64>,
    reset: &'a [String],
    /// The signs of life that were seen last, and since when; none where there is no manifest.
    last: Option<(Option<Signs>, Instant)>,
}

/// What of a manifest changes while its job lives. A backfill changes the rest, also beside a job that is dead.
#[derive(Clone, Debug, PartialEq)]
struct Signs {
    epoch: u64,
    heartbeat: Option<Heartbeat>,
    /// How far a job is that has no heartbeat.
    durable: Pane,
    published: Pane,
}

impl Signs {
    fn of(manifest: &Manifest) -> Self {
        let Manifest { live, heartbeat, published, .. } = manifest;
        Signs {
            epoch: live.epoch,
            heartbeat: heartbeat.clone(),
            durable: live.durable,
            published: *published,
        }
    }
}

impl<'a> Standby<'a> {
    /// Watches for a run of this job, which would open the state with these boards reset.
    pub fn new(store: StateStore, spec: &JobSpec, source: &str, reset: &'a [String]) -> Self {
        let (identity, seed) = (Identity::of(spec, source), spec.sketch.named_seed());
        Standby { store, identity, seed, reset, last: None }
    }

    /// Looks at the state once.
    ///
    /// # Errors
    /// The state is damaged, or this job could not go on with it.
    pub fn look(&mut self) -> Result<Sight, StateRefusal> {
        let looked = clock::now();
        let found = match read_for_run(&self.store, &self.identity, self.seed, self.reset) {
            // What was read before may be read again: access that is refused, too, may be put right.
            Err(StateRefusal::Store(error))
                if self.last.is_some() || matches!(error, StateError::Unreachable { .. }) =>
            {
                // The job may have been cut off from it, too, and has its time to say that it lives.
                self.last.iter_mut().for_each(|(_, since)| *since = clock::now());
                return Ok(Sight::Unreadable(error.to_string()));
            }
            found => found?,
        };
        let version = found.as_ref().map(|(_, version, _)| version.clone());
        let signs = found.as_ref().map(|(manifest, ..)| Signs::of(manifest));
        // What was seen is as old as the end of the look that saw it first: it may have been written until then.
        let since = match &self.last {
            Some((last, since)) if *last == signs => *since,
            _ => clock::now(),
        };
        self.last = Some((signs, since));
        let (silence, seen) = (looked.saturating_duration_since(since), Seen(version));
        let Some((manifest, ..)) = found else {
            let waits = silence < SILENCE;
            return Ok(if waits { Sight::Nothing } else { Sight::Free(seen, Why::Unclaimed(silence)) });
        };
        let (released, patience) = match &manifest.heartbeat {
            Some(heartbeat) => (heartbeat.released, SILENCE),
            None => (false, SILENCE_OF_OTHERS),
        };
        Ok(match () {
            () if released => Sight::Free(seen, Why::Released),
            () if silence >= patience => Sight::Free(seen, Why::Silent(silence)),
            () => Sight::Lives { epoch: manifest.live.epoch },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job_state::{JobState, OpenOptions};
    use crate::manifest::Part;
    use crate::manifest::tests::levels;
    use crate::retention::Retention;
    use crest_connectors::state::Fault;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn open(store: &StateStore, options: &OpenOptions<'_>) -> Result<JobState, StateRefusal> {
        JobState::open_with(
            store.clone(),
            &JobSpec::default(),
            "kafka:events",
            &Retention::default(),
            1,
            options,
        )
    }

    fn standby(store: &StateStore) -> Standby<'static> {
        Standby::new(store.clone(), &JobSpec::default(), "kafka:events", &[])
    }

    /// Has the standby think that it has seen the same for so long.
    fn pass(standby: &mut Standby<'_>, time: Duration) {
        let (signs, since) = standby.last.take().unwrap();
        standby.last = Some((signs, since.checked_sub(time).unwrap()));
    }

    const LIVES: OpenOptions<'static> =
        OpenOptions { reset: &[], bounded: false, heartbeat: true, seen: None };

    #[test]
    fn a_state_is_taken_over_when_its_job_is_silent_and_by_one_only() {
        let store = StateStore::in_memory();
        let (mut one, mut other) = (standby(&store), standby(&store));
        assert!(matches!((one.look(), other.look()), (Ok(Sight::Nothing), Ok(Sight::Nothing))));
        pass(&mut one, SILENCE);
        let Ok(Sight::Free(seen, Why::Unclaimed(_))) = one.look() else { panic!("nobody has it") };
        let first = open(&store, &OpenOptions { seen: Some(&seen), ..LIVES }).unwrap();
        pass(&mut other, SILENCE);
        assert!(
            matches!(other.look(), Ok(Sight::Lives { epoch }) if epoch == first.epoch()),
            "it has changed"
        );

        pass(&mut one, SILENCE);
        one.look().unwrap();
        for standby in [&mut one, &mut other] {
            pass(standby, SILENCE);
        }
        let Ok(Sight::Free(seen, Why::Silent(_))) = one.look() else { panic!("its job is silent") };
        let Ok(Sight::Free(late, Why::Silent(_))) = other.look() else { panic!("its job is silent") };
        let second = open(&store, &OpenOptions { seen: Some(&seen), ..LIVES }).unwrap();
        assert!(second.epoch() > first.epoch());
        let refused = open(&store, &OpenOptions { seen: Some(&late), ..LIVES });
        assert!(matches!(refused, Err(StateRefusal::Store(StateError::Superseded { .. }))));
    }

    #[test]
    fn a_job_without_a_heartbeat_may_be_silent_for_longer() {
        let store = StateStore::in_memory();
        let job = open(&store, &OpenOptions { heartbeat: false, ..LIVES }).unwrap();
        let mut standby = standby(&store);
        standby.look().unwrap();
        pass(&mut standby, SILENCE);
        assert!(matches!(standby.look(), Ok(Sight::Lives { .. })));
        pass(&mut standby, SILENCE_OF_OTHERS - SILENCE);
        assert!(matches!(standby.look(), Ok(Sight::Free(..))));
        assert!(job.may_publish(), "it has no lease");
    }

    #[test]
    fn a_store_that_cannot_be_read_is_no_silence() {
        let (store, cut) = (StateStore::in_memory(), Arc::new(AtomicBool::new(false)));
        let theirs = cut.clone();
        let fault =
            move |_: &str, _: &str| if theirs.load(Ordering::SeqCst) { Fault::Fail } else { Fault::Pass };
        let _job = open(&store, &LIVES).unwrap();
        let mut standby = standby(&store.clone().with_faults(Arc::new(fault)));
        standby.look().unwrap();
        cut.store(true, Ordering::SeqCst);
        pass(&mut standby, SILENCE * 3);
        assert!(matches!(standby.look(), Ok(Sight::Unreadable(_))));
        cut.store(false, Ordering::SeqCst);
        assert!(matches!(standby.look(), Ok(Sight::Lives { .. })), "the job could not write either");
        pass(&mut standby, SILENCE);
        assert!(matches!(standby.look(), Ok(Sight::Free(..))));
    }

    #[test]
    fn a_backfill_that_writes_the_manifest_is_no_life_of_the_job() {
        let store = StateStore::in_memory();
        let job = open(&store, &LIVES).unwrap();
        let mut standby = standby(&store);
        standby.look().unwrap();
        pass(&mut standby, SILENCE);
        let found = store.manifest().unwrap().unwrap();
        let mut manifest = Manifest::decode(&found.bytes).unwrap();
        manifest.claim(&Part::Backfill(5..9), 1, &levels());
        store.replace_manifest(manifest.encode().unwrap(), Some(&found.version)).unwrap();
        let Ok(Sight::Free(seen, Why::Silent(_))) = standby.look() else { panic!("the job is silent") };
        let next = open(&store, &OpenOptions { seen: Some(&seen), ..LIVES }).unwrap();
        assert!(next.epoch() > job.epoch());
    }

    #[test]
    fn another_job_is_refused() {
        let store = StateStore::in_memory();
        let _job = open(&store, &LIVES).unwrap();
        let spec = JobSpec::default();
        let refused = Standby::new(store, &spec, "kafka:others", &[]).look();
        assert!(matches!(refused, Err(StateRefusal::OtherJob { field, .. }) if field == "source"));
    }
}
