//! What every decoder must do with any bytes.

use crest_formats::decode::{Decode, MAX_JSON_BYTES};
use serde_json::Value;

/// Decodes the bytes twice, with the same result: refused without a trace, or an object of bounded length.
pub fn check(decoder: &mut dyn Decode, bytes: &[u8]) {
    let (mut first, mut again) = (Vec::new(), Vec::new());
    let result = decoder.decode(bytes, &mut first);
    assert_eq!(decoder.decode(bytes, &mut again), result);
    assert_eq!(first, again);
    match result {
        Ok(()) => {
            assert!(first.len() <= 2 * MAX_JSON_BYTES);
            assert!(serde_json::from_slice::<Value>(&first).unwrap().is_object());
        }
        Err(_) => assert!(first.is_empty()),
    }
}
