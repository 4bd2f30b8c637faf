//! The contract in `/openapi.json`, held against the running program: requests are made up from what the contract says may
//! be sent, and worse; each answer must be one that it describes.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a step that fails is a failed test

mod common;

use common::program::path;
use common::web::{Answer, Web};
use common::{eventually, new_folder, seed};
use jsonschema::Validator;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const CONFIG: &str = r#"
[time]
pane = "1s"
out_of_orderness = "1s"
refresh = "200ms"
[[board]]
name = "default"
k = 20
windows = [ { name = "last_10s", size = "10s", slide = "1s" }, { name = "last_1m", size = "1m", slide = "10s" } ]
[[board]]
name = "videos"
item = "video_id"
filter = { event_type = "video_view" }
by = ["region", "device"]
k = 5
windows = [ { name = "last_10s", size = "10s", slide = "1s" } ]
"#;

/// The contract, its schemas ready to judge.
struct Contract {
    document: Value,
    schemas: BTreeMap<String, Validator>,
    /// Statuses that were seen of each operation.
    seen: BTreeMap<String, BTreeSet<u16>>,
}

impl Contract {
    fn of(web: &Web) -> Contract {
        let document = web.json("/openapi.json");
        assert_eq!(document["openapi"], "3.1.0");
        Contract { document, schemas: BTreeMap::new(), seen: BTreeMap::new() }
    }

    /// Judges the answer to a GET, and to the same again by whoever knows the first one.
    fn ask(&mut self, web: &Web, template: &str, request: &str) {
        let answer = web.send("GET", request, &[], b"");
        self.judge("get", template, request, &answer);
        if let Some(tag) = answer.headers.get("etag").filter(|_| answer.status == 200) {
            let again = web.send("GET", request, &[("If-None-Match", tag)], b"");
            self.judge("get", template, request, &again);
        }
    }

    /// Asks for each path in the name of a host that is not this one, and of none.
    fn ask_for_other_hosts(&mut self, web: &Web) {
        let paths: Vec<String> = self.document["paths"].as_object().unwrap().keys().cloned().collect();
        for template in paths {
            let place = template.replace("{board}", "default").replace("{id}", "i1");
            let method = if self.document["paths"][&template]["get"].is_object() { "GET" } else { "POST" };
            for (host, status) in [("shop.example", 421), ("no host", 400)] {
                let answer = web.send(method, &place, &[("Host", host)], b"");
                assert_eq!(answer.status, status, "{method} {place} for {host}");
                self.judge(&method.to_lowercase(), &template, &place, &answer);
            }
        }
    }

    /// Asks 600 times for a path that the contract names, each second time as one should.
    fn ask_at_random(&mut self, web: &Web, random: &mut StdRng) {
        let paths: Vec<String> = self.document["paths"].as_object().unwrap().keys().cloned().collect();
        for round in 0..600 {
            let template = paths.choose(random).unwrap();
            if !self.document["paths"][template]["get"].is_object() || template.starts_with("/stream") {
                continue;
            }
            let good = round % 2 == 0;
            let board = if good {
                ["default", "videos"].choose(random).unwrap()
            } else {
                WORDS.choose(random).unwrap()
            };
            let id = if good {
                ["i1", "i49", "never"].choose(random).unwrap()
            } else {
                WORDS.choose(random).unwrap()
            };
            let place = template.replace("{board}", &encoded(board)).replace("{id}", &encoded(id));
            let query = if good { good_query(random) } else { query(random) };
            // Without a name there is no such path.
            if place != "/" && place.split('/').skip(1).any(str::is_empty) {
                continue;
            }
            let request = format!("{place}?{query}");
            self.ask(web, template, &request);
        }
    }

    /// Judges an answer to a call of an operation.
    fn judge(&mut self, method: &str, template: &str, request: &str, answer: &Answer) {
        let operation = &self.document["paths"][template][method];
        let responses = &operation["responses"];
        let response = match &responses[answer.status.to_string()] {
            shared if shared["$ref"].is_string() => {
                let pointer = shared["$ref"].as_str().unwrap().trim_start_matches('#');
                self.document.pointer(pointer).expect("a shared response")
            }
            own => own,
        };
        assert!(response.is_object(), "{request}: {} is not described: {}", answer.status, answer.body);
        self.seen.entry(format!("{method} {template}")).or_default().insert(answer.status);
        for header in response["headers"].as_object().into_iter().flat_map(|headers| headers.keys()) {
            assert!(answer.headers.contains_key(&header.to_lowercase()), "{request}: no {header}");
        }
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{request}");
        let Some(content) = response["content"].as_object() else {
            return assert_eq!(answer.body, "", "{request}");
        };
        let kind = answer.headers["content-type"].split(';').next().unwrap().to_owned();
        let schema = content.get(&kind).unwrap_or_else(|| panic!("{request}: {kind} is not described"));
        if kind == "application/json" {
            let body =
                serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{request}: {}", answer.body));
            let key = format!("{method} {template} {}", answer.status);
            let whole = json!({ "allOf": [schema["schema"]], "components": self.document["components"] });
            let validator =
                self.schemas.entry(key).or_insert_with(|| jsonschema::validator_for(&whole).unwrap());
            if let Err(error) = validator.validate(&body) {
                panic!("{request}: {error} at {}: {body}", error.instance_path());
            }
        }
    }
}

