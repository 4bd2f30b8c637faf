//! The uncut union of any number of pane sketches: what partitions, workers and processes hand on.
//!
//! For each row, the counts of the sketches that track it add up, and so does the *relief*: in each of them, by how
//! much the row's base is below that sketch's floor. With `E` the sum of all floors, and the matrices added cell by
//! cell:
//!
//! - `count <= true <= count + min(E - relief, estimate)` for an item with a row, where ledgers' matrices hold what is
//!   not in rows; `count <= true <= min(count + E - relief, estimate)` where classic ones hold everything;
//! - an item without a row has at most `E`.
//!
//! Everything that is stored is a sum of unsigned integers, so that the union does not depend on the order or the
//! tree in which sketches were added: equal sets of sketches give equal unions, byte for byte. A sketch that is still
//! exact adds 0 to `E`, not its smallest row: an item that it lacks has nothing there. (Mergeability in the sense of
//! Agarwal et al., "Mergeable summaries", TODS 38, 2013, but no bound is lost in a merge, since nothing is cut.)
//! Where two keys share a hash, the lesser one is kept, and the row bounds the weight of both together; exact tables
//! tell them apart.
//!
//! Where different values are counted, these are the laws of the pairs that were counted. A row's values are united in its
//! [set](crate::DistinctSet), and its item had at least as many as are certainly in there, and at most as many as were counted;
//! where the set keeps hashes, at most `E - relief` more than those. Two keys of one hash are one item, with the values of both.
//!
//! ```
//! use crest_sketches::{Bounds, Merged, PaneSketch, Shape};
//! let shape = Shape::new(64, 0.001, 0.00005, 7)?;
//! let mut merged = Merged::new(&shape);
//! for weight in [2, 3] {
//!     let mut partition = PaneSketch::new(&shape);
//!     partition.add(b"a", weight);
//!     merged.add(&partition);
//! }
//! merged.add_unseen(1);
//! let digest = merged.cut(10);
//! assert_eq!(digest.rows().next().unwrap().bounds, Bounds::new(5, 6));
//! assert_eq!((digest.floor(), digest.total()), (1, 5));
//! # Ok::<(), crest_sketches::ShapeError>(())
//! ```

pub(crate) mod parts;

use crate::bounds::Bounds;
use crate::count_min::CountMin;
use crate::digest::{self, Digest};
use crate::distinct_set::DistinctSet;
use crate::keys::{Entry, KeyRef, Keys};
use crate::pane_sketch::PaneSketch;
use crate::shape::Shape;
use std::borrow::Cow;
use std::cmp::Ordering;

/// The uncut union of any number of pane sketches of one shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    shape: Shape,
    total: u64,
    /// The sum of the sketches' floors.
    floor: u64,
    /// Weight that no sketch counted and that any item may have.
    unseen: u64,
    /// By hash; their keys follow each other in the same order.
    rows: Vec<Row>,
    keys: Keys,
    /// The sum of the matrices: of what ledgers have in no row, or of all that classic sketches counted. `None` while
    /// every row is exact.
    matrix: Option<CountMin>,
    /// The values of the rows, in their order; none where weights are counted.
    sets: Vec<DistinctSet>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    hash: u64,
    count: u64,
    relief: u64,
    key: KeyRef,
}

/// Why two unions cannot become one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// They were counted in other geometries or with other seeds.
    #[error("a sketch of {theirs:?} cannot be merged into one of {ours:?}")]
    Shape {
        /// Of the one merged into.
        ours: Box<Shape>,
        /// Of the other.
        theirs: Box<Shape>,
    },
    /// Their weights together are more than 64 bits hold.
    #[error("the weights {0} and {1} are together too great for a sketch")]
    Weight(u64, u64),
}

impl Merged {
    /// The union of nothing.
    pub fn new(shape: &Shape) -> Self {
        Merged {
            shape: shape.clone(),
            total: 0,
            floor: 0,
            unseen: 0,
            rows: Vec::new(),
            keys: Keys::default(),
            matrix: None,
            sets: Vec::new(),
        }
    }

