//! The keys of docs/configuration.md: those of the sources, with what the flags of the same meaning say, and the defaults
//! of the program.

use crate::commands::Flag;
use crate::generated::{cell, sentence};
use crate::sections::{Key, Section, Sections, read};
use crest::args::RunArgs;
use crest::file::File;
use crest::settings::Settings;
use std::fmt::Write;
use std::path::Path;
use toml::Value;

/// Keys that are sections.
const SECTIONS: [&str; 2] = ["limits", "tokens"];

/// A section on its way to the page.
struct Place<'a> {
    /// The keys that lead to it.
    path: Vec<String>,
    /// As TOML opens it: `[source]`, `[[board]]`.
    title: String,
    section: &'a Section,
    /// What must stand before its keys, in an example.
    head: String,
}

/// Made from the code.
pub fn text() -> String {
    let sections = read();
    let defaults = Settings::resolve(&RunArgs::default(), File::default()).unwrap().to_toml().unwrap();
    let defaults: Value = Value::Table(toml::from_str(&defaults).unwrap());
    let flags = crate::commands::run_flags();
    let mut page = String::new();
    for place in places(&sections) {
        let _ = writeln!(page, "## `{}`\n\n{}\n", place.title, sentence(&place.section.meaning));
        page += "| key, flag | type | default | example | meaning |\n|---|---|---|---|---|\n";
        for key in &place.section.keys {
            page += &row(&place, key, &flags, &defaults);
        }
        page.push('\n');
    }
    page
}

/// All sections, each before those in it.
fn places(sections: &Sections) -> Vec<Place<'_>> {
    let mut found = Vec::new();
    for key in &sections["File"].keys {
        let name = key.inner.as_deref().unwrap();
        descend(sections, &sections[name], vec![key.name.clone()], key.is_list, String::new(), &mut found);
    }
    found
}

fn descend<'a>(
    sections: &'a Sections,
    section: &'a Section,
    path: Vec<String>,
    is_list: bool,
    before: String,
    found: &mut Vec<Place<'a>>,
) {
    let name = path.join(".");
    let title = if is_list { format!("[[{name}]]") } else { format!("[{name}]") };
    let head = format!("{before}{title}\n");
    found.push(Place { path: path.clone(), title, section, head: head.clone() });
    for key in &section.keys {
        let Some(inner) = key.inner.as_deref() else { continue };
        let mut path = path.clone();
        path.push(key.name.clone());
        // What stands under a name that the user chooses is shown under one.
        if ["filter", "retract"].contains(&key.name.as_str()) {
            path.push("FIELD".into());
        }
        // A board and a window have names.
        let named = if head.contains("name =") || name != "board" { "" } else { "name = \"x\"\n" };
        descend(sections, &sections[inner], path, key.is_list, format!("{head}{named}"), found);
    }
}

fn row(place: &Place<'_>, key: &Key, flags: &[Flag], defaults: &Value) -> String {
    let full = format!("{}.{}", place.path.join("."), key.name);
    let example = key.example.as_deref();
    if let Some(example) = example {
        check(place, key, example, &full);
    } else {
        assert!(key.inner.is_some(), "{full} has no line `Example:` in its comment");
    }
    let (meaning, flag) = meaning(key, flags, &full);
    let program = of_program(defaults, &place.path, &key.name);
    let told = flag.and_then(|flag| flag.default.clone()).or_else(|| key.default.clone());
    if let (Some(told), Some(program)) = (&told, &program) {
        assert!(
            told.replace('`', "").contains(program.trim_matches('`')) || key.default.as_ref() == Some(told),
            "{full}: its default is said to be {told:?}, and the program has {program:?}"
        );
    }
    let default = told.or(program);
    let default = default.or(key.inner.as_ref().map(|_| "see its table".to_owned()));
    let default =
        default.unwrap_or_else(|| panic!("{full} has no line `Default:` in its comment, and no default"));
    let name = flag.map_or(format!("`{}`", key.name), |flag| format!("`{}`, `{}`", key.name, flag.name));
    let example = example.map_or(String::new(), |example| format!("`{example}`"));
    let cells = [name, key.kind.clone(), default, example, sentence(&meaning)].map(|text| cell(&text));
    format!("| {} |\n", cells.join(" | "))
}

/// What a key means: its own comment, or that of the flag that it is the same as.
fn meaning<'a>(key: &Key, flags: &'a [Flag], full: &str) -> (String, Option<&'a Flag>) {
    let Some(rest) = key.meaning.strip_prefix("As `--") else { return (key.meaning.clone(), None) };
    let (name, more) = rest.split_once('`').unwrap();
    let flag = flags.iter().find(|flag| flag.name == format!("--{name}"));
    let flag = flag.unwrap_or_else(|| panic!("{full} is as --{name}, which there is not"));
    let more = more.trim_start_matches([';', ',', '.', ' ']);
    let more = more
        .chars()
        .next()
        .map_or(String::new(), |first| format!(" {}{}", first.to_uppercase(), &more[first.len_utf8()..]));
    (format!("{}{more}", sentence(&flag.meaning)), Some(flag))
}

/// What the program has where nothing is said.
fn of_program(defaults: &Value, path: &[String], key: &str) -> Option<String> {
    let mut at = defaults;
    for part in path.iter().chain(std::iter::once(&key.to_owned())) {
        at = if let Value::Array(list) = at { list.first()? } else { at };
        at = at.get(part)?;
    }
    // What is in a section is said in its own table.
    Some(match at {
        Value::Table(_) if SECTIONS.contains(&key) => "see its table".to_owned(),
        Value::String(text) => format!("`{text}`"),
        Value::Array(list) if list.iter().all(Value::is_table) => {
            let names = list.iter().filter_map(|table| table.get("name")?.as_str());
            names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        }
        other => format!("`{other}`"),
    })
}

/// An example must be what the file takes.
fn check(place: &Place<'_>, key: &Key, example: &str, full: &str) {
    let named = if key.name != "name" && place.section.keys.iter().any(|key| key.name == "name") {
        "name = \"x\"\n"
    } else {
        ""
    };
    let text = format!("{}{named}{} = {example}\n", place.head, key.name);
    if let Err(error) = File::parse(Path::new("example"), &text) {
        panic!("{full}: its example cannot be read: {error}\n{text}");
    }
}
