//! Who is there: what a process says of itself, and whether two processes belong together.

use super::error::ClusterError;
use crest_state::replay::Resume;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// What process 0 knows of the run, and tells all others as soon as it does. They need no access to the state for it.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Greater than any earlier run's.
    pub epoch: u64,
    /// From where to go on; `None` where there is nothing to go on from.
    pub resume: Option<Resume>,
    /// The seed of the item hash; process 0 always has one.
    pub seed: Option<u64>,
}

/// Without the seed.
impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Run { epoch, resume, seed: _ } = self;
        f.debug_struct("Run").field("epoch", epoch).field("resume", resume).finish_non_exhaustive()
    }
}

/// What a process says of itself. All but `process` must be equal in a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// The build of the program: only one build reads the other's frames.
    pub build: u64,
    /// Processes of the cluster.
    pub processes: usize,
    /// Worker threads in each.
    pub workers: usize,
    /// The index of the process that says so.
    pub process: usize,
    /// What is computed and from where, without secrets.
    pub config: Value,
}

impl Hello {
    /// Refuses `theirs`, spoken by `peer`, where it does not belong to the cluster of `self`.
    pub fn check(&self, theirs: &Hello, peer: &str) -> Result<(), ClusterError> {
        let peer = format!("process {} at {peer}", theirs.process);
        if self.build != theirs.build {
            return Err(ClusterError::Build { peer, ours: self.build, theirs: theirs.build });
        }
        for (what, ours, theirs) in [
            ("the number of processes", self.processes, theirs.processes),
            ("the number of workers in each process", self.workers, theirs.workers),
        ] {
            if ours != theirs {
                return Err(ClusterError::ClusterShape { peer, what, ours, theirs });
            }
        }
        match difference(&self.config, &theirs.config) {
            Some((key, ours, theirs)) => Err(ClusterError::Configuration { peer, key, ours, theirs }),
            None => Ok(()),
        }
    }
}

/// A key at which two configurations differ, with both values.
type Difference = (String, String, String);

/// The difference with the shortest key: `time.pane` rather than a window that follows from it.
fn difference(ours: &Value, theirs: &Value) -> Option<Difference> {
    let mut all = Vec::new();
    collect("", ours, theirs, &mut all);
    all.into_iter().min_by_key(|(key, ..)| key.matches('.').count())
}

/// Collects the differences at all depths.
fn collect(key: &str, ours: &Value, theirs: &Value, all: &mut Vec<Difference>) {
    let within = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for name in ours.keys().chain(theirs.keys().filter(|name| !ours.contains_key(*name))) {
                let value =
                    |side: &serde_json::Map<String, Value>| side.get(name).cloned().unwrap_or(Value::Null);
                collect(&within(name), &value(ours), &value(theirs), all);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (i, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                collect(&within(&i.to_string()), ours, theirs, all);
            }
        }
        (ours, theirs) if ours == theirs => {}
        (ours, theirs) => all.push((key.to_owned(), ours.to_string(), theirs.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_plainest_difference_is_named_by_its_key() {
        let ours = json!({"time": {"pane": "10s", "refresh": "1s"}, "boards": [{"k": 5}]});
        let mut theirs = ours.clone();
        assert_eq!(difference(&ours, &theirs), None);
        theirs["boards"][0]["k"] = json!(6);
        assert_eq!(difference(&ours, &theirs), Some(("boards.0.k".into(), "5".into(), "6".into())));
        theirs["time"]["pane"] = json!("5s");
        assert_eq!(difference(&ours, &theirs), Some(("time.pane".into(), "\"10s\"".into(), "\"5s\"".into())));
        theirs = ours.clone();
        theirs["boards"] = json!([]);
        assert_eq!(difference(&ours, &theirs), Some(("boards".into(), "[{\"k\":5}]".into(), "[]".into())));
        theirs = ours.clone();
        theirs["more"] = json!(true);
        assert_eq!(difference(&ours, &theirs), Some(("more".into(), "null".into(), "true".into())));
    }
}
