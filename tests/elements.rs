//! Records whose elements are events, through the program: what is counted, what is said of records without any, and what
//! is kept of elements that are refused.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::new_folder;
use common::program::{Crest, parse_finals, path};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const CONFIG: &str = r#"
[schema]
timestamp = "$.at"
[[board]]
name = "lines"
each = "lines"
item = "sku"
weight = "n"
windows = [ { name = "all" } ]
[[board]]
name = "orders"
timestamp = "at"
item = "customer"
windows = [ { name = "all" } ]
"#;

/// Orders 0 to 99, of as many lines as their last digit; every third line has no item.
fn order(n: u64) -> Value {
    let line =
        |line: u64| if line % 3 == 2 { json!({"n": 2}) } else { json!({"sku": format!("s{line}"), "n": 2}) };
    json!({"at": 1_711_670_400 + n, "customer": format!("c{}", n % 5), "lines": (0..n % 10).map(line).collect::<Vec<_>>()})
}

fn read(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn elements_and_records_are_counted_by_different_boards_and_refused_elements_are_kept_alone() {
    let dir = new_folder("elements");
    let file = |name: &str| dir.join(name);
    std::fs::write(file("crest.toml"), CONFIG).unwrap();
    let orders: String = (0..100).map(|n| order(n).to_string() + "\n").collect();
    std::fs::write(file("orders.ndjson"), orders).unwrap();
    let (config, source) = (file("crest.toml"), format!("file:{}", path(&file("orders.ndjson"))));
    let (rejects, summary) = (file("rejects.ndjson"), file("summary.json"));
    let arguments = ["--config", path(&config), "--source", &source, "--rejects", path(&rejects)];
    let mut crest = Crest::spawn(arguments.into_iter().chain(["--summary", path(&summary)]));
    assert!(crest.wait(Duration::from_secs(60)).success(), "{}", crest.describe());

    let refused: Vec<(u64, u64)> =
        (0..100).flat_map(|n| (0..n % 10).filter(|line| line % 3 == 2).map(move |line| (n, line))).collect();
    let lines: u64 = (0..100).map(|n| n % 10).sum::<u64>() - refused.len() as u64;
    let finals = parse_finals(&crest.stdout());
    let total =
        |board: &str| finals.iter().find(|ranking| ranking["board"] == board).unwrap()["total"].clone();
    assert_eq!((total("lines"), total("orders")), (json!(2 * lines), json!(100)));

    let summary = &read(&summary)[0];
    assert_eq!((&summary["read"], &summary["counted"]), (&json!(100), &json!(100 + lines)));
    assert_eq!(summary["refused"], json!({"item": refused.len()}));
    assert_eq!(summary["without_events"], 0, "each order is an event of the second board");
    let kept: Vec<Value> = read(&rejects);
    let expected: Vec<Value> = refused
        .iter()
        .map(|(order, line)| json!({
            "reason": "item", "partition": path(&file("orders.ndjson")), "offset": order + 1, "element": line,
            "payload": json!({"n": 2}).to_string()
        }))
        .collect();
    assert_eq!(kept, expected);

    // Alone, the first board sees nothing of orders without lines.
    let alone = CONFIG.split("[[board]]\nname = \"orders\"").next().unwrap();
    std::fs::write(file("crest.toml"), alone).unwrap();
    let mut crest = Crest::spawn(arguments.into_iter().take(4));
    assert!(crest.wait(Duration::from_secs(60)).success(), "{}", crest.describe());
    let said = crest.stderr().join("\n");
    let expected =
        format!("read 100 records, counted {lines}: {} refused as item, 10 without an event", refused.len());
    assert!(said.contains(&expected), "{expected}: {said}");
    assert!(
        said.contains("sku must be text that is not empty, a number or a boolean; the element has: n"),
        "{said}"
    );
}
