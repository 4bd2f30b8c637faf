//! Compressed streams, unpacked as they are read: gzip of several members, and zstd of several frames.

use flate2::bufread::GzDecoder;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::str::FromStr;
use zstd::zstd_safe::{DCtx, InBuffer, OutBuffer, get_error_name};

/// Packed bytes that are read at once.
const PACKED_BYTES: usize = 64 << 10;
/// What unpacking gzip holds, about: its window, tables and buffer.
const GZIP_BYTES: usize = 128 << 10;
/// Bytes from the beginning of a stream that tell its compression.
pub(crate) const MAGIC_BYTES: usize = 4;
/// What compressed streams begin with, and which bits of the first byte count. zstd's second is that of a frame without
/// data, as `pzstd` puts first.
const MAGICS: [(Compression, &[u8], u8); 3] = [
    (Compression::Gzip, &[0x1f, 0x8b], 0xff),
    (Compression::Zstd, &[0x28, 0xb5, 0x2f, 0xfd], 0xff),
    (Compression::Zstd, &[0x50, 0x2a, 0x4d, 0x18], 0xf0),
];

/// How a stream of bytes is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As its first bytes tell.
    #[default]
    Auto,
    /// Not at all.
    None,
    /// gzip, in one member or several (RFC 1952). Zeros behind the last one are ignored, as gzip(1) does.
    Gzip,
    /// zstd, in one frame or several (RFC 8878), of windows of 128 MiB at most.
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Compression::Auto => "auto",
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        })
    }
}

/// A name that no compression has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be auto, none, gzip or zstd")]
pub struct UnknownCompression;

impl FromStr for Compression {
    type Err = UnknownCompression;

    fn from_str(text: &str) -> Result<Self, UnknownCompression> {
        let all = [Compression::Auto, Compression::None, Compression::Gzip, Compression::Zstd];
        all.into_iter().find(|compression| compression.to_string() == text).ok_or(UnknownCompression)
    }
}

impl Compression {
    /// The compression of a stream that begins with these bytes, where this one leaves it to them. `None` where they are
    /// too few to tell; [`MAGIC_BYTES`] are enough.
    pub(crate) fn decide(self, begin: &[u8]) -> Option<Compression> {
        if self != Compression::Auto {
            return Some(self);
        }
        for (compression, magic, mask) in MAGICS {
            let first = begin.first().map(|byte| byte & mask);
            // As far as both go.
            if first
                .into_iter()
                .chain(begin.iter().skip(1).copied())
                .zip(magic)
                .all(|(byte, magic)| byte == *magic)
            {
                return (begin.len() >= magic.len()).then_some(compression);
            }
        }
        Some(Compression::None)
    }
}

/// A reader of what a reader of packed bytes holds. Damaged or cut off, it is an error that names the compression.
pub(crate) enum Unpacked<R> {
    Plain(R),
    Gzip(Box<Gzip<R>>),
    Zstd(Box<Zstd<R>>),
}

impl<R: Read> Unpacked<R> {
    /// Of a stream whose compression is known, from its beginning on. One without a byte is empty, however it is
    /// compressed.
    ///
    /// # Errors
    /// It cannot be read, or there is no memory for it.
    pub(crate) fn new(packed: R, compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::Auto | Compression::None => Unpacked::Plain(packed),
            Compression::Gzip => {
                let mut packed = BufReader::with_capacity(PACKED_BYTES, packed);
                if packed.fill_buf()?.is_empty() {
                    return Ok(Unpacked::Plain(packed.into_inner()));
                }
                Unpacked::Gzip(Box::new(Gzip { member: Some(GzDecoder::new(packed)), has_ended: false }))
            }
            Compression::Zstd => Unpacked::Zstd(Box::new(Zstd::new(packed)?)),
        })
    }

    /// The reader of packed bytes.
    pub(crate) fn packed(&mut self) -> Option<&mut R> {
        match self {
            Unpacked::Plain(packed) => Some(packed),
            Unpacked::Gzip(gzip) => gzip.member.as_mut().map(|member| member.get_mut().get_mut()),
            Unpacked::Zstd(zstd) => Some(&mut zstd.packed),
        }
    }

    /// Bytes of memory that it holds, about.
    pub(crate) fn held_bytes(&self) -> usize {
        match self {
            Unpacked::Plain(_) => 0,
            Unpacked::Gzip(_) => GZIP_BYTES,
            Unpacked::Zstd(zstd) => PACKED_BYTES + zstd.context.sizeof(),
        }
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Unpacked::Plain(packed) => packed.read(into),
            Unpacked::Gzip(gzip) => gzip.read(into).map_err(|error| named("gzip", &error)),
            Unpacked::Zstd(zstd) => zstd.read(into).map_err(|error| named("zstd", &error)),
        }
    }
}

