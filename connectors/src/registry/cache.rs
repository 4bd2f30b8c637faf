//! What is known of ids, within bounds. The oldest makes room.

use super::schema::{Found, Schema};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most ids that are kept …
const MAX_IDS: usize = 1000;
/// … and the most bytes of their texts.
const MAX_BYTES: usize = 64 << 20;
/// For so long an unknown id is not asked for again.
const UNKNOWN_FOR: Duration = Duration::from_secs(60);

/// What is known of ids.
#[derive(Default)]
pub(super) struct Cache {
    known: HashMap<u32, Known>,
    /// The ids of `known`, in the order in which they came.
    order: VecDeque<u32>,
    /// Of all texts.
    bytes: usize,
}

enum Known {
    Schema(Arc<Schema>),
    Unknown { reason: Arc<str>, until: Instant },
}

impl Known {
    fn bytes(&self) -> usize {
        match self {
            Known::Schema(schema) => {
                let references = schema.references.iter().map(|(name, text)| name.len() + text.len());
                schema.text.len() + references.sum::<usize>()
            }
            Known::Unknown { reason, .. } => reason.len(),
        }
    }
}

impl Cache {
    /// What is known of an id now.
    pub(super) fn get(&self, id: u32, now: Instant) -> Option<Found> {
        match self.known.get(&id)? {
            Known::Schema(schema) => Some(Found::Schema(Arc::clone(schema))),
            Known::Unknown { reason, until } => (now < *until).then(|| Found::Unknown(Arc::clone(reason))),
        }
    }

    /// Keeps the schema of an id.
    pub(super) fn keep(&mut self, id: u32, schema: Schema) {
        self.insert(id, Known::Schema(Arc::new(schema)));
    }

    /// Keeps for a minute that an id is unknown.
    pub(super) fn keep_unknown(&mut self, id: u32, reason: &str, now: Instant) {
        self.insert(id, Known::Unknown { reason: reason.into(), until: now + UNKNOWN_FOR });
    }

    fn insert(&mut self, id: u32, known: Known) {
        self.bytes += known.bytes();
        match self.known.insert(id, known) {
            Some(before) => self.bytes -= before.bytes(),
            None => self.order.push_back(id),
        }
        while (self.order.len() > MAX_IDS || self.bytes > MAX_BYTES)
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.known.remove(&oldest).map_or(0, |known| known.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(bytes: usize) -> Schema {
        Schema { language: "AVRO".into(), text: "x".repeat(bytes), references: Vec::new() }
    }

    #[test]
    fn an_unknown_id_may_be_asked_for_again_after_a_minute() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.keep_unknown(7, "none", now);
        assert_eq!(cache.get(7, now + Duration::from_secs(59)), Some(Found::Unknown("none".into())));
        assert_eq!(cache.get(7, now + Duration::from_secs(60)), None);
        cache.keep(7, schema(1));
        assert!(matches!(cache.get(7, now), Some(Found::Schema(_))));
        assert_eq!((cache.bytes, cache.order.len()), (1, 1));
    }

    #[test]
    fn ids_and_bytes_are_bounded() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        for id in 0..5000 {
            cache.keep_unknown(id, "none", now);
        }
        assert_eq!((cache.known.len(), cache.order.len()), (MAX_IDS, MAX_IDS));
        assert!(cache.get(0, now).is_none() && cache.get(4999, now).is_some());
        for id in 0..20 {
            cache.keep(id, schema(MAX_BYTES / 10));
            assert!(cache.bytes <= MAX_BYTES);
        }
        let kept: usize = cache.known.values().map(Known::bytes).sum();
        assert_eq!((kept, cache.known.len()), (cache.bytes, cache.order.len()));
    }
}