    /// Adds a sketch.
    ///
    /// # Panics
    /// If the sketch is of another shape.
    pub fn add(&mut self, sketch: &PaneSketch) {
        assert_eq!(&self.shape, sketch.shape(), "sketches of one union have one shape");
        let rows = sketch.sorted_rows();
        self.absorb(sketch.matrix(), rows.iter().copied());
        let room = (rows.len(), rows.iter().map(|row| row.3.len()).sum());
        self.union(room, rows.iter().copied(), sketch.sorted_sets().into_iter());
        self.floor += sketch.floor();
        self.total += sketch.total();
    }

    /// Adds the uncut digest of a part of which every item has its row.
    ///
    /// # Panics
    /// If weights were counted in the one and different values in the other.
    pub fn add_exact(&mut self, digest: &Digest) {
        debug_assert_eq!(digest.floor(), 0);
        assert!(digest.is_of(&self.shape), "a digest of another kind");
        let rows = digest.counted_rows().map(|(hash, key, counted, _)| (hash, counted.lower(), 0, key));
        self.absorb(None, rows.clone());
        self.union(
            (rows.len(), digest.key_bytes()),
            rows,
            digest.counted_rows().filter_map(|row| row.3).map(Cow::Borrowed),
        );
        self.total += digest.total();
    }

    /// Adds another union of the same shape.
    pub fn merge(&mut self, other: &Merged) -> Result<(), MergeError> {
        if self.shape != other.shape {
            let (ours, theirs) = (Box::new(self.shape.clone()), Box::new(other.shape.clone()));
            return Err(MergeError::Shape { ours, theirs });
        }
        let sum = |ours: u64, theirs: u64| ours.checked_add(theirs).ok_or(MergeError::Weight(ours, theirs));
        let (total, floor) = (sum(self.total, other.total)?, sum(self.floor, other.floor)?);
        let unseen = sum(self.unseen, other.unseen)?;
        sum(total, sum(floor, unseen)?)?; // the greatest upper bound of all

        self.join(other);
        Ok(())
    }

    /// Adds another union of the same shape, whose weight and this one's are together no more than 64 bits hold.
    pub(crate) fn join(&mut self, other: &Merged) {
        let theirs = other.rows.iter().map(|row| (row.hash, row.count, row.relief, other.keys.get(row.key)));
        self.absorb(other.matrix.as_ref(), theirs.clone());
        self.union((other.rows.len(), other.keys.len()), theirs, other.sets.iter().map(Cow::Borrowed));
        self.floor += other.floor;
        self.unseen += other.unseen;
        self.total += other.total;
    }

