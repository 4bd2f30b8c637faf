//! What may change between two runs on one state, and what then becomes of each board.
//!
//! The identity of what is stored belongs to each board: which events it counts, as what, in which groups, and with which
//! sketch. Its windows, its K, which rows it shows and how, its greatest number of groups and the times of the job may change
//! freely, since windows are made of the panes that are kept. A board whose identity changed is refused, unless the run resets it: it then counts
//! anew, as one that is added does.

use crate::identity::{Identity, difference};
use serde_json::Value;
use std::collections::BTreeMap;

/// What of a board may change freely.
const FREE: [&str; 6] = ["windows", "k", "ties", "min_count", "max_groups", "counters"];
/// What decides, for all boards alike, how events are read and sketched. How many rows of a pane are kept may change, as
/// what was cut is in the bounds of each pane.
const COMMON: [&str; 2] = ["sketch", "schema"];
const FREE_OF_ALL: &str = "rows_kept";

/// What becomes of a board of a new run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes on as the board at this place of the run before.
    Kept(usize),
    /// It counts anew, from the panes on that are open now.
    Anew,
    /// It counts anew, and takes records that the run before may have refused and need not read again.
    AnewFromLater,
}

/// A change that a state does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// The board that it is of, where it is of one that the run may reset.
    pub(super) board: Option<String>,
    /// The field, as in the job's spec.
    pub(super) field: String,
    /// Its value in the manifest.
    pub(super) was: String,
    /// Its value now.
    pub(super) is: String,
}

impl Difference {
    fn of_job((field, was, is): (String, String, String)) -> Self {
        Difference { board: None, field, was, is }
    }
}

/// What becomes of the boards of the job `new`, in its order, on the state of the job `old`, of the same seed. Boards
/// named in `reset` may differ from those of the same name.
pub(super) fn fates(old: &Identity, new: &Identity, reset: &[String]) -> Result<Vec<Fate>, Difference> {
    let (was, is) = (old.value(), new.value());
    let of_all = |path: &str, was: &Value, is: &Value| {
        difference(path, was, is).map_or(Ok(()), |found| Err(Difference::of_job(found)))
    };
    of_all("source", &was["source"], &is["source"])?;
    of_all("time.pane", &was["time"]["pane"], &is["time"]["pane"])?;
    let (stored, named) = (by_name(&was), boards(&is));
    let mut fates = Vec::new();
    for board in named {
        let name = board["name"].as_str().unwrap_or_default();
        let before = stored.get(name).copied();
        let changed = before.and_then(|(_, before)| change(name, before, board));
        let common = || {
            COMMON.into_iter().find_map(|key| {
                difference(key, &without(&was[key], &[FREE_OF_ALL]), &without(&is[key], &[FREE_OF_ALL]))
            })
        };
        fates.push(match (before, changed.or_else(|| before.and_then(|_| common()))) {
            (Some((place, before)), None) => {
                no_new_whole_window(name, Some(before), board)?;
                Fate::Kept(place)
            }
            (Some(_), Some((field, was, is))) if !reset.iter().any(|reset| reset == name) => {
                return Err(Difference { board: Some(name.to_owned()), field, was, is });
            }
            _ => {
                no_new_whole_window(name, None, board)?;
                let alike = common().is_none() && boards(&was).iter().all(|other| reads_alike(other, board));
                if alike { Fate::Anew } else { Fate::AnewFromLater }
            }
        });
    }
    Ok(fates)
}

/// The first difference between two jobs that count different boards, or count one differently.
pub(super) fn other_boards(old: &Identity, new: &Identity) -> Option<Difference> {
    match fates(old, new, &[]) {
        Err(difference) => Some(Difference { board: None, ..difference }),
        Ok(_) => {
            let (was, is) = (old.value(), new.value());
            let lacks = |these: &Value, those: &Value| {
                let there = by_name(those);
                by_name(these).into_keys().find(|name| !there.contains_key(name)).map(str::to_owned)
            };
            let whether = |set: bool| if set { "set" } else { "not set" }.to_owned();
            let of = |name: String, was: bool| Difference {
                board: None,
                field: format!("boards[{name}]"),
                was: whether(was),
                is: whether(!was),
            };
            lacks(&was, &is)
                .map(|name| of(name, true))
                .or_else(|| lacks(&is, &was).map(|name| of(name, false)))
        }
    }
}

