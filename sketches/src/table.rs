//! The rows of a ledger: an open-addressing table from hash to count.
//!
//! Probing is linear and starts at the hash's high bits, so that the slots follow the order of the hashes. The hashes
//! lie apart from what is known of the items: on flat streams most events look at the hashes alone, and those of some
//! thousands of rows stay in the nearest cache.

use crate::keys::KeyRef;

/// What is known of an item. `S` is a name of its values, where these are told apart.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Row<S = ()> {
    /// Its weight since it has this row.
    pub(crate) count: u64,
    /// Its weight before that, at most.
    pub(crate) base: u64,
    pub(crate) key: KeyRef,
    pub(crate) set: S,
}

/// At most half of the slots are taken.
#[derive(Clone, Debug)]
pub(crate) struct Table<S = ()> {
    /// The item of each slot, 0 while it is empty.
    hashes: Box<[u64]>,
    rows: Box<[Row<S>]>,
    len: usize,
}

/// Memory of a row's place, and of the empty one that goes with it, in bytes.
pub(crate) const ROW_BYTES: usize = 2 * (size_of::<u64>() + size_of::<Row>());
/// The same where an item's values are told apart.
pub(crate) const DISTINCT_ROW_BYTES: usize = 2 * (size_of::<u64>() + size_of::<Row<u32>>());

impl<S: Copy + Default> Table<S> {
    /// An empty table of room for `rows`, a power of two.
    pub(crate) fn with_room(rows: usize) -> Self {
        let slots = 2 * rows;
        Table { hashes: vec![0; slots].into(), rows: vec![Row::default(); slots].into(), len: 0 }
    }

    /// One of room for `rows` with the rows of this one.
    pub(crate) fn grown(&self, rows: usize) -> Self {
        let mut table = Table::with_room(rows);
        self.iter().for_each(|(hash, row)| table.insert(hash, row));
        table
    }

    /// Rows that there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Rows that there may be.
    pub(crate) fn room(&self) -> usize {
        self.hashes.len() / 2
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.hashes) + size_of_val(&*self.rows)
    }

    /// Adds to the item's count, if it has a row; says whether it has.
    #[inline]
    pub(crate) fn add(&mut self, hash: u64, weight: u64) -> bool {
        let found = self.find(hash);
        if let Ok(at) = found {
            self.rows[at].count += weight;
        }
        found.is_ok()
    }

    /// The item's row, to be changed.
    #[inline]
    pub(crate) fn get_mut(&mut self, hash: u64) -> Option<&mut Row<S>> {
        self.find(hash).ok().map(|at| &mut self.rows[at])
    }

    /// The item's row.
    pub(crate) fn get(&self, hash: u64) -> Option<Row<S>> {
        self.find(hash).ok().map(|at| self.rows[at])
    }

    /// Adds a row of an item that has none, where there is room.
    pub(crate) fn insert(&mut self, hash: u64, row: Row<S>) {
        debug_assert!(self.len < self.room());
        let (Ok(at) | Err(at)) = self.find(hash);
        (self.hashes[at], self.rows[at]) = (hash, row);
        self.len += 1;
    }

    /// The items and their rows, almost by hash: only those that found their place taken, or the end of the table, are out of order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Row<S>)> + '_ {
        let slots = self.hashes.iter().copied().zip(self.rows.iter().copied());
        slots.filter(|(hash, _)| *hash != 0)
    }

    pub(crate) fn clear(&mut self) {
        self.hashes.fill(0);
        self.len = 0;
    }

    /// The slot of the item, or else the empty one where it would be.
    #[inline]
    fn find(&self, hash: u64) -> Result<usize, usize> {
        let mask = self.hashes.len() - 1;
        let mut at = (hash >> (64 - self.hashes.len().trailing_zeros())) as usize;
        loop {
            match self.hashes[at & mask] {
                found if found == hash => return Ok(at & mask),
                0 => return Err(at & mask),
                _ => at += 1,
            }
        }
    }
}
