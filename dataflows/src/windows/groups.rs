//! The groups of a board, by text. There may be ten thousands of them, and most panes have most of them: who adds a pane
//! goes through both in their order, instead of looking each one up.

use super::group::Group;

/// The groups in the order of their texts.
#[derive(Default)]
pub(super) struct Groups(Vec<Group>);

impl Groups {
    /// The whole board, under the empty text, with so many windows.
    pub(super) fn new(windows: usize) -> Self {
        Groups(vec![Group::new("", windows)])
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, text: &str) -> Option<&Group> {
        self.place(text).ok().map(|at| &self.0[at])
    }

    pub(super) fn contains(&self, text: &str) -> bool {
        self.place(text).is_ok()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Group> {
        self.0.iter_mut()
    }

    /// Calls `each` with the group of each of these texts, which come in order, and with what comes with it. A group that
    /// is not there yet gets so many windows.
    pub(super) fn visit<'a, T>(
        &mut self,
        windows: usize,
        texts: impl Iterator<Item = (&'a String, T)>,
        mut each: impl FnMut(&mut Group, T),
    ) {
        let (mut at, mut new) = (0, Vec::new());
        for (text, value) in texts {
            while self.0.get(at).is_some_and(|group| group.text < *text) {
                at += 1;
            }
            match self.0.get_mut(at).filter(|group| group.text == *text) {
                Some(group) => each(group, value),
                None => {
                    let mut group = Group::new(text, windows);
                    each(&mut group, value);
                    new.push(group);
                }
            }
        }
        if !new.is_empty() {
            self.0.append(&mut new);
            // Two runs, which a stable sort merges.
            self.0.sort_by(|a, b| a.text.cmp(&b.text));
        }
    }

    /// Removes groups, and returns their texts.
    pub(super) fn remove(&mut self, is_to_go: impl Fn(&Group) -> bool) -> Vec<String> {
        self.0.extract_if(.., |group| is_to_go(group)).map(|group| group.text).collect()
    }

    fn place(&self, text: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|group| group.text.as_str().cmp(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_made_and_kept_in_order() {
        let (mut groups, mut visited) = (Groups::new(1), Vec::new());
        for texts in [["", "b", "d"], ["a", "b", "e"], ["", "c", "d"]] {
            let texts = texts.map(String::from);
            groups.visit(1, texts.iter().zip(0..), |group, value| visited.push((group.text.clone(), value)));
        }
        let text = |group: &Group| group.text.clone();
        assert_eq!(groups.iter().map(text).collect::<Vec<_>>(), ["", "a", "b", "c", "d", "e"]);
        assert_eq!(visited[3..6], [("a".into(), 0), ("b".into(), 1), ("e".into(), 2)]);
        assert_eq!(groups.remove(|group| group.text > "b".to_owned()), ["c", "d", "e"]);
        assert!(groups.contains("b") && !groups.contains("c") && groups.len() == 3);
        assert!(groups.get("a").is_some_and(|group| group.windows.len() == 1));
    }
}
