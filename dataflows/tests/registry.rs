//! Records whose schema is not at hand yet wait for it, in the order of their partition, and nothing passes them.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_formats::decode::{AvroSchema, FormatSpec, Lookup, RegisteredSchema, Registry, SchemaKind};
use crest_formats::refusal::Refusal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{Feed, Running, T0, spec};

const SCHEMA: &str = r#"{"type":"record","name":"view","fields":[
    {"name":"item_id","type":"string"},{"name":"timestamp","type":"long"},{"name":"weight","type":"int"}]}"#;

/// A registry that knows one schema, once it is reached.
#[derive(Default)]
struct Late {
    reached: AtomicBool,
    asked: AtomicUsize,
}

impl Registry for Late {
    fn schema(&self, id: u32) -> Lookup {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let (text, references) = (SCHEMA.to_owned(), Vec::new());
        match (id, self.reached.load(Ordering::SeqCst)) {
            (_, false) => Lookup::Waiting,
            (1, true) => {
                Lookup::Ready(Arc::new(RegisteredSchema { kind: SchemaKind::Avro, text, references }))
            }
            (_, true) => Lookup::Unknown("40403".into()),
        }
    }
}

/// A number as Avro writes it, by the specification: zigzag, seven bits a byte, the lowest first.
fn long(number: i64, to: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    while rest >= 0x80 {
        to.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}

fn record(schema: u32, item: &str, time: i64) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(schema.to_be_bytes());
    long(item.len() as i64, &mut bytes);
    bytes.extend(item.as_bytes());
    long(time, &mut bytes);
    long(1, &mut bytes);
    bytes
}

#[test]
fn what_waits_for_its_schema_is_counted_in_its_order_once_it_is_there() {
    let mut spec = spec();
    spec.format = FormatSpec::Avro(AvroSchema::Registry);
    // More than are read in one run. Out of its order an event would be late, or make others late.
    let partition = |name: &str| -> Vec<Vec<u8>> {
        (0..3000)
            .map(|n| record(1 + u32::from(n % 100 == 7), &format!("{name}{}", n % 7), T0 + n * 100))
            .collect()
    };
    let registry = Arc::new(Late::default());
    let feed = Feed::raw(&[partition("a"), partition("b")]);
    let job = Running::with_registry(&spec, &feed, 2, registry.clone());
    let deadline = Instant::now() + Duration::from_secs(30);
    while registry.asked.load(Ordering::SeqCst) < 20 {
        assert!(Instant::now() < deadline, "the registry was not asked again");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(!job.is_over() && job.kept.all().is_empty(), "nothing is published past what waits");
    registry.reached.store(true, Ordering::SeqCst);
    let view = job.view.clone();
    let minutes: u64 = job
        .finish()
        .finals()
        .iter()
        .filter(|s| &*s.window == "last_1m" && s.window_end % 60_000 == 0)
        .map(|s| s.total)
        .sum();
    assert_eq!(minutes, 2 * (3000 - 30));
    view.with_workers(|workers| {
        let sum = |of: &dyn Fn(&crest_dataflows::status::WorkerCounts) -> u64| {
            workers.iter().flatten().map(|(_, status)| of(&status.counts)).sum::<u64>()
        };
        assert_eq!(sum(&|counts| counts.records), 6000);
        assert_eq!(sum(&|counts| counts.refused[Refusal::Schema as usize]), 60);
        assert_eq!(sum(&|counts| counts.refused.iter().sum()), 60, "nothing else was refused");
    });
}
