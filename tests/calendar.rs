//! Windows of the calendar, through the real program: today, this week, this month and this hour begin where the time zone says, also on
//! days of 23 and 25 hours, after a kill, in any number of workers, and leave their units behind as buckets.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::events::{Event, write_files};
use common::program::{Crest, parse_finals, path};
use common::servers::Redis;
use common::web::Web;
use common::{eventually, new_folder};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use redis::Commands;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const QUARTER: i64 = 15 * 60_000;
const HOUR: i64 = 4 * QUARTER;

fn utc(text: &str) -> i64 {
    humantime::parse_rfc3339(text).unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64
}

/// A few days, and where they, the weeks and the months begin in Berlin, written down by hand.
struct Days {
    from: &'static str,
    to: &'static str,
    days: [&'static str; 6],
    weeks: [&'static str; 2],
    months: [&'static str; 2],
}

/// The 29th of March has 23 hours, and is a Sunday.
const SPRING: Days = Days {
    from: "2026-03-27T12:00:00Z",
    to: "2026-04-01T06:00:00Z",
    days: [
        "2026-03-26T23:00:00Z",
        "2026-03-27T23:00:00Z",
        "2026-03-28T23:00:00Z",
        "2026-03-29T22:00:00Z",
        "2026-03-30T22:00:00Z",
        "2026-03-31T22:00:00Z",
    ],
    weeks: ["2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z"],
    months: ["2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"],
};

/// The 25th of October has 25 hours, and is a Sunday.
const AUTUMN: Days = Days {
    from: "2026-10-23T12:00:00Z",
    to: "2026-10-27T06:00:00Z",
    days: [
        "2026-10-22T22:00:00Z",
        "2026-10-23T22:00:00Z",
        "2026-10-24T22:00:00Z",
        "2026-10-25T23:00:00Z",
        "2026-10-26T23:00:00Z",
        "2026-10-27T23:00:00Z",
    ],
    weeks: ["2026-10-18T22:00:00Z", "2026-10-25T23:00:00Z"],
    months: ["2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"],
};

impl Days {
    /// Where the window begins that ends then.
    fn start(&self, window: &str, end: i64) -> i64 {
        let last =
            |starts: &[&str]| starts.iter().map(|text| utc(text)).filter(|start| *start < end).max().unwrap();
        match window {
            "today" => last(&self.days),
            "this_week" => last(&self.weeks),
            "this_month" => last(&self.months),
            // In Kathmandu, a quarter after the hour.
            "this_hour" => (end - QUARTER - 1).div_euclid(HOUR) * HOUR + QUARTER,
            other => panic!("{other}"),
        }
    }

    fn events(&self, seed: u64) -> Vec<Event> {
        let (from, to, mut random) = (utc(self.from), utc(self.to), StdRng::seed_from_u64(seed));
        let number = 6_000;
        let event = |n: i64| {
            let item = (random.random_range(0.0_f64..1.0).powi(3) * 40.0) as u32;
            let region = ["IN", "IN", "US"].choose(&mut random).unwrap();
            Event::new(&format!("item-{item}"), from + n * (to - from) / number).with("region", region)
        };
        (0..number).map(event).collect()
    }
}

const ENGINES: [&str; 2] = ["sketch", "exact"];
const WINDOWS: [&str; 4] = ["today", "this_week", "this_month", "this_hour"];

fn write(dir: &Path) -> PathBuf {
    let mut text = "[time]\npane = \"5m\"\nout_of_orderness = \"0s\"\n".to_owned();
    for engine in ENGINES {
        let window = |name: &str, unit: &str, zone: &str| {
            format!("{{ name = \"{name}\", calendar = \"{unit}\", timezone = \"{zone}\", slide = \"15m\" }}")
        };
        let windows = [
            window("today", "day", "Europe/Berlin"),
            window("this_week", "week", "Europe/Berlin"),
            window("this_month", "month", "Europe/Berlin"),
            window("this_hour", "hour", "Asia/Kathmandu"),
        ];
        text += &format!(
            "[[board]]\nname = \"{engine}\"\nengine = \"{engine}\"\nby = [\"region\"]\nk = 50\nwindows = [ {} ]\n",
            windows.join(", ")
        );
    }
    let file = dir.join("crest.toml");
    std::fs::write(&file, text).unwrap();
    file
}

/// The true counts of a group between two times.
fn counts(events: &[Event], region: Option<&str>, (from, to): (i64, i64)) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let is_in = |event: &&Event| {
        let of_group = region.is_none_or(|region| event.fields.iter().any(|(_, value)| value == region));
        of_group && (from..to).contains(&event.time)
    };
    events.iter().filter(is_in).for_each(|event| *counts.entry(event.item.clone()).or_default() += 1);
    counts
}

/// A ranking is of its window, and has its true counts.
fn judge(days: &Days, events: &[Event], said: &Value) {
    let time = |name: &str| said[name].as_i64().unwrap();
    let (window, span) = (said["window"].as_str().unwrap(), (time("window_start"), time("window_end")));
    assert_eq!(span.0, days.start(window, span.1), "{said}");
    let truth = counts(events, said["group"]["region"].as_str(), span);
    assert_eq!(said["total"], truth.values().sum::<u64>(), "{said}");
    let rows = said["items"].as_array().unwrap();
    let found: BTreeMap<String, u64> = rows
        .iter()
        .map(|row| (row["item_id"].as_str().unwrap().to_owned(), row["count"].as_u64().unwrap()))
        .collect();
    assert_eq!(found, truth, "{said}");
}

/// Every end at which a window has an event has a ranking, of each group.
fn assert_complete(days: &Days, events: &[Event], finals: &[Value]) {
    let said = |board: &str, window: &str, end: i64, region: Option<&str>| {
        finals.iter().any(|said| {
            said["board"] == board
                && said["window"] == window
                && said["window_end"] == end
                && said["group"]["region"].as_str() == region
        })
    };
    let first = (utc(days.from) / QUARTER + 1) * QUARTER;
    for end in (first..=utc(days.to)).step_by(QUARTER as usize) {
        for (board, window) in ENGINES.iter().flat_map(|board| WINDOWS.map(|window| (board, window))) {
            for region in [None, Some("IN"), Some("US")] {
                let has_events = !counts(events, region, (days.start(window, end), end)).is_empty();
                assert!(
                    !has_events || said(board, window, end, region),
                    "{board} {window} {region:?} until {end}"
                );
            }
        }
    }
}

#[test]
fn units_begin_where_the_time_zone_says_on_days_of_23_and_25_hours() {
    for (days, seed) in [(&SPRING, 1), (&AUTUMN, 2)] {
        let (dir, events, redis) = (new_folder("calendar"), days.events(seed), Redis::start());
        let (config, source) = (write(&dir), write_files(&dir, std::slice::from_ref(&events)));
        let mut texts = Vec::new();
        for workers in ["1", "2", "3"] {
            let state = dir.join(workers);
            let mut arguments = vec!["--config", path(&config), "--source", &source, "-w", workers];
            arguments.extend(["--state", path(&state)]);
            texts.push(Crest::spawn(arguments).final_text());
        }
        assert!(texts[0] == texts[1] && texts[0] == texts[2], "in any number of workers");
        let finals: Vec<Value> = texts[0].lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        finals.iter().for_each(|said| judge(days, &events, said));
        assert_complete(days, &events, &finals);

        let url = redis.url();
        Crest::spawn(["--config", path(&config), "--source", &source, "--snapshots", &url]).finals();
        for (board, pair) in
            ENGINES.iter().flat_map(|board| days.days.windows(2).map(move |pair| (board, pair)))
        {
            let (from, to) = (utc(pair[0]), utc(pair[1]));
            if to > utc(days.to) {
                continue;
            }
            // Noon is on the same day everywhere in Europe.
            let noon = std::time::UNIX_EPOCH + std::time::Duration::from_millis((from + 12 * HOUR) as u64);
            let date = humantime::format_rfc3339_seconds(noon).to_string();
            let key = format!("topk:{board}:today:{}", date.split('T').next().unwrap());
            let kept: BTreeMap<String, u64> = redis.ranking(&key).into_iter().collect();
            assert_eq!(kept, counts(&events, None, (from, to)), "{key}");
        }
        // Any process that reads the state knows how far the newest unit has come.
        let state = dir.join("1");
        let (mut node, web) = Web::of_new(["serve", "--state", path(&state), "--config", path(&config)]);
        for window in WINDOWS {
            let mut said = web.json(&format!("/top-k/exact?window={window}&region=IN"));
            // It begins with what was counted at the earliest.
            if said["window_start"] == utc(days.from) {
                said["window_start"] = days.start(window, said["window_end"].as_i64().unwrap()).into();
            }
            judge(days, &events, &said);
        }
        let today = web.json("/boards")["boards"][0]["windows"][0].clone();
        let expected = serde_json::json!({
            "name": "today", "slide_ms": QUARTER, "calendar": "day", "timezone": "Europe/Berlin"
        });
        assert_eq!(today, expected);
        node.kill();
        std::fs::remove_dir_all(dir).unwrap();
    }
}

#[test]
fn buckets_of_units_stay_for_31_of_them_unless_the_configuration_says_how_long() {
    let (dir, events, redis) = (new_folder("calendar-ttl"), SPRING.events(4), Redis::start());
    let (config, source) = (write(&dir), write_files(&dir, &[events]));
    let url = redis.url();
    let publish =
        || Crest::spawn(["--config", path(&config), "--source", &source, "--snapshots", &url]).finals();
    // In seconds.
    let lives = |key: &str| -> i64 { redis.connect().ttl(key).unwrap() };
    let hour = 3600;
    let buckets = [
        ("this_hour:2026-03-28T10+05:45", hour),
        // Of 23 hours.
        ("today:2026-03-29", 24 * hour),
        ("this_week:2026-03-23", 7 * 24 * hour),
        ("this_month:2026-03", 31 * 24 * hour),
    ];
    let keys = |bucket: &str| {
        let keys = ENGINES.map(|board| format!("topk:{board}:{bucket}:region=IN"));
        keys.into_iter().flat_map(|key| [format!("{{{key}}}:meta"), key])
    };
    publish();
    for (bucket, unit) in buckets {
        for key in keys(bucket) {
            let lives = lives(&key);
            assert!((31 * unit - hour / 2..=31 * unit).contains(&lives), "{key}: {lives} s");
        }
    }
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("[snapshots]\nttl = \"2h\"\n{text}")).unwrap();
    publish();
    for key in buckets.iter().flat_map(|(bucket, _)| keys(bucket)) {
        assert!((1..=2 * hour).contains(&lives(&key)), "{key}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

/// A job that was killed goes on with the day as it was.
#[test]
fn a_day_goes_on_after_a_kill() {
    let (dir, events) = (new_folder("calendar-killed"), SPRING.events(3));
    let config = write(&dir);
    let start =
        || Web::of_new(["--config", path(&config), "--state", path(&dir.join("state")), "--snapshots", "-"]);
    let ended = |web: &Web, end: i64| {
        let (status, body) = web.get("/top-k/exact?window=today");
        let said: Value = serde_json::from_str(&body).unwrap();
        status == 200 && said["window_end"].as_i64() >= Some(end)
    };
    let (mut job, web) = start();
    // In the middle of the day that has 23 hours.
    let middle = events.iter().position(|event| event.time > utc("2026-03-29T10:00:00Z")).unwrap();
    web.send_events(&events[..middle]);
    eventually("it has come there", || ended(&web, utc("2026-03-29T09:45:00Z")));
    job.kill();
    let (mut job, web) = start();
    web.send_events(&events[middle..]);
    eventually("it has come to the end", || ended(&web, utc(SPRING.to) - QUARTER));
    let last = utc(SPRING.to) - 2 * QUARTER;
    job.until("the last ends", |job| {
        parse_finals(&job.stdout()).iter().any(|said| said["window_end"].as_i64() >= Some(last)).then_some(())
    });
    let finals = parse_finals(&job.stdout());
    finals.iter().for_each(|said| judge(&SPRING, &events, said));
    let of_that_day =
        |said: &&Value| said["window"] == "today" && said["window_end"] == utc("2026-03-29T22:00:00Z");
    assert_eq!(finals.iter().filter(of_that_day).count(), 6, "two engines, the whole and two regions");
    job.kill();
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn what_is_no_unit_of_the_calendar_is_refused_by_name() {
    let dir = new_folder("calendar-refused");
    let refused = |window: &str, expected: &str| {
        let file = dir.join("crest.toml");
        std::fs::write(
            &file,
            format!("[[board]]\nname = \"b\"\nwindows = [ {{ name = \"w\", {window} }} ]\n"),
        )
        .unwrap();
        let failure = Crest::spawn(["--config", path(&file), "--demo"]).failure();
        assert!(failure.contains(expected), "{window}: {failure}");
    };
    refused("calendar = \"day\"", "board.b.window.w.timezone = none: must say where the calendar is");
    refused("timezone = \"UTC\"", "board.b.window.w.timezone = \"UTC\": is of a calendar");
    refused(
        "calendar = \"year\", timezone = \"UTC\"",
        "board.b.window.w.calendar = \"year\": must be hour, day, week or month",
    );
    refused(
        "calendar = \"day\", timezone = \"Berlin\"",
        "board.b.window.w.timezone = \"Berlin\": must be a name of the IANA",
    );
    refused(
        "calendar = \"day\", timezone = \"UTC\", size = \"1d\"",
        "board.b.window.w.size = 1d: must be left out",
    );
    refused(
        "calendar = \"day\", timezone = \"UTC\", slide = \"7m\"",
        "board.b.window.w.slide = 7m: must be a time such that 15m",
    );
    refused("calendar = \"day\", timezone = \"UTC\", slide = \"15s\"", "and a whole number of panes of 10s");
    refused(
        "calendar = \"day\", timezone = \"UTC\", rising = [\"1d\"]",
        "board.b.window.w.rising = 1d: is of windows with a size",
    );
    std::fs::remove_dir_all(dir).unwrap();
}
