//! `GET /`: the page, one file that asks this server and nobody else.

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const PAGE: &str = include_str!("page.html");

/// Only the page's own style and script run, by their hashes: nothing that an item id smuggles in.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; connect-src 'self'; img-src data:; style-src {}; script-src {}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash_of("style"),
        hash_of("script")
    )
});

/// The page.
pub async fn page() -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY.as_str()),
    ];
    (headers, PAGE).into_response()
}

/// As a policy names the text of the page's one element of that kind.
fn hash_of(element: &str) -> String {
    let text = PAGE
        .split_once(&format!("<{element}>"))
        .and_then(|(_, rest)| rest.split_once(&format!("</{element}>")))
        .map_or("", |(text, _)| text);
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_style_and_one_script_of_its_own_and_no_other_hosts() {
        for element in ["<style", "</style>", "<script", "</script>"] {
            assert_eq!(PAGE.matches(element).count(), 1, "{element}");
        }
        for word in
            ["http://", "https://", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
        {
            assert!(!PAGE.contains(word), "{word}");
        }
        assert_ne!(hash_of("style"), hash_of("script"));
        assert!(!PAGE.contains(" style=") && !PAGE.contains(" onclick="), "the policy refuses them");
    }
}
