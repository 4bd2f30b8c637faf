//! Checks the spec of a job before it runs. Every impossible value is refused, with its key and what is allowed.

use crate::against::Against;
use crate::calendar::QUARTER;
use crate::duration::written;
use crate::fields::JobFields;
use crate::spec::{BoardSpec, Count, Filter, JobSpec, WindowSpec};
pub use crate::spec_error::SpecError;
use crest_formats::names::Names;
use std::collections::HashSet;
use std::time::Duration;

/// The longest window, in panes: a day at the finest pane.
pub const MAX_WINDOW_PANES: u128 = 1_000_000;
/// The most boards of a job.
pub const MAX_BOARDS: usize = 256;
/// The longest ranking, in rows.
pub const MAX_K: usize = 10_000;
/// The most items of a bucket whose running counts are kept in Redis.
pub const MAX_COUNTERS: usize = 100_000;

/// Refuses the value of a key unless it is fit.
fn ensure(
    fit: bool,
    key: impl Into<String>,
    value: impl ToString,
    allowed: impl Into<String>,
) -> Result<(), SpecError> {
    if fit {
        return Ok(());
    }
    Err(SpecError { key: key.into(), value: value.to_string(), allowed: allowed.into() })
}

fn in_range(key: &str, value: Duration, least: Duration, most: Duration) -> Result<(), SpecError> {
    let fit = (least..=most).contains(&value) && value.subsec_nanos().is_multiple_of(1_000_000);
    let allowed = format!("must be whole milliseconds from {} to {}", written(least), written(most));
    ensure(fit, key, format!("{value:?}"), allowed)
}

impl JobSpec {
    /// Checks that the job can run.
    ///
    /// # Errors
    /// The first impossible value.
    pub fn check(&self) -> Result<(), SpecError> {
        self.check_time()?;
        self.check_sketch()?;
        self.check_schema()?;
        let boards = self.boards.len();
        let allowed = format!("there must be 1 to {MAX_BOARDS} boards");
        ensure((1..=MAX_BOARDS).contains(&boards), "board", boards, allowed)?;
        let mut names = HashSet::new();
        for board in &self.boards {
            let is_new = names.insert(&board.name);
            ensure(is_new, "board.name", &board.name, "two boards cannot have one name")?;
            board.check(self.time.pane)?;
        }
        JobFields::new(self).map(drop)
    }

    fn check_time(&self) -> Result<(), SpecError> {
        let (ms, day) = (Duration::from_millis(1), Duration::from_secs(86_400));
        let time = &self.time;
        in_range("time.pane", time.pane, 100 * ms, day)?;
        in_range("time.out_of_orderness", time.out_of_orderness, Duration::ZERO, day)?;
        in_range("time.allowed_lateness", time.allowed_lateness, Duration::ZERO, day)?;
        in_range("time.idle_timeout", time.idle_timeout, 100 * ms, day)?;
        in_range("time.max_future_skew", time.max_future_skew, Duration::ZERO, 366 * day)?;
        in_range("time.refresh", time.refresh, 100 * ms, 3600 * Duration::from_secs(1))
    }

    fn check_sketch(&self) -> Result<(), SpecError> {
        let sketch = &self.sketch;
        if let Err(error) = sketch.shape() {
            let value = format!("{} rows, epsilon {}, delta {}", sketch.rows, sketch.epsilon, sketch.delta);
            ensure(false, "sketch", value, error.to_string())?;
        }
        let sketched = self.boards.iter().filter(|board| board.engine.is_sketch());
        let least = 10 * sketched.map(|board| board.k).max().unwrap_or(0);
        let allowed = format!("must be from {least} (ten times the largest k) to {}", 1 << 20);
        ensure((least..=1 << 20).contains(&sketch.rows_kept), "sketch.rows_kept", sketch.rows_kept, allowed)
    }

