//! The sketches of one pane and partition of many groups, most of which have few items.
//!
//! A group is a number here, from 0 on. As long as its items are few, it has no table of its own, and its rows lie in a
//! run of one list that all groups share: counting an event allocates nothing, a small group takes some hundred bytes,
//! and all of them go at once. A group that outgrows its run gets a [`PaneSketch`]. What is counted is the same.
//!
//! ```
//! use crest_sketches::{Events, KeySpan, PaneGroups, Shape, item_hash};
//! let shape = Shape::new(64, 0.001, 0.00005, 7)?;
//! let mut groups = PaneGroups::new(&shape);
//! let events = Events {
//!     hashes: &[item_hash(b"tea", 7)],
//!     weights: &[3],
//!     keys: &[KeySpan { offset: 0, len: 3 }],
//!     arena: b"tea",
//!     values: &[],
//! };
//! for group in [0, 1, 0] {
//!     groups.update(group, events);
//! }
//! assert_eq!((groups.len(), groups.total(0), groups.total(1)), (2, 6, 3));
//! # Ok::<(), crest_sketches::ShapeError>(())
//! ```

use crate::bounds::Bounds;
use crate::digest::{self, Digest};
use crate::events::Events;
use crate::keys::{KeyRef, Keys};
use crate::merged::Merged;
use crate::pane_sketch::PaneSketch;
use crate::shape::{Kind, Shape};

/// The room of a group's first run, a power of two …
const FIRST_RUN: u32 = 2;
/// … and of its last: a group with more items gets a sketch. A ledger has a table of so many rows at first.
const LAST_RUN: u32 = 32;
/// So many partitions are added to a union one by one.
const ONE_BY_ONE: usize = 4;

/// The sketches of the groups of one pane and partition.
#[derive(Clone, Debug)]
pub struct PaneGroups {
    shape: Shape,
    groups: Vec<Group>,
    rows: Vec<Row>,
    keys: Keys,
    /// Runs that groups have left, by the logarithm of their room.
    free: [Vec<u32>; LAST_RUN.ilog2() as usize + 1],
    sketches: Vec<PaneSketch>,
    /// Memory that these hold.
    sketch_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
enum Group {
    /// Its rows are the first `len` of a run.
    Few { start: u32, len: u16, room: u16, total: u64 },
    /// It has the sketch of this number.
    Sketch(u32),
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    hash: u64,
    count: u64,
    key: KeyRef,
}

/// What a group has counted.
#[derive(Debug)]
pub enum GroupCounts<'a> {
    /// Every row, exact and uncut: it has few items.
    Few(Digest),
    /// Its sketch.
    Sketch(&'a PaneSketch),
}

impl PaneGroups {
    /// Without a group.
    pub fn new(shape: &Shape) -> Self {
        PaneGroups {
            shape: shape.clone(),
            groups: Vec::new(),
            rows: Vec::new(),
            keys: Keys::default(),
            free: Default::default(),
            sketches: Vec::new(),
            sketch_bytes: 0,
        }
    }

    /// How many groups there are: the next one's number.
    pub fn len(&self) -> u32 {
        self.groups.len() as u32
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Counts a batch in a group, which may be the [next](Self::len) one.
    ///
    /// # Panics
    /// If the group is beyond the next one, or as [`PaneSketch::update`] does.
    pub fn update(&mut self, group: u32, events: Events<'_>) {
        if group == self.len() {
            self.add_group();
        }
        if let (true, Group::Sketch(sketch)) = (self.shape.is_distinct(), self.groups[group as usize]) {
            let sketch = &mut self.sketches[sketch as usize];
            let before = sketch.bytes();
            sketch.update(events);
            self.sketch_bytes = self.sketch_bytes + sketch.bytes() - before;
            return;
        }
        let mut events = events.iter();
        for event in events.by_ref() {
            if self.count_few(group as usize, event.hash, event.weight, || event.key()) {
                continue;
            }
            let Group::Sketch(sketch) = self.groups[group as usize] else { continue };
            let sketch = &mut self.sketches[sketch as usize];
            let before = sketch.bytes();
            sketch.count(event.hash, event.weight, || event.key());
            sketch.update_each(events);
            self.sketch_bytes = self.sketch_bytes + sketch.bytes() - before;
            return;
        }
    }

    /// The weight counted in a group.
    pub fn total(&self, group: u32) -> u64 {
        match self.groups[group as usize] {
            Group::Few { total, .. } => total,
            Group::Sketch(sketch) => self.sketches[sketch as usize].total(),
        }
    }

    /// What a group has counted.
    pub fn counts(&self, group: u32) -> GroupCounts<'_> {
        match self.groups[group as usize] {
            Group::Few { start, len, total, .. } => {
                let rows = self.rows[start as usize..][..len.into()].iter();
                let row = |row: &Row| digest::Row {
                    hash: row.hash,
                    bounds: Bounds::exactly(row.count),
                    key: row.key,
                };
                GroupCounts::Few(Digest::new(total, 0, rows.map(row).collect(), &self.keys))
            }
            Group::Sketch(sketch) => GroupCounts::Sketch(&self.sketches[sketch as usize]),
        }
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        let own = self.groups.capacity() * size_of::<Group>() + self.rows.capacity() * size_of::<Row>();
        own + self.keys.capacity() + self.sketch_bytes
    }

