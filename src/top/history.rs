//! How the items' counts went over the last rankings that were seen, as a line of small columns.

use crest_connectors::snapshot::{ItemId, Snapshot};
use std::collections::{HashMap, VecDeque};

/// Rankings that are remembered.
const LENGTH: usize = 60;
/// From the least to the greatest.
const COLUMNS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The counts of the items, oldest first; a ranking without an item leaves a gap.
#[derive(Default)]
pub struct History {
    items: HashMap<ItemId, VecDeque<Option<u64>>>,
}

impl History {
    /// Takes a ranking. Items that none of the remembered ones has are forgotten.
    pub fn push(&mut self, snapshot: &Snapshot) {
        for counts in self.items.values_mut() {
            counts.push_back(None);
        }
        for item in &snapshot.items {
            let counts = self.items.entry(item.item_id.clone()).or_insert_with(|| VecDeque::from([None]));
            if let Some(newest) = counts.back_mut() {
                *newest = Some(item.count);
            }
        }
        self.items.retain(|_, counts| {
            if counts.len() > LENGTH {
                counts.pop_front();
            }
            counts.iter().any(Option::is_some)
        });
    }

    /// An item's counts in so many columns, the newest last; each item by its own measure, since small ones move too.
    pub fn line(&self, item: &str, columns: usize) -> String {
        let Some(counts) = self.items.get(item) else { return " ".repeat(columns) };
        let shown: Vec<Option<u64>> = counts.iter().rev().take(columns).rev().copied().collect();
        let known = || shown.iter().flatten();
        let (least, most) = (known().min().copied().unwrap_or(0), known().max().copied().unwrap_or(0));
        let column = |count: &Option<u64>| match count {
            None => ' ',
            // What does not move is in the middle.
            Some(_) if least == most => COLUMNS[3],
            Some(count) => {
                let height = (count - least) as f64 / (most - least) as f64;
                COLUMNS[(height * 7.0).round().clamp(0.0, 7.0) as usize]
            }
        };
        let line: String = shown.iter().map(column).collect();
        format!("{}{line}", " ".repeat(columns - shown.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::tests_support::ranking;
    use super::*;

    fn push(history: &mut History, counts: &[(&str, u64)]) {
        let items: Vec<_> = counts.iter().map(|(id, count)| (*id, *count, *count, None)).collect();
        history.push(&ranking(&items).snapshot);
    }

    #[test]
    fn counts_are_drawn_between_their_least_and_their_greatest() {
        let mut history = History::default();
        for counts in [&[("a", 10), ("b", 5)][..], &[("a", 17)], &[("a", 13), ("b", 5)]] {
            push(&mut history, counts);
        }
        assert_eq!((history.line("a", 3), history.line("b", 3)), ("▁█▄".into(), "▄ ▄".into()));
        assert_eq!((history.line("a", 5), history.line("a", 1)), ("  ▁█▄".into(), "▄".into()));
        assert_eq!(history.line("nobody", 2), "  ");
    }

    #[test]
    fn what_is_no_longer_ranked_is_forgotten() {
        let mut history = History::default();
        push(&mut history, &[("gone", 1)]);
        (0..LENGTH).for_each(|_| push(&mut history, &[("a", 1)]));
        assert_eq!((history.items.len(), history.items["a"].len()), (1, LENGTH));
    }
}
