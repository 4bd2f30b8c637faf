//! The calls of docs/api.md, as `src/http/openapi.json` describes them.

use crate::common::root;
use crate::generated::{cell, sentence};
use serde_json::{Map, Value};
use std::fmt::Write;

/// The objects that the calls answer with, in the order of the page.
const OBJECTS: [&str; 15] = [
    "Snapshot",
    "Item",
    "Other",
    "Rising",
    "RisingItem",
    "KnownItem",
    "Series",
    "Point",
    "Board",
    "Window",
    "Accepted",
    "Wrong",
    "Status",
    "Met",
    "Ready",
];

/// Made from the contract.
pub fn text() -> String {
    let contract = std::fs::read_to_string(root().join("src/http/openapi.json")).unwrap();
    let contract: Value = serde_json::from_str(&contract).unwrap();
    let mut page = String::from("## Calls\n\n");
    for (path, methods) in members(&contract["paths"]) {
        for (method, call) in members(methods) {
            write_call(&mut page, &contract, &format!("{} {path}", method.to_uppercase()), call);
        }
    }
    page += "## Objects\n\n";
    let schemas = &contract["components"]["schemas"];
    for name in OBJECTS {
        write_object(&mut page, name, &schemas[name]);
    }
    page
}

fn members(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

fn write_call(page: &mut String, contract: &Value, title: &str, call: &Value) {
    let _ = writeln!(page, "### `{title}`\n\n{}\n", sentence(call["summary"].as_str().unwrap()));
    if let Some(description) = call["description"].as_str() {
        let _ = writeln!(page, "{}\n", sentence(description));
    }
    if let Some(parameters) = call["parameters"].as_array().filter(|list| !list.is_empty()) {
        *page += "| parameter | in | meaning |\n|---|---|---|\n";
        for parameter in parameters {
            let [name, place] = ["name", "in"].map(|key| parameter[key].as_str().unwrap());
            let meaning = parameter["description"].as_str().unwrap_or_default();
            let _ = writeln!(page, "| `{name}` | {place} | {} |", cell(&sentence(meaning)));
        }
        page.push('\n');
    }
    *page += "| answer | meaning |\n|---|---|\n";
    let mut answers: Vec<(&String, &Value)> = members(&call["responses"]).iter().collect();
    answers.sort_by_key(|(status, _)| *status);
    for (status, answer) in answers {
        let answer = resolved(contract, answer);
        let meaning = answer["description"].as_str().unwrap_or_default();
        let body = of_schema(&answer["content"]["application/json"]["schema"]);
        let body = if body.is_empty() { body } else { format!(" Body: {body}.") };
        let _ = writeln!(page, "| {status} | {}{body} |", cell(&sentence(meaning)));
    }
    page.push('\n');
}

fn write_object(page: &mut String, name: &str, schema: &Value) {
    assert!(schema.is_object(), "there is no {name} in the contract");
    let _ = writeln!(page, "### {name}\n");
    if let Some(description) = schema["description"].as_str() {
        let _ = writeln!(page, "{}\n", sentence(description));
    }
    *page += "| member | type | meaning |\n|---|---|---|\n";
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (member, value) in members(&schema["properties"]) {
        let mut meaning = value["description"].as_str().map(sentence).unwrap_or_default();
        if !required.contains(&member.as_str()) {
            meaning = format!("{meaning} Not always there.").trim().to_owned();
        }
        let _ = writeln!(page, "| `{member}` | {} | {} |", of_schema(value), cell(&meaning));
    }
    page.push('\n');
}

fn resolved<'a>(contract: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => contract.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

/// What a schema allows, in a few words.
fn of_schema(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        let is_told = OBJECTS.contains(&name);
        return if is_told { format!("[{name}](#{})", name.to_lowercase()) } else { name.to_owned() };
    }
    if let Some(constant) = schema.get("const") {
        return format!("`{constant}`");
    }
    let any = ["oneOf", "anyOf"].into_iter().find_map(|key| schema[key].as_array());
    if let Some(any) = any {
        let kinds: Vec<String> = any.iter().map(of_schema).filter(|kind| !kind.is_empty()).collect();
        return kinds.join(" or ");
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
    }
    match &schema["type"] {
        Value::String(kind) if kind == "array" => format!("list of {}", of_schema(&schema["items"])),
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => String::new(),
    }
}
