//! What can be read: the contrast of all text that is in the page just now, and of the edges of what can be worked with,
//! computed by the formula of the WCAG from the colours that the browser draws.

use super::browser::Browser;
use serde_json::Value;

/// All that has less contrast than the WCAG ask for at level AA (1.4.3 for texts, 1.4.11 for controls).
const TOO_FAINT: &str = r"
    const colour = (text) => {
      const parts = text.match(/[\d.]+/g).map(Number);
      const scale = text.startsWith('color(') ? 255 : 1;
      return [...parts.slice(0, 3).map((part) => part * scale), parts[3] ?? 1];
    };
    const over = (top, below) => below.map((part, at) => top[at] * top[3] + part * (1 - top[3]));
    const luminance = (rgb) => {
      const [r, g, b] = rgb.map((part) => part / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ratio = (a, b) => {
      const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
      return (light + 0.05) / (dark + 0.05);
    };
    const line = (one) => { const found = []; for (let at = one; at; at = at.parentElement) found.push(at); return found; };
    const behind = (one) => line(one).reverse()
      .reduce((below, at) => over(colour(getComputedStyle(at).backgroundColor), below), [255, 255, 255]);
    const seen = (one) => one.checkVisibility({ visibilityProperty: true }) && one.getClientRects().length > 0
      && !one.closest('.unseen, :disabled, [aria-hidden=true], [aria-busy=true]');
    const faint = [];
    for (const one of document.body.querySelectorAll('*')) {
      if (!seen(one)) continue;
      const style = getComputedStyle(one);
      if ([...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())) {
        const opacity = line(one).reduce((all, at) => all * Number(getComputedStyle(at).opacity), 1);
        const [paper, ink] = [behind(one), colour(one.closest('svg') ? style.fill : style.color)];
        const size = parseFloat(style.fontSize);
        const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
        const found = ratio(over([...ink.slice(0, 3), ink[3] * opacity], paper), paper);
        if (found < least) faint.push([one.tagName, one.id || one.className, one.textContent.slice(0, 40), found]);
      }
      if (one.matches('select, input[type=search], button') && style.borderTopWidth !== '0px') {
        const edge = colour(style.borderTopColor);
        const around = behind(one.parentElement);
        if (edge[3] > 0 && ratio(over(edge, around), around) < 3) faint.push([one.tagName, one.id, 'its edge']);
      }
    }
    return faint";

/// Checks all that is seen just now.
pub fn is_legible(browser: &Browser) {
    assert_eq!(browser.run(TOO_FAINT), Value::Array(Vec::new()), "too little contrast");
}

/// Checks all that is seen just now in both lights, and leaves the page in the one that it was in.
pub fn is_legible_in_both_lights(browser: &Browser) {
    for _ in 0..2 {
        is_legible(browser);
        browser.run("document.getElementById('theme').click()");
    }
}

#[test]
fn what_is_too_faint_is_found() {
    let browser = Browser::open(800, 600);
    let page = |ink: &str| {
        browser.go("about:blank");
        browser.run(&format!(
            "document.body.style.background = '#fff'; document.body.style.color = '{ink}'; document.body.append('words');
             const text = document.createElement('p'); text.textContent = 'words'; document.body.append(text)"
        ));
        browser.run(TOO_FAINT).as_array().unwrap().len()
    };
    // 4.54 and 4.48 to 1 against white.
    assert_eq!((page("#767676"), page("#777777")), (0, 1));
}
