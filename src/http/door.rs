//! The door: a thread of its own that accepts connections, answers those that ask for health or metrics, and hands all others
//! on. Whatever else is asked, and however much, a probe is answered here.
//!
//! Only so many connections that have said nothing stand at the door. When one more comes, the one that has stood there longest
//! is let go of, so that those who connect and say nothing keep nobody out; so it is with those that are answered here and do not
//! take their answer. As many that have asked for something else may wait for a place inside, and one more is answered 503: those
//! who came before keep their turn.

use super::api::Api;
use super::connection::{configured, connection};
use super::routes::{self, Answers};
use hyper::server::conn::http1::Builder;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::net::TcpStream as Handed;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

/// After the system has refused to accept, for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Until it is looked again what has come of a first line that is not all there.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Bytes of a request by which it is known what it asks for.
const TELLING: usize = 64;

/// A connection that is handed on, with its place.
pub type Arrived = (Handed, OwnedSemaphorePermit);

/// What one who stands at the door needs.
#[derive(Clone)]
struct Door<S> {
    api: Arc<Api>,
    http: Builder,
    service: S,
    /// Who has said nothing yet.
    silent: Arc<Standing>,
    /// Who is being answered.
    probes: Arc<Standing>,
    /// Connections that may be handed on.
    places: Arc<Semaphore>,
    /// Connections that may wait for such a place.
    waiting: Arc<Semaphore>,
    inside: UnboundedSender<Arrived>,
}

/// Connections by their numbers, and so in the order in which they came; at most so many.
struct Standing {
    most: usize,
    held: Mutex<BTreeMap<u64, AbortHandle>>,
}

impl Standing {
    fn new(most: usize) -> Arc<Self> {
        Arc::new(Standing { most, held: Mutex::default() })
    }

    /// Adds one. Where there are as many as may be, the one that has stood longest is let go of.
    fn add(&self, number: u64, connection: AbortHandle) {
        let mut held = self.held.lock();
        if held.len() >= self.most
            && let Some((_, longest)) = held.pop_first()
        {
            longest.abort();
        }
        held.insert(number, connection);
    }

    fn remove(&self, number: u64) -> Option<AbortHandle> {
        self.held.lock().remove(&number)
    }
}

/// Accepts connections until the process ends.
pub async fn keep(listener: TcpListener, api: Arc<Api>, inside: UnboundedSender<Arrived>) {
    let most = api.limits.at_door;
    let (silent, probes) = (Standing::new(most), Standing::new(most));
    let (places, waiting) = (Semaphore::new(api.limits.connections), Semaphore::new(most));
    // One answer a connection: it is not kept open here.
    let mut http = configured(api.limits.time);
    http.keep_alive(false);
    let service = routes::service(api.clone());
    let (places, waiting) = (Arc::new(places), Arc::new(waiting));
    let door = Door { api, http, service, silent, probes, places, waiting, inside };
    for number in 0.. {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // It takes its first step when this task waits, and is among the silent by then.
        let connection = tokio::spawn(door.clone().let_in(stream, number));
        door.silent.add(number, connection.abort_handle());
        // What has come with a connection is looked at before the next one is accepted.
        tokio::task::yield_now().await;
    }
}

impl<S: Answers> Door<S> {
    async fn let_in(self, stream: TcpStream, number: u64) {
        // Answers are small and whole: there is nothing to wait for.
        let _ = stream.set_nodelay(true);
        let time = self.api.limits.time;
        let asked = tokio::time::timeout(time, asks_for_probe(&stream)).await;
        let Some(this) = self.silent.remove(number) else { return };
        match asked {
            Ok(Ok(true)) => {
                self.probes.add(number, this);
                connection(&self.http, stream, time, self.service).await;
                self.probes.remove(number);
            }
            Ok(Ok(false)) => match self.place().await {
                Some(place) => {
                    if let Ok(stream) = stream.into_std() {
                        // Nobody is inside any more when the process ends.
                        let _ = self.inside.send((stream, place));
                    }
                }
                None => {
                    self.probes.add(number, this);
                    connection(&self.http, stream, time, routes::full(self.api)).await;
                    self.probes.remove(number);
                }
            },
            Ok(Err(_)) | Err(_) => {}
        }
    }

    /// A place inside; `None` where as many as may wait for one do already.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Some(place);
        }
        let _waits = self.waiting.try_acquire().ok()?;
        self.places.clone().acquire_owned().await.ok()
    }
}

/// Whether the first request of a connection asks for health or metrics. Nothing of it is taken.
async fn asks_for_probe(stream: &TcpStream) -> io::Result<bool> {
    let mut head = [0; TELLING];
    loop {
        let length = stream.peek(&mut head).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match is_probe(&head[..length]) {
            Some(found) => return Ok(found),
            None => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

/// By the begin of a request; `None` while that is too short to tell.
fn is_probe(head: &[u8]) -> Option<bool> {
    let methods: [&[u8]; 2] = [b"GET ", b"HEAD "];
    let Some(rest) = methods.iter().find_map(|method| head.strip_prefix(*method)) else {
        let begun = methods.iter().any(|method| method.starts_with(head));
        return if begun { None } else { Some(false) };
    };
    match rest.iter().position(|byte| b" ?\r\n".contains(byte)) {
        Some(end) => Some(routes::is_probe(&rest[..end])),
        None if head.len() < TELLING => None,
        None => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::is_probe;

    #[test]
    fn a_probe_is_known_by_its_first_bytes() {
        for probe in
            ["GET /healthz HTTP/1.1\r\n", "HEAD /readyz ", "GET /metrics?x=1 HTTP/1.1", "GET /openapi.json "]
        {
            assert_eq!(is_probe(probe.as_bytes()), Some(true), "{probe}");
        }
        for other in
            ["GET /top-k?k=1 ", "POST /events ", "GET /healthzz ", "GET / ", "\r\n", "GET http://h/healthz "]
        {
            assert_eq!(is_probe(other.as_bytes()), Some(false), "{other}");
        }
        for short in ["G", "GET", "GET /healthz", "HEAD ", "GET /top-k"] {
            assert_eq!(is_probe(short.as_bytes()), None, "{short}");
        }
        assert_eq!(is_probe(format!("GET /{}", "x".repeat(100)).as_bytes()), Some(false));
    }
}
