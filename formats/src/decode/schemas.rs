//! The schemas of a registry that a decoder has made ready, by their ids.

use super::contract::Undecoded;
use super::registry::{Lookup, RegisteredSchema, Registry};
use crate::refusal::Refusal;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// More schemas than a topic has at one time. The one that was made ready first then makes room.
const MAX_SCHEMAS: usize = 256;

/// Makes a schema ready, or says why it cannot be used.
type Prepare<T> = fn(&RegisteredSchema) -> Result<T, String>;

/// The schemas of a registry, made ready once for each id.
pub(super) struct Schemas<T> {
    registry: Arc<dyn Registry>,
    prepare: Prepare<T>,
    known: HashMap<u32, Result<T, String>>,
    /// The ids of `known`, in the order in which they came.
    order: VecDeque<u32>,
    why: String,
}

impl<T> Schemas<T> {
    pub(super) fn new(registry: Arc<dyn Registry>, prepare: Prepare<T>) -> Self {
        Schemas { registry, prepare, known: HashMap::new(), order: VecDeque::new(), why: String::new() }
    }

    /// The schema of an id.
    pub(super) fn get(&mut self, id: u32) -> Result<&T, Undecoded> {
        if !self.known.contains_key(&id) {
            let schema = match self.registry.schema(id) {
                Lookup::Ready(schema) => schema,
                Lookup::Waiting => return Err(Undecoded::Waiting),
                Lookup::Unknown(reason) => {
                    self.why = format!("schema {id}: {reason}");
                    return Err(Refusal::Schema.into());
                }
            };
            if self.order.len() == MAX_SCHEMAS
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
            self.order.push_back(id);
            self.known.insert(id, (self.prepare)(&schema));
        }
        match &self.known[&id] {
            Ok(schema) => Ok(schema),
            Err(reason) => {
                self.why = format!("schema {id}: {reason}");
                Err(Refusal::Schema.into())
            }
        }
    }

    /// What was wrong with the schema that was refused last.
    pub(super) fn why(&self) -> Option<&str> {
        Some(self.why.as_str()).filter(|why| !why.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::super::registry::SchemaKind;
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Has every id, and counts how often it is asked.
    #[derive(Default)]
    struct Asked(AtomicUsize);

    impl Registry for Asked {
        fn schema(&self, id: u32) -> Lookup {
            self.0.fetch_add(1, Ordering::Relaxed);
            match id {
                0 => Lookup::Waiting,
                1 => Lookup::Unknown("it is not there".into()),
                _ => Lookup::Ready(Arc::new(RegisteredSchema {
                    kind: SchemaKind::Avro,
                    text: id.to_string(),
                    references: Vec::new(),
                })),
            }
        }
    }

    fn even(schema: &RegisteredSchema) -> Result<u32, String> {
        let id: u32 = schema.text.parse().unwrap();
        if id.is_multiple_of(2) { Ok(id) } else { Err("odd".into()) }
    }

    #[test]
    fn each_schema_is_asked_for_once_and_what_is_wrong_with_it_is_said() {
        let registry = Arc::new(Asked::default());
        let mut schemas = Schemas::new(registry.clone(), even);
        for _ in 0..3 {
            assert_eq!(schemas.get(4), Ok(&4));
            assert_eq!(schemas.get(5), Err(Undecoded::Refused(Refusal::Schema)));
            assert_eq!(schemas.why(), Some("schema 5: odd"));
        }
        assert_eq!(registry.0.load(Ordering::Relaxed), 2);
        assert_eq!(schemas.get(0), Err(Undecoded::Waiting));
        assert_eq!(schemas.get(1), Err(Undecoded::Refused(Refusal::Schema)));
        assert_eq!(schemas.why(), Some("schema 1: it is not there"));
    }

    #[test]
    fn a_stream_of_different_schemas_takes_no_more_memory() {
        let mut schemas = Schemas::new(Arc::new(Asked::default()), even);
        for id in 2..10_000 {
            let _ = schemas.get(id);
            assert!(schemas.known.len() <= MAX_SCHEMAS && schemas.order.len() == schemas.known.len());
        }
        assert_eq!(schemas.get(9_998), Ok(&9_998));
    }
}
