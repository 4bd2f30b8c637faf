//! The names that a job reads, as a tree: what a walk over a record looks for below each name.

/// A tree of names. Its root stands for the value where a walk begins.
#[derive(Clone, Debug)]
pub(crate) struct Tree(Vec<Node>);

/// A name's place in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(usize);

/// What is asked for below a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Below {
    Nothing,
    /// Its value, which is kept in this slot.
    Value(usize),
    /// Values within it, and perhaps itself.
    Node(NodeId),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    names: Vec<(Box<[u8]>, NodeId)>,
    /// A bit for the length of each name, modulo 64: most names of a record are told apart from all of these by it.
    lengths: u64,
    /// The slot that the value is kept in, if it is.
    pub(crate) slot: Option<usize>,
    /// The slots of this node and all below it: from the first to before the second.
    pub(crate) slots: (usize, usize),
}

impl NodeId {
    /// Its number in the tree.
    #[inline]
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

impl Tree {
    pub(crate) const ROOT: NodeId = NodeId(0);

    pub(crate) fn new() -> Self {
        Tree(vec![Node::default()])
    }

    #[inline]
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.0[id.0]
    }

    /// What is asked for below a node by this name.
    #[inline]
    pub(crate) fn below(&self, id: NodeId, name: &[u8]) -> Below {
        let Some(below) = self.node(id).find(name) else { return Below::Nothing };
        match self.node(below) {
            Node { slot: Some(slot), names, .. } if names.is_empty() => Below::Value(*slot),
            _ => Below::Node(below),
        }
    }

    /// The node below `id` by these names, which are added where they are new. Its value is kept in a slot; slots are
    /// numbered by [`number`](Self::number).
    pub(crate) fn keep<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) -> NodeId {
        let mut id = Tree::ROOT;
        for name in names {
            id = match self.node(id).find(name.as_bytes()) {
                Some(below) => below,
                None => self.add(id, name),
            };
        }
        self.0[id.0].slot = Some(0);
        id
    }

    fn add(&mut self, id: NodeId, name: &str) -> NodeId {
        let below = NodeId(self.0.len());
        self.0.push(Node::default());
        let node = &mut self.0[id.0];
        node.names.push((name.as_bytes().into(), below));
        node.lengths |= 1 << (name.len() % 64);
        below
    }

    /// Gives all values that are kept their slots, from `first` on, so that those below a node follow each other. Returns
    /// the first slot after them.
    pub(crate) fn number(&mut self, first: usize) -> usize {
        self.number_below(Tree::ROOT, first)
    }

    fn number_below(&mut self, id: NodeId, first: usize) -> usize {
        let mut next = first;
        if let Some(slot) = &mut self.0[id.0].slot {
            *slot = next;
            next += 1;
        }
        for place in 0..self.0[id.0].names.len() {
            let (_, below) = self.0[id.0].names[place];
            next = self.number_below(below, next);
        }
        self.0[id.0].slots = (first, next);
        next
    }
}

impl Node {
    /// The names below it.
    pub(crate) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.names.iter().map(|(name, _)| &**name)
    }

    /// Whether nothing below it is kept.
    #[inline]
    pub(crate) fn is_leaf(&self) -> bool {
        self.names.is_empty()
    }

    /// The node below by this name.
    #[inline]
    pub(crate) fn find(&self, name: &[u8]) -> Option<NodeId> {
        if self.lengths >> (name.len() % 64) & 1 == 0 {
            return None;
        }
        self.names.iter().find(|(known, _)| equal(known, name)).map(|(_, below)| *below)
    }
}

/// The same as `one == other`, but eight bytes at a time. For short names this is faster than a call of `memcmp`.
#[inline]
pub(crate) fn equal(one: &[u8], other: &[u8]) -> bool {
    let (Some(last), true) = (one.last_chunk::<8>(), one.len() == other.len()) else { return one == other };
    let same = |(one, other): (&[u8; 8], &[u8; 8])| u64::from_le_bytes(*one) == u64::from_le_bytes(*other);
    one.as_chunks().0.iter().zip(other.as_chunks().0).all(same) && Some(last) == other.last_chunk()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn slots_below_a_name_follow_each_other() {
        let mut tree = Tree::new();
        let ids = [tree.keep(["b", "x"]), tree.keep(["a"]), tree.keep(["b", "y", "z"]), tree.keep(["b"])];
        assert_eq!(tree.number(3), 7);
        let slots = ids.map(|id| tree.node(id).slot.unwrap());
        assert_eq!(slots, [4, 6, 5, 3]);
        assert_eq!(tree.node(ids[3]).slots, (3, 6));
        assert_eq!(tree.node(Tree::ROOT).slots, (3, 7));
        let root = tree.node(Tree::ROOT);
        assert_eq!((root.find(b"b"), root.find(b"c"), root.find(b"bb")), (Some(ids[3]), None, None));
    }

    proptest! {
        #[test]
        fn names_are_equal_as_the_standard_library_says(
            one in prop::collection::vec(0..2u8, 0..30), other in prop::collection::vec(0..2u8, 0..30)
        ) {
            prop_assert_eq!(equal(&one, &other), one == other);
            let mut changed = one.clone();
            prop_assert!(equal(&one, &changed));
            for at in 0..one.len() {
                changed[at] ^= 1;
                prop_assert!(!equal(&one, &changed));
                changed[at] ^= 1;
            }
        }
    }
}
