//! The questions that were answered with a ranking, by the text of their path and query.

use crest_connectors::group_key::GroupKey;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Questions that are known at most; beyond it all are forgotten, and those still asked are soon known again.
const MOST: usize = 4096;
/// A longer question is seldom asked twice.
const LONGEST: usize = 256;

/// A ranking that is shown as it is now, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Current {
    /// The board's name.
    pub board: Arc<str>,
    /// The window's name.
    pub window: Arc<str>,
    /// The group, or the whole board.
    pub group: GroupKey,
    /// How many rows.
    pub k: usize,
    /// Whether only a final snapshot will do.
    pub final_only: bool,
}

/// The questions that were answered with a ranking: what each means, by the text of its path and query.
#[derive(Debug, Default)]
pub struct Questions(Mutex<HashMap<Box<str>, Arc<Current>>>);

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
        known.insert(asked.into(), Arc::new(current.clone()));
    }

    /// What a question means, if it was answered before.
    pub fn find(&self, asked: &str) -> Option<Arc<Current>> {
        self.0.lock().get(asked).cloned()
    }
}