/// The first field in which the board of this name that a region counts differs from that of a job which merges the panes
/// of regions; `Ok(false)` where the region has no such board. How panes are sketched may differ, since their bounds add up.
pub(super) fn of_region(region: &Identity, job: &Identity, name: &str) -> Result<bool, Difference> {
    let (theirs, ours) = (region.value(), job.value());
    let (there, here) = (by_name(&theirs), by_name(&ours));
    let (Some((_, there)), Some((_, here))) = (there.get(name), here.get(name)) else { return Ok(false) };
    // Different values are told apart by hashes, and only those of one seed are the same for the same value.
    let apart = !here["count"].is_null() && theirs["sketch"]["seed"] != ours["sketch"]["seed"];
    let seeds = apart.then(|| {
        let is = "another one, where a board that counts different values needs one seed in all regions";
        ("sketch.seed".to_owned(), "its own".to_owned(), is.to_owned())
    });
    let found = change(name, there, here)
        .or_else(|| difference("schema", &theirs["schema"], &ours["schema"]))
        .or(seeds);
    match found {
        None => Ok(true),
        Some((field, was, is)) => Err(Difference { board: Some(name.to_owned()), field, was, is }),
    }
}

fn boards(job: &Value) -> &[Value] {
    job["boards"].as_array().map_or(&[], Vec::as_slice)
}

/// The boards of a job by name, with their places.
fn by_name(job: &Value) -> BTreeMap<&str, (usize, &Value)> {
    let named = boards(job).iter().enumerate();
    named.filter_map(|(place, board)| Some((board["name"].as_str()?, (place, board)))).collect()
}

/// The first field that makes a board another one.
fn change(name: &str, was: &Value, is: &Value) -> Option<(String, String, String)> {
    difference(&format!("boards[{name}]"), &without(was, &FREE), &without(is, &FREE))
}

/// A value without some of its members.
fn without(value: &Value, keys: &[&str]) -> Value {
    let mut value = value.clone();
    if let Some(members) = value.as_object_mut() {
        keys.iter().for_each(|key| drop(members.remove(*key)));
    }
    value
}

/// A window of the whole input also has the events that are late for panes, which a run before has not kept unless the
/// board had such a window.
fn no_new_whole_window(name: &str, was: Option<&Value>, is: &Value) -> Result<(), Difference> {
    let whole = |board: &Value| {
        let windows = board["windows"].as_array().map_or(&[][..], Vec::as_slice);
        windows
            .iter()
            .find(|window| window["size"].is_null() && window["calendar"].is_null())
            .and_then(|window| window["name"].as_str().map(str::to_owned))
    };
    match whole(is) {
        Some(window) if was.and_then(whole).is_none() => Err(Difference {
            board: None,
            field: format!("boards[{name}].windows[{window}]"),
            was: "not set".into(),
            is: "a window of the whole input, part of which was counted without it".into(),
        }),
        _ => Ok(()),
    }
}

