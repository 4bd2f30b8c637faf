//! The fuzzer's bytes as programs of operations on sketches, each step against naive twins and a recount.
#![no_main]

#[allow(dead_code, reason = "this target uses a part of it")]
#[path = "../../tests/support"]
mod support {
    pub mod laws;
    pub mod operations;
    pub mod shapes;
    pub mod twin;
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| support::operations::run(bytes));
