//! The fuzzer's bytes as rows: the first is the header.
#![no_main]

mod decoded;

use crest_formats::decode::{CsvSpec, FormatSpec};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut decoder = FormatSpec::Csv(CsvSpec::default()).decoder(None).unwrap().unwrap();
    let mut rows = bytes.split(|byte| *byte == b'\n');
    let _ = decoder.header(rows.next().unwrap_or_default());
    rows.for_each(|row| decoded::check(&mut *decoder, row));
});
