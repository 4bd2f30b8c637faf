//! What the scripts answer, and what keeps rankings from being written although Redis answers: another job that has
//! the lease, and keys that are not ours. Each is logged once, and shown by `/readyz` for as long as it lasts.

use ::redis::{ErrorKind, RedisError, RedisResult};
use std::collections::BTreeMap;

/// Keys that are remembered at most.
const MOST: usize = 1000;

/// A script's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The snapshot is there.
    Written,
    /// The ranking is gone.
    Removed,
    /// There is none of a job that could be removed.
    Absent,
    /// What is there is newer, and of this run; or it is a bucket of which more was counted.
    Outdated,
    /// What an earlier run left there is of a later time.
    Early,
    /// What is there was written with a greater epoch.
    Newer { epoch: u64 },
    /// A key that was not written by a job.
    Foreign { key: String, kind: String },
    /// The run that has a lease, and the one that had it before.
    Owner { run: u64, epoch: u64, before: Option<u64> },
}

impl Answer {
    pub(super) fn of(words: &[String]) -> RedisResult<Self> {
        let number = |text: &str| text.parse::<u64>().ok();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let known = match words.as_slice() {
            ["written"] => Some(Answer::Written),
            ["removed"] => Some(Answer::Removed),
            ["absent"] => Some(Answer::Absent),
            ["outdated"] => Some(Answer::Outdated),
            ["early"] => Some(Answer::Early),
            ["newer", epoch] => number(epoch).map(|epoch| Answer::Newer { epoch }),
            ["foreign", key, kind] => {
                Some(Answer::Foreign { key: (*key).to_owned(), kind: (*kind).to_owned() })
            }
            ["owner", run, epoch, before] => match (number(run), number(epoch)) {
                (Some(run), Some(epoch)) => Some(Answer::Owner { run, epoch, before: number(before) }),
                _ => None,
            },
            _ => None,
        };
        let unknown =
            || RedisError::from((ErrorKind::UnexpectedReturnType, "a script's answer", words.join(" ")));
        known.ok_or_else(unknown)
    }
}

