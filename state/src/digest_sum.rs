//! The sum of digests that come one after the other, so that few of them are in memory at a time.
//!
//! Law: it is [`Digest::merge`] of all that were added, whatever their order.
//!
//! **Costs**: what waits is merged once it is as large as the sum, so that a row is merged a few times, and at most twice the rows of
//! the sum are in memory, and those of the last digest.

use crest_sketches::Digest;

/// The sum of digests of disjoint parts of a stream.
#[derive(Debug, Default)]
pub(crate) struct DigestSum {
    sum: Digest,
    waiting: Vec<Digest>,
    /// The size of what waits.
    size: usize,
}

impl DigestSum {
    /// Adds a digest.
    pub(crate) fn push(&mut self, digest: Digest) {
        self.size += size(&digest);
        self.waiting.push(digest);
        if self.size >= size(&self.sum) {
            self.merge();
        }
    }

    /// The sum of all; that of an empty stream where there are none.
    pub(crate) fn whole(mut self) -> Digest {
        self.merge();
        self.sum
    }

    fn merge(&mut self) {
        self.sum = Digest::merge(std::iter::once(&self.sum).chain(&self.waiting));
        self.waiting.clear();
        self.size = 0;
    }
}

/// In rows; a digest without rows takes some memory, too.
fn size(digest: &Digest) -> usize {
    1 + digest.rows().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_sketches::{Merged, PaneSketch, Shape};
    use proptest::prelude::*;

    fn digest(items: &[(u8, u32)], rows: usize) -> Digest {
        let shape = Shape::new(64, 0.001, 0.00005, 7).unwrap();
        let mut pane = PaneSketch::new(&shape);
        items.iter().for_each(|(item, weight)| pane.add(&[*item], *weight));
        let mut merged = Merged::new(&shape);
        merged.add(&pane);
        merged.cut(rows)
    }

    proptest! {
        #[test]
        fn it_is_the_merge_of_all_and_few_wait(
            digests in prop::collection::vec(
                (prop::collection::vec((0u8..40, 1u32..100), 0..30), prop::sample::select(vec![1, 5, usize::MAX]), 0u64..3),
                0..40,
            ),
        ) {
            let digests: Vec<Digest> = digests
                .iter()
                .flat_map(|(items, rows, unseen)| [digest(items, *rows), Digest::unseen(*unseen)])
                .collect();
            let mut sum = DigestSum::default();
            for digest in &digests {
                sum.push(digest.clone());
                prop_assert!(sum.size < size(&sum.sum), "{} wait for {}", sum.size, size(&sum.sum));
                prop_assert_eq!(sum.waiting.iter().map(size).sum::<usize>(), sum.size);
            }
            prop_assert_eq!(sum.whole(), Digest::merge(&digests));
        }
    }
}
