//! Records that other encoders made, decoded with a local schema and with that of a registry. `fixtures/make.py` made
//! them, and says what each stands for.

#![allow(clippy::unwrap_used)] // what is wrong fails the test

use crest_formats::decode::{
    AvroSchema, Decode, FormatSpec, Lookup, ProtobufSchema, Reference, RegisteredSchema, Registry,
    SchemaKind, Undecoded, compile_proto,
};
use crest_formats::refusal::Refusal;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn cases(name: &str) -> Vec<Value> {
    serde_json::from_str(&std::fs::read_to_string(fixture(name)).unwrap()).unwrap()
}

fn bytes(case: &Value, key: &str) -> Option<Vec<u8>> {
    let digits = case[key].as_str()?;
    Some(
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect(),
    )
}

/// A registry of one schema, which has every id.
struct Only(Arc<RegisteredSchema>);

fn only(kind: SchemaKind, text: String, references: Vec<Reference>) -> Arc<dyn Registry> {
    Arc::new(Only(Arc::new(RegisteredSchema { kind, text, references })))
}

impl Registry for Only {
    fn schema(&self, _: u32) -> Lookup {
        Lookup::Ready(self.0.clone())
    }
}

#[track_caller]
fn decoded(decoder: &mut dyn Decode, record: &[u8], want: &Value) {
    let mut json = Vec::new();
    let result = decoder.decode(record, &mut json);
    assert_eq!(result, Ok(()), "{:?}", decoder.why());
    let text = String::from_utf8(json).unwrap();
    assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), want, "{text}");
    // What is cut short anywhere, or goes on, is no such record. A bare message may end between two of its fields.
    let mut json = Vec::new();
    for length in 0..record.len() {
        let _ = decoder.decode(&record[..length], &mut json);
        json.clear();
    }
}

#[test]
fn avro_of_a_local_schema_and_of_a_registry() {
    for case in cases("avro.json") {
        println!("{}", case["name"]);
        let want = &case["json"];
        let references = case["references"].as_array().unwrap().iter();
        let references: Vec<Reference> = references
            .map(|schema| Reference { name: schema["name"].to_string(), text: schema.to_string() })
            .collect();
        let datum = bytes(&case, "datum").unwrap();
        if references.is_empty() {
            let spec = FormatSpec::Avro(AvroSchema::Local(case["schema"].to_string().into()));
            let mut local = spec.decoder(None).unwrap().unwrap();
            decoded(&mut *local, &datum, want);
            decoded(&mut *local, &bytes(&case, "single_object").unwrap(), want);
            for wrong in [&datum[..datum.len() - 1], &[&datum[..], b"\0"].concat()] {
                let result = local.decode(wrong, &mut Vec::new());
                assert_eq!(result, Err(Undecoded::Refused(Refusal::Malformed)));
            }
        }
        let registry = only(SchemaKind::Avro, case["schema"].to_string(), references);
        let mut framed = FormatSpec::Avro(AvroSchema::Registry).decoder(Some(registry)).unwrap().unwrap();
        decoded(&mut *framed, &[b"\0\0\0\0\x09", &datum[..]].concat(), want);
        if let Some(record) = bytes(&case, "framed") {
            decoded(&mut *framed, &record, want);
        }
    }
}

#[test]
fn protobuf_of_a_local_schema_and_of_a_registry() {
    let text = |file: &str| std::fs::read_to_string(fixture("protobuf").join(file)).unwrap();
    for case in cases("protobuf.json") {
        println!("{}", case["name"]);
        let want = &case["json"];
        let file = case["file"].as_str().unwrap();
        let message = case["message"].as_str().map(str::to_owned);
        let of_protoc = std::fs::read(fixture("protobuf/shop.binpb")).unwrap();
        let of_ours = compile_proto(&fixture("protobuf").join(file)).unwrap();
        let sets = if file == "shop.proto" { vec![of_protoc, of_ours] } else { vec![of_ours] };
        for descriptors in sets {
            let schema = ProtobufSchema::Local { descriptors: descriptors.into(), message: message.clone() };
            let mut local = FormatSpec::Protobuf(schema).decoder(None).unwrap().unwrap();
            decoded(&mut *local, &bytes(&case, "record").unwrap(), want);
        }
        let money = Reference { name: "parts/money.proto".into(), text: text("parts/money.proto") };
        let registry = only(SchemaKind::Protobuf, text(file), vec![money]);
        let spec = FormatSpec::Protobuf(ProtobufSchema::Registry);
        let mut framed = spec.decoder(Some(registry)).unwrap().unwrap();
        decoded(&mut *framed, &bytes(&case, "framed").unwrap(), want);
    }
}

