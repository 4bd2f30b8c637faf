//! The questions that were answered with a ranking, by the text of their path and query.

use super::current::Current;
use super::rendered::Rendered;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// Questions that are known at most; beyond it all are forgotten, and those still asked are soon known again.
const MOST: usize = 4096;
/// A longer question is seldom asked twice.
const LONGEST: usize = 256;

/// A question that was answered before, and how.
#[derive(Debug)]
pub struct Question {
    /// What it asks for.
    pub current: Current,
    /// The last answer, for as long as somebody else holds it, and the version of the store that it was made from.
    answer: Mutex<(u64, Weak<Rendered>)>,
}

impl Question {
    /// The answer, if it was made from this version of the store.
    pub fn answer(&self, version: u64) -> Option<Arc<Rendered>> {
        let answer = self.answer.lock();
        (answer.0 == version).then(|| answer.1.upgrade())?
    }

    /// Remembers the answer.
    pub fn note(&self, version: u64, answer: &Arc<Rendered>) {
        *self.answer.lock() = (version, Arc::downgrade(answer));
    }
}

/// The questions that were answered with a ranking: what each means, by the text of its path and query.
#[derive(Debug, Default)]
pub struct Questions(Mutex<HashMap<Box<str>, Arc<Question>>>);

impl Questions {
    /// Remembers what a question means.
    pub fn note(&self, asked: &str, current: &Current) {
        let mut known = self.0.lock();
        if asked.len() > LONGEST || known.contains_key(asked) {
            return;
        }
        if known.len() >= MOST {
            known.clear();
        }
        let question = Question { current: current.clone(), answer: Mutex::default() };
        known.insert(asked.into(), Arc::new(question));
    }

    /// What a question means, if it was answered before.
    pub fn find(&self, asked: &str) -> Option<Arc<Question>> {
        self.0.lock().get(asked).cloned()
    }
}
