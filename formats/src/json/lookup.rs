//! Follows paths into arrays, in a text that was walked before.

use super::scan::{Scan, Text};
use super::walk::{text_slot, without_escapes};
use crate::path::Step;
use crate::value::{Kind, Slot};

/// Follows paths in one text. Values are given by the place of their first byte.
pub(crate) struct Lookup<'l> {
    pub(crate) record: &'l str,
    /// Takes texts whose escapes were taken out.
    pub(crate) arena: &'l mut String,
    /// Whether the texts of the record may stand for numbers and booleans.
    pub(crate) untyped: bool,
}

impl<'l> Lookup<'l> {
    /// The first value that is not absent among those that the steps lead to, in the order of the text.
    pub(crate) fn first(&mut self, place: usize, steps: &[Step]) -> Slot {
        let mut found = Slot::ABSENT;
        self.visit(place, steps, &mut |lookup, place| {
            found = lookup.slot(place);
            found.kind() != Kind::Absent
        });
        found
    }

    /// Appends the places of all values that the steps lead to, in the order of the text.
    pub(crate) fn all(&mut self, place: usize, steps: &[Step], to: &mut Vec<usize>) {
        self.visit(place, steps, &mut |_, place| {
            to.push(place);
            false
        });
    }

    fn scan(&self) -> Scan<'l> {
        Scan(self.record.as_bytes())
    }

    fn slot(&mut self, place: usize) -> Slot {
        let scan = self.scan();
        match scan.peek(place) {
            b'{' | b'[' => Slot::container(place),
            b'"' => match scan.text(place) {
                Ok(text) => text_slot(scan.0, text, self.arena, self.untyped),
                Err(_) => Slot::ABSENT,
            },
            _ => scan.scalar(place).unwrap_or(Slot::ABSENT),
        }
    }

    /// Calls `found` with each value that the steps lead to, until it returns true. Returns whether it did.
    fn visit(
        &mut self,
        place: usize,
        steps: &[Step],
        found: &mut dyn FnMut(&mut Self, usize) -> bool,
    ) -> bool {
        let Some((step, rest)) = steps.split_first() else { return found(self, place) };
        match step {
            Step::Key(name) => match self.member(place, name) {
                Some(value) => self.visit(value, rest, found),
                None => false,
            },
            Step::Index(index) => match self.element(place, *index) {
                Some(value) => self.visit(value, rest, found),
                None => false,
            },
            Step::All => elements(self.record, place).any(|element| self.visit(element, rest, found)),
            Step::Where(names, text) => elements(self.record, place)
                .any(|element| self.holds(element, names, text) && self.visit(element, rest, found)),
        }
    }

    /// The member of an object by this name; of several the last.
    fn member(&mut self, place: usize, name: &str) -> Option<usize> {
        let scan = self.scan();
        let mut found = None;
        let mut at = scan.take(place, b'{').ok()?;
        loop {
            let Ok((this, value)) = scan.name(scan.space(at)) else { return found };
            if self.is(this, name) {
                found = Some(value);
            }
            at = scan.space(scan.skip(value).ok()?);
            match scan.take(at, b',') {
                Ok(next) => at = next,
                Err(_) => return found,
            }
        }
    }

    fn is(&mut self, text: Text, wanted: &str) -> bool {
        let same = |text: &[u8]| (text == wanted.as_bytes()).then_some(());
        without_escapes(self.record.as_bytes(), text, self.arena, same).is_some()
    }

    fn element(&self, place: usize, index: i64) -> Option<usize> {
        let elements = || elements(self.record, place);
        match usize::try_from(index) {
            Ok(index) => elements().nth(index),
            Err(_) => {
                let from_end = usize::try_from(index.unsigned_abs()).ok()?;
                elements().nth(elements().count().checked_sub(from_end)?)
            }
        }
    }

    fn holds(&mut self, element: usize, names: &[Box<str>], text: &str) -> bool {
        let place = names.iter().try_fold(element, |place, name| self.member(place, name));
        let found = place.and_then(|place| self.scan().text(place).ok());
        found.is_some_and(|found| self.is(found, text))
    }
}

/// The places of the elements of an array; none of another value.
fn elements(record: &str, place: usize) -> impl Iterator<Item = usize> + use<'_> {
    let scan = Scan(record.as_bytes());
    let first = scan.take(place, b'[').map(|first| scan.space(first));
    let mut next = first.ok().filter(|&first| scan.peek(first) != b']');
    std::iter::from_fn(move || {
        let element = next?;
        let after = scan.skip(element).and_then(|end| scan.take(scan.space(end), b','));
        next = after.ok().map(|after| scan.space(after));
        Some(element)
    })
}
