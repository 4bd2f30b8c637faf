//! Writes and reads frames, and checks every field of a frame that it reads.

use super::body::{Body, WORD_BYTES};
use super::image;
use std::mem::{align_of, offset_of, size_of};
use std::sync::LazyLock;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The most that a frame's image may hold, in bytes: a length beyond it is damage, not data (a pane share is
/// under a mebibyte).
pub const MAX_IMAGE_BYTES: u64 = 1 << 30;

/// The bytes "CREST" and "FR" (for frame); the lowest byte is the [`VERSION`].
pub(super) const MAGIC: u64 = 0x4352_4553_5446_5200;
/// The version of the frame's layout; every change of the layout increases it.
pub(super) const VERSION: u8 = 1;
/// Frames have a seed of their own, so that another checksummed object is never taken for one.
const CHECKSUM_SEED: u64 = 0x6672_616d_652d_3031;

/// The number of words before a frame's image. The constants below are the places of these words.
pub(super) const HEADER_WORDS: usize = 7;
pub(super) const MAGIC_AT: usize = 0;
pub(super) const BUILD_AT: usize = 1;
pub(super) const LENGTH_AT: usize = 2;
pub(super) const CHECKSUM_AT: usize = 3;
pub(super) const COUNTS_AT: usize = 4;

pub(super) const HEADER_BYTES: usize = HEADER_WORDS * WORD_BYTES;

/// Why bytes are not a frame of this build.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It is shorter than a header.
    #[error("frame of {got} bytes is shorter than its header of {HEADER_BYTES}")]
    Short {
        /// Bytes received.
        got: usize,
    },
    /// It does not begin as a frame does.
    #[error("not a frame: it begins with {found:#018x}")]
    Magic {
        /// The first word.
        found: u64,
    },
    /// It has another version of the layout.
    #[error("frame of version {found}, this build reads version {VERSION}")]
    Version {
        /// The version it claims.
        found: u8,
    },
    /// It was written by a program built from other sources, or by another compiler.
    #[error("frame of build {found:016x}, this is build {ours:016x}: every process must run the same build")]
    Build {
        /// The sender's build.
        found: u64,
        /// This process's build.
        ours: u64,
    },
    /// It claims more than any frame may hold.
    #[error("frame claims an image of {declared} bytes, the limit is {MAX_IMAGE_BYTES}")]
    TooLong {
        /// Bytes that it claims for its image.
        declared: u64,
    },
    /// It is cut short or runs on.
    #[error("frame of {got} bytes, its header calls for {wanted}")]
    Length {
        /// Bytes received.
        got: usize,
        /// Bytes of the whole frame by its header.
        wanted: u64,
    },
    /// It was changed on its way.
    #[error("frame is damaged: checksum {computed:016x}, its header says {declared:016x}")]
    Checksum {
        /// The checksum in its header.
        declared: u64,
        /// The checksum of what was received.
        computed: u64,
    },
    /// Its columns do not fill its image.
    #[error(
        "frame of {words} words, {halves} halves and {bytes} bytes does not fill an image of {length} bytes"
    )]
    Shape {
        /// 64-bit integers that it claims.
        words: u64,
        /// 32-bit integers that it claims.
        halves: u64,
        /// Bytes that it claims.
        bytes: u64,
        /// The length of its image, in bytes.
        length: u64,
    },
    /// The frame is sound, but its columns are no message: see [`Framed::from_body`](super::Framed::from_body).
    #[error("message refused: {0}")]
    Message(String),
}

/// Identifies this build. It is a hash of the sources of the crates that give a frame its meaning, the locked
/// dependencies, the compiler and target (all from the build script), and the layout of what abomonation copies.
/// Processes of one cluster must agree on it. Two builds of the same sources agree, wherever they were built.
pub fn build_id() -> u64 {
    static ID: LazyLock<u64> = LazyLock::new(|| {
        let layout = [
            size_of::<Body>(),
            align_of::<Body>(),
            offset_of!(Body, words),
            offset_of!(Body, halves),
            offset_of!(Body, bytes),
            size_of::<usize>(),
        ];
        xxh3_64(format!("{} {} {layout:?}", env!("CARGO_PKG_VERSION"), env!("CREST_BUILD")).as_bytes())
    });
    *ID
}

