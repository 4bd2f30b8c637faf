//! The frame in which a sketch travels from one process of a cluster to another: checked, then abomonated.
//!
//! A [`Body`] is three flat columns, widest first. A frame is a run of 64-bit words in this machine's order:
//!
//! | word | holds |
//! |---|---|
//! | 0 | magic, and the version of this layout |
//! | 1 | the [`build_id`] of the sender |
//! | 2 | the length of the image in bytes |
//! | 3 | XXH3 over the whole frame, this word taken as zero |
//! | 4, 5, 6 | how many words, halves and bytes the body has |
//! | 7.. | abomonation's image: the head of the `Body` (blank), its words, halves and bytes, zeros up to a word |
//!
//! # Abomonation, and why it is fenced in
//! Abomonation writes a value's own memory and reads it back in place. As published it is unsound (there is no
//! patched version of it, RUSTSEC-2021-0120): it trusts the lengths, the layout and the alignment that it is
//! given, and what it writes shows where the sender's heap lies. Here it is given nothing to trust:
//!
//! * Magic, version, build, length and checksum are verified before it sees a byte; a flipped bit, a truncated
//!   frame or one of another build is a [`FrameError`].
//! * The frame is copied into 64-bit words of our own, so any alignment will do, and the columns lie widest
//!   first behind a head of whole words, so each is aligned for its integers.
//! * A checksum stops accidents, not someone who computes it anew. So the sender blanks the head, in which
//!   abomonation would find pointers and lengths, and the receiver **writes it afresh** from a `Body` that it
//!   allocated itself, by the three lengths of words 4 to 6, after these were found to fill the image exactly.
//!   Whatever was sent in the head's place is overwritten unread. The rest is integers, for which every bit
//!   pattern is a value. So every input is defined, not only what [`encode`] wrote, and no input makes us
//!   allocate more than about twice its own size.
//! * Nothing is moved out of the image: its columns are copied out, and the image is dropped as plain words.
//!
//! The blank head also makes a frame a pure function of the body and the build. What the columns *mean* is
//! judged by [`Framed::from_body`]. A frame is no seal: a cluster's ports belong on a private network, and
//! nothing stored, and nothing from a client, is ever decoded here. What timely itself writes around a frame
//! (its routing header and the timestamps) is not under this checksum.

mod body;
mod codec;
mod container;
mod image;
#[cfg(test)]
mod tests;

pub use body::Body;
pub use codec::{FrameError, MAX_IMAGE_BYTES, build_id, decode, encode};
pub use container::{ByMessage, Framed, Frames};