    fn check_schema(&self) -> Result<(), SpecError> {
        let schema = &self.schema;
        for (key, names) in [
            ("schema.item", &schema.item),
            ("schema.type", &schema.event_type),
            ("schema.timestamp", &schema.timestamp),
            ("schema.weight", &schema.weight),
        ] {
            let fit = names.iter().all(|name| !name.is_empty());
            let fit = fit && (!names.is_empty() || key != "schema.timestamp");
            ensure(fit, key, format!("{names:?}"), "must be a list of field names")?;
        }
        let no_item = schema.item.is_empty() && self.boards.iter().any(|board| board.item.is_none());
        ensure(!no_item, "schema.item", "[]", "must be a list of field names, or each board names its own")?;
        let named = !schema.weight.is_empty() || self.boards.iter().any(|board| board.weight.is_some());
        let (key, scale) = ("schema.weight_scale", schema.weight_scale);
        ensure(
            named || scale == 1,
            key,
            scale,
            "needs schema.weight, the field that is counted in such units",
        )?;
        let Some(weight) = schema.weight_default else { return Ok(()) };
        let (key, absent) = ("schema.weight_default", "needs schema.weight, the field that may be absent");
        ensure(weight > 0, key, weight, "must be a whole number of at least 1")?;
        ensure(named, key, weight, absent)
    }
}

impl BoardSpec {
    fn check(&self, pane: Duration) -> Result<(), SpecError> {
        check_name("board.name", &self.name)?;
        let key = |rest: &str| format!("board.{}.{rest}", self.name);
        for (part, names) in [("item", &self.item), ("timestamp", &self.timestamp)] {
            let fit = names.as_ref().is_none_or(|Names(names)| !names.is_empty());
            ensure(fit, key(part), "[]", "must be a list of field names")?;
        }
        let most = if self.counters { MAX_COUNTERS } else { MAX_K };
        ensure((1..=most).contains(&self.k), key("k"), self.k, format!("must be from 1 to {most}"))?;
        for (of, conditions) in [("filter", &self.filter), ("retract", &self.retract)] {
            for (field, filter) in conditions {
                check_conditions(&key(&format!("{of}.{field}")), filter)?;
            }
        }
        for (event_type, factor) in &self.weights {
            let key = key(&format!("weights.{event_type}"));
            ensure(*factor > 0, key, factor, "must be a whole number of at least 1")?;
        }
        let fit = (1..=100_000).contains(&self.max_groups);
        ensure(fit, key("max_groups"), self.max_groups, "must be from 1 to 100000")?;
        let fit = self.by.len() <= 4 && self.by.iter().collect::<HashSet<_>>().len() == self.by.len();
        ensure(fit, key("by"), format!("{:?}", self.by), "must be up to four different fields")?;
        ensure(!self.windows.is_empty(), key("windows"), "[]", "must name at least one window")?;
        let mut names = HashSet::new();
        for window in &self.windows {
            let (key_of_name, name) = (key("windows.name"), &window.name);
            check_name(&key_of_name, name)?;
            ensure(names.insert(name), key_of_name, name, "two windows of a board cannot have one name")?;
            window.check(&key(&format!("window.{}", window.name)), pane)?;
        }
        self.check_distinct()?;
        self.check_retract()?;
        self.check_counters(&key("counters"))
    }

    /// What weighs events means nothing where different values are counted.
    fn check_distinct(&self) -> Result<(), SpecError> {
        let Count::Distinct(Names(names)) = &self.count else { return Ok(()) };
        let key = |rest: &str| format!("board.{}.{rest}", self.name);
        let fit = !names.is_empty() && names.iter().all(|name| !name.is_empty());
        ensure(
            fit,
            key("count.distinct"),
            format!("{names:?}"),
            "must name the field whose different values are counted",
        )?;
        let allowed =
            "must be left out where count.distinct is given: an event counts its value, whatever it weighs";
        let weight = self.weight.as_ref().filter(|Names(names)| !names.is_empty());
        ensure(weight.is_none(), key("weight"), format!("{weight:?}"), allowed)?;
        let factor = self.weights.iter().next();
        ensure(factor.is_none(), key("weights"), format!("{factor:?}"), allowed)
    }

    /// What is counted of whoever likes an item twice, and takes that back once, is not told by how many different ones liked it.
    fn check_retract(&self) -> Result<(), SpecError> {
        let Some(field) = self.retract.keys().next() else { return Ok(()) };
        let (key, value) = (format!("board.{}.retract", self.name), format!("{field:?}"));
        let allowed = "must be left out where count.distinct is given: what one value adds cannot be told from what \
                       another one does, and so not be taken away";
        ensure(!self.count.is_distinct(), &key, &value, allowed)?;
        let allowed = "must be left out where counters are kept, which only grow";
        ensure(!self.counters, key, value, allowed)
    }

