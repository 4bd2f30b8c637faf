//! A snapshot, rebuilt from the sorted set and the hash that [`super::call`] fills.
//!
//! Whatever the keys hold, it comes out as a whole snapshot or as what is wrong with them.

use super::keys::RankingName;
use crate::snapshot::{Estimate, Item, Snapshot};
use ::redis::{Value, from_redis_value};
use std::collections::BTreeMap;
use std::str::FromStr;

/// What tells one snapshot of a ranking from another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// The run of the job that computed it.
    pub epoch: u64,
    /// The end of its window, in milliseconds since 1970 UTC.
    pub window_end: i64,
    /// Whether it never changes again.
    pub is_final: bool,
    /// When it was ranked, in milliseconds since 1970 UTC.
    pub computed_at: i64,
}

impl Version {
    /// The version of a snapshot.
    pub fn of(snapshot: &Snapshot) -> Self {
        let Snapshot { epoch, window_end, is_final, computed_at, .. } = *snapshot;
        Version { epoch, window_end, is_final, computed_at }
    }
}

/// The fields of the hash that are read, in this order.
pub(super) const FIELDS: [&str; 21] = [
    "epoch",
    "window_end",
    "final",
    "computed_at",
    "window_start",
    "watermark",
    "total",
    "error",
    "error_floor",
    "guaranteed",
    "k",
    "changes",
    "ranks",
    "bounds",
    "distinct",
    "standard_errors",
    "removed",
    "partial",
    "since",
    "missing",
    "other",
];

/// So many of them tell whether the ranking is another one than before.
pub(super) const VERSION_FIELDS: usize = 4;

/// What is wrong with a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The sorted set.
    Ranking(String),
    /// The hash.
    Meta(String),
}

/// The version that the first fields tell; `None` where there is no hash.
pub(super) fn version(values: Value) -> Result<Option<Version>, String> {
    let Some(fields) = Fields::of(values)? else { return Ok(None) };
    Ok(Some(fields.version()?))
}

/// The ranking, of the set's answer to `ZREVRANGE … WITHSCORES` and the hash's fields; `None` where there is no hash.
pub(super) fn snapshot(name: &RankingName, set: Value, hash: Value) -> Result<Option<Snapshot>, Fault> {
    let Some(fields) = Fields::of(hash).map_err(Fault::Meta)? else { return Ok(None) };
    let mut snapshot = fields.frame(name).map_err(Fault::Meta)?;
    let scores = scores(set).map_err(Fault::Ranking)?;
    let bounds: BTreeMap<String, [u64; 2]> = fields.json("bounds").map_err(Fault::Meta)?.unwrap_or_default();
    let errors = fields.json("standard_errors").map_err(Fault::Meta)?.unwrap_or_default();
    snapshot.items = items(scores, &bounds, snapshot.distinct.is_some(), &errors)?;
    let changes: Vec<Option<i32>> = fields
        .json("changes")
        .and_then(|changes| changes.ok_or_else(|| "it has no field changes".to_owned()))
        .map_err(Fault::Meta)?;
    each(&mut snapshot.items, changes, |item, change| item.change = change)?;
    if let Some(ranks) = fields.json("ranks").map_err(Fault::Meta)? {
        each(&mut snapshot.items, ranks, |item, rank| item.rank = rank)?;
    }
    if let Some([_, at_most]) = fields.json::<[u64; 2]>("other").map_err(Fault::Meta)? {
        snapshot.note_lacking(at_most);
    }
    Ok(Some(snapshot))
}

/// Gives each row its value.
fn each<T>(items: &mut [Item], values: Vec<T>, set: impl Fn(&mut Item, T)) -> Result<(), Fault> {
    if values.len() != items.len() {
        let (is, was) = (items.len(), values.len());
        return Err(Fault::Ranking(format!("it has {is} items, and {was} were ranked")));
    }
    items.iter_mut().zip(values).for_each(|(item, value)| set(item, value));
    Ok(())
}

