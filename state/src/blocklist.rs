//! The items that a board leaves out of its rankings, as they are just now. All who rank a board share one list, which the
//! program reads and replaces; it is no part of what the board counts, and is never stored.

use crest_connectors::without_secrets;
use parking_lot::RwLock;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// The blocklist of a board, if it has one. Clones share it.
#[derive(Clone, Default)]
pub struct Blocklist(Option<Arc<Kept>>);

struct Kept {
    /// A file or the URL of a set, as the configuration names it.
    place: String,
    now: RwLock<Arc<Blocked>>,
}

/// The items that are left out.
#[derive(Debug, Default)]
pub struct Blocked {
    ids: HashSet<Box<[u8]>>,
    version: u64,
}

impl Blocklist {
    /// The list that is kept at a place. It is empty until it was read.
    pub fn at(place: String) -> Self {
        Blocklist(Some(Arc::new(Kept { place, now: RwLock::default() })))
    }

    /// Where it is kept, as the configuration names it; `None` where there is none.
    pub fn place(&self) -> Option<&str> {
        self.0.as_ref().map(|kept| kept.place.as_str())
    }

    /// Who is left out now; `None` where there is no list.
    pub fn now(&self) -> Option<Arc<Blocked>> {
        self.0.as_ref().map(|kept| kept.now.read().clone())
    }

    /// A number that is another one when others are left out.
    pub fn version(&self) -> u64 {
        self.0.as_ref().map_or(0, |kept| kept.now.read().version)
    }

    /// Leaves out these from now on. Whether they are others than before.
    pub fn replace(&self, ids: HashSet<Box<[u8]>>) -> bool {
        let Some(kept) = &self.0 else { return false };
        let blocked = Blocked::of(ids);
        let mut now = kept.now.write();
        let differs = now.version != blocked.version;
        if differs {
            *now = Arc::new(blocked);
        }
        differs
    }
}

impl Blocked {
    /// These items.
    pub fn of(ids: HashSet<Box<[u8]>>) -> Self {
        // A sum, so that the order of the set does not matter.
        let version = ids.iter().fold(ids.len() as u64, |sum, id| sum.wrapping_add(xxh3_64(id)));
        Blocked { ids, version }
    }

    /// Whether an item is left out.
    pub fn has(&self, id: &[u8]) -> bool {
        self.ids.contains(id)
    }

    /// All of them, in no order.
    pub fn ids(&self) -> impl Iterator<Item = &[u8]> {
        self.ids.iter().map(|id| &**id)
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// See [`Blocklist::version`].
    pub fn version(&self) -> u64 {
        self.version
    }
}

impl fmt::Debug for Blocklist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Blocklist").field(&self.place().map(without_secrets)).finish()
    }
}

impl PartialEq for Blocklist {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}
