//! `GET /` and `/page/…`: the page, in a few files that ask this server and nobody else.

use super::answer::json_answer;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Only the page's own files run: nothing that an item id smuggles in.
const POLICY: &str = "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

const INDEX: File = File { name: "", kind: HTML, text: include_str!("page/index.html") };

/// What the page is made of, under `/page/`.
const FILES: [File; 27] = [
    File { name: "icon.svg", kind: PICTURE, text: include_str!("page/icon.svg") },
    File { name: "style.css", kind: STYLE, text: include_str!("page/style.css") },
    File { name: "views.css", kind: STYLE, text: include_str!("page/views.css") },
    File { name: "about.js", kind: SCRIPT, text: include_str!("page/about.js") },
    File { name: "api.js", kind: SCRIPT, text: include_str!("page/api.js") },
    File { name: "app.js", kind: SCRIPT, text: include_str!("page/app.js") },
    File { name: "chart.js", kind: SCRIPT, text: include_str!("page/chart.js") },
    File { name: "choice.js", kind: SCRIPT, text: include_str!("page/choice.js") },
    File { name: "dom.js", kind: SCRIPT, text: include_str!("page/dom.js") },
    File { name: "empty.js", kind: SCRIPT, text: include_str!("page/empty.js") },
    File { name: "facts.js", kind: SCRIPT, text: include_str!("page/facts.js") },
    File { name: "format.js", kind: SCRIPT, text: include_str!("page/format.js") },
    File { name: "item.js", kind: SCRIPT, text: include_str!("page/item.js") },
    File { name: "names.js", kind: SCRIPT, text: include_str!("page/names.js") },
    File { name: "notices.js", kind: SCRIPT, text: include_str!("page/notices.js") },
    File { name: "past.js", kind: SCRIPT, text: include_str!("page/past.js") },
    File { name: "pickers.js", kind: SCRIPT, text: include_str!("page/pickers.js") },
    File { name: "ranking.js", kind: SCRIPT, text: include_str!("page/ranking.js") },
    File { name: "reasons.js", kind: SCRIPT, text: include_str!("page/reasons.js") },
    File { name: "rising.js", kind: SCRIPT, text: include_str!("page/rising.js") },
    File { name: "row.js", kind: SCRIPT, text: include_str!("page/row.js") },
    File { name: "spark.js", kind: SCRIPT, text: include_str!("page/spark.js") },
    File { name: "status.js", kind: SCRIPT, text: include_str!("page/status.js") },
    File { name: "stream.js", kind: SCRIPT, text: include_str!("page/stream.js") },
    File { name: "teach.js", kind: SCRIPT, text: include_str!("page/teach.js") },
    File { name: "theme.js", kind: SCRIPT, text: include_str!("page/theme.js") },
    File { name: "trend.js", kind: SCRIPT, text: include_str!("page/trend.js") },
];

/// The tags of all files, by name; that of the page itself under the empty one.
static TAGS: LazyLock<BTreeMap<&str, String>> =
    LazyLock::new(|| [INDEX].iter().chain(&FILES).map(|file| (file.name, file.tag())).collect());

/// One file, as it is built into the program.
struct File {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

/// The page.
pub async fn index(headers: HeaderMap) -> Response {
    INDEX.answer(&headers)
}

/// What the page is made of.
pub async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match FILES.iter().find(|file| file.name == name) {
        Some(file) => file.answer(&headers),
        None => {
            let error = format!("the page has no {name:?}");
            json_answer(StatusCode::NOT_FOUND, json!({ "error": error }))
        }
    }
}

impl File {
    /// A hash of what it says, so that a browser asks for it again and is sent only what is new.
    fn tag(&self) -> String {
        format!("\"{}\"", URL_SAFE_NO_PAD.encode(&Sha256::digest(self.text)[..12]))
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let tag = TAGS[self.name].as_str();
        let common = [(ETAG, tag), (CACHE_CONTROL, "no-cache"), (CONTENT_SECURITY_POLICY, POLICY)];
        if headers.get(IF_NONE_MATCH).is_some_and(|seen| seen.as_bytes() == tag.as_bytes()) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        (common, [(CONTENT_TYPE, self.kind)], self.text).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_formats::refusal::Refusal;

    fn names(kind: &str) -> Vec<&str> {
        FILES.iter().filter(|file| file.kind == kind).map(|file| file.name).collect()
    }

    #[test]
    fn every_file_of_the_folder_is_served_by_its_kind() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/page");
        let mut found: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "index.html")
            .collect();
        found.sort();
        let mut served: Vec<&str> = FILES.iter().map(|file| file.name).collect();
        served.sort_unstable();
        assert_eq!(served, found);
        for (kind, ending) in [(SCRIPT, ".js"), (STYLE, ".css"), (PICTURE, ".svg")] {
            assert!(names(kind).iter().all(|name| name.ends_with(ending)), "{kind}");
        }
    }

    /// A status that has a reason without words would be shown as "undefined".
    #[test]
    fn the_page_has_words_for_all_that_a_status_gives_as_a_reason() {
        let contract: serde_json::Value = serde_json::from_str(include_str!("openapi.json")).unwrap();
        let held = &contract["components"]["schemas"]["Status"]["properties"]["held_by"]["oneOf"][1];
        let waits = held["properties"]["why"]["enum"].as_array().unwrap();
        let waits = waits.iter().map(|why| format!("\n  {}: \"", why.as_str().unwrap()));
        let refusals = Refusal::ALL.into_iter().map(|reason| format!("\n  {}: [", reason.name()));
        let has = |file: &str, words: String| {
            let script = FILES.iter().find(|served| served.name == file).unwrap().text;
            assert!(script.contains(&words), "{file} lacks {words:?}");
        };
        waits.for_each(|words| has("status.js", words));
        refusals.for_each(|words| has("reasons.js", words));
    }

    #[test]
    fn the_page_names_its_own_files_only_and_writes_text_only() {
        let makers = ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "setHTML"];
        for file in [INDEX].iter().chain(&FILES) {
            // The one address in it names the language of pictures, and is never asked for.
            let text = file.text.replace("http://www.w3.org/2000/svg", "");
            for word in ["http://", "https://", "//cdn", " style=\"", " onclick="].iter().chain(&makers) {
                assert!(!text.contains(word), "{word} in {:?}", file.name);
            }
            // Below a proxy's prefix a path from the root would miss it.
            for word in ["src=\"/", "href=\"/", "fetch(\"/", "from \"/"] {
                assert!(!text.contains(word), "{word} in {:?}", file.name);
            }
            for (_, rest) in
                text.match_indices("from \"./").map(|(at, found)| (at, &text[at + found.len()..]))
            {
                let name = rest.split('"').next().unwrap();
                assert!(names(SCRIPT).contains(&name), "{name} in {:?}", file.name);
            }
        }
    }

    #[test]
    fn every_file_is_small_enough_to_read() {
        for file in &FILES {
            let most = if file.kind == STYLE { 350 } else { 250 };
            assert!(file.text.lines().count() <= most, "{:?}", file.name);
        }
    }
}
