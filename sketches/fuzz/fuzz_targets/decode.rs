//! The fuzzer's bytes as stored sketches.
#![no_main]

#[allow(dead_code, reason = "this target uses a part of it")]
#[path = "../../tests/support"]
mod support {
    pub mod decoding;
    pub mod shapes;
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| support::decoding::run(bytes));
