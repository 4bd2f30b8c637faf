//! What a store holds in the end: what its manifest names, and nothing else.

use crest_connectors::state::{StateError, StateStore};
use serde::Deserialize;
use std::collections::BTreeSet;

/// The folder of panes.
const PANES: &str = "panes";
/// The level of panes.
const PANE: &str = "pane";

#[derive(Deserialize)]
struct Manifest {
    live: Live,
    held: Vec<Level>,
}

#[derive(Deserialize)]
struct Live {
    epoch: u64,
    durable: u64,
}

#[derive(Deserialize)]
struct Level {
    level: String,
    width: u64,
    blocks: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    first: u64,
    end: u64,
    epoch: u64,
}

/// Says what is there and is not named, or is named and not there, when the last life has ended and what earlier ones left is
/// cleaned up. Where panes expire, none may be older than `oldest` panes.
pub fn wrong(store: &StateStore, oldest: Option<u64>) -> Result<Vec<String>, StateError> {
    let Some(found) = store.manifest()? else { return Ok(Vec::new()) };
    let manifest: Manifest = match serde_json::from_slice(&found.bytes) {
        Ok(manifest) => manifest,
        Err(error) => return Ok(vec![format!("the manifest cannot be read: {error}")]),
    };
    let mut named = BTreeSet::new();
    for Level { level, width, blocks } in &manifest.held {
        let folder = if level == PANE { PANES } else { level };
        for Span { first, end, epoch } in blocks {
            let starts = (*first..*end).step_by(*width as usize);
            named.extend(starts.map(|start| format!("{folder}/{start:020}-{epoch}")));
        }
    }
    let there: BTreeSet<String> = store.list("")?.into_iter().map(|object| object.name).collect();
    // The last life may have been stopped before it named what it had put.
    let own = format!("-{}", manifest.live.epoch);
    let left = there.difference(&named).filter(|name| !name.ends_with(&own));
    let mut wrong: Vec<String> = left.map(|name| format!("{name} is left, and nothing names it")).collect();
    wrong.extend(named.difference(&there).map(|name| format!("{name} is named, and is not there")));
    let first = |level: &Level| level.blocks.first().map(|span| span.first);
    let panes = manifest.held.iter().filter(|level| level.level == PANE).find_map(first);
    if let (Some(oldest), Some(first)) = (oldest, panes)
        && first + oldest < manifest.live.durable
    {
        wrong.push(format!("pane {first} is kept, and all before {} are durable", manifest.live.durable));
    }
    Ok(wrong)
}
