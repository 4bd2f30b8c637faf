//! The fuzzer's bytes as messages of a schema that has every type, behind the frame of a registry.
#![no_main]

mod decoded;

use crest_formats::decode::{
    Decode, FormatSpec, Lookup, ProtobufSchema, RegisteredSchema, Registry, SchemaKind,
};
use std::cell::RefCell;
use std::sync::Arc;

const SCHEMA: &str = include_str!("../schemas/everything.proto");

struct Only(Arc<RegisteredSchema>);

impl Registry for Only {
    fn schema(&self, _: u32) -> Lookup {
        Lookup::Ready(self.0.clone())
    }
}

fn decoder() -> Box<dyn Decode> {
    let schema =
        RegisteredSchema { kind: SchemaKind::Protobuf, text: SCHEMA.to_owned(), references: Vec::new() };
    let registry = Arc::new(Only(Arc::new(schema)));
    FormatSpec::Protobuf(ProtobufSchema::Registry).decoder(Some(registry)).unwrap().unwrap()
}

thread_local! {
    static DECODER: RefCell<Box<dyn Decode>> = RefCell::new(decoder());
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let record = [&[0, 0, 0, 0, 1], bytes].concat();
    DECODER.with_borrow_mut(|decoder| decoded::check(&mut **decoder, &record));
});