/// The hash's values, in the order of [`FIELDS`].
struct Fields(Vec<Option<String>>);

impl Fields {
    /// `None` where all are absent, as of a hash that is not there.
    fn of(values: Value) -> Result<Option<Self>, String> {
        let values: Vec<Option<Vec<u8>>> = from_redis_value(values).map_err(|error| error.to_string())?;
        if values.iter().all(Option::is_none) {
            return Ok(None);
        }
        let text = |value: Option<Vec<u8>>| value.map(String::from_utf8).transpose();
        let texts: Result<_, _> = values.into_iter().map(text).collect();
        Ok(Some(Fields(texts.map_err(|_| "a field of it is not UTF-8")?)))
    }

    fn text(&self, name: &str) -> Option<&str> {
        let place = FIELDS.iter().position(|field| *field == name)?;
        self.0.get(place)?.as_deref()
    }

    fn number<T: FromStr>(&self, name: &str) -> Result<T, String> {
        let text = self.text(name).ok_or_else(|| format!("it has no field {name}"))?;
        text.parse().map_err(|_| format!("{name} = {text:?} is no number that can be meant"))
    }

    fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, String> {
        let parse = |text| serde_json::from_str(text).map_err(|error| format!("{name} is damaged: {error}"));
        self.text(name).map(parse).transpose()
    }

    fn version(&self) -> Result<Version, String> {
        Ok(Version {
            epoch: self.number("epoch")?,
            window_end: self.number("window_end")?,
            is_final: match self.number("final")? {
                0_u8 => false,
                1 => true,
                other => return Err(format!("final = {other}: it is 0 or 1")),
            },
            computed_at: self.number("computed_at")?,
        })
    }

    /// The snapshot without its items.
    fn frame(&self, name: &RankingName) -> Result<Snapshot, String> {
        let Version { epoch, window_end, is_final, computed_at } = self.version()?;
        Ok(Snapshot {
            board: name.board.clone(),
            window: name.window.clone(),
            group: name.group.clone(),
            window_start: self.number("window_start")?,
            window_end,
            computed_at,
            watermark: self.number("watermark")?,
            is_final,
            total: self.number("total")?,
            error: self.number("error")?,
            error_floor: self.number("error_floor")?,
            guaranteed: self.number("guaranteed")?,
            partial: match self.text("partial") {
                None => false,
                Some("1") => true,
                Some(other) => return Err(format!("partial = {other:?}: it is 1, or not there")),
            },
            since: self.text("since").map(|_| self.number("since")).transpose()?,
            missing: self.json("missing")?.unwrap_or_default(),
            distinct: self.text("distinct").map(Into::into),
            retracts: self.text("removed").is_some(),
            items: Vec::new(),
            rising: None,
            unit: None,
            lacking: 0,
            removed: self.text("removed").map_or(Ok(0), |_| self.number("removed"))?,
            k: self.number("k")?,
            epoch,
            bucket: false,
            counters: false,
        })
    }
}

fn scores(set: Value) -> Result<Vec<(String, f64)>, String> {
    let members: Vec<(Vec<u8>, f64)> = from_redis_value(set).map_err(|error| error.to_string())?;
    let text = |(member, score)| match String::from_utf8(member) {
        Ok(id) => Ok((id, score)),
        Err(error) => Err(format!("{:?} is no item id", String::from_utf8_lossy(error.as_bytes()))),
    };
    members.into_iter().map(text).collect()
}

