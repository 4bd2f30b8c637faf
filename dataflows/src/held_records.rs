//! Records that are read and wait for their schema, in the order of their partition.
//!
//! While a partition has any, it is not read further, so that there are no more of them than one run reads.

use crest_connectors::OwnedRecord;
use crest_connectors::source::Record;
use std::collections::VecDeque;

/// The records of one partition that wait.
#[derive(Debug, Default)]
pub struct HeldRecords(VecDeque<OwnedRecord>);

impl HeldRecords {
    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps a record, with those of its headers that have these names.
    pub fn push(&mut self, record: &Record<'_>, headers: &[String]) {
        self.0.push_back(OwnedRecord::new(record, headers));
    }

    /// Gives the records in their order, until `take` returns false for one, which stays.
    pub fn give(&mut self, mut take: impl FnMut(&Record<'_>) -> bool) {
        while self.0.front().is_some_and(|held| take(&held.record())) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_connectors::source::Payload;

    #[test]
    fn records_are_given_in_their_order_up_to_the_one_that_still_waits() {
        let mut held = HeldRecords::default();
        for offset in [3, 4, 6] {
            held.push(&Record::new(offset, Payload::Bytes(b"{}")), &[]);
        }
        let mut given = Vec::new();
        held.give(|record| {
            given.push(record.offset);
            record.offset < 4
        });
        assert_eq!(given, [3, 4]);
        given.clear();
        held.give(|record| {
            given.push(record.offset);
            true
        });
        assert_eq!((given, held.is_empty()), (vec![4, 6], true));
    }
}
