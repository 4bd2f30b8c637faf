//! What is known of ids, within bounds. The oldest makes room.

use super::schema::{Found, Schema};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most ids that are kept, of known ones and as many of unknown ones, …
const MAX_IDS: usize = 1000;
/// … and the most bytes of the texts of each kind.
const MAX_BYTES: usize = 64 << 20;
/// For so long an unknown id is not asked for again.
const UNKNOWN_FOR: Duration = Duration::from_secs(60);

/// What is known of ids. However many unknown ones there are, they take no place of a schema.
#[derive(Default)]
pub(super) struct Cache {
    schemas: Kept<Arc<Schema>>,
    unknown: Kept<Unknown>,
}

struct Unknown {
    reason: Arc<str>,
    until: Instant,
}

impl Cache {
    /// What is known of an id now.
    pub(super) fn get(&self, id: u32, now: Instant) -> Option<Found> {
        if let Some(schema) = self.schemas.get(id) {
            return Some(Found::Schema(Arc::clone(schema)));
        }
        let unknown = self.unknown.get(id).filter(|unknown| now < unknown.until)?;
        Some(Found::Unknown(Arc::clone(&unknown.reason)))
    }

    /// Keeps the schema of an id.
    pub(super) fn keep(&mut self, id: u32, schema: Schema) {
        let references = schema.references.iter().map(|(name, text)| name.len() + text.len());
        let bytes = schema.text.len() + references.sum::<usize>();
        self.schemas.insert(id, Arc::new(schema), bytes);
    }

    /// Keeps for a minute that an id is unknown.
    pub(super) fn keep_unknown(&mut self, id: u32, reason: &str, now: Instant) {
        self.unknown.insert(id, Unknown { reason: reason.into(), until: now + UNKNOWN_FOR }, reason.len());
    }
}

/// Values by ids, within bounds.
struct Kept<T> {
    /// Each with the bytes of its texts.
    values: HashMap<u32, (T, usize)>,
    /// The ids of `values`, in the order in which they came.
    order: VecDeque<u32>,
    /// Of all texts.
    bytes: usize,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Kept { values: HashMap::new(), order: VecDeque::new(), bytes: 0 }
    }
}

impl<T> Kept<T> {
    fn get(&self, id: u32) -> Option<&T> {
        self.values.get(&id).map(|(value, _)| value)
    }

    fn insert(&mut self, id: u32, value: T, bytes: usize) {
        self.bytes += bytes;
        match self.values.insert(id, (value, bytes)) {
            Some((_, before)) => self.bytes -= before,
            None => self.order.push_back(id),
        }
        while (self.order.len() > MAX_IDS || self.bytes > MAX_BYTES)
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.values.remove(&oldest).map_or(0, |(_, bytes)| bytes);
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
        assert_eq!((cache.schemas.bytes, cache.schemas.order.len()), (1, 1));
    }

    #[test]
    fn ids_and_bytes_are_bounded() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        for id in 0..5000 {
            cache.keep_unknown(id, "none", now);
        }
        assert_eq!((cache.unknown.values.len(), cache.unknown.order.len()), (MAX_IDS, MAX_IDS));
        assert!(cache.get(0, now).is_none() && cache.get(4999, now).is_some());
        for id in 0..20 {
            cache.keep(id, schema(MAX_BYTES / 10));
            assert!(cache.schemas.bytes <= MAX_BYTES);
        }
        let kept: usize = cache.schemas.values.values().map(|(_, bytes)| bytes).sum();
        assert_eq!((kept, cache.schemas.values.len()), (cache.schemas.bytes, cache.schemas.order.len()));
    }

    #[test]
    fn unknown_ids_take_no_place_of_a_schema() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.keep(7, schema(1));
        for id in 1000..5000 {
            cache.keep_unknown(id, "none", now);
        }
        assert!(matches!(cache.get(7, now), Some(Found::Schema(_))));
    }
}
