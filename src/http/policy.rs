//! The policy of the API: who may ask, for whose pages, and how much of anything there may be.

use axum::http::HeaderValue;
use sha2::{Digest, Sha256};
use std::fmt;
use std::time::Duration;
use subtle::{Choice, ConstantTimeEq};

/// Who may ask, for whose pages, and the limits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// Who may do what.
    pub access: Access,
    /// The origins whose pages may read it; `*` alone for all.
    pub cors: Vec<HeaderValue>,
    /// How much of anything there may be.
    pub limits: Limits,
}

/// How much of anything there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What a request with events may be.
    pub ingest: IngestLimits,
    /// Connections at one time; some more wait at the door, and who comes then is told so.
    pub connections: usize,
    /// Connections of each kind at the door: those that have not asked yet, those that wait for a place, and those that ask
    /// for health or metrics. When one more comes that has not asked, or asks for these, the one of its kind that has stood
    /// there longest is let go of; one more to wait is answered 503.
    pub at_door: usize,
    /// Requests at one time, of readers and of writers each; further ones are told to come again.
    pub requests: usize,
    /// Streams at one time; likewise.
    pub streams: usize,
    /// For a request to come whole, and for a client to take what it is sent.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let time = Duration::from_secs(30);
        Limits {
            ingest: IngestLimits { body: 8 << 20, events: 100_000, time },
            connections: 4096,
            at_door: 128,
            requests: 512,
            streams: 1024,
            time,
        }
    }
}

/// What a request with events may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IngestLimits {
    /// Bytes of a body, also when it is unpacked.
    pub body: usize,
    /// Events in one request.
    pub events: usize,
    /// For a body to come.
    pub time: Duration,
}

/// A bearer token, as its hash: it is compared in a time that tells nothing of it, and cannot be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

impl Token {
    /// Hashes the text of a token.
    pub fn new(text: &str) -> Self {
        Token(Sha256::digest(text).into())
    }

    /// Whether it is one of these. It looks at all of them, whichever it is.
    pub fn is_among(&self, tokens: &[Token]) -> bool {
        let found = tokens.iter().fold(Choice::from(0), |found, token| found | token.0.ct_eq(&self.0));
        found.into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// Who may do what. Where there is no token, everybody may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// For `POST /events`.
    pub ingest: Vec<Token>,
    /// For all else.
    pub read: Vec<Token>,
}
