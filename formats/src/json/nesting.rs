//! Which of the open brackets of a text are braces, without a limit to their number.

/// A stack of bits: an object is 1, an array 0.
#[derive(Debug, Default)]
pub(super) struct Nesting {
    /// The innermost 64, of which the last is the lowest bit.
    bits: u64,
    depth: usize,
    /// Those further out, 64 at a time.
    outer: Vec<u64>,
}

impl Nesting {
    #[inline]
    pub(super) fn open(&mut self, object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.bits);
        }
        self.depth += 1;
        self.bits = self.bits << 1 | u64::from(object);
    }

    /// Closes the innermost one. Returns whether another one is around it.
    #[inline]
    pub(super) fn close(&mut self) -> bool {
        self.depth -= 1;
        self.bits >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or_default();
        }
        self.depth > 0
    }

    /// Whether the innermost one is an object.
    #[inline]
    pub(super) fn in_object(&self) -> bool {
        self.bits & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_stack(kinds in prop::collection::vec(any::<bool>(), 1..400)) {
            let mut nesting = Nesting::default();
            for &kind in &kinds {
                nesting.open(kind);
                prop_assert_eq!(nesting.in_object(), kind);
            }
            for around in (0..kinds.len()).rev() {
                prop_assert_eq!(nesting.close(), around > 0);
                if around > 0 {
                    prop_assert_eq!(nesting.in_object(), kinds[around - 1]);
                }
            }
        }
    }
}
