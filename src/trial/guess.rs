//! What a sample's events are, which of their fields is the item, and which the time.

use super::survey::{Field, Survey};
use super::time::{self, Reading};
use super::words;

/// Other fields of each kind that are proposed.
const MAX_OTHERS: usize = 3;
/// The least score of another field that is proposed as the item.
const LEAST_OTHER: f64 = 0.5;
/// Different values with which a field is as varied as any.
const VARIED: f64 = 12.0;
/// Values by which people group at most.
const MAX_GROUPS: u64 = 50;

/// What was found out.
#[derive(Debug, Default)]
pub struct Guess {
    /// The array whose elements are the events, as `each` names it.
    pub each: Option<String>,
    /// The item.
    pub item: Option<Proposed>,
    /// Other fields that could be the item, the likelier first.
    pub others: Vec<Proposed>,
    /// The paths of the item and of the time from the record.
    pub chosen: Vec<String>,
    /// The event time.
    pub time: Option<TimeField>,
    /// Numbers that events could be weighed by.
    pub weights: Vec<Proposed>,
    /// A field that tells kinds of events apart, and its most frequent value.
    pub filter: Option<(String, String)>,
    /// A field by which events could be grouped.
    pub by: Option<Proposed>,
}

/// A field that was chosen.
#[derive(Clone, Debug)]
pub struct Proposed {
    /// Its path from the event.
    pub path: String,
    /// How many of the events have a value of it, and how many events there are.
    pub share: (u64, u64),
    /// How many different values it has.
    pub different: u64,
    /// Whether it has decimals.
    pub decimal: bool,
    score: f64,
}

impl Proposed {
    /// Whether both are in one object and have as many different values, as the id and the name of a thing.
    fn is_same_thing(&self, other: &Proposed) -> bool {
        let above = |path: &str| path.rsplit_once('.').map(|(above, _)| above.to_owned());
        self.different == other.different
            && self.share == other.share
            && above(&self.path) == above(&other.path)
    }
}

/// The event time.
#[derive(Clone, Debug)]
pub struct TimeField {
    /// Its path from the event.
    pub path: String,
    /// How it is read; `None` for the broker's time stamp.
    pub reading: Option<Reading>,
}

/// What is not to be guessed, since the configuration says it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Configured<'g> {
    /// The array whose elements are the events.
    pub each: Option<&'g str>,
    /// Whether the item is.
    pub item: bool,
    /// Whether the time is.
    pub time: bool,
    /// Whether any other path is, so that the events are what it begins at.
    pub paths: bool,
    /// How times are written, and in which zone they are.
    pub form: (Option<&'g str>, Option<&'g str>),
}

/// The fields of a survey with how each reads as a time.
struct Fields<'s> {
    survey: &'s Survey,
    fields: Vec<(&'s Field, Option<Reading>)>,
}

/// Guesses. `is_stamped` says whether the records bear a broker's time stamp.
pub fn guess(survey: &Survey, configured: Configured<'_>, is_stamped: bool) -> Guess {
    let forms = time::Forms::new(configured.form.0, configured.form.1);
    let fields = survey.fields.iter().map(|field| (field, time::reading(field, &forms))).collect();
    let fields = Fields { survey, fields };
    let (array, items) = match configured.each {
        Some(each) => {
            let array = array(each);
            let items = if configured.item { Vec::new() } else { fields.items(Some(&array)) };
            (Some(array), items)
        }
        None if configured.item => (None, Vec::new()),
        None if configured.time || configured.paths => (None, fields.items(None)),
        None => fields.best_items(is_stamped),
    };
    let array = array.as_deref();
    let mut items = items.into_iter();
    let each = array.filter(|_| configured.each.is_none()).map(each);
    let time = if configured.time { None } else { fields.time(array, is_stamped) };
    let item = items.next();
    let taken: Vec<&str> = item.iter().map(|item| item.path.as_str()).collect();
    let by = fields.by(array, &taken);
    let mut others: Vec<Proposed> = Vec::new();
    for other in items.filter(|other| other.score > LEAST_OTHER) {
        let is_known = item.iter().chain(&others).any(|known| known.is_same_thing(&other));
        if !is_known && others.len() < MAX_OTHERS {
            others.push(other);
        }
    }
    let is_chosen = |path: &str| {
        item.as_ref().is_some_and(|item| item.path == path)
            || time.as_ref().is_some_and(|time| time.path == path)
    };
    let all = survey.fields.iter().filter(|field| field.from(array).is_some_and(|path| is_chosen(&path)));
    let chosen = all.map(|field| field.path.clone()).collect();
    Guess {
        chosen,
        each,
        others,
        weights: fields.weights(array),
        filter: fields.filter(array, &taken),
        by,
        time,
        item,
    }
}

