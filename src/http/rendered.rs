//! Rankings as the bytes of their answers: each is written as JSON once, however many ask for it. What is written takes
//! room for as long as anybody holds it, be it for the next who asks or until a slow client has taken it all.

use super::current::Current;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderValue;
use crest_connectors::memory::Held;
use crest_connectors::snapshot::Snapshot;
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Answers that are kept at most; beyond it all are let go of, and those still asked for written again.
const MOST: usize = 4096;
/// What all answers may take together, in KiB: those that are kept and those that are being sent.
const ROOM_KIB: usize = 256 << 10;
/// An answer holds its ranking, too, which takes about as much as its JSON.
const BYTES_A_BYTE: usize = 2;
/// A longer answer is sent in pieces that are all parts of the one copy in memory, however many clients take it.
const PIECE: usize = 64 << 10;

/// An answer, but for the age of its ranking.
#[derive(Debug)]
pub struct Rendered {
    held: Held,
    /// Its JSON without the closing brace; the room is given back with the last piece of it.
    json: Bytes,
    /// The tag while the ranking is fresh, and the one once it is stale.
    tags: [HeaderValue; 2],
}

/// Why a ranking cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum Unshown {
    /// Too much is being sent.
    #[error("too much is being sent already")]
    NoRoom,
    /// None that a snapshot is known to cause.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// The answers that are at hand.
#[derive(Debug)]
pub struct Answers {
    kept: Mutex<HashMap<Current, Arc<Rendered>>>,
    free: Arc<Semaphore>,
}

impl Default for Answers {
    fn default() -> Self {
        Answers { kept: Mutex::default(), free: Arc::new(Semaphore::new(ROOM_KIB)) }
    }
}

impl Answers {
    /// The answer that shows what is `held`.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn of(&self, current: &Current, held: &Held) -> Result<Arc<Rendered>, Unshown> {
        let known = self.kept.lock().get(current).cloned();
        if let Some(known) = known.filter(|known| Arc::ptr_eq(&known.held.snapshot, &held.snapshot)) {
            return Ok(known);
        }
        let mut text = serde_json::to_vec(&*shortened(&held.snapshot, current.k))?;
        text.pop();
        text.shrink_to_fit();
        let room = self.room(text.len())?;
        let rendered = Arc::new(Rendered::new(held.clone(), current.k, Json { text, _room: room }));
        let mut kept = self.kept.lock();
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(current.clone(), rendered.clone());
        Ok(rendered)
    }

    /// Room for an answer of so many bytes. Where there is none, nothing more is kept for those who ask next.
    fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Unshown> {
        // What is larger than all the room has it to itself.
        let kib = ((bytes * BYTES_A_BYTE) / 1024 + 1).min(ROOM_KIB) as u32;
        let take = || self.free.clone().try_acquire_many_owned(kib);
        let room = take().or_else(|_| {
            self.kept.lock().clear();
            take()
        });
        room.map_err(|_| Unshown::NoRoom)
    }
}

