//! What a state says of single items, and of what rises, at one end of a window: what an audit looks at beside rankings.

use crate::known_item::{KnownItem, shown_of};
use crate::ranked::shown_id;
use crate::risen::Compared;
use crest_connectors::group_key::GroupKey;
use crest_connectors::rising::Rising;
use crest_sketches::Digest;
use crest_state::against::Against;
use crest_state::histories::Histories;
use crest_state::history::HistoryError;
use crest_state::inspect::Range;
use crest_state::rises::shown;
use crest_state::spec::BoardSpec;
use crest_state::top::Top;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Items with a row that are looked at, from the first to the last.
const ITEMS: usize = 12;
/// An id that no event has.
const NO_ITEM: &str = "crest audit: no such item";

/// What is said of a group.
#[derive(Debug, Default)]
pub struct Spot {
    /// Of some items, the last of which has no event.
    pub items: Vec<(Arc<str>, KnownItem)>,
    /// What rises, against what there is to compare with; in milliseconds, how much earlier that is.
    pub rising: Vec<(i64, Rising)>,
}

/// A window of a board at one end, in milliseconds since 1970 UTC.
pub struct SpotOf<'a> {
    /// The board.
    pub board: &'a BoardSpec,
    /// The window's name.
    pub window: &'a Arc<str>,
    /// From where to where it reaches.
    pub range: Range,
    /// How many rows of what rises are looked at.
    pub k: usize,
}

impl SpotOf<'_> {
    /// What is said of each group that is listed. `against` are the times that the window is compared with, and how much earlier
    /// they are in milliseconds; those that are not kept are left out, as all is where the window is not.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn look(
        &self,
        history: &Histories,
        against: &[(Against, i64)],
    ) -> Result<BTreeMap<GroupKey, Spot>, HistoryError> {
        let Some(now) = history.groups(&self.board.name, self.range)? else { return Ok(BTreeMap::new()) };
        let mut spots: BTreeMap<GroupKey, Spot> =
            now.iter().map(|(group, digest)| (group.clone(), Spot::of(self.board, digest))).collect();
        for (against, by) in against {
            let before = Range { from_ms: self.range.from_ms - by, to_ms: self.range.to_ms - by };
            if before.from_ms < 0 {
                continue;
            }
            let Some(earlier) = history.groups(&self.board.name, before)? else { continue };
            let (window, range, k) = (self.window, self.range, self.k);
            let compared = Compared {
                board: &self.board.name,
                window,
                against: *against,
                range,
                before,
                missing: &[],
                k,
            };
            // What a group may have had that no block lists is not known here.
            for (group, earlier) in &earlier {
                let Some(digest) = now.get(group) else { continue };
                let rising = compared.rising(group, &shown(self.board, earlier, digest, k));
                spots.entry(group.clone()).or_default().rising.push((*by, rising));
            }
        }
        Ok(spots)
    }
}

impl Spot {
    fn of(board: &BoardSpec, digest: &Digest) -> Self {
        // Of those who are blocked the exact engine has no count.
        let top = Top::of(board);
        let mut rows: Vec<_> = digest.rows().filter(|row| !top.blocks(row.key)).collect();
        rows.sort_by(|a, b| b.bounds.upper().cmp(&a.bounds.upper()).then_with(|| b.key.cmp(a.key)));
        let step = rows.len().div_ceil(ITEMS).max(1);
        let keys = rows.iter().step_by(step).chain(rows.last()).map(|row| row.key);
        let item = |key: &[u8]| {
            let id = shown_id(key);
            let known = shown_of(board, digest, &id);
            (Arc::from(id.as_str()), known)
        };
        Spot { items: keys.chain([NO_ITEM.as_bytes()]).map(item).collect(), rising: Vec::new() }
    }
}
