//! What a digest knows of some of its items.

use super::{Digest, Row};
use crate::estimate::Estimate;

impl Digest {
    /// How many different values the item `key` most likely has; `None` where it has no row, or weights were counted.
    pub fn estimate(&self, key: &[u8]) -> Option<Estimate> {
        let at = self.rows.iter().position(|row| self.keys.get(row.key) == key)?;
        self.sets.get(at).map(|set| set.estimate_within(self.bounds_at(at)))
    }

    /// The same without the rows of other items than these, each given by its hash and its key. Of these it says what it
    /// said, and so does a union with others of this kind.
    pub fn only<'a>(&self, items: impl IntoIterator<Item = (u64, &'a [u8])>) -> Digest {
        let place = |(hash, key): (u64, &[u8])| {
            self.rows.binary_search_by(|row| (row.hash, self.keys.get(row.key)).cmp(&(hash, key))).ok()
        };
        let mut places: Vec<usize> = items.into_iter().filter_map(place).collect();
        places.sort_unstable();
        places.dedup();
        let rows: Vec<Row> = places.iter().map(|&at| self.rows[at].clone()).collect();
        let sets = places.iter().filter_map(|&at| self.sets.get(at).cloned()).collect();
        Digest::with_sets(self.total, self.floor, rows, sets, &self.keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Merged, PaneSketch, Shape, item_hash};

    #[test]
    fn some_of_the_items_are_known_as_among_all() {
        let Ok(shape) = Shape::new(32, 0.01, 0.001, 7).map(Shape::distinct) else {
            unreachable!("sizes in range")
        };
        let digest = |day: u32| {
            let mut sketch = PaneSketch::new(&shape);
            for user in 0..4000 {
                sketch.add_distinct(
                    format!("item:{}", user % 57).as_bytes(),
                    format!("{}", user * day).as_bytes(),
                );
            }
            let mut merged = Merged::new(&shape);
            merged.add(&sketch);
            merged.cut(20)
        };
        let days = [digest(1), digest(2)];
        let keys = [&b"item:3"[..], b"item:40", b"nobody", b"item:3"];
        let items = || keys.iter().map(|key| (item_hash(key, 7), *key));
        let some = days.each_ref().map(|day| day.only(items()));
        let (all, some) = (Digest::merge(&days), Digest::merge(&some));
        assert!(all.floor() > 0 && some.rows().len() <= 2);
        for (hash, key) in items() {
            assert_eq!(
                (some.bounds(hash, key), some.estimate(key)),
                (all.bounds(hash, key), all.estimate(key))
            );
        }
        assert_eq!((some.total(), some.floor()), (all.total(), all.floor()));
        assert_eq!(all.estimate(b"nobody"), None);
    }
}
