//! The events of a part of a batch, put together by their groups.
//!
//! The order of the log is kept within a group, and groups come in the order of their first events. A sketch is so visited
//! once for all of its events in the batch: with few groups its rows stay in the nearest caches meanwhile, and with many an
//! event is moved once.

use crate::event_batch::{EventBatch, SketchBatch};
use crest_sketches::{Events, KeySpan};

/// The runs of events of one group each. They are used again for the next part.
#[derive(Debug, Default)]
pub(crate) struct GroupRuns {
    /// The groups, by their numbers in the batch, each with the first place after its events.
    ends: Vec<(u32, u32)>,
    /// For each group of the batch, the place of its run, counted from 1; 0 where it has none.
    places: Vec<u32>,
    hashes: Vec<u64>,
    weights: Vec<u32>,
    keys: Vec<KeySpan>,
    values: Vec<u64>,
}

impl GroupRuns {
    /// Takes the events of a part, whose groups are these, in the place of those that it had.
    pub(crate) fn put(&mut self, batch: &EventBatch, part: &SketchBatch, groups: &[u32]) {
        self.ends.drain(..).for_each(|(group, _)| self.places[group as usize] = 0);
        self.places.resize(self.places.len().max(batch.group_count()), 0);
        for &group in groups {
            let place = &mut self.places[group as usize];
            if *place == 0 {
                self.ends.push((group, 0));
                *place = self.ends.len() as u32;
            }
            self.ends[*place as usize - 1].1 += 1;
        }
        let mut start = 0;
        for (_, end) in &mut self.ends {
            // From how many events a run has to where it begins; it ends there, too, until events are moved into it.
            start += std::mem::replace(end, start);
        }
        let events = batch.events(part);
        self.hashes.resize(groups.len(), 0);
        self.weights.resize(groups.len(), 0);
        self.keys.resize(groups.len(), KeySpan { offset: 0, len: 0 });
        self.values.resize(events.values.len(), 0);
        for (from, &group) in groups.iter().enumerate() {
            let end = &mut self.ends[self.places[group as usize] as usize - 1].1;
            let to = *end as usize;
            *end += 1;
            self.hashes[to] = events.hashes[from];
            self.weights[to] = events.weights[from];
            self.keys[to] = events.keys[from];
            if let Some(value) = events.values.get(from) {
                self.values[to] = *value;
            }
        }
    }

    /// The groups, by their numbers in the batch, each with its events. `batch` is the one whose events were taken.
    pub(crate) fn iter<'a>(&'a self, batch: &'a EventBatch) -> impl Iterator<Item = (u32, Events<'a>)> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end as usize));
        self.ends.iter().zip(starts).map(move |(&(group, end), start)| {
            let run = start..end as usize;
            let values = if self.values.is_empty() { &[] } else { &self.values[run.clone()] };
            let (hashes, weights, keys) =
                (&self.hashes[run.clone()], &self.weights[run.clone()], &self.keys[run]);
            (group, Events { hashes, weights, keys, arena: batch.arena(), values })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_batch::{BatchPool, Counts, Feed};
    use crest_connectors::group_key::{Dimension, GroupBuffer};
    use proptest::prelude::*;

    /// A group, the event's number, and its value.
    type Run = (String, Vec<(u64, u32, String, Option<u64>)>);

    fn runs(runs: &GroupRuns, batch: &EventBatch) -> Vec<Run> {
        let of = |(group, events): (u32, Events<'_>)| {
            let event = |at: usize| {
                let span = events.keys[at];
                let key = &events.arena[span.offset as usize..][..span.len as usize];
                let key = String::from_utf8(key.to_vec()).unwrap();
                (events.hashes[at], events.weights[at], key, events.values.get(at).copied())
            };
            (batch.group(group).1.as_str().to_owned(), (0..events.hashes.len()).map(event).collect())
        };
        runs.iter(batch).map(of).collect()
    }

    proptest! {
        /// Against a search through the events, for part after part.
        #[test]
        fn events_stand_by_their_groups_in_the_order_of_the_log(
            batches in prop::collection::vec((any::<bool>(), prop::collection::vec((0..6u64, 0..3u64), 1..40)), 1..5),
        ) {
            let (pool, mut found) = (BatchPool::default(), GroupRuns::default());
            let feed = Feed { id: 0, boards: [0].into(), removes: false };
            for (has_values, events) in batches {
                let (mut batch, mut expected) = (pool.take(0), std::collections::BTreeMap::<u64, Vec<Run>>::new());
                for (n, (of, pane)) in (1..).zip(events) {
                    let mut group = GroupBuffer::WHOLE;
                    group.push(&Dimension::new("g"), &of.to_string());
                    let (key, weight, value) = (format!("item {n}"), n as u32 + 1, has_values.then_some(n + 2));
                    let placed = batch.place(n, &key);
                    let counts = value.map_or(Counts::Weight(weight), Counts::Value);
                    batch.push(&feed, &group, pane, placed, counts);
                    let event = (n, if has_values { 1 } else { weight }, key, value);
                    let runs = expected.entry(pane).or_default();
                    match runs.iter_mut().find(|(known, _)| known == group.as_str()) {
                        Some((_, run)) => run.push(event),
                        None => runs.push((group.as_str().to_owned(), vec![event])),
                    }
                }
                for part in batch.parts() {
                    found.put(&batch, part, part.groups().unwrap());
                    prop_assert_eq!(&runs(&found, &batch), &expected[&part.pane]);
                }
                pool.give(batch);
            }
        }
    }
}
