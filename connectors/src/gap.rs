//! Records that are gone before they were read: deleted, or overtaken by retention.

use crate::range::OnGap;
use crate::source::SourceError;
use std::ops::Range;

/// Offsets of a partition that were to be read, and that are not kept any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The next one to read.
    pub(crate) wanted: i64,
    /// The first one that is kept.
    pub(crate) first: i64,
    /// How many were to be read between them; in a compacted log not each of them was a record.
    pub(crate) lost: u64,
}

impl Gap {
    /// The gap before what can be read of a partition, if there is one and it may be skipped. `wanted`: the next
    /// offset to read; `until`: the first one not to read any more; `kept`: the first one that is kept, and the next
    /// one to be written.
    ///
    /// # Errors
    /// [`SourceError::Lost`] where it may not be skipped, or the partition ends before `wanted`.
    pub(crate) fn find(
        on_gap: OnGap,
        partition: &str,
        wanted: i64,
        until: Option<i64>,
        kept: (i64, i64),
    ) -> Result<Option<Gap>, SourceError> {
        let (low, high) = kept;
        let end = until.map_or(low, |until| until.min(low));
        let lost = u64::try_from(end - wanted).unwrap_or(0);
        match on_gap {
            _ if wanted > high => Err(not_kept(partition, wanted, kept)),
            _ if lost == 0 => Ok(None),
            OnGap::Fail => Err(not_kept(partition, wanted, kept)),
            OnGap::Skip => Ok(Some(Gap { wanted, first: low, lost })),
        }
    }

    /// The offsets from the first that was wanted up to the first that is kept, with those of the gap that was `known`
    /// before, where it ends there.
    pub(crate) fn offsets(&self, known: Option<&Range<i64>>) -> Range<i64> {
        let before = known.filter(|known| known.end == self.wanted);
        before.map_or(self.wanted, |known| known.start)..self.first
    }

    /// Tells people of it.
    pub(crate) fn tell(&self, partition: &str) {
        let Gap { wanted, first, lost } = self;
        tracing::warn!(
            partition,
            wanted,
            first_kept = first,
            lost,
            "these records are kept no more; reading on without them"
        );
    }
}

/// The refusal of an offset that is not kept.
pub(crate) fn not_kept(partition: &str, wanted: i64, (low, high): (i64, i64)) -> SourceError {
    let reason = if wanted < low {
        format!("it is kept no more: offsets {low} to {high} can be read; --on-gap skip goes on without them")
    } else {
        format!(
            "the partition ends before it (is the log another one, or was it cut or made anew?): \
             offsets {low} to {high} can be read"
        )
    };
    SourceError::Lost { partition: partition.to_owned(), offset: wanted, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_what_was_to_be_read_and_is_not_kept() {
        let find = |on_gap, wanted, until| Gap::find(on_gap, "t/1", wanted, until, (40, 100));
        let lost = |wanted, until| find(OnGap::Skip, wanted, until).unwrap().map(|gap| (gap.first, gap.lost));
        assert_eq!(lost(39, None), Some((40, 1)));
        assert_eq!(lost(10, Some(90)), Some((40, 30)));
        assert_eq!(lost(10, Some(15)), Some((40, 5)), "no more was to be read");
        for on_gap in [OnGap::Fail, OnGap::Skip] {
            for (wanted, until) in [(40, None), (100, None), (10, Some(10)), (10, Some(3))] {
                assert_eq!(find(on_gap, wanted, until).unwrap(), None, "{wanted} {until:?}");
            }
            let beyond = find(on_gap, 101, None).unwrap_err().to_string();
            assert!(beyond.starts_with("t/1 at offset 101: the partition ends before it"), "{beyond}");
        }
        assert_eq!(
            find(OnGap::Fail, 39, None).unwrap_err().to_string(),
            "t/1 at offset 39: it is kept no more: offsets 40 to 100 can be read; --on-gap skip goes on without them"
        );
    }
}
