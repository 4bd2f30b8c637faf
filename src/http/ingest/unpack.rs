//! Unpacks a body, whose work is bounded as its length is.

use super::body::{MOST_OF_A_BYTE, too_long};
use crate::http::answer::Refused;
use crate::http::policy::IngestLimits;
use axum::http::StatusCode;
use flate2::bufread::GzDecoder;
use std::io::Read;

/// Bytes of a body that take as long as the begin and the end of a member do: a body may have many, and nothing in them.
const MEMBER: usize = 1 << 10;

/// All members of a body, one after the other.
///
/// # Errors
/// It is not gzip, or too long unpacked, or has too many members.
pub fn unpack(bytes: &[u8], limits: &IngestLimits) -> Result<Vec<u8>, Refused> {
    // At once, as when a body is collected; one byte more than it may have tells that it has more.
    let longest = bytes.len().saturating_mul(MOST_OF_A_BYTE).min(limits.body) + 1;
    let (mut rest, mut body) = (bytes, Vec::with_capacity(longest));
    let most = (limits.body / MEMBER).max(1);
    for _ in 0..most {
        let mut member = GzDecoder::new(rest);
        let left = limits.body - body.len() + 1;
        let read = member.by_ref().take(left as u64).read_to_end(&mut body);
        read.map_err(|error| {
            Refused::new(StatusCode::BAD_REQUEST, format!("the body is not gzip: {error}"))
        })?;
        if body.len() > limits.body {
            return Err(too_long(limits));
        }
        rest = member.into_inner();
        if rest.is_empty() {
            return Ok(body);
        }
    }
    let error = format!("the body has more than {most} gzip members");
    Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, error))
}
