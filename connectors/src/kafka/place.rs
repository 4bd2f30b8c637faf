//! How far a partition was read, and what each thing that librdkafka hands over means for that.

use super::batch::Delivery;
use super::errors::{Kind, kind};
use super::health::Health;
use crate::source::Record;
use crest_host::clock;
use rdkafka::error::RDKafkaErrorCode as Code;
use std::time::Instant;

/// How far a partition was read.
pub(crate) struct Place {
    /// The next offset to read.
    pub(crate) next: i64,
    /// The first offset that is not read any more; `None` where the partition is read for ever.
    pub(crate) until: Option<i64>,
    /// Where its end was met, if nothing was read since.
    pub(crate) end: Option<i64>,
    pub(crate) trouble: Option<Trouble>,
    /// That the broker does not have the next offset, in librdkafka's words, which fetches nothing since.
    pub(crate) refused: Option<String>,
}

/// An error that may last.
pub(crate) struct Trouble {
    pub(crate) since: Instant,
    pub(crate) asked: Instant,
    /// When it was met last.
    pub(crate) met: Instant,
    pub(crate) reason: String,
}

/// What became of a delivery.
pub(crate) enum Taken {
    /// It was a record.
    Record,
    /// It was none that matters.
    Nothing,
    /// The broker does not have the next offset; see [`Place::refused`].
    Refused,
    /// It is an error that ends the reading.
    Fatal(String),
}

impl Place {
    /// At the beginning.
    pub(crate) fn new(next: i64, until: Option<i64>) -> Self {
        Place { next, until, end: None, trouble: None, refused: None }
    }

    /// Whether all was read that is to be.
    pub(crate) fn ended(&self) -> bool {
        self.until.is_some_and(|until| self.next >= until)
    }

    /// Records between here and where its reading ends, or, where it does not, the partition, whose end is at `high`.
    pub(crate) fn lag(&self, high: Option<i64>) -> u64 {
        let end = self.until.or(high).unwrap_or(self.next);
        u64::try_from(end - self.next).unwrap_or(0)
    }

    /// Takes what librdkafka hands over.
    pub(crate) fn take(
        &mut self,
        delivery: Delivery<'_>,
        health: &Health,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Taken {
        match delivery {
            // After an outage librdkafka may fetch again what was read already.
            Delivery::Message(Record { offset, .. }) if offset < self.next => Taken::Nothing,
            Delivery::Message(record) => {
                (self.end, self.trouble) = (None, None);
                let offset = record.offset;
                // What was to be read before it does not exist: markers of transactions, compacted records.
                if self.until.is_some_and(|until| offset >= until) {
                    self.pass(offset);
                    return Taken::Nothing;
                }
                self.next = offset + 1;
                each(record);
                Taken::Record
            }
            Delivery::Error { code: Code::PartitionEOF, offset, .. } => {
                // Markers of transactions are no records, and move the position too.
                self.pass(offset);
                self.end = Some(offset);
                self.trouble = None;
                Taken::Nothing
            }
            Delivery::Error { code, reason, .. } => {
                let reason = if reason.is_empty() { code.to_string() } else { reason };
                if matches!(code, Code::OffsetOutOfRange | Code::AutoOffsetReset) {
                    self.refused = Some(reason);
                    return Taken::Refused;
                }
                match kind(code) {
                    Kind::Fatal => return Taken::Fatal(reason),
                    Kind::Passing => {}
                    Kind::MayLast => self.meet(&reason),
                }
                health.count_retry();
                Taken::Nothing
            }
        }
    }

    /// There is nothing to read before `offset`.
    fn pass(&mut self, offset: i64) {
        self.next = self.next.max(self.until.map_or(offset, |until| until.min(offset)));
    }

    /// What is before `offset` is gone, and is not waited for any more.
    pub(crate) fn skip_to(&mut self, offset: i64) {
        self.pass(offset);
        (self.end, self.trouble, self.refused) = (None, None, None);
    }

    /// Notes an error that may last.
    pub(crate) fn meet(&mut self, reason: &str) {
        let now = clock::now();
        let new = || Trouble { since: now, asked: now, met: now, reason: reason.to_owned() };
        self.trouble.get_or_insert_with(new).met = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Topics;
    use crate::source::Payload;
    use std::time::Duration;

    /// What a place hands over of these offsets, and of the end of the partition where one is negative.
    fn read(place: &mut Place, offsets: &[i64]) -> Vec<i64> {
        let health = Health::new(Topics::One("t".into()), Duration::ZERO);
        let mut found = Vec::new();
        for &offset in offsets {
            let reason = String::new();
            let delivery = match offset {
                0.. => Delivery::Message(Record::new(offset, Payload::Bytes(b"x"))),
                _ => Delivery::Error { code: Code::PartitionEOF, offset: -offset, reason },
            };
            place.take(delivery, &health, &mut |record| found.push(record.offset));
        }
        found
    }

    #[test]
    fn nothing_is_read_twice_or_beyond_the_end() {
        let mut place = Place::new(3, Some(7));
        assert_eq!(read(&mut place, &[2, 3, 4, 3, 4, 5]), [3, 4, 5]);
        assert_eq!((place.ended(), place.lag(Some(9)), place.lag(None)), (false, 1, 1));
        assert_eq!(read(&mut place, &[6, 7, 8]), [6]);
        assert_eq!((place.ended(), place.next, place.lag(Some(9))), (true, 7, 0));
        let mut place = Place::new(3, None);
        assert_eq!(read(&mut place, &[3, -5, 5]), [3, 5]);
        assert_eq!((place.ended(), place.lag(Some(9)), place.lag(None)), (false, 3, 0));
    }

    #[test]
    fn an_end_whose_last_record_does_not_exist_is_met_by_what_comes_behind_it() {
        for behind in [7, 9, -7, -9] {
            let mut place = Place::new(3, Some(7));
            assert_eq!(read(&mut place, &[3, 4]), [3, 4]);
            assert!(!place.ended());
            assert!(read(&mut place, &[behind]).is_empty());
            assert_eq!((place.ended(), place.next), (true, 7), "{behind}");
        }
        assert!(Place::new(7, Some(7)).ended() && Place::new(8, Some(7)).ended());
    }
}
