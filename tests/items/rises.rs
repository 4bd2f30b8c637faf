//! What rises: every bound holds in an exact recount of both intervals, nobody who has risen is missed, and what is said to be
//! certain is.

use super::*;
use common::events::now;
use common::servers::Redis;
use redis::Commands;
use std::collections::HashMap;
use std::time::Duration;

/// What an item's count was before, and is now, by definition.
struct Pair {
    before: u64,
    now: u64,
}

impl Pair {
    fn surge(&self) -> f64 {
        (self.now as f64 - self.before as f64) / (self.before as f64 + 1.0).sqrt()
    }
}

fn pairs(before: &Counts, now: &Counts) -> BTreeMap<String, Pair> {
    let of = |counts: &Counts, id: &String| counts.get(id).copied().unwrap_or(0);
    let pair = |id: &String| (id.clone(), Pair { before: of(before, id), now: of(now, id) });
    before.keys().chain(now.keys()).map(pair).collect()
}

fn before(said: &Value) -> (i64, i64) {
    (said["before_start"].as_i64().unwrap(), said["before_end"].as_i64().unwrap())
}

fn float(value: &Value, name: &str) -> f64 {
    value[name].as_f64().unwrap_or_else(|| panic!("no {name}: {value}"))
}

/// Judges what is said of the rises of these two times; how many items may have risen by more than the floor.
pub fn judge(said: &Value, truth: impl Fn((i64, i64)) -> Counts, k: usize, is_exact: bool) -> usize {
    let (earlier, now) = (truth(before(said)), truth(times(said)));
    assert_eq!(number(said, "total"), now.values().sum::<u64>());
    assert_eq!(number(said, "total_before"), earlier.values().sum::<u64>());
    let (truth, items) = (pairs(&earlier, &now), said["items"].as_array().unwrap());
    assert!(items.len() <= k);
    let floor = number(said, "error_floor");
    let last = if items.len() == k { items.last().map_or(0.0, |item| float(item, "surge")) } else { 0.0 };
    for (place, item) in items.iter().enumerate() {
        assert_eq!(number(item, "rank"), place as u64 + 1);
        let Pair { before, now } = truth[item["item_id"].as_str().unwrap()];
        let pair = Pair { before, now };
        let within = |lower: u64, upper: u64, true_count: u64| lower <= true_count && true_count <= upper;
        assert!(within(number(item, "lower"), number(item, "upper"), now), "{now}: {item}");
        assert!(within(number(item, "before_lower"), number(item, "before"), before), "{before}: {item}");
        let rise = now as i64 - before as i64;
        let (least, most) = (item["rise_lower"].as_i64().unwrap(), item["rise"].as_i64().unwrap());
        assert!(least <= rise && rise <= most, "{rise}: {item}");
        assert!(most - least <= number(said, "error") as i64);
        let surge = pair.surge();
        assert!(float(item, "surge_lower") <= surge && surge <= float(item, "surge"), "{surge}: {item}");
        assert_eq!(item["exact"] == true, least == most, "{item}");
        assert!(!is_exact || item["exact"] == true, "{item}");
    }
    let listed = |id: &str| items.iter().any(|item| item["item_id"] == id);
    for (id, pair) in truth.iter().filter(|(id, _)| !listed(id)) {
        let most = last.max(floor as f64).max(0.0);
        assert!(pair.surge() <= most, "{id} is missed: {} to {}: {said}", pair.before, pair.now);
    }
    for item in &items[..number(said, "guaranteed") as usize] {
        let ours = truth[item["item_id"].as_str().unwrap()].surge();
        let better = truth.values().filter(|pair| pair.surge() > ours).count();
        assert!(ours > 0.0 && better < k, "{item} is not certain: {said}");
    }
    if is_exact {
        let mut ranked: Vec<_> = truth.iter().map(|(id, pair)| (pair.surge(), id.as_str())).collect();
        ranked.retain(|(surge, _)| *surge > 0.0);
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| b.1.cmp(a.1)));
        let ids: Vec<&str> = items.iter().map(|item| item["item_id"].as_str().unwrap()).collect();
        let expected: Vec<&str> = ranked.iter().take(k).map(|(_, id)| *id).collect();
        assert_eq!(ids, expected);
        assert_eq!(number(said, "guaranteed") as usize, items.len());
    }
    truth.values().filter(|pair| pair.now > pair.before + floor).count()
}

