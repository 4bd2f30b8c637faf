//! The rows of a ledger: an open-addressing table from hash to count.
//!
//! Probing is linear and starts at the hash's high bits, so that the slots follow the order of the hashes. The hashes
//! lie apart from what is known of the items: on flat streams most events look at the hashes alone, and those of some
//! thousands of rows stay in the nearest cache.

use crate::keys::KeyRef;

/// An item and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) hash: u64,
    /// Its weight since it has this row.
    pub(crate) count: u64,
    /// Its weight before that, at most.
    pub(crate) base: u64,
    pub(crate) key: KeyRef,
}

/// At most half of the slots are taken.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// The item of each slot, 0 while it is empty.
    hashes: Box<[u64]>,
    known: Box<[Known]>,
    len: usize,
}

/// Memory of a row's place, and of the empty one that goes with it, in bytes.
pub(crate) const ROW_BYTES: usize = 2 * (size_of::<u64>() + size_of::<Known>());

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    // As in `Row`.
    count: u64,
    base: u64,
    key: KeyRef,
}

impl Table {
    /// An empty table of room for `rows`, a power of two.
    pub(crate) fn with_room(rows: usize) -> Self {
        let slots = 2 * rows;
        Table { hashes: vec![0; slots].into(), known: vec![Known::default(); slots].into(), len: 0 }
    }

    /// One of room for `rows` with the rows of this one.
    pub(crate) fn grown(&self, rows: usize) -> Self {
        let mut table = Table::with_room(rows);
        self.iter().for_each(|row| table.insert(row));
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
        size_of_val(&*self.hashes) + size_of_val(&*self.known)
    }

    /// Adds to the item's count, if it has a row; says whether it has.
    #[inline]
    pub(crate) fn add(&mut self, hash: u64, weight: u64) -> bool {
        let found = self.find(hash);
        if let Ok(at) = found {
            self.known[at].count += weight;
        }
        found.is_ok()
    }

    /// The item's row.
    pub(crate) fn get(&self, hash: u64) -> Option<Row> {
        let at = self.find(hash).ok()?;
        let Known { count, base, key } = self.known[at];
        Some(Row { hash, count, base, key })
    }

    /// Adds a row of an item that has none, where there is room.
    pub(crate) fn insert(&mut self, row: Row) {
        debug_assert!(self.len < self.room());
        let (Ok(at) | Err(at)) = self.find(row.hash);
        self.hashes[at] = row.hash;
        self.known[at] = Known { count: row.count, base: row.base, key: row.key };
        self.len += 1;
    }

    /// The rows, almost by hash: only those that found their place taken, or the end of the table, are out of order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Row> + '_ {
        let slots = self.hashes.iter().zip(&self.known);
        let rows = slots.map(|(&hash, &Known { count, base, key })| Row { hash, count, base, key });
        rows.filter(|row| row.hash != 0)
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