fn named(compression: &str, error: &io::Error) -> io::Error {
    let reason = match error.kind() {
        io::ErrorKind::UnexpectedEof => "the stream is cut off".to_owned(),
        _ => error.to_string(),
    };
    io::Error::new(error.kind(), format!("{compression}: {reason}"))
}

/// Unpacks gzip, member by member. Other than the crate's own reader, it takes zeros behind the last one.
pub(crate) struct Gzip<R> {
    /// The member that is read. There is none only while the next one takes its place.
    member: Option<GzDecoder<BufReader<R>>>,
    has_ended: bool,
}

impl<R: Read> Read for Gzip<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        while !self.has_ended
            && let Some(member) = &mut self.member
        {
            let made = member.read(into)?;
            if made > 0 {
                return Ok(made);
            }
            if another_member(member.get_mut())? {
                self.member = self.member.take().map(|done| GzDecoder::new(done.into_inner()));
            } else {
                self.has_ended = true;
            }
        }
        Ok(0)
    }
}

/// Whether anything but zeros follows a member. Behind zeros, nothing else may.
fn another_member(packed: &mut impl BufRead) -> io::Result<bool> {
    let mut zeros = false;
    loop {
        let bytes = packed.fill_buf()?;
        match bytes.iter().position(|byte| *byte != 0) {
            Some(0) if !zeros => return Ok(true),
            Some(_) => {
                let reason = "behind zeros after the last member there is something else";
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
            None if bytes.is_empty() => return Ok(false),
            None => {
                let count = bytes.len();
                packed.consume(count);
                zeros = true;
            }
        }
    }
}

/// Unpacks zstd. Other than the crate's own reader, it says how much memory it holds.
pub(crate) struct Zstd<R> {
    packed: R,
    context: DCtx<'static>,
    /// Packed bytes at hand, from `from` on to `to`.
    bytes: Box<[u8]>,
    from: usize,
    to: usize,
    /// Whether a frame has begun and not ended.
    in_frame: bool,
}

impl<R: Read> Zstd<R> {
    fn new(packed: R) -> io::Result<Self> {
        let context = DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        let bytes = vec![0; PACKED_BYTES].into();
        Ok(Zstd { packed, context, bytes, from: 0, to: 0, in_frame: false })
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            let (mut packed, mut unpacked) =
                (InBuffer::around(&self.bytes[self.from..self.to]), OutBuffer::around(into));
            let hint = self.context.decompress_stream(&mut unpacked, &mut packed);
            let hint =
                hint.map_err(|code| io::Error::new(io::ErrorKind::InvalidData, get_error_name(code)))?;
            let (consumed, made) = (packed.pos(), unpacked.pos());
            self.from += consumed;
            // At the beginning of a frame nothing was consumed yet, and the hint is the size of its header.
            if consumed > 0 || made > 0 {
                self.in_frame = hint != 0;
            }
            if made > 0 {
                return Ok(made);
            }
            if self.from == self.to {
                (self.from, self.to) = (0, self.packed.read(&mut self.bytes)?);
                if self.to == 0 {
                    return if self.in_frame { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(0) };
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;
