//! Abomonation's image of a [`Body`]: the one place of this crate with unsafe code.
//!
//! An image is the body's own memory (its head: three vectors' pointers, capacities and lengths), then the
//! columns in the order of the fields. Only the columns travel: [`write`] blanks the head, [`read`] puts one of
//! its own in the place.
#![allow(unsafe_code)]

use std::mem::size_of;

use super::body::{Body, WORD_BYTES};

const HEAD_BYTES: usize = size_of::<Body>();
const HEAD_WORDS: usize = HEAD_BYTES / WORD_BYTES;

// The head is three vectors of three words each, with nothing between them: no byte of it is uninitialised padding,
// and the columns that follow it begin on a word.
const _: () = assert!(HEAD_BYTES == 9 * WORD_BYTES && align_of::<Body>() == WORD_BYTES);

// The order of the fields is the order of the columns. The macro is deprecated in favour of a derive that lives
// in another crate, which is no better kept.
#[allow(deprecated)]
mod columns {
    use abomonation::{Abomonation, unsafe_abomonate};

    use super::super::body::Body;

    unsafe_abomonate!(Body: words, halves, bytes);
}

/// The length of the body's image, in bytes.
pub(super) fn length(body: &Body) -> usize {
    abomonation::measure(body)
}

/// Writes the image of the body, its head blank, over `room`: [`length`] bytes, rounded up to words.
pub(super) fn write(body: &Body, room: &mut [u64]) {
    let mut rest: &mut [u8] = bytemuck::cast_slice_mut(room);
    // SAFETY: encode reads the memory of `body` as bytes: of its head, which has no padding (asserted above),
    // and of its columns, which are integers. It writes through `Write for &mut [u8]`, which is bounded.
    let written = unsafe { abomonation::encode(body, &mut rest) };
    assert!(written.is_ok() && rest.len() < WORD_BYTES, "the room is not the length of the image");
    room[..HEAD_WORDS].fill(0);
}

/// Reads a body with these counts out of an image, whose head is overwritten unread. `None` where the image
/// does not hold exactly these columns.
///
/// The caller must have checked that the counts fill the image, since a body of that size is allocated first.
pub(super) fn read(image: &mut [u64], words: usize, halves: usize, bytes: usize) -> Option<Body> {
    let mut body = Body { words: vec![0; words], halves: vec![0; halves], bytes: vec![0; bytes] };
    write_head(&body, image.get_mut(..HEAD_WORDS)?);
    // SAFETY: decode takes the first bytes of `image` for a `Body`, and points its vectors into the rest.
    // * Alignment: `image` is of words, as `Body` is (asserted above); the columns follow by falling width.
    // * Validity: the head is that of `body`, which lives: three valid vectors. Decode reads their lengths, by
    //   multiplications that `body` proved not to overflow (it was allocated), and compares them with what
    //   there is; it replaces their pointers without following them. The columns are integers.
    // * Ownership: the decoded vectors do not own their memory. They are seen by shared reference, which ends
    //   here, and are never dropped: `image` is plain words.
    let (decoded, rest) = unsafe { abomonation::decode::<Body>(bytemuck::cast_slice_mut(image)) }?;
    if rest.len() >= WORD_BYTES {
        return None;
    }
    body.words.copy_from_slice(&decoded.words);
    body.halves.copy_from_slice(&decoded.halves);
    body.bytes.copy_from_slice(&decoded.bytes);
    Some(body)
}

/// Writes the head of the body, as abomonation lays it, and none of its columns.
fn write_head(body: &Body, head: &mut [u64]) {
    let mut room: &mut [u8] = bytemuck::cast_slice_mut(head);
    // SAFETY: as in `write`. The room ends with the head, so the first column that is not empty is refused: the
    // result says no more than whether there is one.
    let _ = unsafe { abomonation::encode(body, &mut room) };
}