    fn add_group(&mut self) {
        // Only a ledger has nothing but rows as long as its items are few.
        let group = match self.shape.kind() {
            Kind::Ledger => {
                Group::Few { start: self.run(FIRST_RUN), len: 0, room: FIRST_RUN as u16, total: 0 }
            }
            Kind::Classic | Kind::Exact | Kind::Distinct | Kind::ExactDistinct => {
                self.add_sketch(PaneSketch::new(&self.shape))
            }
        };
        self.groups.push(group);
    }

    fn add_sketch(&mut self, sketch: PaneSketch) -> Group {
        self.sketch_bytes += sketch.bytes();
        self.sketches.push(sketch);
        Group::Sketch(self.sketches.len() as u32 - 1)
    }

    /// Counts an event among the rows of a group. Returns false where the group has a sketch to count it.
    fn count_few<'k>(&mut self, group: usize, hash: u64, weight: u64, key: impl Fn() -> &'k [u8]) -> bool {
        loop {
            let Group::Few { start, len, room, total } = &mut self.groups[group] else { return false };
            let run = &mut self.rows[*start as usize..][..usize::from(*room)];
            if let Some(row) = run[..usize::from(*len)].iter_mut().find(|row| row.hash == hash) {
                *total += weight;
                row.count += weight;
                return true;
            }
            if weight == 0 {
                return true;
            }
            if let Some(row) = run.get_mut(usize::from(*len)) {
                *total += weight;
                *row = Row { hash, count: weight, key: self.keys.push(key()) };
                *len += 1;
                return true;
            }
            self.outgrow(group);
        }
    }

    /// Gives a group whose run is full one of twice the room, or a sketch.
    fn outgrow(&mut self, group: usize) {
        let Group::Few { start, len, room, total } = self.groups[group] else { return };
        let before = start as usize..start as usize + usize::from(len);
        if u32::from(room) == LAST_RUN {
            let rows = self.rows[before].iter().map(|row| (row.hash, row.count, self.keys.get(row.key)));
            let sketch = PaneSketch::of_rows(&self.shape, total, rows);
            self.groups[group] = self.add_sketch(sketch);
        } else {
            let wider = self.run(2 * u32::from(room));
            self.rows.copy_within(before, wider as usize);
            self.groups[group] = Group::Few { start: wider, len, room: 2 * room, total };
        }
        self.free[room.ilog2() as usize].push(start);
    }

    /// The start of a run of this room that no group has.
    fn run(&mut self, room: u32) -> u32 {
        self.free[room.ilog2() as usize].pop().unwrap_or_else(|| {
            let start = self.rows.len();
            self.rows.resize(start + room as usize, Row::default());
            start as u32
        })
    }
}