/// An array as `each` names it.
fn each(array: &str) -> String {
    if array.starts_with("[*]") { format!("${array}") } else { array.to_owned() }
}

/// The array that `each` names.
fn array(each: &str) -> String {
    let path = each.strip_prefix("$.").or(each.strip_prefix('$')).unwrap_or(each);
    if path.ends_with("[*]") { path.to_owned() } else { format!("{path}[*]") }
}

impl Fields<'_> {
    /// Where the best item is, and all that could be one there, the best first.
    fn best_items(&self, is_stamped: bool) -> (Option<String>, Vec<Proposed>) {
        let mut arrays: Vec<Option<&str>> = vec![None];
        for (field, _) in &self.fields {
            if !arrays.contains(&field.array.as_deref()) {
                arrays.push(field.array.as_deref());
            }
        }
        let any_time = self.fields.iter().any(|(_, reading)| reading.is_some());
        let rated = arrays.into_iter().map(|array| {
            let items = self.items(array);
            let lacks_time = any_time && !is_stamped && self.time(array, false).is_none();
            let score = items.first().map_or(f64::MIN, |best| best.score);
            (if lacks_time { score - 4.0 } else { score }, array, items)
        });
        // Of those that are as good, the first.
        let best = rated.reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map_or((None, Vec::new()), |(_, array, items)| (array.map(str::to_owned), items))
    }

    /// The fields that could be the item where the events are the elements of this array, or the records.
    fn items(&self, array: Option<&str>) -> Vec<Proposed> {
        let mine = self.fields.iter().filter(|(field, _)| field.array.as_deref() == array);
        let mut items: Vec<Proposed> = mine
            .filter(|(field, reading)| is_item(field) && !reading.as_ref().is_some_and(is_time))
            .filter_map(|(field, _)| self.proposed(field, array))
            .collect();
        items.sort_by(|a, b| b.score.total_cmp(&a.score));
        items
    }

    fn proposed(&self, field: &Field, array: Option<&str>) -> Option<Proposed> {
        let path = field.from(array)?;
        let events = self.survey.events(field.array.as_deref());
        let usable = field.kinds.usable();
        let share = usable as f64 / events.max(1) as f64;
        let prose = if field.is_prose() { 1.5 } else { 0.0 };
        let time = if time::is_named(field) { 1.5 } else { 0.0 };
        let depth = 0.02 * words::names(&field.path).len() as f64;
        Some(Proposed {
            path,
            share: (usable, events),
            different: field.different(),
            decimal: field.kinds.decimal > 0,
            score: words::ranked(field) + 2.0 * spread(field) - prose - time - (1.0 - share.min(1.0)) - depth,
        })
    }

    /// The likeliest event time of events that are the elements of this array, or the records.
    fn time(&self, array: Option<&str>, is_stamped: bool) -> Option<TimeField> {
        let scored = self.fields.iter().filter_map(|(field, reading)| {
            let (path, reading) = (field.from(array)?, reading.as_ref()?);
            let events = self.survey.events(field.array.as_deref());
            let share = field.kinds.usable() as f64 / events.max(1) as f64;
            Some((time::score(field, reading, share), path, reading))
        });
        let best = scored.reduce(|best, next| if next.0 > best.0 { next } else { best });
        // A broker's time stamp is surer than a bare number that might be a time.
        let best = best.filter(|(_, _, reading)| !is_stamped || reading.is_named || !reading.is_number);
        let stamp = || is_stamped.then(|| TimeField { path: "record:timestamp".into(), reading: None });
        best.map(|(_, path, reading)| TimeField { path, reading: Some(reading.clone()) }).or_else(stamp)
    }

    fn reachable(&self, array: Option<&str>) -> impl Iterator<Item = (&Field, Proposed)> {
        self.fields.iter().filter_map(move |(field, reading)| {
            let proposed = self.proposed(field, array)?;
            (!reading.as_ref().is_some_and(is_time)).then_some((*field, proposed))
        })
    }

    fn weights(&self, array: Option<&str>) -> Vec<Proposed> {
        let is_measure = |field: &Field| {
            let kinds = field.kinds;
            let numbers = kinds.whole + kinds.decimal + kinds.number_text;
            let positive =
                field.values.iter().filter(|(text, _)| text.parse().is_ok_and(|n: f64| n > 0.0)).count();
            2 * numbers > kinds.usable() && 2 * positive > field.values.len()
        };
        // Of an array's elements only what is theirs: an amount of the whole record would count once for each.
        let mine = self.reachable(array).filter(|(field, _)| field.array.as_deref() == array);
        let found = mine.filter(|(field, _)| words::has(field, words::MEASURES) && is_measure(field));
        found.map(|(_, proposed)| proposed).take(MAX_OTHERS).collect()
    }

    fn filter(&self, array: Option<&str>, taken: &[&str]) -> Option<(String, String)> {
        let mut kinds = self.reachable(array).filter(|(field, proposed)| {
            let told_apart = (2..=MAX_GROUPS).contains(&proposed.different);
            told_apart && field.kinds.text > 0 && words::has(field, words::EVENT_TYPES)
        });
        let (field, kind) = kinds.find(|(_, kind)| !taken.contains(&kind.path.as_str()))?;
        let value = field.few.iter().max_by_key(|(_, count)| **count).map(|(value, _)| value.clone())?;
        Some((kind.path, value))
    }

    fn by(&self, array: Option<&str>, taken: &[&str]) -> Option<Proposed> {
        let groups = self.reachable(array).filter(|(field, group)| {
            (2..=MAX_GROUPS).contains(&group.different) && words::has(field, words::GROUPING)
        });
        groups.map(|(_, group)| group).find(|group| !taken.contains(&group.path.as_str()))
    }
}