/// What is in the way just now, by the ranking or the lease that cannot be written.
#[derive(Default)]
pub(super) struct Refusals {
    now: BTreeMap<String, Refusal>,
    /// What is new of it, and to be logged.
    news: BTreeMap<News, Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Refusal {
    Other { mine: u64, other: u64 },
    Foreign { key: String, kind: String },
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum News {
    /// A newer job has the lease.
    Other {
        mine: u64,
        other: u64,
    },
    /// It was taken from an older one.
    Taken {
        mine: u64,
        other: u64,
    },
    /// The newer one is gone.
    Back {
        mine: u64,
        other: u64,
    },
    Foreign {
        key: String,
        kind: String,
    },
    Gone,
}

impl Refusals {
    /// A newer job has the lease of this key.
    pub(super) fn note_other(&mut self, lease: &str, mine: u64, other: u64) {
        self.note(lease, Refusal::Other { mine, other }, News::Other { mine, other });
    }

    /// The lease of this key was taken, maybe from another job.
    pub(super) fn note_taken(&mut self, lease: &str, mine: u64, before: Option<u64>) {
        let news = match (self.now.get(lease), before) {
            (Some(Refusal::Other { other, .. }), _) => News::Back { mine, other: *other },
            (_, Some(other)) if other != mine => News::Taken { mine, other },
            _ => return,
        };
        self.news.entry(news).or_default().push(lease.to_owned());
    }

    /// `name` cannot be written, since of its keys this one is not ours.
    pub(super) fn note_foreign(&mut self, name: &str, key: &str, kind: &str) {
        let (key, kind) = (key.to_owned(), kind.to_owned());
        let refusal = Refusal::Foreign { key: key.clone(), kind: kind.clone() };
        self.note(name, refusal, News::Foreign { key, kind });
    }

    fn note(&mut self, name: &str, refusal: Refusal, news: News) {
        let room = self.now.len() < MOST || self.now.contains_key(name);
        if room && self.now.get(name) != Some(&refusal) {
            self.now.insert(name.to_owned(), refusal);
            self.news.entry(news).or_default().push(name.to_owned());
        }
    }

    /// Nothing is in the way of this key any more.
    pub(super) fn clear(&mut self, name: &str) {
        if let Some(Refusal::Foreign { .. }) = self.now.remove(name) {
            self.news.entry(News::Gone).or_default().push(name.to_owned());
        }
    }

    /// Whether there is anything.
    pub(super) fn any(&self) -> bool {
        !self.now.is_empty()
    }

    /// Windows that another job writes, and rankings with keys that are not ours.
    pub(super) fn counts(&self) -> (u64, u64) {
        let others = self.now.values().filter(|refusal| matches!(refusal, Refusal::Other { .. })).count();
        (others as u64, (self.now.len() - others) as u64)
    }

    /// What is in the way, in words.
    pub(super) fn text(&self) -> Option<String> {
        // What holds up whole windows goes first.
        let whole = self.now.iter().find(|(_, refusal)| matches!(refusal, Refusal::Other { .. }));
        let (name, refusal) = whole.or_else(|| self.now.iter().next())?;
        let (others, foreign) = self.counts();
        let more = |all: u64| if all > 1 { format!(" and {} more", all - 1) } else { String::new() };
        Some(match refusal {
            Refusal::Other { mine, other } => format!(
                "another job (epoch {other}) writes {}{}; this one (epoch {mine}) is older, and waits until it is gone",
                ranking(name),
                more(others)
            ),
            Refusal::Foreign { key, kind } => {
                format!("{key} is a {kind} that no job has written{}: it is left as it is", more(foreign))
            }
        })
    }

    /// Logs what is new.
    pub(super) fn tell(&mut self) {
        for (news, mut names) in std::mem::take(&mut self.news) {
            names.sort();
            let more = names.len() - 1;
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let name = ranking(&names[0]);
            match news {
                News::Other { mine, other } => tracing::warn!(
                    "Redis: another job (epoch {other}) writes {name}{more}: this one (epoch {mine}) is older; its \
                     rankings wait, and are written when the other is gone"
                ),
                News::Taken { mine, other } => tracing::warn!(
                    "Redis: an older run (epoch {other}) has not given {name}{more} back: it was killed, or still runs, \
                     and then waits; this one (epoch {mine}) is newer and writes now"
                ),
                News::Back { mine, other } => tracing::info!(
                    "Redis: the other job (epoch {other}) is gone: this one (epoch {mine}) writes {name}{more} again"
                ),
                News::Foreign { key, kind } => tracing::warn!(
                    "Redis: {key} is a {kind} that no job has written, and is left as it is; {name} cannot be written \
                     before it is removed, or snapshots.key_prefix is another"
                ),
                News::Gone => tracing::info!("Redis: {name}{more} can be written again"),
            }
        }
    }
}

/// The key of the ranking beside which a lease is.
fn ranking(name: &str) -> &str {
    name.strip_prefix('{').and_then(|name| name.strip_suffix("}:owner")).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(words: &[&str]) -> RedisResult<Answer> {
        Answer::of(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn answers_are_read() {
        assert_eq!(answer(&["newer", "12"]).unwrap(), Answer::Newer { epoch: 12 });
        let owner = Answer::Owner { run: 1, epoch: 2, before: None };
        assert_eq!(answer(&["owner", "1", "2", ""]).unwrap(), owner);
        for words in [&["newer", "x"][..], &["owner", "1"], &["else"], &[]] {
            assert!(answer(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn what_is_in_the_way_is_named_until_it_is_gone() {
        let mut refusals = Refusals::default();
        refusals.note_other("{topk:last_1h}:owner", 5, 9);
        refusals.note_other("{topk:last_1m}:owner", 5, 9);
        refusals.note_foreign("topk:z", "{topk:z}:meta", "list");
        assert_eq!(refusals.counts(), (2, 1));
        let text = refusals.text().unwrap();
        assert!(text.contains("(epoch 9) writes topk:last_1h and 1 more; this one (epoch 5)"), "{text}");
        refusals.clear("{topk:last_1h}:owner");
        refusals.clear("{topk:last_1m}:owner");
        let text = refusals.text().unwrap();
        assert!(text.contains("{topk:z}:meta is a list"), "{text}");
        refusals.clear("topk:z");
        assert!(refusals.text().is_none() && !refusals.any());
    }

    #[test]
    fn no_flood_of_keys_fills_the_memory() {
        let mut refusals = Refusals::default();
        (0..2 * MOST).for_each(|n| refusals.note_foreign(&n.to_string(), "k", "set"));
        assert_eq!(refusals.counts(), (0, MOST as u64));
    }
}
