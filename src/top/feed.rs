//! The thread that follows the stream of a ranking, connects again when it is lost, and tells what it hears.

use super::client::{Client, TopError};
use super::frames::Frames;
use super::model::{Query, Ranking, Status};
use crate::failure::Failure;
use crest_connectors::outage::Backoff;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The pause before the first connection, so that paging through the windows does not connect for each of them.
const SETTLE: Duration = Duration::from_millis(120);
/// Between two attempts: at first, and at most.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5));
/// A connection that has lasted so long was a good one.
const GOOD: Duration = Duration::from_secs(5);

/// What is heard.
#[derive(Debug)]
pub enum News {
    /// The server answers.
    Connected,
    /// A ranking, and the line that it was.
    Ranking(Box<Ranking>, String),
    /// How the job is.
    Status(Status),
    /// The connection is lost, and will be tried again.
    Lost(String),
    /// It makes no sense to go on.
    Failed(TopError),
}

/// Follows one query at a time.
pub struct Feed {
    client: Client,
    /// Which query is the present one; a thread that follows another one ends.
    current: Arc<AtomicU64>,
}

impl Feed {
    /// A feed of a server, which follows nothing yet.
    pub fn new(client: Client) -> Self {
        Feed { client, current: Arc::default() }
    }

    /// Follows a query from now on, and no other. `tell` says whether anybody still listens; what it hears of an
    /// earlier query bears an earlier number than is returned here.
    ///
    /// # Errors
    /// A thread that cannot be started.
    pub fn follow(
        &self,
        query: Query,
        tell: impl Fn(u64, News) -> bool + Send + 'static,
    ) -> Result<u64, Failure> {
        let number = self.current.fetch_add(1, Ordering::AcqRel) + 1;
        let (client, current) = (self.client.clone(), self.current.clone());
        let wanted = move || current.load(Ordering::Acquire) == number;
        let tell = move |news| wanted() && tell(number, news) && wanted();
        let settle = if number == 1 { Duration::ZERO } else { SETTLE };
        let thread = std::thread::Builder::new().name("feed".into());
        let thread = thread.spawn(move || {
            std::thread::sleep(settle);
            follow(&client, &query, &tell);
        });
        thread.map_err(Failure::thread("follows the ranking"))?;
        Ok(number)
    }
}

/// Follows the stream until nobody listens any more, or to go on makes no sense.
pub fn follow(client: &Client, query: &Query, tell: &impl Fn(News) -> bool) {
    let mut backoff = BACKOFF;
    loop {
        let began = Instant::now();
        let error = match listen(client, query, tell) {
            Ok(()) => return,
            Err(error) => error,
        };
        let news = if error.passes() { News::Lost(error.to_string()) } else { News::Failed(error) };
        let over = matches!(news, News::Failed(_));
        if !tell(news) || over {
            return;
        }
        if began.elapsed() >= GOOD {
            backoff.reset();
        }
        std::thread::sleep(backoff.pause());
    }
}

/// Reads one connection; `Ok` when nobody listens any more.
fn listen(client: &Client, query: &Query, tell: &impl Fn(News) -> bool) -> Result<(), TopError> {
    let mut frames = Frames::new(client.stream(query)?);
    if !tell(News::Connected) {
        return Ok(());
    }
    while let Some(frame) = frames.next().map_err(|error| client.lost(&error))? {
        let news = match frame.event.as_str() {
            "snapshot" => News::Ranking(Box::new(client.parse(&frame.data)?), frame.data),
            // One that is not understood is of a later version, which says it otherwise.
            "status" => News::Status(serde_json::from_str(&frame.data).unwrap_or_default()),
            _ => continue,
        };
        if !tell(news) {
            return Ok(());
        }
    }
    Err(client.lost(&std::io::Error::other("the stream has ended")))
}
