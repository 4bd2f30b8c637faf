//! The content of a block: the lines of its records in one frame of zstd, whose checksum tells damage.

use super::line;
use super::name::{BlockName, Day};
use super::raw::RawRecords;
use crate::source::{BrokerTime, Origin};
use std::io;
use std::ops::Range;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

/// Fast, and a few percent short of the levels that take several times as long.
const LEVEL: i32 = 3;
/// A frame that claims more is damaged, or none of ours.
const MAX_PLAIN_BYTES: usize = 1 << 30;

/// Makes blocks.
pub(crate) struct Encoder {
    zstd: Compressor<'static>,
    plain: Vec<u8>,
}

impl Encoder {
    /// One without anything in it yet.
    ///
    /// # Errors
    /// There is no memory for zstd.
    pub(crate) fn new() -> io::Result<Self> {
        let mut zstd = Compressor::new(LEVEL)?;
        zstd.set_parameter(CParameter::ChecksumFlag(true))?;
        Ok(Encoder { zstd, plain: Vec::new() })
    }

    /// The block of these records, which covers these offsets and is written on this day.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(crate) fn encode(
        &mut self,
        (origin, day): (&Origin, Day),
        offsets: Range<i64>,
        raw: &RawRecords,
    ) -> io::Result<(BlockName, Vec<u8>)> {
        self.plain.clear();
        let (mut records, mut times) = (0, None);
        for record in raw.iter() {
            line::append(&mut self.plain, line::place(origin), &record).map_err(io::Error::from)?;
            records += 1;
            if let Some(time) = record.time.map(BrokerTime::ms) {
                let (oldest, newest) = times.unwrap_or((time, time));
                times = Some((time.min(oldest), time.max(newest)));
            }
        }
        let packed = self.zstd.compress(&self.plain)?;
        Ok((BlockName { day, offsets, records, times }, packed))
    }
}

/// The lines of a block, each with its line end.
///
/// # Errors
/// It is damaged: not one of its lines is handed over then.
pub(super) fn decode(name: &BlockName, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let decoder = Decompressor::new();
    let plain = decoder.and_then(|mut zstd| zstd.decompress(bytes, MAX_PLAIN_BYTES));
    let plain = plain.map_err(|error| format!("it cannot be unpacked: {error}"))?;
    let lines = memchr::memchr_iter(b'\n', &plain).count() as u64;
    if lines != name.records || plain.last().is_some_and(|last| *last != b'\n') {
        return Err(format!("it has {lines} lines, and by its name {} records", name.records));
    }
    Ok(plain)
}
