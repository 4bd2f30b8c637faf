//! Changes of rankings, told to topics of the real Kafka and to webhooks: held against a naive comparison of recounted
//! rankings, while the job is killed and its receiver fails.
//!
//! The seed is printed; `CREST_TEST_SEED=…` gives the same events and kills again (as far as time repeats itself).

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::events::{Event, Traffic};
use common::program::{Crest, path};
use common::receiver::{Answers, Posted, Receiver};
use common::records::records;
use common::recount::{Recount, rank};
use common::rules::{Board, Rules, Window};
use common::servers::Kafka;
use common::trial::{Place, Trial};
use common::web::Web;
use common::{eventually, new_folder, seed};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const SECOND: i64 = 1000;
/// The window of bounded runs.
const SIZE: i64 = 3 * SECOND;
const SECRET: &str = "sixteen bytes and more";
const KILLS: usize = 6;
const PLACES: [Place; 3] = [(1, 1), (3, 1), (2, 1)];

fn traffic(seed: u64, items: u64) -> Traffic {
    Traffic::mixed(seed, 60_000, items, 90 * SECOND)
}

/// What is told: by id, the changes as texts, in any order.
type Told = BTreeMap<String, BTreeSet<String>>;

/// A change as a text: of an overtaking one for each item that was overtaken.
fn texts(change: &Value) -> Vec<String> {
    let (kind, id) = (change["change"].as_str().unwrap(), change["item_id"].as_str().unwrap());
    let ranks = format!("{} to {}", change["was"], change["rank"]);
    match change["over"].as_array() {
        Some(over) => over.iter().map(|over| format!("{id} overtook {over} from {ranks}")).collect(),
        None => vec![format!("{id} {kind} from {ranks}")],
    }
}

/// What messages tell. All of one id must be the same.
fn told(bodies: impl IntoIterator<Item = (String, String)>) -> Told {
    let (mut all, mut whole) = (Told::new(), BTreeMap::new());
    for (id, body) in bodies {
        let before = whole.entry(id.clone()).or_insert_with(|| body.clone());
        assert_eq!(*before, body, "{id} has two bodies");
        let event: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(event["id"], json!(id));
        all.insert(id, event["changes"].as_array().unwrap().iter().flat_map(texts).collect());
    }
    all
}

