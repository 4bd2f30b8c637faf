//! A message of changes, as JSON. Of one id it is always the same: it holds no time of computing.

use super::compare::Change;
use super::watch::Watch;
use crate::finals::{id, key};
use crate::group_key::GroupKey;
use crate::outbox::Message;
use crate::snapshot::Snapshot;
use serde::Serialize;

/// What is told of one ranking; the field order is part of the contract.
#[derive(Serialize)]
struct Event<'a> {
    id: &'a str,
    watch: &'a str,
    board: &'a str,
    window: &'a str,
    group: &'a GroupKey,
    window_start: i64,
    window_end: i64,
    k: usize,
    certain: bool,
    changes: &'a [Change],
}

/// The message of what changed in a ranking.
///
/// # Errors
/// None that is known: the types are all of JSON.
pub(super) fn message(watch: &Watch, snapshot: &Snapshot, changes: &[Change]) -> serde_json::Result<Message> {
    let Snapshot { board, window, group, window_start, window_end, .. } = snapshot;
    let of = match group.is_whole() {
        true => watch.name.clone(),
        false => format!("{}/{}", watch.name, group.as_str()),
    };
    let id = id(&of, *window_end);
    let body = serde_json::to_vec(&Event {
        id: &id,
        watch: &watch.name,
        board,
        window,
        group,
        window_start: *window_start,
        window_end: *window_end,
        k: watch.k,
        certain: watch.certain,
        changes,
    })?;
    Ok(Message { id, key: key(board, window, group), body })
}