    fn check_counters(&self, key: &str) -> Result<(), SpecError> {
        let tumbling =
            self.windows.iter().filter_map(WindowSpec::size_and_slide).any(|(size, slide)| slide == size);
        let is_exact = !self.engine.is_sketch();
        ensure(!self.counters || is_exact, key, true, "needs engine = \"exact\" of its board")?;
        ensure(!self.counters || tumbling, key, true, "needs a window of its board whose slide is its size")
    }
}

impl WindowSpec {
    fn check(&self, key: &str, pane: Duration) -> Result<(), SpecError> {
        let rising: Vec<String> = self.rising.iter().map(ToString::to_string).collect();
        let (key_of_rising, rising) = (format!("{key}.rising"), rising.join(", "));
        let Some((size, slide)) = self.size_and_slide() else {
            let allowed =
                "is of windows with a size: name how much earlier the one is that it is compared with";
            ensure(rising.is_empty(), key_of_rising, rising, allowed)?;
            return self.check_calendar(key, pane);
        };
        let in_panes = |against: &Against| {
            let by = against.earlier_than(size).as_millis();
            by.is_multiple_of(pane.as_millis().max(1))
        };
        let allowed = format!("must be previous, or whole numbers of panes of {}", written(pane));
        ensure(self.rising.iter().all(in_panes), &key_of_rising, &rising, allowed)?;
        let different = self.rising.iter().collect::<HashSet<_>>().len() == self.rising.len();
        ensure(different, &key_of_rising, &rising, "must be different ones")?;
        for (part, value) in [("size", size), ("slide", slide)] {
            let fit = !value.is_zero() && value.as_millis().is_multiple_of(pane.as_millis());
            let allowed = format!("must be a whole number of panes of {}", written(pane));
            ensure(fit, format!("{key}.{part}"), written(value), allowed)?;
        }
        let allowed = format!("must be at most the window's size, {}", written(size));
        ensure(slide <= size, format!("{key}.slide"), written(slide), allowed)?;
        let fit = size.as_millis() / pane.as_millis() <= MAX_WINDOW_PANES;
        let allowed = format!("must be at most {MAX_WINDOW_PANES} panes");
        ensure(fit, format!("{key}.size"), written(size), allowed)
    }
}

impl WindowSpec {
    /// A unit of the calendar begins at a quarter of an hour, and the window has an end there.
    fn check_calendar(&self, key: &str, pane: Duration) -> Result<(), SpecError> {
        let Some(window) = self.sliding_window() else { return Ok(()) };
        let parts = |whole: Duration, part: Duration| {
            !part.is_zero() && whole.as_millis().is_multiple_of(part.as_millis())
        };
        let allowed =
            "must be a time such that 15m is a multiple of it, since offsets of time zones are of 15m";
        ensure(
            parts(QUARTER, pane),
            "time.pane",
            written(pane),
            format!("{allowed}, where {key} is of the calendar"),
        )?;
        let fit = parts(QUARTER, window.slide) && parts(window.slide, pane);
        let allowed = format!("{allowed}, and a whole number of panes of {}", written(pane));
        ensure(fit, format!("{key}.slide"), written(window.slide), allowed)?;
        let fit = window.size.as_millis() / pane.as_millis() <= MAX_WINDOW_PANES;
        let allowed = format!("must be at most {MAX_WINDOW_PANES} panes: a longer pane makes them fewer");
        ensure(fit, format!("{key}.calendar"), format!("{window:?}"), allowed)
    }
}

fn check_conditions(key: &str, filter: &Filter) -> Result<(), SpecError> {
    ensure(!filter.is_void(), key, "empty", "must have at least one value or condition")?;
    let infinite = filter.constants().find(|constant| !constant.is_finite());
    let value = infinite.map_or(String::new(), ToString::to_string);
    ensure(infinite.is_none(), key, value, "must be a finite number")
}

