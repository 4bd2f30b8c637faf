//! What is told of those who were not let in: a line in the log now and then, however many they are; and of each process
//! that is still missing, what was met in its place. None of it ends anything, since anybody can bring it about.

use super::distrust::Distrust;
use super::proof::ProofError;
use parking_lot::Mutex;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

/// Between two lines of one kind.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// Why somebody is not let in; what it is or does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It speaks something else, or nothing and went away.
    Stranger,
    /// It took too long.
    Silent,
    /// There was no room for it.
    Crowded,
    /// Its handshake has another version.
    Version(u32),
    /// It does not know the secret.
    Secret,
    /// It speaks TLS, and this process does not.
    Tls,
    /// Its certificate is not trusted, or it does not trust this process's.
    Distrust(Distrust),
}

/// How many kinds there are.
const KINDS: usize = 6 + Distrust::KINDS;

impl Why {
    /// What an unsuccessful proof says of the other end.
    pub fn of(error: &ProofError) -> Why {
        match error {
            ProofError::Io(error) => Why::of_io(error),
            ProofError::Stranger => Why::Stranger,
            ProofError::Tls => Why::Tls,
            ProofError::Version(version) => Why::Version(*version),
            ProofError::Secret(_) | ProofError::Refused => Why::Secret,
        }
    }

    /// What a connection that failed says of the other end.
    pub fn of_io(error: &io::Error) -> Why {
        match Distrust::of(error) {
            Some(distrust) => Why::Distrust(distrust),
            None if error.kind() == io::ErrorKind::TimedOut => Why::Silent,
            None => Why::Stranger,
        }
    }

    /// How much it says of why a process is missing. Whoever is about to end, or is slow, may hang up or say nothing, and that
    /// hides nothing that was seen before.
    fn says(self) -> u8 {
        match self {
            Why::Stranger | Why::Silent | Why::Crowded => 0,
            Why::Distrust(Distrust::HungUp) => 1,
            Why::Version(_) | Why::Secret | Why::Tls | Why::Distrust(_) => 2,
        }
    }

    fn kind(self) -> usize {
        match self {
            Why::Stranger => 0,
            Why::Silent => 1,
            Why::Crowded => 2,
            Why::Version(_) => 3,
            Why::Secret => 4,
            Why::Tls => 5,
            Why::Distrust(distrust) => 6 + distrust.kind(),
        }
    }
}

/// What follows after “it”.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Stranger => f.write_str("is no process of a Crest cluster"),
            Why::Silent => f.write_str("says nothing"),
            Why::Crowded => f.write_str("is one too many"),
            Why::Version(version) => {
                write!(f, "speaks version {version} of the handshake, as another build does")
            }
            Why::Secret => f.write_str("has another secret than this process"),
            Why::Tls => f.write_str("speaks TLS, as this process does not"),
            Why::Distrust(distrust) => distrust.fmt(f),
        }
    }
}

/// Lines that come seldom, of each kind.
#[derive(Default)]
struct Lines {
    last: [Option<Instant>; KINDS],
    unsaid: [u64; KINDS],
}

impl Lines {
    /// How many were not told of since the last line, if there may be one now.
    fn next(&mut self, why: Why) -> Option<u64> {
        let kind = why.kind();
        if self.last[kind].is_some_and(|last| last.elapsed() < SAY_AGAIN) {
            self.unsaid[kind] += 1;
            return None;
        }
        self.last[kind] = Some(Instant::now());
        Some(std::mem::take(&mut self.unsaid[kind]))
    }
}

/// What was met in place of a process.
#[derive(Clone, Copy, Default)]
struct Doubt {
    /// What says most, and of that the last.
    why: Option<Why>,
    /// How often it has hung up without being gone after that.
    hung_up: u32,
}

impl Doubt {
    fn note(&mut self, why: Why) {
        if self.why.is_none_or(|before| before.says() <= why.says()) {
            self.why = Some(why);
        }
    }
}

/// Who was not let in, by one process.
pub struct Refusals {
    callers: Mutex<Lines>,
    /// By the index of the process that was called.
    called: Vec<Mutex<Lines>>,
    /// What was met in place of a process, by its index.
    doubts: Mutex<Vec<Doubt>>,
    /// The last caller whom TLS kept from saying which process it is, and where it was.
    unnamed: Mutex<Option<(String, Why)>>,
}

impl Refusals {
    /// Nobody yet, in a cluster of so many processes.
    pub fn new(processes: usize) -> Self {
        let called = (0..processes).map(|_| Mutex::default()).collect();
        Refusals {
            callers: Mutex::default(),
            called,
            doubts: Mutex::new(vec![Doubt::default(); processes]),
            unnamed: Mutex::default(),
        }
    }