/// The frame of a body. It is a pure function of the body and of the build.
///
/// A body of more than [`MAX_IMAGE_BYTES`] is framed too, and refused by every receiver as
/// [`FrameError::TooLong`].
pub fn encode(body: &Body) -> Vec<u64> {
    let counts = [body.words.len() as u64, body.halves.len() as u64, body.bytes.len() as u64];
    let length = image::length(body);
    let mut frame = vec![0; HEADER_WORDS + length.div_ceil(WORD_BYTES)];
    image::write(body, &mut frame[HEADER_WORDS..]);
    frame[MAGIC_AT] = MAGIC | u64::from(VERSION);
    frame[BUILD_AT] = build_id();
    frame[LENGTH_AT] = length as u64;
    frame[COUNTS_AT..HEADER_WORDS].copy_from_slice(&counts);
    frame[CHECKSUM_AT] = checksum(&mut frame);
    frame
}

/// Reads the body of a frame from bytes of any alignment.
///
/// # Errors
/// Any bytes but those of a whole, unchanged frame of this build are a [`FrameError`] that says what is wrong with them.
/// No bytes cause undefined behaviour or a panic, even if their checksum was made to fit.
pub fn decode(bytes: &[u8]) -> Result<Body, FrameError> {
    let length = check_header(bytes)?;
    let mut frame: Vec<u64> = bytes.as_chunks().0.iter().copied().map(u64::from_ne_bytes).collect();
    let declared = frame[CHECKSUM_AT];
    let computed = checksum(&mut frame);
    if declared != computed {
        return Err(FrameError::Checksum { declared, computed });
    }
    let (header, image) = frame.split_at_mut(HEADER_WORDS);
    let [words, halves, bytes] = [header[COUNTS_AT], header[COUNTS_AT + 1], header[COUNTS_AT + 2]];
    let shape = FrameError::Shape { words, halves, bytes, length };
    if image_length(words, halves, bytes) != Some(length) {
        return Err(shape);
    }
    // The counts fill what was received, so they fit both memory and usize.
    image::read(image, words as usize, halves as usize, bytes as usize).ok_or(shape)
}

/// Checks everything in a header that can be checked without the image. Returns the image's length in bytes.
fn check_header(bytes: &[u8]) -> Result<u64, FrameError> {
    let got = bytes.len();
    let header = bytes.get(..HEADER_BYTES).ok_or(FrameError::Short { got })?.as_chunks().0;
    let word = |at: usize| u64::from_ne_bytes(header[at]);
    let (magic, found) = (word(MAGIC_AT), word(BUILD_AT));
    let version = magic as u8;
    if magic ^ u64::from(version) != MAGIC {
        return Err(FrameError::Magic { found: magic });
    }
    if version != VERSION {
        return Err(FrameError::Version { found: version });
    }
    if found != build_id() {
        return Err(FrameError::Build { found, ours: build_id() });
    }
    let length = word(LENGTH_AT);
    if length > MAX_IMAGE_BYTES {
        return Err(FrameError::TooLong { declared: length });
    }
    let wanted = HEADER_BYTES as u64 + length.next_multiple_of(WORD_BYTES as u64);
    if got as u64 != wanted {
        return Err(FrameError::Length { got, wanted });
    }
    Ok(length)
}

/// The length in bytes of the image of a body with these counts; `None` where it exceeds 64 bits.
fn image_length(words: u64, halves: u64, bytes: u64) -> Option<u64> {
    let words = words.checked_mul(size_of::<u64>() as u64)?;
    let halves = halves.checked_mul(size_of::<u32>() as u64)?;
    (size_of::<Body>() as u64).checked_add(words)?.checked_add(halves)?.checked_add(bytes)
}

/// Computes the checksum of a frame, with the checksum's own word blank. It leaves that word blank.
pub(super) fn checksum(frame: &mut [u64]) -> u64 {
    frame[CHECKSUM_AT] = 0;
    xxh3_64_with_seed(bytemuck::cast_slice(frame), CHECKSUM_SEED)
}
