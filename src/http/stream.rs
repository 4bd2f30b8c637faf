//! `GET /stream/{board}`: the ranking as server-sent events, one for each snapshot, and the job's status each second.
//!
//! All streams share one task that looks for changes, so that many of them cost little more than what they send; a client
//! that does not take what it is sent gets the newest when it does, and is cut off in the end. Rankings of a state, without
//! a job or Redis, are not followed: of them there is the status only.

use super::answer::busy;
use super::api::{Api, Beat, Shared};
use super::ask::{self, Over};
use super::current::Current;
use super::rankings::Look;
use super::{rankings, status};
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Between two looks for changes: no stream is sent more than ten rankings a second.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Looks from one status to the next.
const LOOKS_A_STATUS: u64 = 10;
/// For a client to come back after a stream that ended, in milliseconds.
const COME_BACK_MS: u64 = 1000;
/// After so long without an event, a comment says that the stream is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const STILL_HERE: &[u8] = b":\n\n";

/// Looks for changes for as long as there is an API.
pub async fn beat(api: Weak<Api>) {
    let mut ticks = tokio::time::interval(LOOK_AGAIN);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for tick in 0_u64.. {
        ticks.tick().await;
        let Some(api) = api.upgrade() else { return };
        let mut beat = api.beat.borrow().clone();
        beat.version = api.store.version();
        if tick.is_multiple_of(LOOKS_A_STATUS) {
            api.rate.note(&api.view);
            if api.beat.receiver_count() > 0
                && let Some(status) = status::text(&api).await
            {
                beat.status = status.into();
                beat.second += 1;
            }
        }
        api.beat.send_if_modified(|known| {
            let changed = known.version != beat.version || known.second != beat.second;
            *known = beat;
            changed
        });
    }
}

/// The stream of a ranking.
pub async fn stream(State(api): Shared, Path(board): Path<String>, pairs: rankings::Pairs) -> Response {
    let current = match rankings::read(&api, Some(&board), pairs) {
        Ok(ask) => match ask.over {
            Over::Window(window) => rankings::current(&ask, window),
            Over::Past(..) => {
                let error = "the past does not change: a stream is of one of the board's windows";
                return ask::bad(error.into()).into_response();
            }
        },
        Err(refused) => return refused.into_response(),
    };
    let Ok(place) = api.streams.clone().try_acquire_owned() else {
        return busy("too many streams are open");
    };
    let beats = api.beat.subscribe();
    let following =
        Following { api, current, beats, begun: false, ready: VecDeque::new(), sent: None, second: 0, place };
    let events = stream::unfold(following, |mut following| async {
        let piece = match tokio::time::timeout(KEEP_ALIVE, following.next()).await {
            Ok(piece) => piece?,
            Err(_) => Bytes::from_static(STILL_HERE),
        };
        Some((Ok::<Bytes, Infallible>(piece), following))
    });
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-cache")];
    (headers, Body::from_stream(events)).into_response()
}

/// One stream.
struct Following {
    api: Arc<Api>,
    current: Current,
    beats: watch::Receiver<Beat>,
    begun: bool,
    /// Pieces of events that are yet to be sent; those of a ranking are parts of the one copy in memory.
    ready: VecDeque<Bytes>,
    /// The tag of the ranking that was sent last.
    sent: Option<String>,
    /// The second of the status that was sent last.
    second: u64,
    #[expect(dead_code, reason = "given back when the stream ends")]
    place: OwnedSemaphorePermit,
}

impl Following {
    /// The next piece of an event, once there is one; none when the API is gone.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.begun {
            self.begin().await?;
        }
        while self.ready.is_empty() {
            self.beats.changed().await.ok()?;
            self.look().await;
        }
        self.ready.pop_front()
    }

    /// What is sent at once.
    async fn begin(&mut self) -> Option<()> {
        self.begun = true;
        self.beats.mark_unchanged();
        let status = status::text(&self.api).await?;
        self.ready.push_back(format!("retry: {COME_BACK_MS}\n").into());
        self.ready.push_back(told(&status));
        self.second = self.beats.borrow().second;
        self.look_at_ranking().await;
        Some(())
    }

    async fn look(&mut self) {
        let (second, status) = {
            let beat = self.beats.borrow_and_update();
            (beat.second, beat.status.clone())
        };
        self.look_at_ranking().await;
        if second != self.second && !status.is_empty() {
            self.second = second;
            self.ready.push_back(told(&status));
        }
    }

    async fn look_at_ranking(&mut self) {
        let Look::Found(held) = rankings::find(&self.api, &self.current).await else { return };
        let Ok(rendered) = self.api.answers.of(&self.current, &held) else { return };
        let age = rendered.age_ms();
        let stale = rankings::is_stale(&self.api, &self.current, age);
        let tag = rendered.tag(stale).to_str().unwrap_or_default();
        if self.sent.as_deref() == Some(tag) {
            return;
        }
        // JSON has no line ends of its own.
        let before = format!("event: snapshot\nid: {tag}\ndata: ");
        self.ready.extend(rendered.framed(&before, age, stale, "\n\n"));
        self.sent = Some(tag.to_owned());
    }
}

/// The event of a status.
fn told(status: &str) -> Bytes {
    format!("event: status\ndata: {status}\n\n").into()
}
