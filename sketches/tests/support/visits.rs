//! Streams of users who visit items, and how they are counted.

use super::{hash, key, stream};
use crest_sketches::{Digest, Events, KeySpan, Merged, PaneSketch, Shape};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// An item and a user, by number.
pub type Visit = (u32, u32);

/// The hashes of the users that each item truly had, by key.
pub type Visitors = BTreeMap<Vec<u8>, BTreeSet<u64>>;

/// Items of any skew, each visit by one of few users or of many, whom some items share.
pub fn visits(longest: usize) -> impl Strategy<Value = Vec<Visit>> {
    let users = prop_oneof![Just(1u32), Just(5), Just(70), Just(400), Just(1_000_000)];
    (stream(longest), users, any::<u32>()).prop_map(|(events, users, salt)| {
        let user = |at: usize| hash(&(at as u64 ^ u64::from(salt) << 32).to_le_bytes()) % u64::from(users);
        events.iter().enumerate().map(|(at, &(item, _))| (item, user(at) as u32)).collect()
    })
}

pub fn user_hash(user: u32) -> u64 {
    hash(format!("user-{user}").as_bytes())
}

/// Counts a batch, in which every third event that does not count is of a user whom nobody has seen.
pub fn visit(sketch: &mut PaneSketch, visits: &[Visit]) {
    let (mut hashes, mut weights, mut keys, mut arena, mut values) = (vec![], vec![], vec![], vec![], vec![]);
    for (at, &(item, user)) in visits.iter().enumerate() {
        let key = key(item);
        let mut event = |weight, user| {
            hashes.push(hash(&key));
            weights.push(weight);
            keys.push(KeySpan { offset: arena.len() as u32, len: key.len() as u32 });
            values.push(user_hash(user));
        };
        event(1 + at as u32 % 5, user);
        if at % 3 == 0 {
            event(0, u32::MAX);
        }
        arena.extend(key);
    }
    sketch.update(Events { hashes: &hashes, weights: &weights, keys: &keys, arena: &arena, values: &values });
}

pub fn visited(shape: &Shape, visits: &[Visit]) -> PaneSketch {
    let mut sketch = PaneSketch::new(shape);
    visit(&mut sketch, visits);
    sketch
}

pub fn union<'a>(shape: &Shape, sketches: impl IntoIterator<Item = &'a PaneSketch>) -> Merged {
    let mut union = Merged::new(shape);
    sketches.into_iter().for_each(|sketch| union.add(sketch));
    union
}

/// The digest of one partition's pane.
pub fn digest_of(shape: &Shape, visits: &[Visit], rows: usize) -> Digest {
    union(shape, [&visited(shape, visits)]).cut(rows)
}

pub fn visitors<'a>(visits: impl IntoIterator<Item = &'a Visit>) -> Visitors {
    let mut visitors = Visitors::new();
    for &(item, user) in visits {
        visitors.entry(key(item)).or_default().insert(user_hash(user));
    }
    visitors
}

/// Bounds hold for every item, with a row or without one; and what is said to be known of users is true.
pub fn check(digest: &Digest, truth: &Visitors, unseen: u64) {
    for (key, users) in truth {
        let bounds = digest.bounds(hash(key), key);
        let count = users.len() as u64;
        assert!(
            bounds.lower() <= count && count + unseen <= bounds.upper(),
            "{count} users, said {bounds:?}"
        );
    }
    for row in digest.rows() {
        let (users, values, estimate) = (&truth[row.key], row.values.unwrap(), row.estimate.unwrap());
        assert_eq!(digest.bounds(row.hash, row.key), row.bounds);
        assert!(row.bounds.contains(estimate.count) && row.bounds.lower() == values.lower());
        assert_eq!(estimate.is_exact(), values.is_exact());
        if let Some(hashes) = values.hashes() {
            assert!(hashes.is_sorted_by(|a, b| a < b) && hashes.iter().all(|hash| users.contains(hash)));
            assert_eq!(estimate.count, hashes.len() as u64);
        }
    }
    assert!(digest.total() >= digest.rows().map(|row| row.bounds.lower()).sum());
}
