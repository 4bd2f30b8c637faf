//! The chart of the top ten, as the page draws it.

use super::*;

/// The points of a chart's lines, as they are drawn.
const LINES: &str =
    "return [...document.querySelectorAll('#trend svg polyline')].map((line) => line.points.numberOfItems)";

#[test]
fn the_top_ten_are_drawn_as_the_api_says_on_any_screen() {
    let kept = Kept::new();
    let (web, browser) = (&kept.web, Browser::open(1280, 900));
    browser.go(web.address());
    browser.until("a ranking", || shown(&browser).len(), |rows| *rows == 10);
    browser.click("#chart option[value='1h']");
    assert!(fragment(&browser).contains("chart=1h"));
    browser.until("ten lines", || browser.run(LINES), |lines| lines.as_array().unwrap().len() == 10);
    let series = web.json("/series/default?window=1h&k=10");
    let names = "return [...document.querySelectorAll('#trend-legend bdi')].map((name) => name.textContent)";
    let items = series["items"].as_array().unwrap().iter().map(|item| item["item_id"].clone());
    assert_eq!(browser.run(names), Value::Array(items.collect()));
    // The slider reads each step, by keyboard.
    browser.tab_to("#trend .read");
    let value = || browser.text("#trend-legend li span");
    browser.press(Key::Home);
    // A step that is not kept whole is left out.
    let is_whole = |point: &&Value| {
        point["window_end"].as_i64().unwrap() - point["window_start"].as_i64().unwrap() == series["step_ms"]
    };
    let first = series["points"].as_array().unwrap().iter().find(is_whole).unwrap();
    assert_eq!(first["item_id"], series["items"][0]["item_id"]);
    let least = format!(", ≥ {}", grouped(first["lower"].as_u64().unwrap()));
    let least = if first["exact"] == true { String::new() } else { least };
    assert_eq!(value(), grouped(first["count"].as_u64().unwrap()) + least.as_str());
    is_clean(&browser, web);

    let narrow = Browser::open(375, 812);
    narrow.go(&format!("{}/#chart=24h", web.address()));
    narrow.until("ten lines", || narrow.run(LINES), |lines| lines.as_array().unwrap().len() == 10);
    let fits = "return document.documentElement.scrollWidth <= innerWidth";
    assert_eq!(narrow.run(fits), true, "nothing to scroll sideways");
    narrow.click("#trend-legend a");
    narrow.until("the chart", || narrow.run(DRAWN), |count| count.as_u64().unwrap() > 20);
    assert_eq!(narrow.run(fits), true, "nothing to scroll sideways");
    is_clean(&narrow, web);
}