    /// Notes weight of this group that some partition refused to count: the total stays, and any item may have it.
    pub fn add_unseen(&mut self, weight: u64) {
        self.unseen += weight;
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The weight counted, or the pairs of an item and a value.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The plain Count-Min matrix of all events counted, as if there had never been a row: for programs that read
    /// such matrices, and for tests.
    pub fn count_min(&self) -> CountMin {
        let mut all = self.matrix.clone().unwrap_or_else(|| CountMin::new(&self.shape));
        if self.matrix.is_none() || !self.shape.matrix_has_rows() {
            self.rows.iter().for_each(|row| all.add(row.hash, row.count));
        }
        all
    }

    /// The `rows` items of greatest upper bound, or, where different values are counted, of greatest
    /// [estimate](crate::DigestRow::estimate); of equal ones those of greater key; and the floor of all others.
    pub fn cut(&self, rows: usize) -> Digest {
        let floor = self.floor + self.unseen;
        let mut kept: Vec<_> = self
            .rows
            .iter()
            .map(|row| digest::Row { hash: row.hash, bounds: self.bounds(row), key: row.key })
            .collect();
        if self.shape.is_distinct() {
            return Digest::of_leading(self.total, floor, &kept, &self.sets, &self.keys, rows);
        }
        let cut = digest::keep_top(&mut kept, &self.keys, rows);
        Digest::new(self.total, floor.max(cut), kept, &self.keys)
    }

    fn bounds(&self, row: &Row) -> Bounds {
        let base = self.floor - row.relief;
        let estimate = self.matrix.as_ref().map_or(u64::MAX, |matrix| matrix.estimate(row.hash));
        let counted = if self.shape.matrix_has_rows() { row.count } else { 0 };
        let base = base.min(estimate.saturating_sub(counted));
        Bounds::new(row.count, row.count + base + self.unseen)
    }

    /// Adds the matrix of others whose rows are `theirs`, while ours are still those from before.
    fn absorb<'a>(&mut self, matrix: Option<&CountMin>, theirs: impl Iterator<Item = Entry<'a>>) {
        let rows_count = self.shape.matrix_has_rows();
        match (&mut self.matrix, matrix) {
            (None, None) => {}
            (Some(ours), Some(others)) => ours.absorb(others),
            (Some(ours), None) if rows_count => theirs.for_each(|row| ours.add(row.0, row.1)),
            (Some(_), None) => {}
            (None, Some(others)) => {
                let ours = self.matrix.insert(others.clone());
                if rows_count {
                    self.rows.iter().for_each(|row| ours.add(row.hash, row.count));
                }
            }
        }
    }

    /// Adds so many rows with so many bytes of keys, which come by hash; of an exact shape by hash, then key.
    fn union<'a>(
        &mut self,
        (len, key_bytes): (usize, usize),
        theirs: impl Iterator<Item = Entry<'a>>,
        their_sets: impl Iterator<Item = Cow<'a, DistinctSet>>,
    ) {
        let has_sets = self.shape.is_distinct();
        let (mut our_sets, mut their_sets) = (std::mem::take(&mut self.sets).into_iter(), their_sets);
        let (old_rows, old_keys) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.keys));
        self.rows = Vec::with_capacity(old_rows.len() + len);
        self.keys = Keys::with_capacity(old_keys.len() + key_bytes);
        let mut ours = old_rows.iter().map(|row| (row.hash, row.count, row.relief, old_keys.get(row.key)));
        let by_key = self.shape.is_exact_kind();
        let mut theirs = theirs;
        let (mut our, mut their) = (ours.next(), theirs.next());
        loop {
            let order = match (&our, &their) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(our), Some(their)) if by_key => (our.0, our.3).cmp(&(their.0, their.3)),
                (Some(our), Some(their)) => our.0.cmp(&their.0),
            };
            if has_sets {
                let ours = if order.is_le() { our_sets.next() } else { None };
                let theirs = if order.is_ge() { their_sets.next() } else { None };
                self.sets.extend(united(ours, theirs));
            }
            let row = match order {
                Ordering::Less => std::mem::replace(&mut our, ours.next()),
                Ordering::Greater => std::mem::replace(&mut their, theirs.next()),
                Ordering::Equal => {
                    let (a, b) = (our, their);
                    (our, their) = (ours.next(), theirs.next());
                    a.zip(b).map(|(a, b)| (a.0, a.1 + b.1, a.2 + b.2, a.3.min(b.3)))
                }
            };
            if let Some((hash, count, relief, key)) = row {
                let key = self.keys.push(key);
                self.rows.push(Row { hash, count, relief, key });
            }
        }
    }
}

/// The values of both.
fn united(ours: Option<DistinctSet>, theirs: Option<Cow<'_, DistinctSet>>) -> Option<DistinctSet> {
    match (ours, theirs) {
        (Some(mut ours), Some(theirs)) => {
            ours.union(&theirs);
            Some(ours)
        }
        (ours, theirs) => ours.or(theirs.map(Cow::into_owned)),
    }
}
