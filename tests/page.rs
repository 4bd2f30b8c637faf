//! The page in a real browser: what it shows is what the API says, live, for any choice, through a restart of the server,
//! whatever the items are called.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a step that fails is a failed test

#[path = "page/browser.rs"]
mod browser;
mod common;
#[path = "page/doubts.rs"]
mod doubts;
#[path = "page/groups.rs"]
mod groups;
#[path = "page/hostile.rs"]
mod hostile;
#[path = "page/legible.rs"]
mod legible;
#[path = "page/reasons.rs"]
mod reasons;
#[path = "page/rising.rs"]
mod rising;
#[path = "page/status.rs"]
mod status;
#[path = "page/trend.rs"]
mod trend;

use browser::Browser;
use common::events::{Event, START, Traffic, write_files};
use common::program::{Crest, path};
use common::rules::{Board, Rules, Window};
use common::web::Web;
use common::{free_port, new_folder};
use legible::is_legible;
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::ChildStdin;
use thirtyfour::Key;

/// A row as people see it: rank, change, name, count, and at least how many.
type Row = [String; 5];

const ROWS: &str = "
    const text = (row, part) => row.querySelector(part).textContent;
    const parts = ['.rank', '.change', '.name', '.counted', '.least'];
    return [...document.querySelectorAll('#ranking tbody tr[data-item]')].map((row) => parts.map((part) => text(row, part)))";

/// A server that goes on showing what it has counted of these events.
struct Still {
    dir: PathBuf,
    /// The job waits for more events until this is dropped.
    stdin: ChildStdin,
    #[expect(dead_code, reason = "it runs until this is dropped")]
    crest: Crest,
    web: Web,
}

impl Still {
    fn new(boards: Vec<Board>, events: &[Event]) -> Still {
        let dir = new_folder("page");
        let config = Rules { boards, ..Rules::default() }.write(&dir);
        let arguments =
            ["--source", "-", "--config", path(&config), "--refresh", "200ms", "--http", "127.0.0.1:0"];
        let (mut crest, stdin) = Crest::spawn_open(arguments);
        let web = Web::of(&mut crest);
        let mut still = Still { dir, stdin, crest, web };
        still.send(events.iter().map(Event::json));
        still
    }

