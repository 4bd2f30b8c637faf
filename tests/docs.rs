//! README.md and docs/ tell what the program does: their commands are run, their examples are read, their links lead
//! somewhere, and the pages that are made from the code are what the code gives.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a step that fails is a failed test

#[path = "docs/api.rs"]
mod api;
#[path = "docs/commands.rs"]
mod commands;
mod common;
#[path = "docs/configuration.rs"]
mod configuration;
#[path = "docs/data.rs"]
mod data;
#[path = "docs/examples.rs"]
mod examples;
#[path = "docs/flags.rs"]
mod flags;
#[path = "docs/generated.rs"]
mod generated;
#[path = "docs/links.rs"]
mod links;
#[path = "docs/pages.rs"]
mod pages;
#[path = "docs/sections.rs"]
mod sections;
#[path = "docs/sentences.rs"]
mod sentences;
#[path = "docs/session.rs"]
mod session;
#[path = "docs/steps.rs"]
mod steps;

use pages::Page;

/// Collects what is wrong in any page, and fails with all of it.
fn judge(faults_of: impl Fn(&Page) -> Vec<String>) {
    let faults: Vec<String> = pages::all().iter().flat_map(faults_of).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn links_lead_somewhere() {
    judge(links::faults);
}

#[test]
fn the_book_has_each_page_once() {
    assert_eq!(links::of_the_book(), pages::of_the_book());
}

#[test]
fn examples_of_toml_and_json_can_be_read() {
    judge(examples::faults);
}

#[test]
fn sentences_can_be_read_in_one_go() {
    judge(sentences::faults);
}

#[test]
fn commands_use_flags_that_there_are() {
    judge(flags::faults);
}

#[test]
fn every_flag_and_every_key_is_told_of() {
    assert_eq!(flags::missing(), Vec::<String>::new());
}

#[test]
fn what_is_made_from_the_code_is_what_the_code_gives() {
    generated::check("docs/configuration.md", &configuration::text());
    generated::check("docs/commands.md", &commands::text());
    generated::check("docs/api.md", &api::text());
    generated::check("docs/data.md", &data::text());
}

#[test]
fn commands_do_what_the_pages_say() {
    let faults: Vec<String> = session::run_all();
    assert!(faults.is_empty(), "\n{}", faults.join("\n\n"));
}
