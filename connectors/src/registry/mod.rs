//! A schema registry that speaks Confluent's API, asked for schemas by their ids.
//!
//! A thread of its own asks, so that nobody who wants a schema waits for the network. What it knows is kept within bounds. A
//! registry that is out of reach, slow, refuses the credentials or answers nonsense is asked again after growing pauses,
//! which is said once. An id that it does not know is not asked for again for a minute. Many unknown ids are asked for at a
//! limited rate, which delays what is wanted after them by little.

mod cache;
mod client;
mod fetcher;
mod options;
mod schema;
mod shared;

pub use options::{BadCredentials, RegistryAuth, RegistryOptions, RegistryUrl};
pub use schema::{Found, Schema};

use client::Client;
use crest_host::clock;
use crest_host::condition::Condition;
use parking_lot::Mutex;
use shared::Shared;
use std::io;
use std::sync::Arc;

/// Ids that are waited for at one time. Whoever wants another one finds a place later.
const MAX_WANTED: usize = 64;

/// Ids are whole numbers of 32 bits with a sign, and positive.
const LAST_ID: u32 = i32::MAX.unsigned_abs();

/// Why a registry's client cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum RegistryStartError {
    /// The credentials cannot be sent.
    #[error("its credentials: {0}")]
    Credentials(#[from] BadCredentials),
    /// The system has no thread left.
    #[error("its thread: {0}")]
    Thread(#[from] io::Error),
}

/// A schema registry. Its thread ends with it.
pub struct SchemaRegistry {
    shared: Arc<Shared>,
}

impl SchemaRegistry {
    /// Starts the thread. Nothing is asked before an id is wanted.
    ///
    /// # Errors
    /// The credentials cannot be sent, or the system has no thread left.
    pub fn start(options: RegistryOptions) -> Result<Self, RegistryStartError> {
        options.auth.as_ref().map_or(Ok(()), RegistryAuth::check)?;
        let shared = Arc::new(Shared { state: Mutex::default(), news: Condition::new() });
        let (client, of_thread) = (Client::new(&options), Arc::clone(&shared));
        crest_host::thread::spawn("schema-registry", move || fetcher::run(&client, &of_thread))?;
        Ok(SchemaRegistry { shared })
    }

    /// The schema of an id, as far as it is known. It is asked for where it is not.
    pub fn schema(&self, id: u32) -> Found {
        if id == 0 || id > LAST_ID {
            return Found::Unknown("ids are from 1 to 2147483647".into());
        }
        let mut state = self.shared.state.lock();
        if let Some(found) = state.cache.get(id, clock::now()) {
            return found;
        }
        if !state.wanted.contains(&id) && state.wanted.len() < MAX_WANTED {
            state.wanted.push_back(id);
            self.shared.news.notify_one();
        }
        Found::Waiting
    }

    /// Why the registry does not answer, during an outage.
    pub fn trouble(&self) -> Option<String> {
        self.shared.state.lock().outage.reason().map(str::to_owned)
    }
}

impl Drop for SchemaRegistry {
    fn drop(&mut self) {
        self.shared.state.lock().is_over = true;
        self.shared.news.notify_one();
    }
}