/// The usual traffic, and thirty items of its tail that rise in the last half hour, in all regions.
fn logs() -> Vec<Vec<Event>> {
    let mut logs = traffic().logs(3);
    let begin = START + 150 * MINUTE;
    for log in &mut logs {
        let extra = (0..30 * 40).map(|number| {
            let (item, time) = (1_000 + 97 * (number % 30), begin + number * 30 * MINUTE / 1_200);
            let region = if number % 3 == 0 { "US" } else { "IN" };
            Event::new(&format!("item-{item}"), time).with("region", region).weighing(3)
        });
        let mut all: Vec<Event> = std::mem::take(log).into_iter().chain(extra).collect();
        // The tail of a log is in the order of its times, but for those that were behind before.
        all.sort_by_key(|event| event.time);
        *log = all;
    }
    logs
}

/// Asks for what rises in intervals of all lengths, against all that there is to compare them with.
fn judge_at_random(held: &Held, seed: u64, rounds: usize, are_cut: bool) -> (usize, usize) {
    let mut random = StdRng::seed_from_u64(seed);
    let (pane, durable) = (10 * SECOND, held.durable());
    let first = (START / pane + 1) * pane;
    let (mut judged, mut risen) = (0, 0);
    for round in 0..rounds {
        let (board, region) = (ENGINES[round % 2], [None, Some("IN"), Some("US")][random.random_range(0..3)]);
        let long = [2 * MINUTE, 30 * MINUTE, HOUR][round % 3];
        let to = random.random_range((first + 2 * long) / pane..=durable / pane) * pane;
        let earlier = random.random_range(1..=(to - long - first) / pane) * pane / 1000;
        let against = if round % 4 == 0 { "previous".to_owned() } else { format!("{earlier}s") };
        let group = region.map_or(String::new(), |region| format!("&region={region}"));
        let query = format!("from={}&to={to}&by=rise&against={against}{group}", to - long);
        let (status, said) = ask(&held.web, &format!("/top-k/{board}?{query}"));
        if are_cut && status == 416 {
            // Blocks that are left do not begin where the other interval does.
            continue;
        }
        assert_eq!(status, 200, "seed {seed}: {query}: {said}");
        if are_cut {
            assert_eq!(before(&said).1 - before(&said).0, times(&said).1 - times(&said).0);
        } else {
            assert_eq!(times(&said), (to - long, to));
            let by = if against == "previous" { long } else { earlier * 1000 };
            assert_eq!(before(&said), (to - long - by, to - by));
        }
        risen += judge(&said, |span| held.truth(board, region, span), K, board == "exact" && !are_cut);
        judged += 1;
    }
    (judged, risen)
}

#[test]
fn bounds_hold_and_nobody_who_rises_is_missed() {
    let held = Held::of("rises", logs(), OVERFLOWING, &[""]);
    let (judged, risen) = judge_at_random(&held, 20_261_201, 60, false);
    assert!(judged == 60 && risen > 100, "{judged} rankings, {risen} risen");
    // Those of the tail that rise are what rises in the last half hour, whatever is big.
    let risers: Vec<String> = (0..30).map(|item| format!("item-{}", 1_000 + 97 * item)).collect();
    for board in ENGINES {
        let to = START + 3 * HOUR;
        let said = held.web.json(&format!("/top-k/{board}?by=rise&from={}&to={to}", to - 30 * MINUTE));
        let items = said["items"].as_array().unwrap();
        let is_riser = |item: &&Value| risers.iter().any(|riser| item["item_id"] == **riser);
        let found = items.iter().filter(is_riser).count();
        assert!(items.len() == K && found >= K - 1, "{found} of {K}: {said}");
        assert!(number(&items[0], "count") > 300, "{said}");
    }
    // A window is the newest that is durable, and is compared with the one before.
    let said = held.web.json("/top-k/exact?by=rise");
    assert_eq!((said["window"].as_str(), said["against"].as_str()), (Some("last_10m"), Some("previous")));
    assert_eq!(times(&said), (held.durable() - 10 * MINUTE, held.durable()));
    assert_eq!(before(&said), (held.durable() - 20 * MINUTE, held.durable() - 10 * MINUTE));
    assert_eq!(held.web.json("/top-k/exact?by=rise&k=2")["items"].as_array().unwrap().len(), 2);
    assert_eq!(held.web.json("/top-k/exact?by=count")["by"], Value::Null);
}

