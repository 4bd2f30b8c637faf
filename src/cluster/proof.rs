//! How two processes prove to each other that they know the cluster's secret, before either says anything else.
//!
//! - The caller opens with its index and a nonce, and the other process answers with its own. Then the caller proves that it
//!   knows the secret, and only after that the other one does: who merely connects is given no proof, against which it
//!   could try guessed secrets.
//! - A proof is the HMAC of both indices, both nonces and the side that proves. One that is sent back, or was heard at an
//!   earlier meeting, proves nothing.
//! - All frames have one length, so that nothing is allocated for a stranger.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::io::{self, Read, Write};

const MAGIC: [u8; 8] = *b"crest-hs";
/// The version of the proof. That of the messages after it is told to those who have proved that they belong.
const VERSION: u32 = 4;
/// How TLS begins: a handshake or an alert of any version.
const TLS: [[u8; 2]; 2] = [[0x16, 3], [0x15, 3]];
const NONCE_BYTES: usize = 32;
const FRAME_BYTES: usize = MAGIC.len() + 4 + 1 + 4 + NONCE_BYTES;

/// Drawn for each handshake.
pub type Nonce = [u8; NONCE_BYTES];

/// Why nothing is proved.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The connection failed, was closed, or nothing came in time.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Not a frame of the proof.
    #[error("is no process of a Crest cluster")]
    Stranger,
    /// The other end speaks TLS.
    #[error("speaks TLS, as this process does not")]
    Tls,
    /// The frame is of another version.
    #[error("speaks version {0} of the handshake, as another build does")]
    Version(u32),
    /// The other end called itself this process, and knows another secret or none.
    #[error("calls itself process {0}, and has another secret than this process")]
    Secret(usize),
    /// The other end says that this process's secret is another one than its own.
    #[error("has another secret than this process")]
    Refused,
}

/// What a frame is.
#[derive(Clone, Copy, PartialEq)]
enum FrameKind {
    Nonce = 1,
    Proof = 2,
    Refused = 3,
}

/// Which end a proof is of.
#[derive(Clone, Copy)]
enum Side {
    Caller = 1,
    Answerer = 2,
}

/// What the two ends have said of themselves.
struct Pair {
    caller: (u32, Nonce),
    answerer: (u32, Nonce),
}

impl Pair {
    fn hmac(&self, side: Side, secret: &[u8]) -> Result<Hmac<Sha256>, ProofError> {
        let unusable = |_| ProofError::Io(io::Error::other("the secret cannot be a key"));
        let mut hmac = Hmac::<Sha256>::new_from_slice(secret).map_err(unusable)?;
        hmac.update(&MAGIC);
        hmac.update(&VERSION.to_be_bytes());
        hmac.update(&[side as u8]);
        for (index, nonce) in [&self.caller, &self.answerer] {
            hmac.update(&index.to_be_bytes());
            hmac.update(nonce);
        }
        Ok(hmac)
    }

    fn proof(&self, side: Side, secret: &[u8]) -> Result<Nonce, ProofError> {
        Ok(self.hmac(side, secret)?.finalize().into_bytes().into())
    }

    /// Compares in a time that tells nothing of the right proof.
    fn is_proved(&self, side: Side, secret: &[u8], proof: &Nonce) -> Result<bool, ProofError> {
        Ok(self.hmac(side, secret)?.verify_slice(proof).is_ok())
    }
}

/// A nonce that was never used.
///
/// # Errors
/// The system has no randomness.
pub fn nonce() -> io::Result<Nonce> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(io::Error::other)?;
    Ok(nonce)
}

/// Proves to the process that was called that this one, `own`, knows the secret, and has it prove the same. Its index.
///
/// # Errors
/// Nothing is proved; then nothing was said that an eavesdropper could not hear at any meeting.
pub fn call<S: Read + Write>(
    mut io: S,
    secret: &[u8],
    own: usize,
    nonce: Nonce,
) -> Result<usize, ProofError> {
    send(&mut io, FrameKind::Nonce, own, &nonce)?;
    let (kind, index, theirs) = receive(&mut io)?;
    if kind != FrameKind::Nonce {
        return Err(ProofError::Stranger);
    }
    let pair = Pair { caller: (own as u32, nonce), answerer: (index, theirs) };
    send(&mut io, FrameKind::Proof, own, &pair.proof(Side::Caller, secret)?)?;
    let (kind, again, proof) = receive(&mut io)?;
    match kind {
        _ if again != index => Err(ProofError::Stranger),
        FrameKind::Nonce => Err(ProofError::Stranger),
        FrameKind::Refused => Err(ProofError::Refused),
        FrameKind::Proof if pair.is_proved(Side::Answerer, secret, &proof)? => Ok(index as usize),
        FrameKind::Proof => Err(ProofError::Secret(index as usize)),
    }
}

/// Has a caller prove that it knows the secret, and then proves the same to it as process `own`. The caller's index.
///
/// # Errors
/// The caller has proved nothing; all that it was told is a nonce, an index and that its proof is wrong.
pub fn answer<S: Read + Write>(
    mut io: S,
    secret: &[u8],
    own: usize,
    nonce: Nonce,
) -> Result<usize, ProofError> {
    let (kind, index, theirs) = receive(&mut io)?;
    if kind != FrameKind::Nonce {
        return Err(ProofError::Stranger);
    }
    send(&mut io, FrameKind::Nonce, own, &nonce)?;
    let pair = Pair { caller: (index, theirs), answerer: (own as u32, nonce) };
    let (kind, again, proof) = receive(&mut io)?;
    if kind != FrameKind::Proof || again != index {
        return Err(ProofError::Stranger);
    }
    if !pair.is_proved(Side::Caller, secret, &proof)? {
        send(&mut io, FrameKind::Refused, own, &[0; NONCE_BYTES])?;
        return Err(ProofError::Secret(index as usize));
    }
    send(&mut io, FrameKind::Proof, own, &pair.proof(Side::Answerer, secret)?)?;
    Ok(index as usize)
}

fn send(io: &mut impl Write, kind: FrameKind, own: usize, value: &Nonce) -> io::Result<()> {
    let mut frame = Vec::with_capacity(FRAME_BYTES);
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(&VERSION.to_be_bytes());
    frame.push(kind as u8);
    frame.extend_from_slice(&(own as u32).to_be_bytes());
    frame.extend_from_slice(value);
    io.write_all(&frame)
}

/// Reads no further than it is a frame, so that what is none is known at once.
fn receive(io: &mut impl Read) -> Result<(FrameKind, u32, Nonce), ProofError> {
    let mut magic = [0; MAGIC.len()];
    let (start, rest) = magic.split_at_mut(2);
    io.read_exact(start)?;
    if TLS.iter().any(|tls| start == tls) {
        return Err(ProofError::Tls);
    }
    io.read_exact(rest)?;
    if magic != MAGIC {
        return Err(ProofError::Stranger);
    }
    let mut version = [0; 4];
    io.read_exact(&mut version)?;
    match u32::from_be_bytes(version) {
        VERSION => {}
        other => return Err(ProofError::Version(other)),
    }
    let (mut kind, mut index, mut value) = ([0], [0; 4], [0; NONCE_BYTES]);
    io.read_exact(&mut kind)?;
    io.read_exact(&mut index)?;
    io.read_exact(&mut value)?;
    let kind = match kind[0] {
        1 => FrameKind::Nonce,
        2 => FrameKind::Proof,
        3 => FrameKind::Refused,
        _ => return Err(ProofError::Stranger),
    };
    Ok((kind, u32::from_be_bytes(index), value))
}