/// Whether values of a field can be ids: most are text or whole numbers.
fn is_item(field: &Field) -> bool {
    let kinds = field.kinds;
    2 * (kinds.text + kinds.number_text + kinds.whole) > kinds.usable()
}

/// Whether a field with this reading is a time, and not an id that might be one.
fn is_time(reading: &Reading) -> bool {
    reading.is_named || !reading.is_number
}

/// How well the values of a field can be ranked: 0 to 1 where some come again, the more different ones the better; less
/// than 0 where all are the same, or each is different.
fn spread(field: &Field) -> f64 {
    let (different, all) = (field.different() as f64, field.kinds.usable() as f64);
    match field.different() {
        0 | 1 => -1.0,
        _ if different >= all => -1.0,
        _ => (1.0 - different / all).sqrt() * (different.ln() / VARIED.ln()).min(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn guessed(records: &[Value]) -> Guess {
        let mut survey = Survey::new(false);
        records.iter().for_each(|record| survey.record(record));
        guess(&survey, Configured::default(), false)
    }

    fn names(guess: &Guess) -> (Option<&str>, Option<&str>, Option<&str>) {
        let item = guess.item.as_ref().map(|item| item.path.as_str());
        (guess.each.as_deref(), item, guess.time.as_ref().map(|time| time.path.as_str()))
    }

    fn pick(n: i64, two: [&str; 2]) -> &str {
        two[n as usize % 2]
    }

    const TIME: i64 = 1_711_670_400;

    #[test]
    fn events_of_a_code_host_are_ranked_by_repository() {
        let event = |n: i64| {
            json!({
                "id": (2_489_651_045_i64 + n).to_string(), "type": pick(n, ["PushEvent", "WatchEvent"]),
                "actor": { "id": 665_991 + n % 40, "login": format!("user{}", n % 40), "url": format!("https://x/{}", n % 40) },
                "repo": { "id": 28_688_495 + n % 7, "name": format!("o/r{}", n % 7), "url": format!("https://x/r{}", n % 7) },
                "payload": { "size": n % 5 + 1 }, "public": true, "created_at": "2015-01-01T15:00:00Z",
            })
        };
        let guess = guessed(&(0..100).map(event).collect::<Vec<_>>());
        assert_eq!(names(&guess), (None, Some("repo.name"), Some("created_at")));
        assert_eq!(guess.filter, Some(("type".into(), "WatchEvent".into())));
        assert_eq!(guess.weights[0].path, "payload.size");
        let others: Vec<&str> = guess.others.iter().map(|other| other.path.as_str()).collect();
        assert_eq!(others, ["actor.login"], "other names of the same thing are no choice");
        assert_eq!(guess.chosen, ["repo.name", "created_at"]);
    }

    #[test]
    fn posts_are_ranked_by_their_hashtags_and_readings_by_their_sensor() {
        let post = |n: i64| {
            let tags: Vec<Value> =
                (0..n % 3).map(|t| json!({ "text": format!("tag{}", t + n % 4) })).collect();
            json!({ "created_at": "Wed Aug 27 13:08:45 +0000 2008", "id": n, "lang": pick(n, ["en", "de"]),
                "text": format!("a post of several words {n}"), "user": { "screen_name": format!("u{}", n % 30) },
                "entities": { "hashtags": tags } })
        };
        let guess = guessed(&(0..100).map(post).collect::<Vec<_>>());
        assert_eq!(names(&guess), (Some("entities.hashtags[*]"), Some("text"), Some("$.created_at")));
        let reading = guess.time.unwrap().reading.unwrap();
        assert_eq!(reading.format, Some("%a %b %d %H:%M:%S %z %Y"));
        let batch = |n: i64| {
            let reading =
                |s: i64| json!({ "sensor": format!("s{}", (n + s) % 5), "ts": TIME + s, "value": 20.5 });
            json!({ "device": format!("d{}", n % 3), "readings": (0..4).map(reading).collect::<Vec<_>>() })
        };
        let guess = guessed(&(0..50).map(batch).collect::<Vec<_>>());
        assert_eq!(names(&guess), (Some("readings[*]"), Some("sensor"), Some("ts")));
        assert_eq!(guess.by.unwrap().path, "$.device");
    }

    #[test]
    fn what_is_different_in_each_event_or_the_same_in_all_is_the_last_resort() {
        let event = |n: i64| json!({ "order_id": n, "site": "shop", "currency": pick(n, ["EUR", "USD"]), "at": TIME });
        assert_eq!(names(&guessed(&(0..20).map(event).collect::<Vec<_>>())).1, Some("currency"));
        assert_eq!(names(&guessed(&[json!({ "i": "a", "t": TIME })])), (None, Some("i"), Some("t")));
        assert_eq!(names(&guessed(&[json!({ "temperature": 1.5, "ok": true })])), (None, None, None));
    }

    #[test]
    fn where_a_path_from_the_record_is_given_no_array_is_guessed() {
        let order = |n: i64| {
            let line = |l: i64| json!({ "sku": format!("s{}", (n + l) % 9), "at": TIME });
            json!({ "shop": format!("x{}", n % 3), "placed": TIME, "lines": [line(1), line(2)] })
        };
        let mut survey = Survey::new(false);
        (0..50).for_each(|n| survey.record(&order(n)));
        let guessed = |given| guess(&survey, given, false);
        assert_eq!(names(&guessed(Configured::default())).0, Some("lines[*]"));
        for given in [
            Configured { time: true, ..Configured::default() },
            Configured { paths: true, ..Configured::default() },
        ] {
            let guess = guessed(given);
            assert_eq!((names(&guess).0, names(&guess).1), (None, Some("shop")));
        }
    }

    #[test]
    fn of_many_events_an_id_that_each_has_anew_is_still_the_last_resort() {
        let event = |n: i64| json!({ "order_id": n, "page": format!("/p{}", n % 500), "at": TIME });
        assert_eq!(names(&guessed(&(0..20_000).map(event).collect::<Vec<_>>())).1, Some("page"));
    }

    #[test]
    fn an_array_without_a_time_in_reach_is_passed_over() {
        let batch = |n: i64| json!([{ "at": TIME, "path": format!("/p{}", n % 4), "tags": [{ "tag": format!("t{}", n % 9) }] }]);
        let guess = guessed(&(0..50).map(batch).collect::<Vec<_>>());
        assert_eq!(names(&guess), (Some("$[*]"), Some("path"), Some("at")));
    }
}
