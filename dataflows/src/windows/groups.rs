//! The groups of a board, by their keys. There may be ten thousands of them, and most panes have most of them: who adds a pane
//! goes through both in their order, instead of looking each one up.

use super::group::Group;
use crest_connectors::group_key::GroupKey;

/// The groups in the order of their keys.
#[derive(Default)]
pub(super) struct Groups(Vec<Group>);

impl Groups {
    /// The whole board, with so many windows.
    pub(super) fn new(windows: usize) -> Self {
        Groups(vec![Group::new(&GroupKey::WHOLE, windows)])
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, key: &GroupKey) -> Option<&Group> {
        self.place(key).ok().map(|at| &self.0[at])
    }

    pub(super) fn contains(&self, key: &GroupKey) -> bool {
        self.place(key).is_ok()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Group> {
        self.0.iter_mut()
    }

    /// Calls `each` with the group of each of these keys, which come in order, and with what comes with it. A group that
    /// is not there yet gets so many windows.
    pub(super) fn visit<'a, T>(
        &mut self,
        windows: usize,
        keys: impl Iterator<Item = (&'a GroupKey, T)>,
        mut each: impl FnMut(&mut Group, T),
    ) {
        let (mut at, mut new) = (0, Vec::new());
        for (key, value) in keys {
            while self.0.get(at).is_some_and(|group| group.key < *key) {
                at += 1;
            }
            match self.0.get_mut(at).filter(|group| group.key == *key) {
                Some(group) => each(group, value),
                None => {
                    let mut group = Group::new(key, windows);
                    each(&mut group, value);
                    new.push(group);
                }
            }
        }
        if !new.is_empty() {
            self.0.append(&mut new);
            // Two runs, which a stable sort merges.
            self.0.sort_by(|a, b| a.key.cmp(&b.key));
        }
    }

    /// Removes groups, and returns their keys.
    pub(super) fn remove(&mut self, is_to_go: impl Fn(&Group) -> bool) -> Vec<GroupKey> {
        self.0.extract_if(.., |group| is_to_go(group)).map(|group| group.key).collect()
    }

    fn place(&self, key: &GroupKey) -> Result<usize, usize> {
        self.0.binary_search_by(|group| group.key.cmp(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_made_and_kept_in_order() {
        let key = |text: &str| text.parse::<GroupKey>().unwrap();
        let (mut groups, mut visited) = (Groups::new(1), Vec::new());
        for texts in [["", "r=b", "r=d"], ["r=a", "r=b", "r=e"], ["", "r=c", "r=d"]] {
            let keys = texts.map(key);
            groups.visit(1, keys.iter().zip(0..), |group, value| visited.push((group.key.clone(), value)));
        }
        let all = groups.iter().map(|group| group.key.as_str()).collect::<Vec<_>>();
        assert_eq!(all, ["", "r=a", "r=b", "r=c", "r=d", "r=e"]);
        assert_eq!(visited[3..6], [(key("r=a"), 0), (key("r=b"), 1), (key("r=e"), 2)]);
        assert_eq!(groups.remove(|group| group.key > key("r=b")), ["r=c", "r=d", "r=e"].map(key));
        assert!(groups.contains(&key("r=b")) && !groups.contains(&key("r=c")) && groups.len() == 3);
        assert!(groups.get(&key("r=a")).is_some_and(|group| group.windows.len() == 1));
    }
}
