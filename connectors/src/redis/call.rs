//! A snapshot as a call of the script that publishes it.

use super::keys::{self, Keys, RankingName};
use super::lease::Grant;
use super::options::RedisOptions;
use super::pending::Write;
use super::remove;
use crate::rising::Rising;
use crate::snapshot::{Item, Snapshot};
use ::redis::{Cmd, Script};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Scores are 64-bit floats, which hold every whole number up to this one.
const EXACT_SCORES: u64 = 1 << 53;
/// How long the buckets of tumbling windows stay where nobody says for how long.
const TUMBLING_BUCKETS_STAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Makes the calls.
pub(super) struct Calls {
    /// See `publish.lua`.
    pub(super) script: Script,
    /// See `remove.lua`.
    pub(super) removal: Script,
    key_prefix: String,
    ttl: Option<Duration>,
}

impl Calls {
    pub(super) fn new(options: &RedisOptions) -> Self {
        Calls {
            script: Script::new(include_str!("publish.lua")),
            removal: Script::new(include_str!("remove.lua")),
            key_prefix: options.key_prefix.clone(),
            ttl: options.ttl,
        }
    }

    /// The keys that a snapshot is written to.
    pub(super) fn keys(&self, write: &Write) -> Keys {
        match write {
            Write::Live(snapshot) => keys::live(&self.key_prefix, snapshot),
            Write::Bucket(snapshot) => keys::bucket(&self.key_prefix, snapshot),
        }
    }

    /// The call that removes the ranking of a group that left.
    pub(super) fn removal(&self, name: &RankingName, grant: Grant) -> Cmd {
        remove::call(&self.removal, &self.key_prefix, name, grant)
    }

    /// The call that publishes a snapshot.
    pub(super) fn of(&self, write: &Write, grant: Grant) -> Cmd {
        let (snapshot, Keys { ranking, meta }) = (write.snapshot(), self.keys(write));
        let (ttl, how) = match write {
            Write::Live(_) if grant.insists => (self.ttl, "live"),
            Write::Live(_) => (self.ttl, "early"),
            Write::Bucket(_) => (Some(self.ttl.unwrap_or_else(|| bucket_ttl(snapshot))), "bucket"),
        };
        // 0 is for ever.
        let ttl = ttl.map_or(0, |ttl| ttl.as_millis() as u64);
        let fields = fields(snapshot, grant.epoch);
        let mut call = ::redis::cmd("EVALSHA");
        call.arg(self.script.get_hash()).arg(2).arg(ranking).arg(meta);
        call.arg(grant.epoch).arg(snapshot.window_end).arg(u8::from(snapshot.is_final)).arg(ttl);
        call.arg(snapshot.total.saturating_add(snapshot.removed)).arg(how).arg(fields.len() * 2);
        for (name, value) in &fields {
            call.arg(*name).arg(value);
        }
        match &snapshot.rising {
            Some(rising) => rising.items.iter().for_each(|item| {
                call.arg(item.surge).arg(&*item.item_id);
            }),
            None => snapshot.items.iter().for_each(|item| {
                call.arg(item.count).arg(&*item.item_id);
            }),
        }
        call
    }
}

/// How long a bucket stays where nobody says for how long.
fn bucket_ttl(snapshot: &Snapshot) -> Duration {
    snapshot.unit.as_ref().map_or(TUMBLING_BUCKETS_STAY, |unit| unit.stays)
}

