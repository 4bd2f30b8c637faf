//! How far off a count can be, where that is seen: a whisker in each row whose count is not exact, on any screen.

use super::legible::is_legible_in_both_lights;
use super::*;

/// Of each row: its item, whether its whisker is seen, and the pixels of the whisker and of the doubt in it: their left ends
/// and their widths, and the bottom of the row and of the whisker.
const WHISKERS: &str = "
    const box = (one) => one.getBoundingClientRect();
    return [...document.querySelectorAll('#ranking tbody tr[data-item]')].map((row) => {
      row.scrollIntoView();
      const [whisker, range] = [row.querySelector('.whisker'), row.querySelector('.range')];
      const [all, doubt] = [box(whisker), box(range)];
      return { item: row.dataset.item, seen: whisker.checkVisibility(), left: all.left, width: all.width,
        doubtRight: doubt.right, doubtWidth: doubt.width, below: box(row).bottom - all.bottom };
    })";

#[test]
fn every_bound_that_is_not_exact_has_a_band_that_is_seen_on_a_phone() {
    // Of more items in each pane than it has rows for.
    let kept = Kept::of(Traffic { events: 60_000, items: 2000, span: 35 * 60_000, ..Traffic::default() });
    let (web, browser) = (&kept.web, Browser::open(390, 844));
    browser.go(&format!("{}/#k=30", web.address()));
    browser.until("a ranking", || shown(&browser).len(), |rows| *rows == 30);
    // But for the sign of the connection, which never rests.
    let moving = "return document.getAnimations()
        .filter((one) => one.effect.getComputedTiming().iterations !== Infinity).length";
    let settled = || browser.run(moving);
    browser.until("rest", settled, |moving| *moving == 0);
    let said = web.json("/top-k?window=last_30m&k=30");
    let (mut doubtful, mut wide) = (0, 0);
    for row in browser.run(WHISKERS).as_array().unwrap() {
        let item =
            said["items"].as_array().unwrap().iter().find(|item| item["item_id"] == row["item"]).unwrap();
        assert_eq!(row["seen"], item["exact"] == false, "{row}");
        if item["exact"] == true {
            continue;
        }
        let [lower, upper] = ["lower", "upper"].map(|name| item[name].as_f64().unwrap());
        let pixels = |name: &str| row[name].as_f64().unwrap();
        // A hair at least, so that one sees that there is a doubt at all.
        let expected = (pixels("width") * (upper - lower) / upper).max(4.0);
        assert!((pixels("doubtWidth") - expected).abs() < 1.0, "{row} of {item}");
        assert!(
            (pixels("doubtRight") - pixels("left") - pixels("width")).abs() < 1.0,
            "it ends at the most: {row}"
        );
        assert!(pixels("width") > 150.0 && pixels("below") >= 0.0, "{row}");
        doubtful += 1;
        wide += usize::from(expected > 20.0);
    }
    assert!(doubtful >= 10 && wide >= 1, "{doubtful} rows are not exact, {wide} of them by much");
    assert_eq!(browser.run("return document.getElementById('legend-doubt').checkVisibility()"), true);
    assert_eq!(browser.run("return document.documentElement.scrollWidth <= innerWidth"), true);
    is_legible_in_both_lights(&browser);
    is_clean(&browser, web);
}

#[test]
fn nothing_moves_for_who_asks_for_less() {
    let mut crest = Crest::spawn(["--demo", "--http", "127.0.0.1:0", "--refresh", "200ms"]);
    let web = Web::of(&mut crest);
    // What was seen to move within some rankings.
    let watch = "window.moved = 0; const look = () => {
        window.moved += document.getAnimations().length; requestAnimationFrame(look); }; look()";
    let moves = |switches: &[&str]| {
        let browser = Browser::open_with(1280, 900, switches);
        browser.go(web.address());
        let mut last = browser.until("a ranking", || shown(&browser), |rows| rows.len() == 10);
        browser.run(watch);
        for _ in 0..4 {
            last = browser.until("another one", || shown(&browser), |rows| *rows != last);
        }
        browser.run("return window.moved").as_u64().unwrap()
    };
    assert!(moves(&[]) > 0);
    assert_eq!(moves(&["--force-prefers-reduced-motion"]), 0);
}
