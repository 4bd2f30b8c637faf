//! The fuzzer's bytes as datums of a schema that has every type.
#![no_main]

mod decoded;

use crest_formats::decode::{AvroSchema, Decode, FormatSpec};
use std::cell::RefCell;

const SCHEMA: &str = include_str!("../schemas/everything.avsc");

thread_local! {
    static DECODER: RefCell<Box<dyn Decode>> =
        RefCell::new(FormatSpec::Avro(AvroSchema::Local(SCHEMA.into())).decoder(None).unwrap().unwrap());
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    DECODER.with_borrow_mut(|decoder| decoded::check(&mut **decoder, bytes));
});
