//! What rises, as the page shows it.

use super::*;

const ROWS: &str = "return [...document.querySelectorAll('#rising-table tbody tr')].map((row) => \
                    [...row.children].map((cell) => cell.textContent))";

/// `12`, or `9 to 12` where it is not exact.
fn bounded(item: &Value, lower: &str, upper: &str) -> String {
    let (lower, upper) = (item[lower].as_u64().unwrap(), item[upper].as_u64().unwrap());
    if lower == upper { grouped(upper) } else { format!("{} to {}", grouped(lower), grouped(upper)) }
}

/// The rank, the id, and the counts of each row, as the API says them.
fn expected(web: &Web, query: &str) -> Vec<[String; 4]> {
    let said = web.json(query);
    let row = |item: &Value| {
        [
            item["rank"].to_string(),
            item["item_id"].as_str().unwrap().to_owned(),
            bounded(item, "before_lower", "before"),
            bounded(item, "lower", "upper"),
        ]
    };
    said["items"].as_array().unwrap().iter().map(row).collect()
}

fn rows(browser: &Browser) -> Vec<[String; 4]> {
    let cells = |row: &Value| {
        let cell = |at: usize| row[at].as_str().unwrap().to_owned();
        [cell(0), cell(1), cell(3), cell(4)]
    };
    browser.run(ROWS).as_array().unwrap().iter().map(cells).collect()
}

#[test]
fn what_rises_is_shown_as_the_api_says_on_any_screen() {
    let kept = Kept::new();
    let (web, browser) = (&kept.web, Browser::open(1280, 900));
    browser.go(web.address());
    browser.until("a ranking", || shown(&browser).len(), |rows| *rows == 10);
    // By keyboard alone.
    browser.tab_to("#rise");
    browser.press(Key::Down);
    assert!(fragment(&browser).contains("rise=previous"));
    let query = "/top-k/default?window=last_30m&k=10&by=rise";
    browser.until("what rises", || rows(&browser), |rows| *rows == expected(web, query));
    assert_eq!(rows(&browser).len(), 10);
    browser.press(Key::Down);
    let early = || browser.text("#rising-about");
    browser.until("what is lacking", early, |text| text.starts_with("Too little is kept to compare with:"));
    assert_eq!(browser.run("return document.getElementById('rising-table').hidden"), true);
    browser.back();
    browser.until("what rises", || rows(&browser).len(), |rows| *rows == 10);
    let other: Vec<_> = browser.complaints().into_iter().filter(|line| !line.contains("416")).collect();
    assert!(other.is_empty(), "{other:?}");

    let narrow = Browser::open(375, 812);
    narrow.go(&format!("{}/#rise=previous", web.address()));
    narrow.until("what rises", || rows(&narrow).len(), |rows| *rows == 10);
    assert_eq!(narrow.run("return document.documentElement.scrollWidth <= innerWidth"), true);
    let id = rows(&narrow)[0][1].clone();
    narrow.click("#rising-table a");
    narrow.until("its item", || narrow.text("#item-id"), |text| *text == id);
    assert_eq!(narrow.run("return document.getElementById('rising').checkVisibility()"), false);
    is_clean(&narrow, web);
}
