//! The bytes of many keys in one allocation, each named by eight bytes.

/// The most bytes of a key that are kept. A longer key counts like any other, since an item's identity is the hash
/// of the whole, but is shown as its first bytes.
pub const MAX_KEY_BYTES: usize = u16::MAX as usize;

/// Where a key is among [`Keys`]: 48 bits of offset, 16 of length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyRef(u64);

impl KeyRef {
    pub(crate) fn new(offset: usize, len: usize) -> Self {
        debug_assert!(len <= MAX_KEY_BYTES && (offset as u64) < 1 << 48);
        KeyRef((offset as u64) << 16 | len as u64)
    }

    pub(crate) fn len(self) -> usize {
        (self.0 & 0xffff) as usize
    }

    fn range(self) -> std::ops::Range<usize> {
        let start = (self.0 >> 16) as usize;
        start..start + self.len()
    }
}

/// A row of a sketch on its way into a union: hash, count, relief, key.
pub(crate) type Entry<'a> = (u64, u64, u64, &'a [u8]);

/// An arena of keys, to which keys are only added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keys {
    bytes: Vec<u8>,
}

impl Keys {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Keys { bytes: Vec::with_capacity(bytes) }
    }

    pub(crate) fn push(&mut self, key: &[u8]) -> KeyRef {
        let key = clip(key);
        let at = KeyRef::new(self.bytes.len(), key.len());
        self.bytes.extend_from_slice(key);
        at
    }

    pub(crate) fn get(&self, at: KeyRef) -> &[u8] {
        &self.bytes[at.range()]
    }

    /// Drops all keys but those of `kept`, once more than `least` bytes and more than half of all are `stale`.
    pub(crate) fn sweep<'a>(
        &mut self,
        stale: &mut usize,
        least: usize,
        kept: impl Iterator<Item = &'a mut KeyRef>,
    ) {
        if *stale <= least.max(self.len() / 2) {
            return;
        }
        let room = Keys::with_capacity(self.len() - *stale);
        let keys = std::mem::replace(self, room);
        kept.for_each(|key| *key = self.push(keys.get(*key)));
        *stale = 0;
    }

    /// Bytes in use.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes held.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<Vec<u8>> for Keys {
    fn from(bytes: Vec<u8>) -> Self {
        Keys { bytes }
    }
}

/// At most [`MAX_KEY_BYTES`], without splitting a character of UTF-8.
pub(crate) fn clip(key: &[u8]) -> &[u8] {
    if key.len() <= MAX_KEY_BYTES {
        return key;
    }
    let continues = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
    let mut end = MAX_KEY_BYTES;
    while end > MAX_KEY_BYTES - 3 && continues(key[end]) {
        end -= 1;
    }
    &key[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_were() {
        let mut keys = Keys::default();
        let refs: Vec<_> = ["", "a", "bc", ""].iter().map(|key| keys.push(key.as_bytes())).collect();
        let read: Vec<_> = refs.iter().map(|&at| keys.get(at)).collect();
        assert_eq!(read, [&b""[..], b"a", b"bc", b""]);
    }

    #[test]
    fn long_keys_are_clipped_between_characters() {
        for lead in 0..4 {
            let key = "x".repeat(lead) + &"\u{1F600}".repeat(20_000);
            let clipped = std::str::from_utf8(clip(key.as_bytes())).unwrap();
            assert!(clipped.len() > MAX_KEY_BYTES - 4 && clipped.len() <= MAX_KEY_BYTES);
        }
        let exact = vec![b'x'; MAX_KEY_BYTES];
        assert_eq!(clip(&exact), &exact[..]);
    }
}
