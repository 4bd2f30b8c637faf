//! The top K, bucketed: which items of each window and group lead on a worker.
//!
//! ```text
//! counts ─ count ─ by magnitude of the count, arranged ─┬─ how many items of each magnitude ─ reduce ─┐
//!                                                       └─ join ──────────────────────────────────────┘
//!                                                           └─ candidates ─ reduce ─ leaders
//! ```
//!
//! Items are bucketed by the magnitude of their counts, with eight buckets to a power of two. A `reduce` sees how many
//! items each bucket holds, and takes the greatest buckets that together hold K. A join passes only the items of these
//! buckets to the `reduce` that picks K. So a change of one of the many small counts moves it within or between buckets
//! and touches no ranking. The candidates are few, unless many items have about the same count.

use super::local::{Counted, Keys, Leader, Pairs, Slot, Updates, arrange, arrange_keys};
use super::names::Name;
use super::round::{Change, Round};
use differential_dataflow::VecCollection;
use differential_dataflow::operators::CountTotal;
use differential_dataflow::trace::implementations::{ValBuilder, ValSpine};
use differential_dataflow::trace::{Cursor, Navigable};
use std::cell::RefCell;
use std::rc::Rc;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;

/// The numbers of a window and a group, and a magnitude.
type Bucket = (u32, u32, u16);

/// At least the `k` leading items of each slot, among the items that this worker counts.
pub(super) fn leaders(
    counts: Keys<'_, Counted, i64>,
    names: Rc<RefCell<LocalNames>>,
    k: usize,
) -> VecCollection<'_, Round, (Slot, Leader), Change> {
    let by_magnitude = counts
        .count_total_core::<Change>()
        // An item of which nothing is left, or of which more was removed than counted, leads nowhere.
        .flat_map(|((window, group, item), count)| {
            (count > 0).then(|| ((window, group, magnitude(count)), Leader::new(count, item)))
        });
    let by_magnitude = arrange(by_magnitude.inner, "Magnitudes");
    let greatest = arrange(held(&by_magnitude), "Held")
        .reduce_abelian::<_, ValBuilder<_, _, _, _>, ValSpine<Slot, u16, Round, Change>, _, _>(
            "Greatest",
            move |_, magnitudes, greatest| {
                let mut items = 0;
                for (magnitude, held) in magnitudes.iter().rev() {
                    greatest.push((**magnitude, 1));
                    items += *held as usize;
                    if items >= k {
                        break;
                    }
                }
            },
            refill,
        )
        .as_collection(|&(window, group), &magnitude| (window, group, magnitude));
    let candidates = by_magnitude.join_core(
        arrange_keys(greatest.map(|key| (key, ())).inner, "Greatest"),
        |&(window, group, _), &leader: &Leader, _| Some(((window, group), leader)),
    );
    arrange(candidates.inner, "Candidates")
        .reduce_abelian::<_, ValBuilder<_, _, _, _>, ValSpine<Slot, Leader, Round, Change>, _, _>(
            "TopK",
            move |_, candidates, leaders| {
                let lead = names.borrow().lead(candidates, k);
                leaders.extend(lead.map(|leader| (leader, 1)));
            },
            refill,
        )
        .as_collection(|&slot, &leader| (slot, leader))
}

/// By how much the number of items in each bucket changes: of each batch summed, since most items only change places.
fn held<'scope>(
    by_magnitude: &Pairs<'scope, Bucket, Leader, Change>,
) -> Updates<'scope, (Slot, u16), Change> {
    by_magnitude.stream.clone().unary(Pipeline, "Held", move |_, _| {
        let mut changes: Vec<(Round, Change)> = Vec::new();
        move |input, output| {
            input.for_each(|capability, batches| {
                let mut session = output.session(&capability);
                for batch in batches.drain(..).filter_map(|batch| batch.inner) {
                    let mut cursor = batch.cursor();
                    while let Some(&(window, group, magnitude)) = cursor.get_key(&batch) {
                        while cursor.val_valid(&batch) {
                            cursor.map_times(&batch, |&round, &change| {
                                match changes.iter_mut().find(|(of, _)| *of == round) {
                                    Some((_, sum)) => *sum += change,
                                    None => changes.push((round, change)),
                                }
                            });
                            cursor.step_val(&batch);
                        }
                        for (round, change) in changes.drain(..).filter(|(_, change)| *change != 0) {
                            session.give((((window, group), magnitude), round, change));
                        }
                        cursor.step_key(&batch);
                    }
                }
            });
        }
    })
}

