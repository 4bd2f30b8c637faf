//! Items whose names would break a page that trusts them: text, and each of them told from the others.

use super::*;

/// Names that would break a page that trusts them.
fn hostile() -> Vec<String> {
    vec![
        "<img src=x onerror=\"window.hurt=1\">".into(),
        "<script>window.hurt=2</script>".into(),
        "</bdi></button></tr></table><h1>gone</h1>".into(),
        "\"' onmouseover=window.hurt=3 x='".into(),
        "javascript:window.hurt=4".into(),
        "\u{202e}gnp.exe\u{202c} and on".into(),
        "\u{202e}never closed".into(),
        "x".repeat(1024),
        "two\nlines\n\n\n\nand\ttabs".into(),
        "👩‍👩‍👧‍👦🎉 emoji".into(),
        "a\u{301}".repeat(300),
        "مرحبا بالعالم".into(),
        "&lt;b&gt; &amp; &#0;".into(),
        "__proto__".into(),
        "bell\u{7} and \u{85}".into(),
        "pay\u{200b}pal".into(),
        "paypal".into(),
    ]
}

#[test]
fn hostile_items_are_text_on_a_narrow_screen_in_both_lights() {
    let names = hostile();
    let events: Vec<Event> = (names.iter().enumerate())
        .flat_map(|(at, name)| vec![Event::new(name, START + 1000); names.len() - at])
        .collect();
    let still = Still::new(vec![Board::default()], &events);
    let (web, browser) = (&still.web, Browser::open(375, 812));
    browser.go(&format!("{}/#k=25", web.address()));
    let rows = agrees(&browser, web, "/top-k?window=last_1m&k=25");
    let seen: Vec<String> = rows.into_iter().map(|[_, _, name, ..]| name).collect();
    assert_eq!(seen, names.iter().map(|name| as_seen(name)).collect::<Vec<_>>());
    let raw = r"const all = [...document.querySelectorAll('*')].flatMap((one) => [one.title ?? '', one.textContent]);
               return all.some((text) => /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069]/u.test(text))";
    assert_eq!(browser.run(raw), false, "no such character is in the page, not in a title either");

    let fits = "return document.documentElement.scrollWidth <= innerWidth && innerWidth === 375";
    assert_eq!(browser.run(fits), true, "nothing to scroll sideways");
    let heights = "return [...document.querySelectorAll('tr[data-item]')].map((row) => row.offsetHeight)";
    let heights: Vec<f64> = serde_json::from_value(browser.run(heights)).unwrap();
    assert!(heights.iter().all(|height| *height == heights[0]), "{heights:?}");
    // Each one, opened: the whole of it, and what is certain of it.
    for (at, name) in [(7, &names[7]), (0, &names[0]), (8, &names[8])] {
        let row = format!(
            "return document.querySelectorAll('tr[data-item]')[{at}].querySelector('.count').click()"
        );
        browser.run(&row);
        let id = browser.until("the item", || browser.text("#item-id"), |id| *id == as_seen(name));
        browser.until("its count", || browser.text("#item-bounds"), |text| text.starts_with("exactly"));
        assert_eq!(browser.text("#item-bounds"), format!("exactly {}", names.len() - at), "{id}");
        assert_eq!(browser.text("#item-rank"), (at + 1).to_string());
        assert_eq!(browser.run(fits), true, "nor is there then");
        browser.click("#item-back");
    }
    assert_eq!(browser.run("return window.hurt ?? null"), Value::Null);
    assert_eq!(browser.run("return document.querySelectorAll('tbody :is(img, script, h1)').length"), 0);

    let paper = || browser.run("return getComputedStyle(document.body).backgroundColor").to_string();
    let pressed = || browser.run("return document.getElementById('theme').getAttribute('aria-pressed')");
    let light = paper();
    assert_eq!(pressed(), "false");
    is_legible(&browser);
    browser.click("#theme");
    let dark = paper();
    assert!(dark != light && pressed() == "true");
    is_legible(&browser);
    browser.reload();
    agrees(&browser, web, "/top-k?window=last_1m&k=25");
    assert_eq!((paper(), pressed()), (dark, "true".into()), "it is remembered");
    browser.click("#theme");
    assert_eq!(paper(), light);
    is_clean(&browser, web);
}
