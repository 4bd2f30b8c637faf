//! JSON behind the frame of a schema registry.

use super::contract::{Decode, Undecoded};
use super::registry::unframe;
use crate::refusal::Refusal;

/// Takes the frame off. Records without one are passed on as they are, since no JSON begins with a zero.
pub(super) struct FramedJson;

impl Decode for FramedJson {
    fn decode(&mut self, payload: &[u8], json: &mut Vec<u8>) -> Result<(), Undecoded> {
        let body = unframe(payload).map_or(payload, |(_, body)| body);
        let text = simdutf8::basic::from_utf8(body).map_err(|_| Refusal::InvalidUtf8)?;
        json.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_is_taken_off_where_there_is_one() {
        let mut json = Vec::new();
        for payload in [&b"\0\0\0\0\x07{\"a\":1}"[..], b"{\"a\":1}"] {
            FramedJson.decode(payload, &mut json).unwrap();
        }
        assert_eq!(json, b"{\"a\":1}{\"a\":1}");
        let not_utf8 = FramedJson.decode(b"\0\0\0\0\x07\xff", &mut json);
        assert_eq!(not_utf8, Err(Undecoded::Refused(Refusal::InvalidUtf8)));
    }
}
