//! Walks a text, checks its grammar, and keeps the values that a tree of names asks for.

use super::hints::Hints;
use super::scan::{Malformed, Scan, Text};
use super::unescape::unescape;
use crate::tree::{Below, NodeId, Tree};
use crate::value::{Kind, Slot};

/// What a walk keeps, and where.
pub(crate) struct Keep<'k> {
    pub(crate) tree: &'k Tree,
    pub(crate) hints: &'k mut Hints,
    pub(crate) slots: &'k mut [Slot],
    /// Takes texts whose escapes were taken out.
    pub(crate) arena: &'k mut String,
    /// Whether the texts of the record may stand for numbers and booleans.
    pub(crate) untyped: bool,
}

/// Walks a whole record. Where `any` is not set, it must be an object. What is kept of a record that is refused means
/// nothing.
///
/// # Errors
/// The record is malformed.
#[inline]
pub(crate) fn walk_record(record: &str, any: bool, keep: &mut Keep<'_>) -> Result<(), Malformed> {
    let scan = Scan(record.as_bytes());
    let start = scan.space(0);
    if !any && scan.peek(start) != b'{' {
        return Err(Malformed);
    }
    let end = keep.value(scan, start, Tree::ROOT)?;
    if scan.space(end) == record.len() { Ok(()) } else { Err(Malformed) }
}

/// Walks the value that begins at this place of a record that was walked before.
pub(crate) fn walk_value(record: &str, place: usize, keep: &mut Keep<'_>) {
    // The grammar was checked, so that this cannot fail.
    let _ = keep.value(Scan(record.as_bytes()), place, Tree::ROOT);
}

/// The text of the value that begins at this place of a record that was walked before.
pub(crate) fn value_text(record: &str, place: usize) -> &str {
    let end = Scan(record.as_bytes()).skip(place).unwrap_or(record.len());
    &record[place..end]
}

impl Keep<'_> {
    /// Keeps what the tree asks for of the value at a place. Gives the place after it.
    fn value(&mut self, scan: Scan<'_>, at: usize, id: NodeId) -> Result<usize, Malformed> {
        let node = self.tree.node(id);
        // Of equal names the last counts, with all that is in it.
        let (first, end) = node.slots;
        self.slots[first..end].fill(Slot::ABSENT);
        let (value, end) = match scan.peek(at) {
            b'{' if !node.is_leaf() => (Slot::container(at), self.members(scan, at, id)?),
            _ => self.read(scan, at)?,
        };
        if let Some(slot) = node.slot {
            self.slots[slot] = value;
        }
        Ok(end)
    }

    /// The slot of a value in which nothing is asked for, and the place after it.
    #[inline(always)]
    fn read(&mut self, scan: Scan<'_>, at: usize) -> Result<(Slot, usize), Malformed> {
        match scan.peek(at) {
            b'"' => {
                let text = scan.text(at)?;
                Ok((text_slot(scan.0, text, self.arena, self.untyped), text.after()))
            }
            b'{' | b'[' => Ok((Slot::container(at), scan.skip_container(at)?)),
            _ => {
                let slot = scan.scalar(at)?;
                Ok((slot, slot.end()))
            }
        }
    }

    fn members(&mut self, scan: Scan<'_>, at: usize, id: NodeId) -> Result<usize, Malformed> {
        let mut at = scan.space(at + 1);
        if scan.peek(at) == b'}' {
            return Ok(at + 1);
        }
        for index in 0.. {
            let (value, below) = match self.hints.expected(id, index, scan.0, at) {
                Some((end, below)) => (scan.space(end), below),
                None => self.name(scan, at, id, index)?,
            };
            at = match below {
                Below::Nothing => scan.skip(value)?,
                Below::Value(slot) => {
                    let (value, end) = self.read(scan, value)?;
                    self.slots[slot] = value;
                    end
                }
                Below::Node(below) => self.value(scan, value, below)?,
            };
            at = scan.space(at);
            match scan.peek(at) {
                b',' => at = scan.space(at + 1),
                b'}' => return Ok(at + 1),
                _ => break,
            }
        }
        Err(Malformed)
    }

    /// Reads a name that was not expected. Gives the place of its value, and what is asked for below it.
    #[inline(never)]
    fn name(
        &mut self,
        scan: Scan<'_>,
        at: usize,
        id: NodeId,
        index: usize,
    ) -> Result<(usize, Below), Malformed> {
        let (name, value) = scan.name(at)?;
        let below = without_escapes(scan.0, name, self.arena, |name| Some(self.tree.below(id, name)));
        let below = below.unwrap_or(Below::Nothing);
        self.hints.remember(id, index, &scan.0[at..value], below);
        Ok((value, below))
    }
}

/// The slot of a text, whose escapes are taken out in the arena.
#[inline(always)]
pub(super) fn text_slot(record: &[u8], text: Text, arena: &mut String, untyped: bool) -> Slot {
    if !text.escaped {
        return Slot::new(if untyped { Kind::Untyped } else { Kind::Text }, text.start..text.end);
    }
    unescaped_slot(record, text, arena, untyped)
}

#[inline(never)]
fn unescaped_slot(record: &[u8], text: Text, arena: &mut String, untyped: bool) -> Slot {
    let from = arena.len();
    let kind = if untyped { Kind::Untyped } else { Kind::Text };
    match unescape(&record[text.start..text.end], arena) {
        Some(()) => Slot::kept(kind, from..arena.len()),
        None => Slot::UNUSABLE,
    }
}

/// What `find` says of a text.
#[inline(always)]
pub(super) fn without_escapes<T>(
    record: &[u8],
    text: Text,
    scratch: &mut String,
    find: impl Fn(&[u8]) -> Option<T>,
) -> Option<T> {
    let bytes = &record[text.start..text.end];
    if !text.escaped {
        return find(bytes);
    }
    let from = scratch.len();
    unescape(bytes, scratch)?;
    let found = find(&scratch.as_bytes()[from..]);
    scratch.truncate(from);
    found
}
