//! Records as the reader's thread puts them aside: their bytes one after the other, so that it costs that thread no more
//! than a copy. What is made of them is up to the thread that writes.

use crate::source::{BrokerTime, Payload, Record};

/// In place of a length: there is nothing.
const NONE: u32 = u32::MAX;
/// In place of a payload's length: it was too long to be held.
const TOO_LONG: u32 = u32::MAX - 1;

/// The bytes of some records.
#[derive(Debug, Default)]
pub(crate) struct RawRecords(Vec<u8>);

/// One of them.
#[derive(Debug)]
pub(super) struct RawRecord<'a> {
    pub(super) offset: i64,
    pub(super) time: Option<BrokerTime>,
    pub(super) payload: Payload<'a>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) headers: Vec<(&'a [u8], Option<&'a [u8]>)>,
}

impl RawRecords {
    /// Bytes that they take.
    pub(crate) fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Forgets them all, and keeps their memory.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes those that were pushed after there were so many bytes.
    pub(crate) fn split_off(&mut self, bytes: usize) -> RawRecords {
        RawRecords(self.0.split_off(bytes))
    }

    /// Adds a record.
    pub(crate) fn push(&mut self, record: &Record<'_>) {
        let (kind, time) = match record.time {
            None => (0, 0),
            Some(BrokerTime::Created(time)) => (1, time),
            Some(BrokerTime::Appended(time)) => (2, time),
        };
        // Records of a log are far shorter than 4 GiB.
        let (length, bytes) = match record.payload {
            Payload::Bytes(bytes) => (bytes.len() as u32, bytes),
            Payload::Text(text) => (text.len() as u32, text.as_bytes()),
            Payload::Tombstone => (NONE, &[][..]),
            Payload::TooLong => (TOO_LONG, &[][..]),
        };
        let (key_length, key) = record.key.map_or((NONE, &[][..]), |key| (key.len() as u32, key));
        // One piece before the payload and one behind it: this is done for every record, by the thread that counts.
        let mut head = [0; 21];
        head[..8].copy_from_slice(&record.offset.to_le_bytes());
        head[8..16].copy_from_slice(&time.to_le_bytes());
        head[16] = kind;
        head[17..].copy_from_slice(&length.to_le_bytes());
        self.0.reserve(head.len() + bytes.len() + key.len() + 8);
        self.0.extend_from_slice(&head);
        self.0.extend_from_slice(bytes);
        self.0.extend_from_slice(&key_length.to_le_bytes());
        self.0.extend_from_slice(key);
        let place = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        let Some(headers) = record.headers else { return };
        let mut count = 0u32;
        headers.each(&mut |name, value| {
            self.push_bytes(Some(name));
            self.push_bytes(value);
            count += 1;
        });
        self.0[place..place + 4].copy_from_slice(&count.to_le_bytes());
    }

    fn push_bytes(&mut self, bytes: Option<&[u8]>) {
        let length = bytes.map_or(NONE, |bytes| bytes.len() as u32);
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(bytes.unwrap_or_default());
    }

    /// The records, in the order in which they were pushed.
    pub(super) fn iter(&self) -> impl Iterator<Item = RawRecord<'_>> {
        let mut rest = Rest(&self.0);
        std::iter::from_fn(move || rest.record())
    }
}

/// What is left to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn record(&mut self) -> Option<RawRecord<'a>> {
        let offset = i64::from_le_bytes(self.array()?);
        let (time, kind) = (i64::from_le_bytes(self.array()?), self.array::<1>()?);
        let time = match kind {
            [1] => Some(BrokerTime::Created(time)),
            [2] => Some(BrokerTime::Appended(time)),
            _ => None,
        };
        let payload = match self.length()? {
            NONE => Payload::Tombstone,
            TOO_LONG => Payload::TooLong,
            length => Payload::Bytes(self.take(length as usize)?),
        };
        let key = self.bytes()?;
        let headers = (0..self.length()?).map(|_| Some((self.bytes()??, self.bytes()?)));
        let headers = headers.collect::<Option<_>>()?;
        Some(RawRecord { offset, time, payload, key, headers })
    }

    fn bytes(&mut self) -> Option<Option<&'a [u8]>> {
        match self.length()? {
            NONE => Some(None),
            length => self.take(length as usize).map(Some),
        }
    }

    fn length(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }
}