/// Writes the output of a reduction for one key.
fn refill<K: Clone, V, R>(out: &mut Vec<((K, V), Round, R)>, key: &K, updates: &mut Vec<(V, Round, R)>) {
    out.clear();
    out.extend(updates.drain(..).map(|(value, round, change)| ((key.clone(), value), round, change)));
}

/// The bucket of a count: exact below 16, then eight to a power of two.
fn magnitude(count: i64) -> u16 {
    let count = count.unsigned_abs();
    let power = count.max(1).ilog2();
    match power.checked_sub(3) {
        None => count as u16,
        Some(shift) => 8 * shift as u16 + (count >> shift) as u16,
    }
}

/// The names of the items that this worker counts.
pub(super) struct LocalNames {
    peers: usize,
    /// The names by item number divided by `peers`: item numbers are dealt out to the workers in turn.
    names: Vec<Option<Name>>,
}

impl LocalNames {
    pub(super) fn new(peers: usize) -> Self {
        LocalNames { peers, names: Vec::new() }
    }

    /// Notes the name of an item; `None` when its number is free again.
    pub(super) fn set(&mut self, item: u32, name: Option<Name>) {
        let at = item as usize / self.peers;
        if at >= self.names.len() {
            self.names.resize(at + 1, None);
        }
        self.names[at] = name;
    }

    /// The `k` leaders among the candidates, which come in rising order of count. Of those with equal counts, the greatest
    /// names lead.
    fn lead(&self, candidates: &[(&Leader, Change)], k: usize) -> impl Iterator<Item = Leader> + use<> {
        let least = candidates.len().checked_sub(k).map_or(i64::MIN, |place| candidates[place].0.count());
        let tied = candidates.partition_point(|(leader, _)| leader.count() < least);
        let above = candidates.partition_point(|(leader, _)| leader.count() <= least);
        let mut last: Vec<Leader> = candidates[tied..above].iter().map(|(leader, _)| **leader).collect();
        let places = k.saturating_sub(candidates.len() - above);
        let name = |leader: &Leader| self.names.get(leader.item as usize / self.peers);
        if places < last.len() {
            last.select_nth_unstable_by(places, |a, b| name(b).cmp(&name(a)));
            last.truncate(places);
        }
        last.extend(candidates[above..].iter().map(|(leader, _)| **leader));
        last.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_magnitude_spans_counts_within_an_eighth_of_each_other() {
        for count in 0..100_000 {
            let (now, next) = (magnitude(count), magnitude(count + 1));
            assert!(next == now || next == now + 1, "{count}");
            assert!(magnitude(count + count / 8 + 1) > now, "{count}");
        }
        assert!(magnitude(i64::MAX) < 512);
    }

    #[test]
    fn of_equal_counts_the_greatest_names_lead() {
        let mut names = LocalNames::new(2);
        let items = ["d", "b", "é", "a", "c"];
        for (item, name) in (1..).step_by(2).zip(items) {
            names.set(item, Some(name.as_bytes().into()));
        }
        let counts = [(2, 7), (5, 3), (5, 5), (5, 9), (9, 1)].map(|(count, item)| Leader::new(count, item));
        let candidates: Vec<(&Leader, Change)> = counts.iter().map(|leader| (leader, 1)).collect();
        let lead = |k| {
            let lead = names.lead(&candidates, k).map(|leader| (leader.count(), leader.item));
            let mut lead: Vec<(i64, u32)> = lead.collect();
            lead.sort_unstable();
            lead
        };
        assert_eq!(lead(1), [(9, 1)]);
        assert_eq!(lead(2), [(5, 5), (9, 1)], "é is the greatest of b, é and c");
        assert_eq!(lead(3), [(5, 5), (5, 9), (9, 1)]);
        assert_eq!(lead(4), [(5, 3), (5, 5), (5, 9), (9, 1)]);
        assert_eq!((lead(5).len(), lead(9).len()), (5, 5));
    }

    #[test]
    fn leaders_are_in_the_order_of_their_counts() {
        let counts = [0, 1, u32::MAX.into(), 1 << 32, (1 << 32) + 1, 1 << 40, i64::MAX];
        let leaders = counts.map(|count| Leader::new(count, 7));
        assert!(leaders.is_sorted());
        assert_eq!(leaders.map(Leader::count), counts);
    }
}
