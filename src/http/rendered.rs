//! Rankings as the bytes of their answers: each is written as JSON once, however many ask for it.

use super::questions::Current;
use axum::body::Bytes;
use axum::http::HeaderValue;
use crest_connectors::memory::Held;
use crest_connectors::snapshot::Snapshot;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

/// Answers that are kept at most; beyond it all are let go of, and those still asked for written again.
const MOST: usize = 4096;

/// An answer, but for the age of its ranking.
#[derive(Debug)]
pub struct Rendered {
    held: Held,
    /// Its JSON without the closing brace.
    json: Vec<u8>,
    /// The tag while the ranking is fresh, and the one once it is stale.
    tags: [HeaderValue; 2],
}

/// The answers that are at hand.
#[derive(Debug, Default)]
pub struct Answers(Mutex<HashMap<Current, Arc<Rendered>>>);

impl Answers {
    /// The answer that shows what is `held`.
    ///
    /// # Errors
    /// None that a snapshot is known to cause.
    pub fn of(&self, current: &Current, held: &Held) -> serde_json::Result<Arc<Rendered>> {
        let known = self.0.lock().get(current).cloned();
        if let Some(known) = known.filter(|known| Arc::ptr_eq(&known.held.snapshot, &held.snapshot)) {
            return Ok(known);
        }
        let rendered = Arc::new(Rendered::new(held.clone(), current.k)?);
        let mut answers = self.0.lock();
        if answers.len() >= MOST {
            answers.clear();
        }
        answers.insert(current.clone(), rendered.clone());
        Ok(rendered)
    }
}

impl Rendered {
    fn new(held: Held, k: usize) -> serde_json::Result<Self> {
        let snapshot = &held.snapshot;
        let mut json = serde_json::to_vec(&*shortened(snapshot, k))?;
        json.pop();
        let Snapshot { epoch, window_end, computed_at, is_final, .. } = **snapshot;
        let tags = ["", "-stale"].map(|stale| {
            let is_final = u8::from(is_final);
            let tag = format!("W/\"{epoch:x}-{window_end:x}-{computed_at:x}-{is_final}-{k}{stale}\"");
            HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("W/\"\""))
        });
        Ok(Rendered { held, json, tags })
    }

    /// Changes with the ranking, and when it becomes stale.
    pub fn tag(&self, stale: bool) -> &HeaderValue {
        &self.tags[usize::from(stale)]
    }

    /// How old the ranking is, in milliseconds.
    pub fn age_ms(&self) -> i64 {
        i64::try_from(self.held.age().as_millis()).unwrap_or(i64::MAX)
    }

    /// The whole answer.
    pub fn body(&self, age_ms: i64, stale: bool) -> Bytes {
        let mut body = Vec::with_capacity(self.json.len() + 64);
        body.extend_from_slice(&self.json);
        // Writing to memory does not fail.
        let (seconds, thousandths) = (age_ms / 1000, age_ms % 1000);
        let _ = write!(body, ",\"snapshot_age_seconds\":{seconds}.{thousandths:03}");
        body.extend_from_slice(if stale { b",\"stale\":true}" } else { b"}" });
        body.into()
    }
}

/// The first `k` rows, with what is true of them: the rows after them are now outside.
fn shortened(snapshot: &Snapshot, k: usize) -> Cow<'_, Snapshot> {
    let Some(outside) = snapshot.items.get(k).map(|item| item.upper) else { return Cow::Borrowed(snapshot) };
    let items = snapshot.items[..k].to_vec();
    let least = outside.max(snapshot.error_floor);
    Cow::Owned(Snapshot {
        error: items.iter().map(|item| item.upper - item.lower).max().unwrap_or(0),
        guaranteed: items.iter().take_while(|item| item.lower >= least).count() as u32,
        items,
        ..snapshot.clone()
    })
}