/// Whether an event that the second board can count is one that the first can count, if it takes it: they look for the
/// event, its time, its item and its weight in the same places.
fn reads_alike(one: &Value, other: &Value) -> bool {
    ["each", "timestamp", "item", "weight", "weights", "count", "normalize"]
        .into_iter()
        .all(|key| one[key] == other[key])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{Calendar, Unit};
    use crate::spec::{BoardSpec, Filter, JobSpec, Ties, WindowSpec};
    use std::time::Duration;

    fn board(name: &str) -> BoardSpec {
        BoardSpec { name: name.into(), ..BoardSpec::default() }
    }

    fn identity(change: impl FnOnce(&mut JobSpec)) -> Identity {
        let mut spec = JobSpec { boards: vec![board("videos"), board("sales")], ..JobSpec::default() };
        change(&mut spec);
        Identity::of(&spec, "kafka:events")
    }

    fn fates_of(change: impl FnOnce(&mut JobSpec), reset: &[&str]) -> Result<Vec<Fate>, Difference> {
        let reset: Vec<String> = reset.iter().map(|name| name.to_string()).collect();
        fates(&identity(|_| ()), &identity(change), &reset)
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn windows_k_groups_and_times_change_freely_and_boards_come_go_and_change_places() {
        let both = Ok(vec![Fate::Kept(0), Fate::Kept(1)]);
        assert_eq!(fates_of(|_| (), &[]), both);
        let free = |spec: &mut JobSpec| {
            spec.boards[0].windows = vec![WindowSpec::sliding("last_2h", 2 * HOUR, HOUR)];
            (spec.boards[0].k, spec.boards[0].max_groups) = (700, 7);
            (spec.boards[0].ties, spec.boards[0].min_count) = (Ties::Dense, 7);
            spec.sketch.rows_kept = 7000;
            spec.time.out_of_orderness = HOUR;
            spec.time.allowed_lateness = HOUR;
            spec.time.max_future_skew = HOUR;
        };
        assert_eq!(fates_of(free, &[]), both);
        let others = |spec: &mut JobSpec| spec.boards = vec![board("new"), board("videos")];
        assert_eq!(fates_of(others, &[]), Ok(vec![Fate::Anew, Fate::Kept(0)]));
    }

    #[test]
    fn a_board_that_changed_is_named_with_both_values_unless_it_is_reset() {
        let filter = |spec: &mut JobSpec| {
            spec.boards[1].filter.insert("region".into(), Filter::AnyOf(vec!["IN".into()]));
        };
        let refused = fates_of(filter, &["videos"]).unwrap_err();
        assert_eq!(
            (refused.board.as_deref(), refused.field.as_str(), refused.was.as_str(), refused.is.as_str()),
            (Some("sales"), "boards[sales].filter.region", "not set", "[\"IN\"]")
        );
        assert_eq!(fates_of(filter, &["sales"]), Ok(vec![Fate::Kept(0), Fate::Anew]));
        let rows = |spec: &mut JobSpec| spec.sketch.rows = 8192;
        let refused = fates_of(rows, &["sales"]).unwrap_err();
        assert_eq!((refused.board.as_deref(), refused.field.as_str()), (Some("videos"), "sketch.rows"));
        assert_eq!(fates_of(rows, &["sales", "videos"]), Ok(vec![Fate::AnewFromLater; 2]));
    }

    #[test]
    fn the_source_and_the_pane_are_of_the_state() {
        let pane = fates_of(|spec| spec.time.pane = HOUR, &["videos", "sales"]).unwrap_err();
        assert_eq!((pane.board, pane.field.as_str()), (None, "time.pane"));
        let mut other = identity(|_| ()).value();
        other["source"] = "kafka:others".into();
        assert_eq!(fates(&identity(|_| ()), &Identity::from(other), &[]).unwrap_err().field, "source");
    }

    #[test]
    fn a_board_that_reads_other_fields_counts_from_later() {
        let item = |spec: &mut JobSpec| {
            let other = BoardSpec { item: Some("video_id".into()), ..board("other") };
            spec.boards.push(other);
        };
        assert_eq!(fates_of(item, &[]).unwrap()[2], Fate::AnewFromLater);
    }

    #[test]
    fn the_whole_of_an_input_that_was_begun_without_it_is_refused() {
        let whole = |spec: &mut JobSpec| spec.boards[0].windows.push(WindowSpec::whole("all"));
        assert_eq!(fates_of(whole, &[]).unwrap_err().field, "boards[videos].windows[all]");
        let had = identity(whole);
        assert_eq!(fates(&had, &identity(whole), &[]), Ok(vec![Fate::Kept(0), Fate::Kept(1)]));
        assert_eq!(fates(&had, &identity(|_| ()), &[]), Ok(vec![Fate::Kept(0), Fate::Kept(1)]));
    }

    /// A window of the calendar has no size either, and is filled from panes as one that slides is.
    #[test]
    fn a_window_of_the_calendar_comes_with_any_board() {
        let today = |board: &mut BoardSpec| {
            let berlin = Calendar::new(Unit::Day, "Europe/Berlin").unwrap();
            board.windows.push(WindowSpec::calendar_unit("today", berlin, HOUR));
        };
        assert_eq!(fates_of(|spec| today(&mut spec.boards[0]), &[]), Ok(vec![Fate::Kept(0), Fate::Kept(1)]));
        let new = |spec: &mut JobSpec| {
            let mut new = board("new");
            today(&mut new);
            spec.boards.push(new);
        };
        assert_eq!(fates_of(new, &[]).unwrap()[2], Fate::Anew);
        let reset = |spec: &mut JobSpec| {
            today(&mut spec.boards[1]);
            spec.boards[1].k = 7;
            spec.boards[1].filter.insert("region".into(), Filter::AnyOf(vec!["IN".into()]));
        };
        assert_eq!(fates_of(reset, &["sales"]), Ok(vec![Fate::Kept(0), Fate::Anew]));
    }

    #[test]
    fn who_does_not_run_the_job_must_have_its_boards() {
        let other = |change: fn(&mut JobSpec)| other_boards(&identity(|_| ()), &identity(change));
        assert_eq!(other(|spec| spec.boards[0].windows.clear()), None);
        assert_eq!(other(|spec| spec.boards.reverse()), None);
        let gone = other(|spec| drop(spec.boards.pop())).unwrap();
        assert_eq!(
            (gone.field.as_str(), gone.was.as_str(), gone.is.as_str()),
            ("boards[sales]", "set", "not set")
        );
        let new = other(|spec| spec.boards.push(board("new"))).unwrap();
        assert_eq!(
            (new.field.as_str(), new.was.as_str(), new.is.as_str()),
            ("boards[new]", "not set", "set")
        );
    }
}