    /// A caller was dropped, which may have called itself a process.
    pub fn caller(&self, address: &str, claimed: Option<usize>, why: Why) {
        match (claimed, why) {
            (Some(index), _) => self.doubt(index, why),
            (None, Why::Tls | Why::Distrust(_)) => {
                let mut unnamed = self.unnamed.lock();
                // What does not speak TLS may be anybody, and hides nobody who does.
                if why != Why::Distrust(Distrust::Plain) || unnamed.is_none() {
                    *unnamed = Some((address.to_owned(), why));
                }
            }
            _ => {}
        }
        tracing::debug!("dropped a caller at {address}, which {why}");
        // Nobody waits for the lock while the line is written.
        let next = self.callers.lock().next(why);
        let Some(unsaid) = next else { return };
        let claim = claimed.map_or(String::new(), |index| format!("calls itself process {index} and "));
        let more = match unsaid {
            0 => String::new(),
            unsaid => format!(" (and {unsaid} more since the last such line)"),
        };
        tracing::warn!("dropped a caller at {address}, which {claim}{why}{more}");
    }

    /// What answers at the address of process `index` is not taken for it.
    pub fn called(&self, index: usize, address: &str, why: Why) {
        self.doubt(index, why);
        let next = self.called.get(index).and_then(|lines| lines.lock().next(why));
        if next.is_some() {
            tracing::warn!("{address} was to be process {index}, but what answers there {why}; trying again");
        }
    }

    /// What answers at the address of process `index` goes away where TLS begins. So does, once, one that just ends.
    pub fn hung_up(&self, index: usize) {
        if let Some(doubt) = self.doubts.lock().get_mut(index) {
            doubt.hung_up = doubt.hung_up.saturating_add(1);
            doubt.note(Why::Distrust(Distrust::HungUp));
        }
    }

    /// Nothing answers at the address of process `index`. If it hung up only once before, it was ending then.
    pub fn not_there(&self, index: usize) {
        if let Some(doubt) = self.doubts.lock().get_mut(index).filter(|doubt| doubt.hung_up == 1) {
            doubt.hung_up = 0;
            doubt.why.take_if(|why| *why == Why::Distrust(Distrust::HungUp));
        }
    }

    /// What else than process `index` was met in its place, if that says why it is missing.
    pub fn met_instead_of(&self, index: usize) -> Option<Why> {
        let doubt = self.doubts.lock().get(index).copied().unwrap_or_default();
        doubt.why.filter(|why| why.says() > 0)
    }

    /// The last caller whom TLS kept from saying which process it is.
    pub fn unnamed(&self) -> Option<(String, Why)> {
        self.unnamed.lock().clone()
    }

    fn doubt(&self, index: usize, why: Why) {
        if let Some(doubt) = self.doubts.lock().get_mut(index) {
            doubt.note(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_strangers_one_line_tells_and_no_kind_hides_another() {
        let mut lines = Lines::default();
        assert_eq!(lines.next(Why::Stranger), Some(0));
        assert!((0..1000).all(|_| lines.next(Why::Stranger).is_none()));
        assert_eq!(lines.next(Why::Secret), Some(0));
        lines.last[Why::Stranger.kind()] = None;
        assert_eq!(lines.next(Why::Stranger), Some(1000));
    }

    #[test]
    fn what_says_less_hides_nothing_that_says_why() {
        let (refusals, expired) = (Refusals::new(1), Why::Distrust(Distrust::Expired));
        let why = || refusals.met_instead_of(0);
        refusals.called(0, "10.0.0.9:1", expired);
        // It ends, or is too slow now and then.
        refusals.hung_up(0);
        assert_eq!(why(), Some(expired));
        refusals.not_there(0);
        [Why::Stranger, Why::Silent].into_iter().for_each(|why| refusals.called(0, "10.0.0.9:1", why));
        assert_eq!(why(), Some(expired));
        refusals.called(0, "10.0.0.9:1", Why::Tls);
        assert_eq!(why(), Some(Why::Tls));
    }

    #[test]
    fn who_hangs_up_again_and_again_was_there_and_who_does_once_may_just_have_ended() {
        let refusals = Refusals::new(1);
        let why = || refusals.met_instead_of(0);
        for _ in 0..3 {
            refusals.hung_up(0);
            refusals.not_there(0);
            assert_eq!(why(), None);
        }
        refusals.hung_up(0);
        refusals.hung_up(0);
        assert_eq!(why(), Some(Why::Distrust(Distrust::HungUp)));
        refusals.not_there(0);
        assert_eq!(why(), Some(Why::Distrust(Distrust::HungUp)));
    }

    #[test]
    fn a_claim_to_be_no_process_of_the_cluster_is_noted_nowhere() {
        let refusals = Refusals::new(2);
        refusals.caller("10.0.0.9:1", Some(4_000_000), Why::Secret);
        refusals.caller("10.0.0.9:1", Some(1), Why::Secret);
        assert_eq!([0, 1, 2].map(|index| refusals.met_instead_of(index)), [None, Some(Why::Secret), None]);
    }
}