/// The text of an answer, and the room that it takes.
struct Json {
    text: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Json {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl Rendered {
    fn new(held: Held, k: usize, json: Json) -> Self {
        let Snapshot { epoch, window_end, computed_at, is_final, .. } = *held.snapshot;
        let tags = ["", "-stale"].map(|stale| {
            let is_final = u8::from(is_final);
            let tag = format!("W/\"{epoch:x}-{window_end:x}-{computed_at:x}-{is_final}-{k}{stale}\"");
            HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("W/\"\""))
        });
        Rendered { held, json: Bytes::from_owner(json), tags }
    }

    /// Changes with the ranking, and when it becomes stale.
    pub fn tag(&self, stale: bool) -> &HeaderValue {
        &self.tags[usize::from(stale)]
    }

    /// How old the ranking is, in milliseconds.
    pub fn age_ms(&self) -> i64 {
        i64::try_from(self.held.age().as_millis()).unwrap_or(i64::MAX)
    }

    /// The whole answer: in one piece where it is short, which is sent by one call.
    pub fn body(&self, age_ms: i64, stale: bool) -> Body {
        let pieces: VecDeque<Bytes> = self.framed("", age_ms, stale, "").into();
        Body::new(Pieces { left: pieces.iter().map(|piece| piece.len() as u64).sum(), pieces })
    }

    /// The answer as a part of a stream, between what comes before it and what ends it: in one piece where it is short.
    pub fn framed(&self, before: &str, age_ms: i64, stale: bool, after: &str) -> Vec<Bytes> {
        let end = end(age_ms, stale) + after;
        if self.json.len() <= PIECE {
            return vec![[before.as_bytes(), &*self.json, end.as_bytes()].concat().into()];
        }
        let before = Bytes::copy_from_slice(before.as_bytes());
        std::iter::once(before).chain(self.pieces()).chain([end.into()]).collect()
    }

    fn pieces(&self) -> impl Iterator<Item = Bytes> + use<> {
        let json = self.json.clone();
        (0..json.len()).step_by(PIECE).map(move |at| json.slice(at..json.len().min(at + PIECE)))
    }
}

/// How an answer ends.
fn end(age_ms: i64, stale: bool) -> String {
    let (seconds, thousandths) = (age_ms / 1000, age_ms % 1000);
    // Each answer has an age of its own; to format it takes as long as to look the ranking up.
    let mut text = String::with_capacity(64);
    text.push_str(",\"snapshot_age_seconds\":");
    text.push_str(&seconds.to_string());
    text.push('.');
    for digit in [thousandths / 100, thousandths / 10 % 10, thousandths % 10] {
        text.push(char::from(b'0' + digit as u8));
    }
    text.push_str(if stale { ",\"stale\":true}" } else { "}" });
    text
}

/// A body of known length, in pieces.
struct Pieces {
    pieces: VecDeque<Bytes>,
    left: u64,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.pop_front();
        self.left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// The first `k` rows, with what is true of them: the rows after them are now outside.
fn shortened(snapshot: &Snapshot, k: usize) -> Cow<'_, Snapshot> {
    let others = snapshot.items.get(k..).unwrap_or_default();
    let Some(outside) = others.iter().map(|item| item.upper).max() else { return Cow::Borrowed(snapshot) };
    let items = snapshot.items[..k].to_vec();
    let last = items.last().map_or(0, |item| item.upper);
    let least = outside.max(snapshot.error_floor);
    // An item of which nothing is left has no rank.
    let certain = least.max(snapshot.retracts.into());
    Cow::Owned(Snapshot {
        error: items.iter().map(|item| item.upper - item.lower).max().unwrap_or(0),
        guaranteed: items.iter().take_while(|item| item.lower >= certain).count() as u32,
        error_floor: if outside > last { least } else { snapshot.error_floor },
        items,
        ..snapshot.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_connectors::group_key::GroupKey;
    use crest_connectors::memory::MemoryStore;
    use crest_connectors::snapshot::{Item, SnapshotSink};

    /// A ranking of 1,000 items whose ids take 4 KB each.
    fn large() -> Held {
        let item = |rank: u32| Item {
            rank,
            item_id: format!("{rank}{}", "x".repeat(4096)).into(),
            count: 1,
            lower: 1,
            upper: 1,
            exact: true,
            estimate: None,
            change: None,
        };
        let snapshot = Snapshot {
            board: "b".into(),
            window: "w".into(),
            group: GroupKey::WHOLE,
            window_start: 0,
            window_end: 60_000,
            computed_at: 0,
            watermark: 60_000,
            is_final: true,
            total: 1000,
            error: 0,
            error_floor: 0,
            guaranteed: 1000,
            partial: false,
            since: None,
            missing: Vec::new(),
            distinct: None,
            retracts: false,
            items: (1..=1000).map(item).collect(),
            k: 1000,
            rising: None,
            unit: None,
            lacking: 0,
            removed: 0,
            epoch: 1,
            bucket: false,
            counters: false,
        };
        let store = MemoryStore::new();
        store.publish(&Arc::new(snapshot));
        store.held("b", "w", &GroupKey::WHOLE, true).unwrap()
    }

    fn first(k: usize) -> Current {
        Current { board: "b".into(), window: "w".into(), group: GroupKey::WHOLE, k, final_only: false }
    }

    #[test]
    fn answers_that_are_kept_are_bounded_in_bytes() {
        let (answers, held) = (Answers::default(), large());
        let shown: Vec<_> =
            (901..=1000).map(|k| Arc::downgrade(&answers.of(&first(k), &held).unwrap())).collect();
        let kept: usize = shown.iter().filter_map(std::sync::Weak::upgrade).map(|one| one.json.len()).sum();
        assert!(kept <= 128 << 20, "{kept} bytes are kept");
        assert!(shown.last().unwrap().upgrade().is_some(), "the newest is at hand");
    }

    #[test]
    fn what_is_being_sent_takes_room_until_it_is_sent() {
        let (answers, held) = (Answers::default(), large());
        let sent = |k| answers.of(&first(k), &held).map(|rendered| rendered.body(0, false));
        let mut sending: Vec<Body> = (1..=1000).map_while(|k| sent(1001 - k).ok()).collect();
        let bytes: u64 = sending.iter().filter_map(|body| body.size_hint().exact()).sum();
        assert!((64 << 20..=(ROOM_KIB as u64) << 10).contains(&bytes), "{bytes} bytes are being sent");
        assert!(matches!(sent(1), Err(Unshown::NoRoom)) || sent(900).is_err());
        sending.truncate(1);
        assert!(sent(900).is_ok(), "what is sent gives its room back");
    }

    #[test]
    fn many_who_take_one_answer_take_one_copy() {
        let (answers, held) = (Answers::default(), large());
        let rendered = answers.of(&first(1000), &held).unwrap();
        let before = answers.free.available_permits();
        let bodies: Vec<Body> =
            (0..1000).map(|_| answers.of(&first(1000), &held).unwrap().body(1234, true)).collect();
        assert_eq!(answers.free.available_permits(), before);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let whole = bodies.into_iter().next().unwrap();
        let length = whole.size_hint().exact().unwrap();
        let whole = runtime.block_on(http_body_util::BodyExt::collect(whole)).unwrap().to_bytes();
        assert_eq!(whole.len() as u64, length);
        let whole: serde_json::Value = serde_json::from_slice(&whole).unwrap();
        assert_eq!((&whole["snapshot_age_seconds"], &whole["stale"]), (&1.234.into(), &true.into()));
        assert_eq!(whole["items"].as_array().unwrap().len(), 1000);
        drop(rendered);
    }
}