/// What is to be told of final rankings, in the order of their ends, by comparing lists of ids: of those of a board and
/// window whose groups `is_watched` says.
fn expected(
    finals: &[Value],
    (board, window): (&str, &str),
    k: usize,
    name: &str,
    is_watched: impl Fn(&Value) -> bool,
) -> Told {
    let (mut before, mut all) = (BTreeMap::<String, Vec<String>>::new(), Told::new());
    let watched = |snapshot: &&Value| {
        snapshot["board"] == json!(board)
            && snapshot["window"] == json!(window)
            && is_watched(&snapshot["group"])
    };
    for snapshot in finals.iter().filter(watched) {
        let group = snapshot["group"].as_object().unwrap();
        let group: Vec<String> =
            group.iter().map(|(name, value)| format!("/{name}={}", value.as_str().unwrap())).collect();
        let group = group.concat();
        let ids = snapshot["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["item_id"].as_str().unwrap().to_owned());
        let now: Vec<String> = ids.collect();
        let was = before.insert(group.clone(), now.clone()).unwrap_or_default();
        let changes = compared(&was, &now, k);
        if !changes.is_empty() {
            all.insert(format!("{name}{group}@{}", snapshot["window_end"]), changes);
        }
    }
    all
}

fn compared(was: &[String], now: &[String], k: usize) -> BTreeSet<String> {
    let place = |of: &[String], id: &String| of.iter().position(|known| known == id);
    let rank =
        |of: &[String], id: &String| place(of, id).map_or("null".into(), |place| (place + 1).to_string());
    let leads = |of: &[String], id: &String| place(of, id).is_some_and(|place| place < k);
    let ranks = |id: &String| format!("{} to {}", rank(was, id), rank(now, id));
    let mut all = BTreeSet::new();
    for id in now.iter().take(k) {
        if !leads(was, id) {
            all.insert(format!("{id} entered from {}", ranks(id)));
            continue;
        }
        for other in was.iter().take(k).filter(|other| place(was, other) < place(was, id)) {
            if place(now, other).is_none_or(|other| other > place(now, id).unwrap()) {
                all.insert(format!("{id} overtook {other:?} from {}", ranks(id)));
            }
        }
    }
    for id in was.iter().take(k).filter(|id| !leads(now, id)) {
        all.insert(format!("{id} left from {}", ranks(id)));
    }
    all
}

fn assert_told(found: &Told, expected: &Told) {
    let missing: Vec<_> = expected.keys().filter(|id| !found.contains_key(*id)).collect();
    assert!(missing.is_empty(), "{} of {} are missing: {:?}", missing.len(), expected.len(), missing.first());
    for (id, changes) in found {
        assert_eq!(Some(changes), expected.get(id), "{id}");
    }
}

/// Checks a signature as `docs/changes.md` says it, in another language.
fn assert_signed(posted: &Posted) {
    let script = "import hashlib, hmac, sys\n\
                  signed = 'sha256=' + hmac.new(sys.argv[1].encode(), sys.stdin.buffer.read(), hashlib.sha256).hexdigest()\n\
                  sys.exit(not hmac.compare_digest(signed, sys.argv[2]))";
    let mut python = Command::new("python3");
    python.args(["-c", script, SECRET, &posted.headers["crest-signature"]]).stdin(Stdio::piped());
    let mut python = python.spawn().unwrap();
    python.stdin.take().unwrap().write_all(posted.body.as_bytes()).unwrap();
    assert!(python.wait().unwrap().success(), "{posted:?}");
}

fn bodies(posted: &[Posted]) -> Vec<(String, String)> {
    posted.iter().map(|posted| (posted.headers["crest-id"].clone(), posted.body.clone())).collect()
}

fn survives_kills(topic: &'static str, engine: &'static str) {
    let seed = seed(topic);
    let mut random = StdRng::seed_from_u64(seed);
    let (told_to, receiver) = (format!("{topic}-told"), Receiver::start(Answers::Badly(seed)));
    Kafka::shared().create_topic(&told_to, 3);
    let more = format!(
        "\n[[changes]]\nboard = \"regions\"\nwindow = \"last_5s\"\nk = 3\nto = {:?}\n\
         [[changes]]\nname = \"india\"\nboard = \"regions\"\nwindow = \"twos\"\nk = 2\nwhole = false\n\
         groups = {{ region = \"IN\" }}\nto = {:?}\nsecret = {SECRET:?}\n",
        Kafka::shared().url(&told_to),
        receiver.url()
    );
    let logs = traffic(seed, 300).logs(4);
    let mut trial = Trial::new(topic, &Rules::live_with_groups(engine), &more, logs);
    for round in 0..KILLS {
        let sending = trial.send(1.0 / KILLS as f64);
        let mut job = trial.start(PLACES[round % PLACES.len()], &[]);
        let (lines, enough) = (random.random_range(1..150), Instant::now() + Duration::from_secs(3));
        while job.processes[0].stdout().len() < lines && Instant::now() < enough {
            sleep(Duration::from_millis(3));
        }
        sleep(Duration::from_millis(random.random_range(0..500)));
        let crest = &mut job.processes[0];
        assert!(crest.running(), "it ended by itself: {}", crest.describe());
        crest.kill();
        trial.published.take(&crest.stdout());
        sending.join().unwrap();
    }
    trial.send_rest();
    let mut job = trial.start((2, 1), &[]);
    let last = trial.expected();
    let last = expected(&last, ("regions", "twos"), 2, "india", |group| group["region"] == json!("IN"));
    let last =
        last.keys().max_by_key(|id| id.rsplit_once('@').unwrap().1.parse::<i64>().unwrap()).unwrap().clone();
    eventually("the last change is taken", || {
        receiver.posted().iter().any(|posted| posted.taken && posted.headers["crest-id"] == last)
    });
    trial.finish(&mut job);
    trial.assert_exactly_once(true);
    let finals = trial.published.finals();

    let found = records(Kafka::shared(), &told_to);
    eprintln!("{topic}: {} records of changes", found.len());
    let found = told(found.into_iter().map(|record| (record.id, record.body)));
    assert_told(&found, &expected(&finals, ("regions", "last_5s"), 3, "regions/last_5s", |_| true));

    let posted = receiver.posted();
    let taken: Vec<Posted> = posted.iter().filter(|posted| posted.taken).cloned().collect();
    eprintln!("{topic}: {} posts, {} taken", posted.len(), taken.len());
    assert!(taken.len() < posted.len(), "the receiver has failed");
    told(bodies(&posted));
    let wanted = expected(&finals, ("regions", "twos"), 2, "india", |group| group["region"] == json!("IN"));
    assert_told(&told(bodies(&taken)), &wanted);
    posted.iter().take(20).for_each(assert_signed);
}

#[test]
fn kills_and_failing_receivers_lose_no_change_and_give_none_two_contents() {
    survives_kills("changes-sketched", "sketch");
}

#[test]
fn kills_lose_no_change_of_exact_rankings() {
    survives_kills("changes-counted", "exact");
}

#[test]
fn what_a_receiver_put_off_when_the_job_was_killed_is_told_by_the_next() {
    let receiver = Receiver::start(Answers::With(503, ""));
    let more = format!(
        "\n[[changes]]\nboard = \"regions\"\nwindow = \"last_5s\"\nk = 3\nto = {:?}\nsecret = {SECRET:?}\n",
        receiver.url()
    );
    let logs = traffic(seed("changes-wait"), 300).logs(4);
    let mut trial = Trial::new("changes-wait", &Rules::live_with_groups("sketch"), &more, logs);
    let sending = trial.send(0.5);
    let mut job = trial.start((2, 1), &[]);
    job.processes[0].until("some windows", |crest| (crest.stdout().len() > 200).then_some(()));
    sending.join().unwrap();
    // The state is committed meanwhile.
    sleep(Duration::from_secs(3));
    job.processes[0].kill();
    trial.published.take(&job.processes[0].stdout());
    assert!(receiver.posted().iter().all(|posted| !posted.taken));
    receiver.answers(Answers::Well);
    let mut job = trial.start((1, 1), &[]);
    trial.send_rest();
    trial.finish(&mut job);
    let taken: Vec<Posted> = receiver.posted().into_iter().filter(|posted| posted.taken).collect();
    let wanted = expected(&trial.published.finals(), ("regions", "last_5s"), 3, "regions/last_5s", |_| true);
    assert_told(&told(bodies(&taken)), &wanted);
}

/// A bounded run over these logs, and all that it told of the board's window.
fn bounded(name: &str, rules: &Rules, logs: &[Vec<Event>], certain: bool, more: &str) -> (Told, Recount) {
    let dir = new_folder(name);
    let config = rules.write(&dir);
    for (number, log) in logs.iter().enumerate() {
        let lines: String = log.iter().map(|event| event.json() + "\n").collect();
        std::fs::write(dir.join(format!("{number}.ndjson")), lines).unwrap();
    }
    let receiver = Receiver::start(Answers::Well);
    let Board { name: board, windows, .. } = &rules.boards[0];
    let text = std::fs::read_to_string(&config).unwrap();
    let changes = format!(
        "{more}\n[[changes]]\nname = \"all\"\nboard = {board:?}\nwindow = {:?}\nk = 5\ncertain = {certain}\nto = {:?}\n",
        windows[0].name,
        receiver.url()
    );
    std::fs::write(&config, text + &changes).unwrap();
    let source = format!("file:{}/*.ndjson", path(&dir));
    let job =
        ["--config", path(&config), "--source", &source, "--snapshots", "-", "--changes-secret", SECRET];
    Crest::spawn(job).finals();
    let posted = receiver.posted();
    posted.iter().take(3).for_each(assert_signed);
    std::fs::remove_dir_all(&dir).unwrap();
    (told(bodies(&posted)), Recount::new(rules, logs))
}

fn board(engine: &'static str, k: usize) -> Rules {
    let windows = vec![Window { name: "last_3s", size: SIZE, slide: SECOND }];
    let board = Board { name: "all", engine, by: vec!["region"], k, windows, ..Board::default() };
    Rules { pane: 1000, boards: vec![board], ..Rules::default() }
}

#[test]
fn a_bounded_run_tells_what_a_comparison_of_the_recount_tells() {
    let logs = traffic(seed("changes-bounded"), 200).logs(3);
    for (engine, certain) in [("sketch", false), ("exact", false), ("exact", true)] {
        let (found, recount) = bounded("changes-bounded", &board(engine, 12), &logs, certain, "");
        let wanted = expected(&recount.finals(), ("all", "last_3s"), 5, "all", |_| true);
        assert!(wanted.len() > 100, "{} changes", wanted.len());
        assert_told(&found, &wanted);
    }
}

/// Panes that do not fit: every certain change must have happened, by the true counts of all items.
#[test]
fn what_a_sketch_is_certain_of_has_happened() {
    let logs = traffic(seed("changes-certain"), 4000).logs(2);
    let rules = board("sketch", 12);
    let (found, recount) = bounded("changes-certain", &rules, &logs, true, "\n[sketch]\nrows = 64\n");
    let (plain, _) = bounded("changes-plain", &rules, &logs, false, "\n[sketch]\nrows = 64\n");
    let count = |told: &Told| told.values().map(BTreeSet::len).sum::<usize>();
    eprintln!("{} certain changes of {}", count(&found), count(&plain));
    assert!(count(&found) > 20 && count(&found) < count(&plain));
    for (id, changes) in &found {
        let (group, end) = id.strip_prefix("all").unwrap().rsplit_once('@').unwrap();
        let end: i64 = end.parse().unwrap();
        let group = group.strip_prefix("/region=").map(|region| ("region".to_owned(), region.to_owned()));
        let group: BTreeMap<String, String> = group.into_iter().collect();
        let counts = |end: i64| {
            let all = recount.between("all", end - SIZE, end);
            all.into_iter().find(|(of, _)| *of == group)
        };
        let of = |end| counts(end).map(|(_, counts)| rank(&counts, usize::MAX)).unwrap_or_default();
        let (was, now) = (of(end - SECOND), of(end));
        let count = |of: &[(String, u64)], id: &str| {
            of.iter().find(|(known, _)| known == id).map_or(0, |(_, count)| *count)
        };
        // Equal counts count as either order.
        let most = |of: &[(String, u64)], place: usize| of.get(place).map_or(0, |(_, count)| *count);
        for change in changes {
            let words: Vec<&str> = change.split(' ').collect();
            let (item, kind) = (words[0], words[1]);
            let (before, after) = (count(&was, item), count(&now, item));
            let holds = match kind {
                "entered" => after >= most(&now, 4) && before <= most(&was, 4),
                "left" => before >= most(&was, 4) && after <= most(&now, 4),
                _ => {
                    let other: String = serde_json::from_str(words[2]).unwrap();
                    count(&was, &other) >= before && after >= count(&now, &other)
                }
            };
            assert!(holds, "{id}: {change}, but from {before} to {after}");
        }
    }
}

#[test]
fn what_a_receiver_refuses_is_given_up_and_what_it_puts_off_waits() {
    let dir = new_folder("changes-refused");
    let receiver = Receiver::start(Answers::With(404, ""));
    let config = dir.join("crest.toml");
    let text = format!(
        "[time]\npane = \"1s\"\n[[board]]\nname = \"all\"\nwindows = [{{ name = \"w\", size = \"1s\", slide = \"1s\" }}]\n\
         [[changes]]\nboard = \"all\"\nwindow = \"w\"\nto = {:?}\nsecret = {SECRET:?}\n",
        receiver.url()
    );
    std::fs::write(&config, text).unwrap();
    let log = format!("log:{}", path(&dir.join("log")));
    let job = ["--config", path(&config), "--source", &log, "--idle-timeout", "1s"];
    let (mut crest, web) = Web::of_new(job);
    let send = |item: &str, time: i64| web.send_events(&[Event::new(item, time)]);
    let now =
        || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    send("first", now());
    crest.until_logged("is given up: it answers with status 404");
    eventually("that it is lost is told", || web.get("/readyz").1.contains("are lost; the log says why"));
    let refused = receiver.posted().len();
    receiver.answers(Answers::With(503, "Retry-After: 1\r\n"));
    send("second", now());
    let line = crest.until_logged("it answers with status 503");
    assert!(line.contains("http://127.0.0.1") && !line.contains("hidden"), "{line}");
    let ready = web.get("/readyz").1;
    assert!(ready.contains("\"deliveries\":\"changes all/w to http://127.0.0.1"), "{ready}");
    receiver.answers(Answers::With(302, "Location: /elsewhere\r\n"));
    eventually("a redirect is told", || web.get("/readyz").1.contains("redirects are not followed"));
    receiver.answers(Answers::Well);
    eventually("what was put off is taken", || receiver.posted().iter().any(|posted| posted.taken));
    let posted = receiver.posted();
    assert!(posted.len() > refused);
    let event: Value =
        serde_json::from_str(&posted.iter().find(|posted| posted.taken).unwrap().body).unwrap();
    assert_eq!(event["watch"], json!("all/w"));
    let metrics = web.get("/metrics").1;
    assert!(
        metrics.contains("crest_deliveries_refused_total{to=\"changes all/w to http://127.0.0.1"),
        "{metrics}"
    );
    crest.sigterm();
    assert!(crest.wait(Duration::from_secs(20)).success(), "{}", crest.describe());
    std::fs::remove_dir_all(&dir).unwrap();
}