impl GroupCounts<'_> {
    /// The rows of a group that has few items.
    pub fn into_few(self) -> Option<Digest> {
        match self {
            GroupCounts::Few(digest) => Some(digest),
            GroupCounts::Sketch(_) => None,
        }
    }

    /// The union of what partitions have counted of a group. Were each added to the union of those before, the rows of the
    /// first would be copied once for each that follows; so halves of many partitions are united first.
    ///
    /// # Panics
    /// If any was counted in another shape.
    pub fn union(of: &[GroupCounts<'_>], shape: &Shape) -> Merged {
        if of.len() > ONE_BY_ONE {
            let (first, second) = of.split_at(of.len() / 2);
            let mut union = Self::union(first, shape);
            union.join(&Self::union(second, shape));
            return union;
        }
        let mut union = Merged::new(shape);
        of.iter().for_each(|counts| counts.add_to(&mut union));
        union
    }

    /// Adds what a group has counted to a union.
    fn add_to(&self, union: &mut Merged) {
        match self {
            GroupCounts::Few(digest) => union.add_exact(digest),
            GroupCounts::Sketch(sketch) => union.add(sketch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::KeySpan;
    use crate::hash::item_hash;
    use proptest::prelude::*;

    fn update(groups: &mut PaneGroups, twin: &mut Vec<PaneSketch>, group: u32, item: u16, weight: u32) {
        let key = format!("item:{item}");
        let events = Events {
            hashes: &[item_hash(key.as_bytes(), 7)],
            weights: &[weight],
            keys: &[KeySpan { offset: 0, len: key.len() as u32 }],
            arena: key.as_bytes(),
            values: &[],
        };
        if group as usize == twin.len() {
            twin.push(PaneSketch::new(&groups.shape));
        }
        groups.update(group, events);
        twin[group as usize].update(events);
    }

    proptest! {
        /// Shapes that overflow, and groups that stay few, that get a sketch, and whose sketch overflows.
        #[test]
        fn it_counts_as_a_sketch_for_each_group_does(
            events in prop::collection::vec((0u32..6, 0u16..400, 0u32..4), 1..1500),
            kind in 0..3,
        ) {
            let shape = match kind {
                0 => Shape::new(64, 0.01, 0.01, 7).unwrap(),
                1 => Shape::classic(64, 0.01, 0.01, 7).unwrap(),
                _ => Shape::new(64, 0.01, 0.01, 7).unwrap().exact(),
            };
            let (mut groups, mut twin) = (PaneGroups::new(&shape), Vec::new());
            for (group, item, weight) in events {
                // The lower the number, the more items.
                let item = item % [400, 50, 33, 32, 5, 1][group as usize];
                let group = group.min(twin.len() as u32);
                update(&mut groups, &mut twin, group, item, weight);
            }
            prop_assert_eq!(groups.len() as usize, twin.len());
            for (group, sketch) in (0..).zip(&twin) {
                let (mut union, mut expected) = (Merged::new(&shape), Merged::new(&shape));
                groups.counts(group).add_to(&mut union);
                expected.add(sketch);
                prop_assert_eq!(groups.total(group), sketch.total());
                prop_assert_eq!(&union, &expected);
                if let GroupCounts::Few(digest) = groups.counts(group) {
                    prop_assert_eq!(digest, expected.cut(usize::MAX));
                }
            }
        }

        #[test]
        fn exact_digests_merge_as_unions_do(parts in prop::collection::vec(prop::collection::vec((0u16..40, 1u32..4), 0..30), 1..4)) {
            let shape = Shape::new(64, 0.01, 0.01, 7).unwrap();
            let (mut union, mut digests) = (Merged::new(&shape), Vec::new());
            for part in &parts {
                let (mut groups, mut twin) = (PaneGroups::new(&shape), Vec::new());
                part.iter().for_each(|(item, weight)| update(&mut groups, &mut twin, 0, *item, *weight));
                if !part.is_empty() && let GroupCounts::Few(digest) = groups.counts(0) {
                    union.add(&twin[0]);
                    digests.push(digest);
                }
            }
            prop_assert_eq!(Digest::merge_exact(&digests), union.cut(usize::MAX));
        }
    }

    #[test]
    fn a_small_group_takes_little_memory() {
        let shape = Shape::new(8192, 0.001, 0.00005, 7).unwrap();
        let (mut groups, mut twin) = (PaneGroups::new(&shape), Vec::new());
        for group in 0..1000 {
            (0..3).for_each(|item| update(&mut groups, &mut twin, group, item, 1));
        }
        let sketches: usize = twin.iter().map(PaneSketch::bytes).sum();
        assert!(groups.bytes() < sketches / 8, "{} bytes where sketches take {sketches}", groups.bytes());
    }
}