/// What queries are made of: good, odd and bad.
const WORDS: [&str; 30] = [
    "default",
    "videos",
    "last_10s",
    "last_1m",
    "1m",
    "10s",
    "3h",
    "7m",
    "0s",
    "1",
    "5",
    "20",
    "21",
    "0",
    "-1",
    "1e3",
    "true",
    "false",
    "IN",
    "tv",
    "2026-03-10T10:15:00Z",
    "1000000000000",
    "9999999999999999999",
    "",
    " ",
    "%",
    "☃",
    "\u{0}",
    "../etc/passwd",
    "<script>alert(1)</script>",
];
const NAMES: [&str; 11] =
    ["board", "window", "k", "final", "from", "to", "step", "region", "device", "group", "x"];

fn encoded(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() { (byte as char).to_string() } else { format!("%{byte:02X}") }
            },
        )
        .collect()
}

fn query(random: &mut StdRng) -> String {
    let pairs: Vec<String> = (0..random.random_range(0..4))
        .map(|_| format!("{}={}", NAMES.choose(random).unwrap(), encoded(WORDS.choose(random).unwrap())))
        .collect();
    pairs.join("&")
}

/// One that is likely to be answered.
fn good_query(random: &mut StdRng) -> String {
    let all = [
        "window=last_10s",
        "k=3",
        "final=true",
        "window=1m",
        "region=IN&device=tv",
        "window=7s",
        "from=0&to=9",
        "step=auto",
        "window=1m&step=5s",
    ];
    (0..random.random_range(0..3)).map(|_| *all.choose(random).unwrap()).collect::<Vec<_>>().join("&")
}

fn now_ms() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64
}

fn event(random: &mut StdRng) -> Value {
    let item = format!("i{}", random.random_range(0..50));
    json!({"event": "video_view", "video_id": item, "item_id": item, "timestamp": now_ms(), "region": "IN", "device": "tv"})
}

/// A body, and whether it is as it should be.
fn body(random: &mut StdRng) -> String {
    let mut events: Vec<Value> = (0..random.random_range(1..4)).map(|_| event(random)).collect();
    if random.random_bool(0.5) {
        let odd = [
            json!(null),
            json!(7),
            json!(""),
            json!([]),
            json!({}),
            json!("2001-99-99"),
            json!(-1),
            json!(1e300),
        ];
        let field = ["item_id", "video_id", "timestamp", "weight", "event", "region"].choose(random).unwrap();
        let place = random.random_range(0..events.len());
        events[place][*field] = odd.choose(random).unwrap().clone();
    }
    let mut text = match random.random_range(0..3) {
        0 => events[0].to_string(),
        1 => format!("{:#}", json!(events)),
        _ => events.iter().map(|event| event.to_string() + "\n").collect(),
    };
    if random.random_bool(0.2) {
        let cut =
            (0..=random.random_range(0..text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        text.truncate(cut);
    }
    text
}

#[test]
fn every_answer_is_one_that_the_contract_describes() {
    let mut random = StdRng::seed_from_u64(seed("openapi"));
    let dir = new_folder("openapi");
    let config = dir.join("crest.toml");
    std::fs::write(&config, CONFIG).unwrap();
    let (_crest, web) = Web::of_new(["--config", path(&config), "--state", path(&dir.join("data"))]);
    let mut contract = Contract::of(&web);
    let mut accepted = 0;
    for _ in 0..300 {
        let body = body(&mut random);
        let answer = web.send("POST", "/events", &[], body.as_bytes());
        contract.judge("post", "/events", &body, &answer);
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        accepted += answer["accepted"].as_u64().unwrap_or(0);
    }
    assert!(accepted > 0);
    eventually("a ranking of each board", || {
        web.send("POST", "/events", &[], event(&mut random).to_string().as_bytes()).status == 202
            && web.get("/top-k/videos?final=true").0 == 200
            && web.get("/top-k?window=7s").0 == 200
    });
    // Each kind of answer at least once, whatever chance brings.
    for (template, request) in [
        ("/top-k/{board}", "/top-k/default?window=last_10s"),
        ("/top-k/{board}", "/top-k/default?k=0"),
        ("/top-k/{board}", "/top-k/none"),
        ("/top-k/{board}", "/top-k/default?from=0&to=9"),
        ("/items/{board}/{id}", "/items/default/i1?window=last_10s"),
        ("/items/{board}/{id}", "/items/default/never?window=7s&step=auto"),
        ("/items/{board}/{id}", "/items/default/i1?k=1"),
        ("/items/{board}/{id}", "/items/videos/i1?region=XX&device=tv"),
        ("/items/{board}/{id}", "/items/default/i1?from=0&to=9"),
        ("/series/{board}", "/series/videos?window=7s"),
        ("/series/{board}", "/series/videos?step=7ms"),
        ("/series/{board}", "/series/none"),
        ("/series/{board}", "/series/default?from=0&to=9"),
        ("/boards/{board}", "/boards/videos"),
        ("/boards/{board}", "/boards/none"),
        ("/status", "/status"),
        ("/readyz", "/readyz"),
    ] {
        contract.ask(&web, template, request);
    }
    contract.ask_for_other_hosts(&web);
    contract.ask_at_random(&web, &mut random);
    for (operation, status) in [
        ("post /events", vec![202, 400, 422]),
        ("get /top-k/{board}", vec![200, 304, 400, 404, 416]),
        ("get /items/{board}/{id}", vec![200, 304, 400, 404, 416]),
        ("get /series/{board}", vec![200, 304, 400, 404, 416]),
        ("get /boards/{board}", vec![200, 404]),
        ("get /status", vec![200]),
        ("get /readyz", vec![200]),
    ] {
        let seen = &contract.seen[operation];
        assert!(status.iter().all(|status| seen.contains(status)), "{operation}: only {seen:?}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}
