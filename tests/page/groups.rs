//! The groups of a board, chosen from a list, whatever they are called, or typed where the list lacks one.

use super::*;

const OPTIONS: &str =
    "return [...document.getElementById('group').options].map((option) => option.textContent)";

#[test]
fn a_group_is_chosen_from_a_list_by_keyboard_on_a_narrow_screen() {
    let values = ["IN", "<b>US</b>", "\u{202e}DE"];
    let events: Vec<Event> = (values.iter().zip([30, 20, 10]))
        .flat_map(|(region, count)| {
            let event = Event::new(&format!("of {}", count), START + 1000);
            vec![event.with("region", region).with("device", "tv"); count]
        })
        .collect();
    let still = Still::new(vec![Board { by: vec!["region", "device"], ..Board::default() }], &events);
    let (web, browser) = (&still.web, Browser::open(390, 844));
    browser.go(web.address());
    agrees(&browser, web, "/top-k?window=last_1m&k=10");
    // The largest first; the list is asked for anew as one goes to it.
    let listed = ["The whole board", "IN · tv", "<b>US</b> · tv", "⟨RLO⟩DE · tv", "Another …"];
    let listed = Value::from(listed.to_vec());
    browser.tab_to("#group");
    browser.until("the groups", || browser.run(OPTIONS), |options| *options == listed);
    assert_eq!(browser.text("#group-name"), "region · device");
    for _ in 0..3 {
        browser.press(Key::Down);
    }
    let rows = agrees(&browser, web, "/top-k?window=last_1m&k=10&region=%E2%80%AEDE&device=tv");
    assert_eq!(rows[0][2], "of 10");
    assert!(browser.text("#headline").ends_with(" · ⟨RLO⟩DE · tv"), "{}", browser.text("#headline"));

    // One that is typed names all dimensions.
    browser.press(Key::Down);
    assert_eq!(browser.run("return document.activeElement.dataset.dimension"), "region");
    browser.run("document.querySelectorAll('#dimensions input').forEach((input) => { input.value = ''; })");
    browser.press("<b>US</b>");
    browser.press(Key::Enter);
    let hint = || browser.text("#picker-hint");
    browser.until("what is missing", hint, |text| text.starts_with("Give device as well"));
    browser.tab_to("[data-dimension=device]");
    browser.press("tv");
    browser.press(Key::Enter);
    let rows = agrees(&browser, web, "/top-k?window=last_1m&k=10&region=%3Cb%3EUS%3C%2Fb%3E&device=tv");
    assert_eq!(rows[0][2], "of 20");
    assert_eq!(browser.run("return document.querySelectorAll('main b').length"), 0);
    assert_eq!(browser.run("return document.documentElement.scrollWidth <= innerWidth"), true);
    // By its address, it stands in the list from the beginning.
    browser.reload();
    agrees(&browser, web, "/top-k?window=last_1m&k=10&region=%3Cb%3EUS%3C%2Fb%3E&device=tv");
    let chosen = "return document.getElementById('group').selectedOptions[0].textContent";
    assert_eq!(browser.run(chosen), "<b>US</b> · tv");
    is_clean(&browser, web);
}
