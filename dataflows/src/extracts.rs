//! The extracts of one open pane, and their merge. Only what has changed is merged anew: whoever holds the digest of a
//! group in the merge before finds the same one in the next, where nothing has changed in it.

use crate::frame::FrameError;
use crate::share::PaneShare;
use crest_connectors::group_key::GroupKey;
use crest_sketches::Digest;
use crest_state::pane::{Pane, PaneDigests};
use crest_state::removed::RemovedIn;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The latest extracts of all workers.
#[derive(Default)]
pub(crate) struct Extracts {
    workers: BTreeMap<u32, Extract>,
    /// The merge, as it was made last.
    view: Option<Rc<PaneDigests>>,
    /// The groups in which something has changed since.
    changed: BTreeSet<GroupKey>,
}

/// What a worker has told of the pane.
#[derive(Default)]
struct Extract {
    refused: u64,
    groups: BTreeMap<GroupKey, Rc<Digest>>,
}

impl Extracts {
    /// Takes an extract, which replaces what was known of its groups.
    pub(crate) fn take(&mut self, share: PaneShare) -> Result<(), FrameError> {
        let extract = self.workers.entry(share.worker).or_default();
        for group in share.groups {
            let digest = Rc::new(group.sketch.into_digest()?);
            if self.view.is_some() {
                self.changed.insert(group.group.clone());
            }
            extract.groups.insert(group.group, digest);
        }
        if std::mem::replace(&mut extract.refused, share.refused) != share.refused {
            // A group that the worker lacks may have what it refused.
            self.view = None;
        }
        Ok(())
    }

    /// The merge of the extracts; `None` when there are none.
    pub(crate) fn view(&mut self, pane: Pane) -> Option<Rc<PaneDigests>> {
        if self.workers.is_empty() {
            return None;
        }
        let changed = std::mem::take(&mut self.changed);
        let changed = self.with_removed(changed);
        match self.view.take() {
            None => self.view = Some(Rc::new(self.merge(pane))),
            Some(mut view) => {
                if !changed.is_empty() {
                    let digests: Vec<_> = self.joined(changed).collect();
                    Rc::make_mut(&mut view).groups.extend(digests);
                }
                self.view = Some(view);
            }
        }
        self.view.clone()
    }

    fn merge(&self, pane: Pane) -> PaneDigests {
        let mut keys: Vec<&GroupKey> =
            self.workers.values().flat_map(|extract| extract.groups.keys()).collect();
        keys.sort();
        keys.dedup();
        let keys = self.with_removed(keys.into_iter().cloned().collect());
        let mut groups: BTreeMap<_, _> = self.joined(keys).collect();
        let refused: u64 = self.workers.values().map(|extract| extract.refused).sum();
        if refused > 0 {
            groups.insert(GroupKey::REST, Rc::new(Digest::unseen(refused)));
        }
        PaneDigests { pane, groups }
    }

    /// The same groups, and what is removed of each of them, where a worker has removed anything.
    fn with_removed(&self, mut groups: BTreeSet<GroupKey>) -> BTreeSet<GroupKey> {
        if self.workers.values().any(|extract| RemovedIn::of(&extract.groups).is_some()) {
            let removed: Vec<_> =
                groups.iter().filter(|group| group.is_group()).map(GroupKey::removed).collect();
            groups.extend(removed);
        }
        groups
    }

    /// The digests of groups, without those of which nothing can have been removed.
    fn joined(&self, groups: BTreeSet<GroupKey>) -> impl Iterator<Item = (GroupKey, Rc<Digest>)> {
        let joined = groups.into_iter().map(|group| (self.join(&group), group));
        let is_nothing = |digest: &Digest| digest.total() == 0 && digest.floor() == 0;
        let some = joined.filter(move |(digest, group)| group.removed_of().is_none() || !is_nothing(digest));
        some.map(|(digest, group)| (group, digest))
    }

