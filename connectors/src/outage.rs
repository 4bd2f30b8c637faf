//! Outages: something that does not answer is lost once, may be tried again after growing pauses, and is back once.
//!
//! [`Outage`] says what is news, so that each loss and each return is logged once, however often it is tried in between.
//! What is logged, and what is refused or kept meanwhile, is up to whoever uses it.

use crest_host::clock;
use std::time::{Duration, Instant};

/// Whether something is out of reach just now, why, and since when.
#[derive(Debug, Default)]
pub struct Outage(Option<Lost>);

#[derive(Debug)]
struct Lost {
    since: Instant,
    reason: String,
}

impl Outage {
    /// An attempt failed. Whether that is news: the one before did not. The latest reason is kept.
    pub fn begin(&mut self, reason: impl Into<String>) -> bool {
        let reason = reason.into();
        match &mut self.0 {
            Some(lost) => {
                lost.reason = reason;
                false
            }
            None => {
                self.0 = Some(Lost { since: clock::now(), reason });
                true
            }
        }
    }

    /// An attempt succeeded. How long the outage lasted, where there was one.
    pub fn end(&mut self) -> Option<Duration> {
        self.0.take().map(|lost| clock::since(lost.since))
    }

    /// Why the last attempt failed, during an outage.
    pub fn reason(&self) -> Option<&str> {
        self.0.as_ref().map(|lost| lost.reason.as_str())
    }

    /// How long the outage has lasted so far.
    pub fn age(&self) -> Option<Duration> {
        self.0.as_ref().map(|lost| clock::since(lost.since))
    }

    /// Whether there is one.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }
}

/// Pauses between attempts, each twice as long as the one before.
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// Begins with `first`, and grows up to `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Backoff { next: first, first, longest }
    }

    /// The pause before the next attempt.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause
    }

    /// An attempt succeeded: the next pause is the first one again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_and_a_return_are_news_once() {
        let mut outage = Outage::default();
        assert!(outage.end().is_none() && !outage.is_on());
        assert!(outage.begin("refused"));
        assert!(!outage.begin("no answer"), "it is known");
        assert_eq!(outage.reason(), Some("no answer"));
        assert!(outage.is_on() && outage.age().is_some());
        assert!(outage.end().is_some() && outage.end().is_none());
        assert!(outage.reason().is_none() && outage.age().is_none());
        assert!(outage.begin("again"), "another one");
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(350));
        let pauses: Vec<Duration> = (0..4).map(|_| backoff.pause()).collect();
        assert_eq!(pauses, [100, 200, 350, 350].map(ms));
        backoff.reset();
        assert_eq!(backoff.pause(), ms(100));
    }
}
