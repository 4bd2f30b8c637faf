//! The end of a JSON value, found by its brackets, strings and escapes alone: whether it is well formed is not asked.

/// Where a scan is within a value that is an object, an array or a string.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Nesting {
    /// Brackets that are open.
    depth: usize,
    in_string: bool,
    /// Whether the next byte is escaped.
    escaped: bool,
}

impl Nesting {
    /// Whether the next byte is part of a string.
    pub(super) fn in_string(&self) -> bool {
        self.in_string
    }

    /// Goes through bytes that follow those of the last call, up to the end of the value; says how many these are.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            if self.escaped {
                self.escaped = false;
                at += 1;
                continue;
            }
            if self.in_string {
                at += memchr::memchr2(b'"', b'\\', &bytes[at..])?;
            }
            let ends = self.step(bytes[at]);
            at += 1;
            if ends {
                return Some(at);
            }
        }
        None
    }

    /// Takes one byte that is not escaped; whether the value ends with it.
    fn step(&mut self, byte: u8) -> bool {
        match byte {
            b'\\' if self.in_string => self.escaped = true,
            b'"' => {
                self.in_string = !self.in_string;
                return self.depth == 0 && !self.in_string;
            }
            _ if self.in_string => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}