#[test]
fn over_blocks_that_were_let_go_of_and_the_states_of_regions_bounds_hold() {
    let forgets = "[state.retention]\npane = \"30m\"\n\"1m\" = \"1h\"\n\"10m\" = \"10h\"\n";
    let held = Held::of("rises-regions", logs(), CUT, &["", forgets, ""]);
    let (judged, _) = judge_at_random(&held, 20_261_202, 90, true);
    assert!(judged > 10, "{judged} rankings");
}

/// The panes of an exact board are whole, and are merged while they are few; rollups are cut, and it says so.
#[test]
fn over_long_intervals_what_rises_on_an_exact_board_says_that_it_is_cut() {
    let held = Held::of("rises-long", logs(), CUT, &[""]);
    let to = (START / (10 * MINUTE) + 17) * 10 * MINUTE;
    for (long, is_cut) in [(60 * MINUTE, false), (70 * MINUTE, true)] {
        for region in [None, Some("IN")] {
            let group = region.map_or(String::new(), |region| format!("&region={region}"));
            let said = held.web.json(&format!("/top-k/exact?by=rise&from={}&to={to}{group}", to - long));
            assert_eq!((times(&said), before(&said)), ((to - long, to), (to - 2 * long, to - long)));
            judge(&said, |span| held.truth("exact", region, span), K, !is_cut);
            assert_eq!(number(&said, "error_floor") > 0, is_cut, "{said}");
        }
    }
}

#[test]
fn what_cannot_be_compared_is_refused_with_what_can() {
    let held = Held::of("rises-refused", traffic().logs(1), OVERFLOWING, &[""]);
    let durable = held.durable();
    for (query, status, told) in [
        ("by=rising".into(), 400, "by = \"rising\": must be count or rise"),
        ("against=1d".into(), 400, "against = \"1d\": needs by=rise"),
        ("by=count&against=previous".into(), 400, "against = \"previous\": needs by=rise"),
        ("by=rise&against=last".into(), 400, "against = \"last\": must be previous, or a time such as 1d"),
        ("by=rise&against=15s".into(), 400, "against = \"15s\": must be a multiple of 10s, or previous"),
        ("by=rise&against=0s".into(), 400, "against = \"0s\": must be previous, or a time such as 1d"),
        ("by=rise&by=rise".into(), 400, "by is given twice"),
        ("by=rise&region=XX".into(), 404, "has no events of region=XX in last_10m"),
        ("by=rise&window=2h".into(), 416, "against = previous: 2024-03-28T"),
        ("by=rise&against=1d".into(), 416, "is not held: some of it was let go of, or was never counted"),
        ("by=rise&against=3650d".into(), 416, "is not held"),
        ("by=rise&against=36500d".into(), 416, " ms is not held"),
        (format!("by=rise&from={}", durable + HOUR), 416, "the interval is not held"),
    ] {
        let (got, said) = ask(&held.web, &format!("/top-k/exact?{query}"));
        let error = said["error"].as_str().unwrap();
        assert!(got == status && error.contains(told), "{query}: {got} {said}");
        assert_eq!(said["kept"].is_array(), status == 416, "{said}");
    }
    let (status, said) = ask(&held.web, "/items/exact/item-1?by=rise");
    assert!(status == 400 && said["error"].as_str().unwrap().contains("\"by\" means nothing here"), "{said}");
}

/// What a key of Redis has of what rises is what the API says of the same times.
fn assert_kept(redis: &Redis, web: &Web, (board, window): (&str, &str), group: Option<&str>, against: &str) {
    let rising = if against == "previous" { "rising".to_owned() } else { format!("rising-{against}") };
    let dimension = group.map_or(String::new(), |region| format!(":region={region}"));
    let key = format!("topk:{board}:{window}:{rising}{dimension}");
    let meta: HashMap<String, String> = redis.meta(&key);
    assert!(!meta.is_empty(), "there is no {key}");
    let group = group.map_or(String::new(), |region| format!("&region={region}"));
    let (from, to) = (&meta["window_start"], &meta["window_end"]);
    let said = web.json(&format!("/top-k/{board}?by=rise&against={against}&from={from}&to={to}{group}"));
    let rows: Value = serde_json::from_str(&meta["rows"]).unwrap();
    assert_eq!(rows, said["items"], "{key}");
    for name in ["before_start", "before_end", "total", "total_before", "error", "error_floor", "guaranteed"]
    {
        assert_eq!(meta[name], said[name].to_string(), "{name} of {key}");
    }
    assert_eq!((&*meta["against"], &*meta["final"]), (said["against"].as_str().unwrap(), "1"));
    let scores: Vec<(String, f64)> = redis.connect().zrevrange_withscores(&key, 0, -1).unwrap();
    let surge =
        |item: &Value| (item["item_id"].as_str().unwrap().to_owned(), item["surge"].as_f64().unwrap());
    assert_eq!(scores, rows.as_array().unwrap().iter().map(surge).collect::<Vec<_>>(), "{key}");
}