/// The fields of the meta hash. What the sorted set does not hold of the items is here too: `bounds`, an object of
/// `[lower, upper]` by item id, of those that are not exact (absent where all are), and `changes`, an array of the
/// changes of rank, best first, beside the `ranks` where equal counts share one; or what is known of those that rise. `other`, which
/// follows from the rows of a ranking, is there for those who read shares. Where different values are counted, `distinct` is the
/// name of their field, and `standard_errors` those of the counts that are estimates, by item id. Where events take away what others
/// have counted, `removed` is the weight that they took.
fn fields(snapshot: &Snapshot, epoch: u64) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("window_start", snapshot.window_start.to_string()),
        ("window_end", snapshot.window_end.to_string()),
        ("computed_at", snapshot.computed_at.to_string()),
        ("watermark", snapshot.watermark.to_string()),
        ("final", u8::from(snapshot.is_final).to_string()),
        ("total", snapshot.total.to_string()),
        ("error", snapshot.error.to_string()),
        ("error_floor", snapshot.error_floor.to_string()),
        ("guaranteed", snapshot.guaranteed.to_string()),
        ("k", snapshot.k.to_string()),
        ("epoch", epoch.to_string()),
    ];
    match &snapshot.rising {
        Some(rising) => fields.extend(of_rising(rising)),
        None => fields.extend(of_items(snapshot)),
    }
    if snapshot.partial {
        fields.push(("partial", "1".into()));
        fields.extend(snapshot.since.map(|since| ("since", since.to_string())));
        fields.extend((!snapshot.missing.is_empty()).then(|| ("missing", json(&snapshot.missing))));
    }
    fields
}

/// What the sorted set does not hold of a ranking.
fn of_items(snapshot: &Snapshot) -> Vec<(&'static str, String)> {
    let items = &snapshot.items;
    let changes: Vec<Option<i32>> = items.iter().map(|item| item.change).collect();
    let told_apart = |item: &&Item| item.lower != item.upper || item.upper > EXACT_SCORES;
    let bounds: BTreeMap<&str, [u64; 2]> =
        items.iter().filter(told_apart).map(|item| (&*item.item_id, [item.lower, item.upper])).collect();
    let mut fields = vec![("changes", json(&changes))];
    fields.extend(snapshot.other().map(|other| ("other", json(&[other.lower, other.upper]))));
    fields.extend(snapshot.retracts.then(|| ("removed", snapshot.removed.to_string())));
    fields.extend(snapshot.distinct.as_deref().map(|field| ("distinct", field.to_owned())));
    let error = |item: &'_ Item| item.estimate.map(|estimate| estimate.standard_error);
    let errors: BTreeMap<&str, u64> =
        items.iter().filter_map(|item| Some((&*item.item_id, error(item)?))).collect();
    if !errors.is_empty() {
        fields.push(("standard_errors", json(&errors)));
    }
    // Where they are not the places of the rows.
    if (1..).zip(items).any(|(place, item)| item.rank != place) {
        fields.push(("ranks", json(&items.iter().map(|item| item.rank).collect::<Vec<_>>())));
    }
    if !bounds.is_empty() {
        fields.push(("bounds", json(&bounds)));
    }
    fields
}

/// What it does not hold of what rises: what it is compared with, and `rows`, an array of all that is known of each item, best
/// first.
fn of_rising(rising: &Rising) -> [(&'static str, String); 5] {
    [
        ("against", rising.against.to_string()),
        ("before_start", rising.before_start.to_string()),
        ("before_end", rising.before_end.to_string()),
        ("total_before", rising.total_before.to_string()),
        ("rows", json(&rising.items)),
    ]
}

/// A value as JSON text. Neither numbers nor texts fail to be written.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests_support::{item, snapshot};

    #[test]
    fn the_meta_hash_has_what_the_sorted_set_has_not() {
        let mut snapshot = snapshot("b", "w", 10_000, true);
        snapshot.items = vec![item(1, "z\"", 9, 9), item(2, "é", 7, 5), item(3, "a", 4, 1)];
        snapshot.items[1].change = Some(-2);
        let fields: BTreeMap<_, _> = fields(&snapshot, 3).into_iter().collect();
        assert_eq!(fields["changes"], "[null,-2,null]");
        assert_eq!(fields["bounds"], r#"{"a":[1,4],"é":[5,7]}"#);
        assert_eq!((&*fields["total"], &*fields["other"]), ("8", "[0,0]"));
        snapshot.items.truncate(1);
        assert!(super::fields(&snapshot, 3).iter().all(|(name, _)| *name != "bounds"));
    }
}
