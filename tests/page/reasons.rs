//! Why there is nothing: what was refused, late or on no board, with how many and what to do; and since when nothing comes.

use super::legible::is_legible_in_both_lights;
use super::*;

/// What is told of each reason: how many of what, what that means, and what to do.
const CAUSES: &str = "
    if (!document.getElementById('empty').checkVisibility()) return [];
    return [...document.querySelectorAll('#empty-causes li')].map((one) => [...one.children].map((part) => part.textContent))";

/// Waits for these reasons, in this order; each says what it means and what to do.
fn told(browser: &Browser, expected: &[&str]) {
    let heads = |causes: &Value| -> Vec<String> {
        causes.as_array().unwrap().iter().map(|cause| cause[0].as_str().unwrap().into()).collect()
    };
    let causes = browser.until("the reasons", || browser.run(CAUSES), |causes| heads(causes) == expected);
    for cause in causes.as_array().unwrap() {
        assert!((1..=2).all(|part| cause[part].as_str().unwrap().len() > 10), "{cause}");
    }
    assert_eq!(browser.run("return document.getElementById('teach').hidden"), true);
    assert_eq!(shown(browser), Vec::<Row>::new());
}

fn records(count: usize, record: &str) -> Vec<String> {
    vec![record.to_owned(); count]
}

#[test]
fn what_is_refused_is_told_with_its_reasons_and_what_to_do() {
    let mut still = Still::new(vec![Board::default()], &[]);
    let (address, browser) = (still.web.address().to_owned(), Browser::open(390, 844));
    browser.go(&address);
    let nothing = || browser.text("#nothing");
    browser.until("the wait", nothing, |text| text.contains("no ranking yet"));
    still.send(records(40, &format!(r#"{{"id": "a", "timestamp": {START}}}"#)));
    still.send(records(3, "not json"));
    still.send(records(2, r#"{"item_id": "a"}"#));
    told(&browser, &["40 without an item", "3 malformed", "2 without a time"]);
    let why = browser.text("#empty-why");
    assert!(why.starts_with("Read 45 records, counted none: "), "{why}");
    assert!(browser.run(CAUSES)[0][2].as_str().unwrap().contains("Set item in [schema]"));
    assert_eq!(browser.run("return document.documentElement.scrollWidth <= innerWidth"), true);
    is_legible_in_both_lights(&browser);
    // From there, the whole status, and back, by keyboard.
    browser.tab_to("#empty-status");
    browser.press(Key::Enter);
    let refused = "return [...document.querySelectorAll('#status-events tbody tr')].map((row) =>
        [...row.children].slice(0, 2).map((cell) => cell.textContent)).filter(([what]) => what.includes('Not counted'))";
    let expected = serde_json::json!([
        ["Not counted: without an item (item)", "40"],
        ["Not counted: malformed", "3"],
        ["Not counted: without a time (timestamp)", "2"]
    ]);
    browser.until("the counts", || browser.run(refused), |rows| *rows == expected);
    assert_eq!(browser.text("#status-ready"), "Not ready");
    browser.press(Key::Escape);
    told(&browser, &["40 without an item", "3 malformed", "2 without a time"]);
    // A browser notes each answer of 503: this job is not ready.
    let other: Vec<_> =
        browser.complaints().into_iter().filter(|line| !line.contains("/readyz - ")).collect();
    assert!(other.is_empty(), "{other:?}");
    is_clean(&browser, &still.web);
}

#[test]
fn a_filter_that_matches_nothing_is_told() {
    let board = Board { filter: vec![("kind", vec!["buy"])], ..Board::default() };
    let events = vec![Event::new("a", START).with("region", "IN"); 25];
    let still = Still::new(vec![board], &events);
    let browser = Browser::open(1280, 900);
    browser.go(still.web.address());
    told(&browser, &["25 on no board"]);
    assert!(
        browser.text("#empty-why").contains("no event had kind (filter)"),
        "{}",
        browser.text("#empty-why")
    );
    assert_eq!(browser.text("#empty-wanted"), "The board counts events with kind buy.");
    is_legible_in_both_lights(&browser);
    is_clean(&browser, &still.web);
}

#[test]
fn a_board_that_matches_nothing_is_told_beside_one_that_does() {
    let idle = Board { name: "idle", filter: vec![("kind", vec!["buy"])], ..Board::default() };
    let still = Still::new(vec![Board::default(), idle], &vec![Event::new("a", START); 25]);
    let browser = Browser::open(1280, 900);
    browser.go(&format!("{}/#board=idle", still.web.address()));
    told(&browser, &["No event matches the filter"]);
    browser.click("#board option[value=default]");
    agrees(&browser, &still.web, "/top-k/default?window=last_1m&k=10");
    assert_eq!(browser.run(CAUSES), Value::Array(Vec::new()));
    is_clean(&browser, &still.web);
}

#[test]
fn events_that_are_all_late_are_told() {
    let board = Board { filter: vec![("event_type", vec!["view"])], ..Board::default() };
    let event = |time: i64, kind: &str| Event { event_type: Some(kind.into()), ..Event::new("a", time) };
    let mut events = vec![event(START + 3_600_000, "other")];
    events.extend(vec![event(START, "view"); 30]);
    let still = Still::new(vec![board], &events);
    let browser = Browser::open(390, 844);
    browser.go(still.web.address());
    told(&browser, &["30 late", "1 on no board"]);
    assert!(browser.run(CAUSES)[0][2].as_str().unwrap().contains("out_of_orderness"));
    is_clean(&browser, &still.web);
}

#[test]
fn a_stream_that_brings_nothing_any_more_says_since_when() {
    let mut still = Still::new(vec![Board::default()], &vec![Event::new("a", START); 25]);
    let (address, browser) = (still.web.address().to_owned(), Browser::open(390, 844));
    browser.go(&address);
    agrees(&browser, &still.web, "/top-k?window=last_1m&k=10");
    let notice = "const notice = document.getElementById('idle'); return notice.checkVisibility() ? notice.textContent : ''";
    let idle = || browser.run(notice).as_str().unwrap().to_owned();
    assert_eq!(browser.text("#connection"), "live");
    browser.until("that nothing comes", idle, |text| text.starts_with("No event is counted since "));
    assert_eq!(browser.text("#connection"), "live, no events");
    assert_eq!(shown(&browser).len(), 1, "the ranking stays");
    is_legible_in_both_lights(&browser);
    // Not for want of records.
    still.send(records(1, "not json"));
    browser.until("that some come", idle, |text| text.contains("Records come, but none is counted"));
    still.send([Event::new("b", START + 1000).json()]);
    browser.until("that one is counted", idle, String::is_empty);
    assert_eq!(browser.text("#connection"), "live");
    is_clean(&browser, &still.web);
}