#[test]
fn a_message_must_be_named_where_there_are_several() {
    let refused = |file: &str, message: Option<&str>| {
        let descriptors = compile_proto(&fixture("protobuf").join(file)).unwrap().into();
        let schema = ProtobufSchema::Local { descriptors, message: message.map(str::to_owned) };
        FormatSpec::Protobuf(schema).check().err().map(|error| error.to_string())
    };
    let there_are = "must name a message of the schema: parts.Money, shop.Event, shop.Ping";
    assert_eq!(refused("shop.proto", None), Some(format!("source.message = none: {there_are}")));
    assert_eq!(
        refused("shop.proto", Some("Event")),
        Some(format!("source.message = \"Event\": {there_are}"))
    );
    assert_eq!(refused("shop.proto", Some("shop.Event.Line")), None);
    assert_eq!(refused("old.proto", None), None);
}

#[test]
fn a_schema_that_cannot_be_used_is_refused_with_its_reason() {
    let avro = FormatSpec::Avro(AvroSchema::Local("{\"type\":\"recor\"}".into()));
    assert!(avro.check().unwrap_err().to_string().starts_with("source.schema = Avro: "));
    let missing = compile_proto(&fixture("protobuf/none.proto")).unwrap_err().to_string();
    assert!(missing.starts_with("source.schema = \"") && missing.contains("none.proto"), "{missing}");
    let descriptors = b"nothing of the kind"[..].into();
    let set = FormatSpec::Protobuf(ProtobufSchema::Local { descriptors, message: None });
    assert!(set.check().unwrap_err().to_string().starts_with("source.schema = Protobuf: "));
    let none = FormatSpec::Avro(AvroSchema::Registry).decoder(None).err().unwrap().to_string();
    assert_eq!(none, "source.registry = none: is wanted");
}

/// What a registry may answer besides a schema that is fit for use.
#[test]
fn a_record_waits_for_its_schema_and_is_refused_without_one() {
    struct Told(Mutex<Lookup>);
    impl Registry for Told {
        fn schema(&self, _: u32) -> Lookup {
            self.0.lock().unwrap().clone()
        }
    }
    let ready = |kind, text: &str| {
        let references = Vec::new();
        Lookup::Ready(Arc::new(RegisteredSchema { kind, text: text.to_owned(), references }))
    };
    let told = Arc::new(Told(Mutex::new(Lookup::Waiting)));
    for spec in [FormatSpec::Avro(AvroSchema::Registry), FormatSpec::Protobuf(ProtobufSchema::Registry)] {
        let mut decoder = spec.decoder(Some(told.clone())).unwrap().unwrap();
        let mut answer = |id: u8, lookup| {
            *told.0.lock().unwrap() = lookup;
            let mut json = Vec::new();
            let result = decoder.decode(&[0, 0, 0, 0, id, 0], &mut json);
            assert!(json.is_empty());
            (result, decoder.why().map(str::to_owned))
        };
        let unknown = Err(Undecoded::Refused(Refusal::Schema));
        assert_eq!(answer(1, Lookup::Waiting).0, Err(Undecoded::Waiting));
        let (result, why) = answer(1, Lookup::Unknown("no such schema".into()));
        assert_eq!((result, why.as_deref()), (unknown, Some("schema 1: no such schema")));
        let (result, why) = answer(2, ready(SchemaKind::Json, "{}"));
        assert_eq!(result, unknown);
        assert!(why.unwrap().starts_with("schema 2: it is one of Json, and the format is "));
        for (id, kind) in [(3, SchemaKind::Avro), (4, SchemaKind::Protobuf)] {
            assert_eq!(answer(id, ready(kind, "nonsense")).0, unknown);
        }
        let unframed = decoder.decode(b"{\"a\":1}", &mut Vec::new());
        assert_eq!(unframed, Err(Undecoded::Refused(Refusal::Malformed)));
    }
}
