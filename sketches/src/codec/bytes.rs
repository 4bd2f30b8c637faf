//! Numbers as bytes, and back: LEB128 in its shortest form, and little-endian words.

use super::error::DecodeError;

/// Seven bits a byte, low ones first, as few as the value needs; all but the last have the high bit set.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes [`put_varint`] appends.
pub(crate) fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Bytes that are read from the front, each claim of theirs held against what is left.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Of `bytes` from `at` on.
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Reader { bytes, at }
    }

    /// How many bytes were read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `len` bytes, which are `what`.
    pub(super) fn take(&mut self, what: &'static str, len: usize) -> Result<&'a [u8], DecodeError> {
        if len > self.left() {
            return Err(DecodeError::Truncated { what, at: self.at });
        }
        let taken = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }

    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        let &byte = self.bytes.get(self.at).ok_or(DecodeError::Truncated { what, at: self.at })?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn word(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        let at = self.at;
        let word = self.take(what, 8)?.first_chunk().ok_or(DecodeError::Truncated { what, at })?;
        Ok(u64::from_le_bytes(*word))
    }

    #[inline]
    pub(super) fn varint(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(byte.into())
            }
            _ => self.long_varint(what),
        }
    }

    fn long_varint(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        let at = self.at;
        let (mut value, mut shift) = (0, 0);
        loop {
            let &byte = self.bytes.get(self.at).ok_or(DecodeError::Truncated { what, at })?;
            self.at += 1;
            // The tenth byte has room for one bit, and a last byte of 0 says nothing.
            if shift == 63 && byte > 1 || shift > 0 && byte == 0 {
                return Err(DecodeError::Form { what, at });
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    /// `len` numbers, each of which takes a byte or more.
    pub(super) fn varints(&mut self, what: &'static str, len: usize) -> Result<Vec<u64>, DecodeError> {
        if len > self.left() {
            return Err(DecodeError::Truncated { what, at: self.at });
        }
        let mut values = Vec::with_capacity(len);
        for _ in 0..len {
            values.push(self.varint(what)?);
        }
        Ok(values)
    }

    /// An error if anything is left.
    pub(super) fn finish(self) -> Result<(), DecodeError> {
        match self.left() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing { left, at: self.at }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<u64, DecodeError> {
        let mut reader = Reader::new(bytes, 0);
        let value = reader.varint("number")?;
        reader.finish().map(|()| value)
    }

    #[test]
    fn numbers_have_one_form() {
        let lengths = [(0, 1), (127, 1), (128, 2), (1 << 14, 3), (u64::MAX >> 1, 9), (u64::MAX, 10)];
        for (value, len) in lengths {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!((read(&bytes), bytes.len(), varint_len(value)), (Ok(value), len, len));
            let cut = Err(DecodeError::Truncated { what: "number", at: 0 });
            assert_eq!(read(&bytes[..len - 1]), cut);
            let overlong = [&bytes[..len - 1], &[bytes[len - 1] | 0x80, 0]].concat();
            assert_eq!(read(&overlong), Err(DecodeError::Form { what: "number", at: 0 }));
        }
        let beyond = [&[0xff; 9][..], &[2]].concat();
        assert_eq!(read(&beyond), Err(DecodeError::Form { what: "number", at: 0 }));
        assert_eq!(read(&[0xff; 11]), Err(DecodeError::Form { what: "number", at: 0 }));
        assert_eq!(read(&[1, 1]), Err(DecodeError::Trailing { left: 1, at: 1 }));
    }

    #[test]
    fn lengths_are_not_believed() {
        let mut reader = Reader::new(&[1, 2, 3], 1);
        assert_eq!(reader.take("keys", usize::MAX), Err(DecodeError::Truncated { what: "keys", at: 1 }));
        assert_eq!(reader.varints("sums", usize::MAX), Err(DecodeError::Truncated { what: "sums", at: 1 }));
        assert_eq!(reader.word("seed"), Err(DecodeError::Truncated { what: "seed", at: 1 }));
        assert_eq!(reader.take("keys", 2), Ok(&[2, 3][..]));
        assert_eq!(reader.left(), 0);
    }
}