#[test]
fn redis_has_what_rises_in_each_window_and_group_that_asks_for_it() {
    let (dir, redis, rules) = (new_folder("rises-redis"), Redis::start(), rules());
    let source = write_files(&dir, &logs());
    let config = write(&rules, &dir, OVERFLOWING);
    let text = std::fs::read_to_string(&config).unwrap();
    let asked =
        text.replace("slide = \"60000ms\" }", "slide = \"60000ms\", rising = [\"previous\", \"1h\"] }");
    assert_ne!(asked, text);
    std::fs::write(&config, asked).unwrap();
    let state = dir.join("state");
    let all = ["--config", path(&config), "--source", &source, "-w", "2", "--snapshots", &redis.url()];
    let failure = Crest::spawn(all).failure();
    let told = "board.sketch.window.last_10m.rising = previous, 1h: needs a state, which has what was before: --state";
    assert!(failure.contains(told), "{failure}");
    Crest::spawn(all.into_iter().chain(["--state", path(&state)])).finals();
    let (mut node, web) = Web::of_new(["serve", "--state", path(&state)]);
    for (board, against) in [("sketch", "previous"), ("sketch", "1h"), ("exact", "previous"), ("exact", "1h")]
    {
        for group in [None, Some("IN"), Some("US")] {
            assert_kept(&redis, &web, (board, "last_10m"), group, against);
        }
    }
    assert!(redis.meta("topk:sketch:last_10m").contains_key("changes"), "beside the rankings");
    let listed = web.json("/boards")["boards"][0]["windows"][0]["rising"].clone();
    assert_eq!(listed, serde_json::json!(["previous", "1h"]));
    node.kill();
    std::fs::remove_dir_all(dir).unwrap();
}

/// A live job keeps it fresh, also when it was killed and goes on, and takes it away with a group that has left.
#[test]
fn a_live_job_keeps_what_rises_up_to_date_after_a_kill_too() {
    let (dir, redis) = (new_folder("rises-live"), Redis::start());
    let config = dir.join("crest.toml");
    let text = "[time]\npane = \"1s\"\nout_of_orderness = \"0s\"\nrefresh = \"200ms\"\n\
        [[board]]\nname = \"live\"\nby = [\"region\"]\n\
        windows = [ { name = \"fast\", size = \"3s\", slide = \"1s\", rising = [\"previous\", \"5s\"] } ]\n";
    std::fs::write(&config, text).unwrap();
    let start = || {
        Web::of_new([
            "--config",
            path(&config),
            "--state",
            path(&dir.join("state")),
            "--snapshots",
            &redis.url(),
        ])
    };
    let send = |web: &Web, region: &str| {
        let event = |n: i64| Event::new(&format!("item-{}", n * n % 23), now()).with("region", region);
        web.send_events(&(0..40).map(event).collect::<Vec<_>>());
    };
    let end = |key: &str| redis.meta(key).get("window_end").map_or(0, |end| end.parse::<i64>().unwrap());
    let (whole, far, us) =
        ("topk:live:fast:rising", "topk:live:fast:rising-5s", "topk:live:fast:rising:region=US");
    for life in 0..2 {
        let before = (end(whole), end(far));
        let (mut job, web) = start();
        eventually("both go on, and a group comes", || {
            send(&web, "IN");
            send(&web, "US");
            end(whole) > before.0 + 2_000 && end(far) > before.1 && end(us) > before.0
        });
        // It is as new as the ranking, but for the time that it takes to compare.
        eventually("it is up to date", || {
            send(&web, "IN");
            end(whole) > 0 && end(whole) + 1_000 >= end("topk:live:fast")
        });
        assert_kept(&redis, &web, ("live", "fast"), None, "previous");
        assert_kept(&redis, &web, ("live", "fast"), None, "5s");
        eventually("the group has left", || {
            send(&web, "IN");
            end(us) == 0 && !redis.connect().exists::<_, bool>(us).unwrap()
        });
        if life == 0 {
            job.kill();
        } else {
            job.sigterm();
            assert!(job.wait(Duration::from_secs(10)).success(), "{}", job.describe());
        }
    }
    std::fs::remove_dir_all(dir).unwrap();
}