/// Sorts the items as the set does. Counts that are too great to differ as scores are compared here. A count is the upper
/// bound, but where different values are counted.
fn items(
    scores: Vec<(String, f64)>,
    bounds: &BTreeMap<String, [u64; 2]>,
    is_distinct: bool,
    errors: &BTreeMap<String, u64>,
) -> Result<Vec<Item>, Fault> {
    let (mut items, mut bounded) = (Vec::with_capacity(scores.len()), 0);
    for (id, score) in scores {
        // Below 2^64, so that nothing is cut off.
        if !(score >= 0.0 && score.fract() == 0.0 && score < 2_f64.powi(64)) {
            return Err(Fault::Ranking(format!("the score of {id:?} is {score}, which is no count")));
        }
        let [lower, upper] = match bounds.get(&id) {
            Some(&[lower, upper]) if lower <= upper && upper as f64 == score => [lower, upper],
            Some(&[lower, upper]) if is_distinct && (lower as f64..=upper as f64).contains(&score) => {
                [lower, upper]
            }
            Some(of) => {
                return Err(Fault::Meta(format!("the bounds of {id:?} are {of:?}, its count {score}")));
            }
            None => [score as u64; 2],
        };
        bounded += usize::from(bounds.contains_key(&id));
        let count = if is_distinct { score as u64 } else { upper };
        let estimate = errors.get(&id).map(|&standard_error| Estimate { count, standard_error });
        let exact = lower == upper;
        items.push(Item { rank: 0, item_id: id.into(), count, lower, upper, exact, estimate, change: None });
    }
    if bounded != bounds.len() {
        return Err(Fault::Meta("it has bounds of items that are not ranked".into()));
    }
    items.sort_by(|a, b| (b.count, &b.item_id).cmp(&(a.count, &a.item_id)));
    for (item, rank) in items.iter_mut().zip(1..) {
        item.rank = rank;
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group_key::GroupKey;

    fn hash(change: &[(&str, Option<&str>)]) -> Value {
        let usual = |name: &&str| match *name {
            "changes" => Some("[1,null]"),
            "bounds" => Some(r#"{"b":[2,3]}"#),
            "final" => Some("1"),
            "partial" | "since" | "missing" | "ranks" | "distinct" | "standard_errors" | "removed" => None,
            "other" => Some("[1,2]"),
            _ => Some("9"),
        };
        let value = |name: &&str| {
            let changed = change.iter().find(|(changed, _)| changed == name).map(|(_, value)| *value);
            changed.unwrap_or_else(|| usual(name))
        };
        let bulk = |text: Option<&str>| text.map_or(Value::Nil, |text| Value::BulkString(text.into()));
        Value::Array(FIELDS.iter().map(|name| bulk(value(name))).collect())
    }

    fn set(rows: &[(&[u8], &str)]) -> Value {
        let bulk = |bytes: &[u8]| Value::BulkString(bytes.to_vec());
        Value::Array(rows.iter().flat_map(|(id, score)| [bulk(id), bulk(score.as_bytes())]).collect())
    }

    fn rebuilt(set: Value, hash: Value) -> Result<Option<Snapshot>, Fault> {
        let name = RankingName { board: "b".into(), window: "w".into(), group: GroupKey::WHOLE };
        snapshot(&name, set, hash)
    }

    const ROWS: [(&[u8], &str); 2] = [(b"a", "5"), (b"b", "3")];

    #[test]
    fn rows_have_their_bounds_and_changes() {
        let snapshot = rebuilt(set(&ROWS), hash(&[])).unwrap().unwrap();
        let row = |item: &Item| (item.rank, item.lower, item.upper, item.exact, item.change);
        let rows: Vec<_> = snapshot.items.iter().map(row).collect();
        assert_eq!(rows, [(1, 5, 5, true, Some(1)), (2, 2, 3, false, None)]);
        assert_eq!((snapshot.total, snapshot.is_final, snapshot.epoch), (9, true, 9));
        assert_eq!((snapshot.partial, snapshot.since), (false, None));
        assert_eq!(rebuilt(set(&[]), Value::Array(vec![Value::Nil; FIELDS.len()])), Ok(None));
        let changes = [("partial", Some("1")), ("since", Some("7")), ("missing", Some(r#"["eu"]"#))];
        let partial = rebuilt(set(&ROWS), hash(&changes)).unwrap().unwrap();
        let tied = rebuilt(set(&ROWS), hash(&[("ranks", Some("[1,1]"))])).unwrap().unwrap();
        assert_eq!(tied.items.iter().map(|item| item.rank).collect::<Vec<_>>(), [1, 1]);
        assert_eq!((partial.partial, partial.since, partial.missing), (true, Some(7), vec!["eu".into()]));
        assert_eq!((snapshot.retracts, snapshot.removed), (false, 0));
        let left = rebuilt(set(&ROWS), hash(&[("removed", Some("0")), ("other", None)])).unwrap().unwrap();
        assert_eq!((left.retracts, left.removed, left.other()), (true, 0, None));
    }

    #[test]
    fn a_count_of_different_values_is_within_its_bounds() {
        let of = |bounds| {
            let changes = [
                ("distinct", Some("user_id")),
                ("bounds", Some(bounds)),
                ("standard_errors", Some(r#"{"b":1}"#)),
            ];
            rebuilt(set(&ROWS), hash(&changes))
        };
        let snapshot = of(r#"{"b":[2,9]}"#).unwrap().unwrap();
        let estimate = Some(Estimate { count: 3, standard_error: 1 });
        let row = |item: &Item| (item.count, item.lower, item.upper, item.exact, item.estimate);
        let rows: Vec<_> = snapshot.items.iter().map(row).collect();
        assert_eq!(rows, [(5, 5, 5, true, None), (3, 2, 9, false, estimate)]);
        assert_eq!((snapshot.distinct.as_deref(), snapshot.other()), (Some("user_id"), None));
        assert!(matches!(of(r#"{"b":[4,9]}"#), Err(Fault::Meta(_))));
    }

    #[test]
    fn what_cannot_have_been_published_is_a_fault_of_its_key() {
        let meta = |name, value| match rebuilt(set(&ROWS), hash(&[(name, value)])) {
            Err(Fault::Meta(reason)) => reason,
            other => panic!("{name} = {value:?} was taken: {other:?}"),
        };
        for name in FIELDS.iter().filter(|name| !matches!(**name, "bounds" | "distinct")) {
            let may_be_absent =
                ["partial", "since", "missing", "ranks", "other", "standard_errors", "removed"]
                    .contains(name);
            assert!(may_be_absent || meta(name, None).contains(name), "{name}");
            assert!(meta(name, Some("x")).contains(name), "{name}");
        }
        assert!(meta("final", Some("2")).contains("0 or 1"));
        assert!(meta("total", Some("-1")).contains("total"));
        assert!(meta("bounds", Some(r#"{"b":[4,3]}"#)).contains("\"b\""));
        assert!(meta("bounds", Some(r#"{"b":[2,4]}"#)).contains("\"b\""));
        assert!(meta("bounds", Some(r#"{"z":[1,2]}"#)).contains("not ranked"));
        let ranking = |rows: &[(&[u8], &str)]| match rebuilt(set(rows), hash(&[("bounds", None)])) {
            Err(Fault::Ranking(reason)) => reason,
            other => panic!("{rows:?} was taken: {other:?}"),
        };
        assert!(ranking(&ROWS[..1]).contains("1 items, and 2"));
        for score in ["-1", "1.5", "inf", "nan", "1e300"] {
            assert!(ranking(&[(b"a", score), (b"b", "1")]).contains("no count"), "{score}");
        }
        assert!(ranking(&[(b"\xff", "5"), (b"b", "3")]).contains("no item id"));
    }

    #[test]
    fn counts_beyond_the_exact_scores_keep_their_rank() {
        let big = 1_u64 << 53;
        let bounds = format!(r#"{{"a":[{0},{0}],"b":[{1},{1}]}}"#, big + 4, big + 3);
        let score = (big + 4).to_string();
        let rows: [(&[u8], &str); 2] = [(b"b", &score), (b"a", &score)];
        let snapshot = rebuilt(set(&rows), hash(&[("bounds", Some(&bounds))])).unwrap().unwrap();
        let row = |item: &Item| (item.item_id.to_string(), item.count);
        let rows: Vec<_> = snapshot.items.iter().map(row).collect();
        assert_eq!(rows, [("a".to_owned(), big + 4), ("b".to_owned(), big + 3)]);
    }
}