    fn join(&self, group: &GroupKey) -> Rc<Digest> {
        // What is removed of a group is known where the group is.
        let listed = group.removed_of().unwrap_or(group.as_str());
        let lacking = self.workers.values().filter(|extract| !extract.groups.contains_key(listed));
        let unseen: u64 = if listed.is_empty() { 0 } else { lacking.map(|extract| extract.refused).sum() };
        let known = || self.workers.values().filter_map(|extract| extract.groups.get(group));
        match (known().next(), known().count()) {
            (Some(only), 1) if unseen == 0 => only.clone(),
            _ => {
                let unseen = Digest::unseen(unseen);
                Rc::new(Digest::merge(known().map(Rc::as_ref).chain(std::iter::once(&unseen))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::{GroupShare, Kind, Sketch};
    use crest_sketches::{Merged, PaneSketch};
    use crest_state::spec::SketchSpec;

    fn extract(worker: u32, refused: u64, groups: &[(&str, u32)]) -> PaneShare {
        let shape = SketchSpec::default().shape().unwrap();
        let share = |(group, weight): &(&str, u32)| {
            let (mut sketch, mut merged) = (PaneSketch::new(&shape), Merged::new(&shape));
            sketch.add(b"item", *weight);
            merged.add(&sketch);
            GroupShare { group: group.parse().unwrap(), sketch: Sketch::Digest(merged.cut(10)) }
        };
        let groups = groups.iter().map(share).collect();
        PaneShare { worker, board: 0, pane: 7, kind: Kind::Extract, refused, span: None, groups }
    }

    fn shown(view: &PaneDigests) -> Vec<(&str, u64, u64)> {
        view.groups.iter().map(|(group, digest)| (group.as_str(), digest.total(), digest.floor())).collect()
    }

    #[test]
    fn an_extract_replaces_its_groups_and_the_others_stay_as_they_are() {
        let mut extracts = Extracts::default();
        assert!(extracts.view(7).is_none());
        extracts.take(extract(0, 0, &[("", 5), ("r=a", 2), ("r=b", 3)])).unwrap();
        extracts.take(extract(1, 0, &[("", 1), ("r=b", 1)])).unwrap();
        let first = extracts.view(7).unwrap();
        assert_eq!(shown(&first), [("", 6, 0), ("r=a", 2, 0), ("r=b", 4, 0)]);

        extracts.take(extract(1, 0, &[("", 3), ("r=b", 2), ("r=c", 1)])).unwrap();
        let (second, a) = (extracts.view(7).unwrap(), "r=a".parse::<GroupKey>().unwrap());
        assert_eq!(shown(&second), [("", 8, 0), ("r=a", 2, 0), ("r=b", 5, 0), ("r=c", 1, 0)]);
        assert!(Rc::ptr_eq(&first.groups[&a], &second.groups[&a]));
        assert!(Rc::ptr_eq(&second, &extracts.view(7).unwrap()), "nothing came");
        assert_eq!(first.groups.len(), 3, "who holds the view before still has that");

        extracts.take(extract(1, 9, &[("", 12), ("r=b", 2), ("r=c", 1)])).unwrap();
        let third = extracts.view(7).unwrap();
        let expected = [("", 17, 0), ("*", 0, 9), ("r=a", 2, 9), ("r=b", 5, 0), ("r=c", 1, 0)];
        assert_eq!(shown(&third), expected, "a group that the worker lacks may have what it refused");
    }

    #[test]
    fn what_is_removed_of_a_group_follows_where_the_group_is_known() {
        let mut extracts = Extracts::default();
        extracts.take(extract(0, 0, &[("", 5), ("-", 3), ("-,r=a", 1), ("r=a", 2), ("r=b", 3)])).unwrap();
        extracts.take(extract(1, 0, &[("", 1), ("r=b", 1)])).unwrap();
        let first = extracts.view(7).unwrap();
        let expected = [("", 6, 0), ("-", 3, 0), ("-,r=a", 1, 0), ("r=a", 2, 0), ("r=b", 4, 0)];
        assert_eq!(shown(&first), expected);

        extracts.take(extract(1, 0, &[("", 2), ("-", 1), ("-,r=b", 1), ("r=b", 1)])).unwrap();
        let second = extracts.view(7).unwrap();
        let expected =
            [("", 7, 0), ("-", 4, 0), ("-,r=a", 1, 0), ("-,r=b", 1, 0), ("r=a", 2, 0), ("r=b", 4, 0)];
        assert_eq!(shown(&second), expected);

        extracts.take(extract(1, 9, &[("", 11), ("-", 2), ("r=b", 1)])).unwrap();
        let third = extracts.view(7).unwrap();
        let expected = [
            ("", 16, 0),
            ("*", 0, 9),
            ("-", 5, 0),
            ("-,r=a", 1, 9),
            ("-,r=b", 1, 0),
            ("r=a", 2, 9),
            ("r=b", 4, 0),
        ];
        assert_eq!(shown(&third), expected, "of what was refused, any may have been removed");
        extracts.take(extract(0, 0, &[("", 6), ("-", 3), ("r=c", 1)])).unwrap();
        let fourth = extracts.view(7).unwrap();
        let of = |text: &str| shown(&fourth).into_iter().find(|(group, ..)| *group == text);
        assert_eq!((of("r=c"), of("-,r=c")), (Some(("r=c", 1, 9)), Some(("-,r=c", 0, 9))));
    }
}