    /// Sends it more records.
    fn send(&mut self, records: impl IntoIterator<Item = String>) {
        let lines: String = records.into_iter().map(|record| record + "\n").collect();
        self.stdin.write_all(lines.as_bytes()).unwrap();
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn shown(browser: &Browser) -> Vec<Row> {
    serde_json::from_value(browser.run(ROWS)).unwrap()
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How the page is to show a name: of what has no shape, or turns what stands around it, the short name.
fn as_seen(name: &str) -> String {
    let symbols = [
        ("\n", "LF"),
        ("\t", "TAB"),
        ("\u{7}", "BEL"),
        ("\u{85}", "U+0085"),
        ("\u{200b}", "ZWSP"),
        ("\u{202c}", "PDF"),
        ("\u{202e}", "RLO"),
    ];
    symbols.iter().fold(name.to_owned(), |name, (character, symbol)| name.replace(character, symbol))
}

/// How the page is to show an answer's items. The past has no changes to show.
fn expected(snapshot: &Value, past: bool) -> Vec<Row> {
    let row = |item: &Value| {
        let change = match item["change"].as_i64() {
            _ if past => String::new(),
            None => "new".to_owned(),
            Some(0) => "–".to_owned(),
            Some(up @ 1..) => format!("▲{up}"),
            Some(down) => format!("▼{}", -down),
        };
        let number = |name: &str| grouped(item[name].as_u64().unwrap());
        let least = if item["exact"] == true { String::new() } else { format!("≥ {}", number("lower")) };
        [item["rank"].to_string(), change, as_seen(item["item_id"].as_str().unwrap()), number("count"), least]
    };
    snapshot["items"].as_array().unwrap().iter().map(row).collect()
}

/// Waits until the page shows an answer of the API, and so the same ranking as it.
fn agrees(browser: &Browser, web: &Web, query: &str) -> Vec<Row> {
    let look = || (shown(browser), expected(&web.json(query), false));
    browser.until(query, look, |(shown, expected)| !shown.is_empty() && shown == expected).0
}

/// Nothing was refused or went wrong, and nobody but this server was asked.
fn is_clean(browser: &Browser, web: &Web) {
    assert_eq!(browser.complaints(), Vec::<String>::new());
    let asked = browser.requests();
    assert!(asked.iter().any(|address| address.starts_with(web.address())), "{asked:?}");
    let own = format!("{}/", web.address());
    let others: Vec<_> =
        asked.iter().filter(|address| !address.starts_with(&own) && !address.starts_with("data:")).collect();
    assert!(others.is_empty(), "{others:?}");
}

fn fragment(browser: &Browser) -> String {
    browser.run("return location.hash").as_str().unwrap().to_owned()
}

#[test]
fn every_choice_shows_what_the_api_says_of_it_and_has_an_address() {
    let windows = vec![
        Window { name: "last_1m", size: 60_000, slide: 10_000 },
        Window { name: "last_1h", size: 3_600_000, slide: 60_000 },
    ];
    let videos = Board {
        name: "videos",
        filter: vec![("event_type", vec!["video_view"])],
        by: vec!["region"],
        k: 40,
        windows,
        ..Board::default()
    };
    let traffic = Traffic {
        events: 4000,
        items: 60,
        span: 150_000,
        types: vec!["video_view", "click"],
        regions: vec!["IN", "US"],
        ..Traffic::default()
    };
    let still = Still::new(vec![Board::default(), videos], &traffic.log());
    let (web, browser) = (&still.web, Browser::open(1280, 900));
    browser.go(web.address());
    assert_eq!(agrees(&browser, web, "/top-k/default?window=last_1m&k=10").len(), 10);
    let other = web.json("/top-k/default?window=last_1m&k=10")["other"]["count"].as_u64().unwrap();
    assert_eq!(browser.text("#ranking tbody tr:last-child td.count"), grouped(other));
    assert_eq!(browser.text("#headline"), "What is popular right now");

    browser.click("#board option[value=videos]");
    agrees(&browser, web, "/top-k/videos?window=last_1m&k=10");
    assert!(fragment(&browser).contains("board=videos"));
    assert!(browser.text("#lead").contains("video_view events in the last minute"));
    browser.click("#k option[value='25']");
    assert_eq!(agrees(&browser, web, "/top-k/videos?window=last_1m&k=25").len(), 25);

    let known = "return [...document.getElementById('group').options].map((option) => option.textContent)";
    // Its list is asked for anew as one goes to it. A click would leave the list open, which takes the keys below.
    browser.run("document.getElementById('group').focus()");
    browser.until(
        "the regions",
        || browser.run(known).to_string(),
        |known| known.contains("IN") && known.contains("US"),
    );
    browser.click("#group option[value*=IN]");
    let group = agrees(&browser, web, "/top-k/videos?window=last_1m&k=25&region=IN");
    assert!(
        fragment(&browser).contains("region=IN") && browser.text("#headline").ends_with("in videos · IN")
    );

    // By keyboard alone, from the top of the page.
    browser.run("document.activeElement.blur(); document.body.focus()");
    browser.tab_to("#windows input");
    browser.press(Key::Right);
    let hour = agrees(&browser, web, "/top-k/videos?window=last_1h&k=25&region=IN");
    assert_ne!(hour, group);
    let address = fragment(&browser);
    assert!(address.contains("window=last_1h"), "{address}");
    browser.back();
    agrees(&browser, web, "/top-k/videos?window=last_1m&k=25&region=IN");
    assert_eq!(browser.run("return document.querySelector('#windows :checked').value"), "last_1m");
    is_clean(&browser, web);

    let other = Browser::open(1280, 900);
    other.go(&format!("{}/{address}", web.address()));
    assert_eq!(agrees(&other, web, "/top-k/videos?window=last_1h&k=25&region=IN"), hour);
    assert_eq!(other.run("return document.getElementById('group').selectedOptions[0].textContent"), "IN");
    is_clean(&other, web);
}

#[test]
fn it_is_live_and_survives_a_restart_of_the_server() {
    let address = format!("127.0.0.1:{}", free_port());
    let start = || Crest::spawn(["--demo", "--http", &address, "--refresh", "200ms"]);
    let (mut crest, browser) = (start(), Browser::open(1280, 900));
    let web = Web::of(&mut crest);
    browser.go(&format!("{}/#k=25", web.address()));
    let connection = || browser.text("#connection");
    let first = browser.until("a ranking", || shown(&browser), |rows| rows.len() == 25);
    browser.until("another ranking", || shown(&browser), |rows| *rows != first);
    browser.until("the rate", || browser.text(".fact .value"), |rate| !["–", "0"].contains(&rate.as_str()));
    assert_eq!(connection(), "live");
    let lively =
        browser.run("return getComputedStyle(document.querySelector('.track .lower')).backgroundColor");
    is_clean(&browser, &web);

    crest.kill();
    browser.until("the loss", connection, |text| text.starts_with("reconnecting"));
    let last = shown(&browser);
    assert_eq!(last.len(), 25, "the last ranking stays");
    let notice = "const notice = document.getElementById('outage');
                  return notice.checkVisibility() ? notice.textContent : ''";
    let told = browser.run(notice);
    let told = told.as_str().unwrap();
    assert!(
        told.starts_with("The server cannot be reached since ") && told.contains("last ranking stays"),
        "{told}"
    );
    let claims = "return ['legend-all', 'badge'].some((id) => document.getElementById(id).checkVisibility()) \
                  || document.querySelector('.cut')?.checkVisibility() === true";
    assert_eq!(browser.run(claims), false, "nothing is certain of now");
    let bar =
        || browser.run("return getComputedStyle(document.querySelector('.track .lower')).backgroundColor");
    let grey = bar();
    assert_ne!(grey, lively, "the ranking is grey");
    is_legible(&browser);
    let age = || browser.text("#age");
    let then = age();
    browser.until("an older ranking", age, |age| *age != then);
    assert_eq!(shown(&browser), last);

    let mut crest = start();
    Web::of(&mut crest);
    browser.until("the connection", connection, |text| text == "live");
    browser.until("a new ranking", || shown(&browser), |rows| !rows.is_empty() && *rows != last);
    browser.until("its colour", bar, |colour| *colour == lively);
    assert_eq!(browser.run(notice), "");
    let down = [
        "ERR_CONNECTION_REFUSED",
        "ERR_CONNECTION_RESET",
        "ERR_INCOMPLETE_CHUNKED_ENCODING",
        "ERR_EMPTY_RESPONSE",
    ];
    let other: Vec<_> = browser
        .complaints()
        .into_iter()
        .filter(|line| !down.iter().any(|what| line.contains(what)))
        .collect();
    assert!(other.is_empty(), "{other:?}");
}

#[test]
fn the_past_is_shown_as_it_is_kept_and_leads_back() {
    let dir = new_folder("page-past");
    let state = dir.join("state");
    let log = Traffic { events: 6000, items: 80, span: 30 * 60_000, ..Traffic::default() }.log();
    let (source, config) = (write_files(&dir, &[log]), Rules::default().write(&dir));
    let job = ["--config", path(&config), "--source", &source, "--state", path(&state)];
    assert!(!Crest::spawn(job).finals().is_empty());
    let mut node =
        Crest::spawn(["serve", "--config", path(&config), "--state", path(&state), "--http", "127.0.0.1:0"]);
    let (web, browser) = (Web::of(&mut node), Browser::open(1280, 900));
    browser.go(web.address());
    let rows_of = |query: &str| {
        let look = || (shown(&browser), expected(&web.json(query), true));
        browser.until(query, look, |(shown, expected)| !shown.is_empty() && shown == expected).0
    };
    let newest = rows_of("/top-k?window=last_1m&k=10");
    let visible = || browser.run("return !document.getElementById('past').hidden");
    browser.until("some past", visible, |visible| *visible == true);

    browser.tab_to("#past-end");
    for _ in 0..30 {
        browser.press(Key::Left);
    }
    let asked = browser.until("an interval", || fragment(&browser), |address| address.contains("from="));
    let time = |name: &str| {
        let (_, rest) = asked.split_once(&format!("{name}=")).unwrap();
        rest.split('&').next().unwrap().to_owned()
    };
    let rows = rows_of(&format!("/top-k?from={}&to={}&k=10", time("from"), time("to")));
    assert!(rows.len() == 10 && rows != newest);
    assert_eq!(browser.text("#connection"), "looking back");
    assert!(browser.text("#headline").starts_with("What was popular"));
    browser.click("#past-live");
    assert!(!fragment(&browser).contains("from="));
    browser.until("the newest", || shown(&browser), |now| *now == newest);
    browser.back();
    browser.until("the past again", || shown(&browser), |now| *now == rows);

    // A link to what is not kept any more says so, and leads back too.
    browser.go(&format!("{}/#from=1000&to=61000", web.address()));
    let told = |text: &String| text.contains("was let go of") && text.contains("What is kept: ");
    browser.until("the refusal", || browser.text("#trouble"), told);
    assert_eq!(shown(&browser), Vec::<Row>::new());
    browser.click("#past-live");
    browser.until("the newest", || shown(&browser), |now| *now == newest);
    let other: Vec<_> = browser.complaints().into_iter().filter(|line| !line.contains("416")).collect();
    assert!(other.is_empty(), "{other:?}");
    node.kill();
    let _ = std::fs::remove_dir_all(dir);
}

/// A node over the state of a board whose panes have overflowed.
struct Kept {
    dir: PathBuf,
    #[expect(dead_code, reason = "it runs until this is dropped")]
    node: Crest,
    web: Web,
}

impl Kept {
    fn new() -> Kept {
        Kept::of(Traffic { events: 12_600, items: 300, span: 70 * 60_000, ..Traffic::default() })
    }

    fn of(traffic: Traffic) -> Kept {
        let dir = new_folder("page-items");
        let state = dir.join("state");
        let traffic = Traffic { regions: vec!["IN", "US"], ..traffic };
        let source = write_files(&dir, &traffic.logs(2));
        let windows = vec![Window { name: "last_30m", size: 1_800_000, slide: 60_000 }];
        let board = Board { by: vec!["region"], k: 30, windows, ..Board::default() };
        let config = Rules { boards: vec![board], ..Rules::default() }.write(&dir);
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text + "\n[sketch]\nrows = 32\nrows_kept = 300\n").unwrap();
        let common = ["--config", path(&config), "--state", path(&state)];
        assert!(!Crest::spawn([&common[..], &["--source", &source]].concat()).finals().is_empty());
        let mut node = Crest::spawn([&["serve"], &common[..], &["--http", "127.0.0.1:0"]].concat());
        let web = Web::of(&mut node);
        Kept { dir, node, web }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// How many points the chart of an item has.
const DRAWN: &str = "return document.querySelector('#item-figure polyline')?.points.numberOfItems ?? 0";

#[test]
fn one_item_is_shown_as_the_api_says() {
    let kept = Kept::new();
    let (web, browser) = (&kept.web, Browser::open(1280, 900));
    browser.go(web.address());
    browser.until("a ranking", || shown(&browser).len(), |rows| *rows == 10);
    // A row is opened by keyboard, and left by it.
    browser.tab_to("tr[data-item] button");
    let id =
        browser.run("return document.activeElement.closest('tr').dataset.item").as_str().unwrap().to_owned();
    browser.press(Key::Enter);
    let said = web.json(&format!("/items/default/{id}?window=last_30m"));
    let number = |name: &str| grouped(said[name].as_u64().unwrap());
    browser.until("the count", || browser.text("#item-count"), |text| *text == number("count"));
    let bounds = browser.text("#item-bounds");
    assert!(
        bounds == format!("between {} and {}", number("lower"), number("upper")) || said["exact"] == true
    );
    let rank = &said["rank"];
    let ranks = if rank["best"] == rank["worst"] {
        rank["best"].to_string()
    } else {
        format!("{} to {}", rank["best"], rank["worst"])
    };
    assert_eq!(browser.text("#item-rank"), ranks);
    assert!(fragment(&browser).contains(&format!("item={id}")));
    let points = web.json(&format!("/items/default/{id}?window=last_30m&step=auto"));
    let whole = |point: &&Value| {
        point["window_end"].as_i64().unwrap() - point["window_start"].as_i64().unwrap() == points["step_ms"]
    };
    let whole = points["points"].as_array().unwrap().iter().filter(whole).count();
    browser.until("the chart", || browser.run(DRAWN), |count| *count == whole);
    let has_band = points["points"].as_array().unwrap().iter().any(|point| point["exact"] == false);
    assert_eq!(browser.run("return document.querySelector('#item-figure .band') !== null"), has_band);
    browser.press(Key::Escape);
    browser.until(
        "the ranking",
        || browser.run("return document.getElementById('board-view').checkVisibility()"),
        |seen| *seen == true,
    );
    let focused = browser.run("return document.activeElement.closest('tr')?.dataset.item");
    assert_eq!(focused, *id, "the focus is where it was");
    browser.back();
    browser.until("the item again", || browser.text("#item-count"), |text| *text == number("count"));
    browser.click("#item-back");
    is_clean(&browser, web);
}

#[test]
fn a_token_is_asked_for_once() {
    let token = "an-open-sesame-of-some-length";
    let mut crest = Crest::spawn(["--demo", "--http", "127.0.0.1:0", "--read-token", token]);
    let (web, browser) = (Web::of(&mut crest), Browser::open(768, 900));
    browser.go(web.address());
    let asks = || browser.run("return document.getElementById('token-dialog').open");
    browser.until("the question", asks, |open| *open == true);
    assert_eq!(shown(&browser), Vec::<Row>::new());
    browser.press("wrong");
    browser.press(Key::Enter);
    browser.until("the refusal", || browser.text("#token-note"), |note| note.contains("does not know"));
    browser.until("the question", asks, |open| *open == true);
    browser.press(token);
    browser.press(Key::Enter);
    browser.until("a ranking", || shown(&browser).len(), |rows| *rows == 10);
    browser.reload();
    browser.until("a ranking", || shown(&browser).len(), |rows| *rows == 10);
    assert_eq!(asks(), false);
    let other: Vec<_> = browser.complaints().into_iter().filter(|line| !line.contains("401")).collect();
    assert!(other.is_empty(), "{other:?}");
}
