//! The fuzzer's bytes as a pattern and lines.
#![no_main]

mod decoded;

use crest_formats::decode::FormatSpec;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let Some(Ok(pattern)) = lines.next().map(|line| String::from_utf8(line.to_vec())) else { return };
    let Ok(Some(mut decoder)) = FormatSpec::Text(pattern).decoder(None) else { return };
    lines.for_each(|line| decoded::check(&mut *decoder, line));
});
