//! Describes, for the log, why an event counts as too far ahead of time: what its time was compared with.

use chrono::{DateTime, SecondsFormat};
use crest_connectors::source::BrokerTime;
use std::fmt;
use std::time::Duration;

/// An event that is too far ahead. Times are milliseconds since 1970 UTC.
#[derive(Clone, Copy, Debug)]
pub struct Ahead {
    /// Its own time.
    pub time: i64,
    /// The time stamp of its record.
    pub stamp: Option<BrokerTime>,
    /// The time by this machine's clock when the event was read.
    pub now: i64,
    /// How far ahead it may be.
    pub skew: Duration,
}

impl fmt::Display for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (time, skew) = (text(self.time), humantime::format_duration(self.skew));
        write!(f, "its time, {time}, is more than max_future_skew ({skew}) after ")?;
        let now = text(self.now);
        match self.stamp {
            Some(BrokerTime::Appended(at)) => write!(f, "the broker's time stamp, {}", text(at)),
            Some(BrokerTime::Created(at)) if at <= self.now => {
                write!(f, "the producer's time stamp, {}", text(at))
            }
            Some(BrokerTime::Created(at)) => {
                let at = text(at);
                write!(f, "this machine's clock, {now}; the producer's time stamp, {at}, is after it too")
            }
            None => write!(f, "this machine's clock, {now}; the record has no time stamp"),
        }
    }
}

fn text(ms: i64) -> String {
    match DateTime::from_timestamp_millis(ms) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Millis, true),
        None => format!("{ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_the_time_was_compared_with() {
        let now = 1_711_670_400_000;
        let text_for =
            |stamp| Ahead { time: now + 90_000, stamp, now, skew: Duration::from_secs(60) }.to_string();
        let time = "its time, 2024-03-29T00:01:30.000Z, is more than max_future_skew (1m) after ";
        let after = |what: &str| format!("{time}{what}");
        assert_eq!(
            text_for(Some(BrokerTime::Appended(now - 1))),
            after("the broker's time stamp, 2024-03-28T23:59:59.999Z")
        );
        assert_eq!(
            text_for(Some(BrokerTime::Created(now))),
            after("the producer's time stamp, 2024-03-29T00:00:00.000Z")
        );
        assert_eq!(
            text_for(Some(BrokerTime::Created(now + 90_000))),
            after(
                "this machine's clock, 2024-03-29T00:00:00.000Z; the producer's time stamp, \
                 2024-03-29T00:01:30.000Z, is after it too"
            )
        );
        assert_eq!(
            text_for(None),
            after("this machine's clock, 2024-03-29T00:00:00.000Z; the record has no time stamp")
        );
    }
}