fn check_name(key: &str, name: &str) -> Result<(), SpecError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let fit = (1..=64).contains(&name.len()) && name.chars().all(fits);
    ensure(fit, key, format!("{name:?}"), "must be 1 to 64 letters, digits, '_', '-' or '.'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Engine;

    fn spec() -> JobSpec {
        JobSpec::default()
    }

    #[test]
    fn the_defaults_run() {
        assert_eq!(spec().check(), Ok(()));
    }

    #[test]
    fn a_window_that_is_not_whole_panes_is_refused_by_name() {
        let mut spec = spec();
        let seconds = Duration::from_secs;
        spec.boards[0].windows[0] = WindowSpec::sliding("last_1m", seconds(65), seconds(10));
        let error = spec.check().unwrap_err().to_string();
        assert_eq!(error, "board.default.window.last_1m.size = 65s: must be a whole number of panes of 10s");
    }

    #[test]
    fn every_impossible_value_is_refused_by_its_key() {
        type Spoil = fn(&mut JobSpec);
        let cases: [(&str, Spoil); 14] = [
            ("time.pane", |s| s.time.pane = Duration::ZERO),
            ("time.refresh", |s| s.time.refresh = Duration::from_millis(99)),
            ("sketch", |s| s.sketch.rows = 1000),
            ("sketch.rows_kept", |s| s.sketch.rows_kept = 999),
            ("schema.timestamp", |s| s.schema.timestamp.clear()),
            ("schema.weight_default", |s| s.schema.weight_default = Some(1)),
            ("schema.weight_default", |s| {
                (s.schema.weight, s.schema.weight_default) = (vec!["n".into()], Some(0))
            }),
            ("board.default.k", |s| s.boards[0].k = 0),
            ("board.default.counters", |s| s.boards[0].counters = true),
            ("board.name", |s| s.boards[0].name = "a/b".into()),
            ("board.default.windows", |s| s.boards[0].windows.clear()),
            ("board.default.window.last_1h.rising", |s| {
                s.boards[0].windows[1].rising = vec![Against::Earlier(Duration::from_secs(15))]
            }),
            ("board.default.window.last_1h.rising", |s| {
                s.boards[0].windows[1].rising = vec![Against::Previous; 2]
            }),
            ("board.default.window.last_1h.slide", |s| {
                let hour = Duration::from_secs(3600);
                s.boards[0].windows[1] = WindowSpec::sliding("last_1h", hour, 2 * hour)
            }),
        ];
        for (key, spoil) in cases {
            let mut spec = spec();
            spoil(&mut spec);
            assert_eq!(spec.check().unwrap_err().key, key);
        }
    }

    #[test]
    fn what_retracts_has_conditions_and_counts_events_that_stay_counted() {
        let refused = |change: &dyn Fn(&mut BoardSpec)| {
            let mut spec = spec();
            spec.boards[0].retract.insert("op".into(), Filter::AnyOf(vec!["d".into()]));
            change(&mut spec.boards[0]);
            spec.check().err().map(|error| error.to_string())
        };
        assert_eq!(refused(&|_| {}), None);
        let void = refused(&|board| drop(board.retract.insert("op".into(), Filter::AnyOf(Vec::new()))));
        assert_eq!(
            void.unwrap(),
            "board.default.retract.op = empty: must have at least one value or condition"
        );
        let distinct = refused(&|board| board.count = Count::Distinct("user".into())).unwrap();
        assert!(
            distinct.starts_with("board.default.retract = \"op\": must be left out where count.distinct")
        );
        let counters = refused(&|board| {
            (board.counters, board.engine) = (true, Engine::Exact);
            board.windows[1] = WindowSpec::sliding("h", Duration::from_secs(3600), Duration::from_secs(3600));
        });
        assert!(
            counters.unwrap().starts_with("board.default.retract = \"op\": must be left out where counters")
        );
    }

    #[test]
    fn counters_need_an_exact_board_that_tumbles_and_may_be_many() {
        let mut spec = spec();
        spec.boards[0].counters = true;
        let refused = |spec: &JobSpec| spec.check().unwrap_err().to_string();
        assert_eq!(refused(&spec), "board.default.counters = true: needs engine = \"exact\" of its board");
        spec.boards[0].engine = Engine::Exact;
        assert_eq!(
            refused(&spec),
            "board.default.counters = true: needs a window of its board whose slide is its size"
        );
        let hour = Duration::from_secs(3600);
        spec.boards[0].windows[1] = WindowSpec::sliding("last_1h", hour, hour);
        spec.boards[0].k = MAX_COUNTERS;
        assert_eq!(spec.check(), Ok(()));
        spec.boards[0].k += 1;
        assert_eq!(refused(&spec), "board.default.k = 100001: must be from 1 to 100000");
        spec.boards[0].counters = false;
        assert_eq!(refused(&spec), "board.default.k = 100001: must be from 1 to 10000");
    }
}
