//! The commands of docs/commands.md and their options, as the program defines them.

use crate::generated::{cell, sentence};
use clap::{Arg, Command, CommandFactory};
use crest::args::Typed;
use std::fmt::Write;

/// An option.
pub struct Flag {
    /// `--pane`
    pub name: String,
    pub meaning: String,
    pub default: Option<String>,
}

/// The options of the job.
pub fn run_flags() -> Vec<Flag> {
    let flag = |arg: &Arg| {
        let (meaning, default) = told(arg);
        Some(Flag { name: format!("--{}", arg.get_long()?), meaning, default })
    };
    definition().get_arguments().filter_map(flag).collect()
}

/// Made from the code.
pub fn text() -> String {
    let definition = definition();
    let mut page = String::new();
    section(&mut page, &definition, "crest", &[]);
    let run: Vec<&str> = definition.get_arguments().map(|arg| arg.get_id().as_str()).collect();
    for command in definition.get_subcommands().filter(|command| command.get_name() != "help") {
        let name = format!("crest {}", command.get_name());
        let inner: Vec<&Command> =
            command.get_subcommands().filter(|inner| inner.get_name() != "help").collect();
        if inner.is_empty() {
            section(&mut page, command, &name, &run);
        }
        for inner in inner {
            section(&mut page, inner, &format!("{name} {}", inner.get_name()), &[]);
        }
    }
    page
}

fn definition() -> Command {
    let mut definition = Typed::command();
    definition.build();
    definition
}

/// A command. Where it takes all of the job's options, these are not told again.
fn section(page: &mut String, command: &Command, name: &str, run: &[&str]) {
    let arguments =
        || command.get_arguments().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str()));
    let takes_run =
        !run.is_empty() && ["workers", "pane"].iter().all(|id| arguments().any(|arg| arg.get_id() == id));
    let about = if run.is_empty() && name == "crest" {
        "Runs the job.".to_owned()
    } else {
        let about = command.get_long_about().or(command.get_about()).unwrap().to_string();
        about.split("\n\n").map(sentence).collect::<Vec<_>>().join("\n\n")
    };
    let _ = writeln!(page, "## {name}\n\n{about}\n");
    let own: Vec<&Arg> =
        arguments().filter(|arg| !takes_run || !run.contains(&arg.get_id().as_str())).collect();
    if !own.is_empty() {
        *page += "| option | variable | default | meaning |\n|---|---|---|---|\n";
        for arg in own {
            let (meaning, default) = told(arg);
            let variable =
                arg.get_env().map_or(String::new(), |name| format!("`{}`", name.to_string_lossy()));
            let cells = [typed(arg), variable, default.unwrap_or_default(), sentence(&meaning)]
                .map(|text| cell(&text));
            let _ = writeln!(page, "| {} |", cells.join(" | "));
        }
        page.push('\n');
    }
    if takes_run {
        *page += "It takes the options of [`crest`](#crest), too.\n\n";
    }
}

/// How an option is typed: `-w`, `--workers N`.
fn typed(arg: &Arg) -> String {
    let value = arg.get_value_names().filter(|_| arg.get_action().takes_values());
    let value = value.and_then(|names| names.first()).map_or(String::new(), |name| name.to_string());
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    match (short, long) {
        (Some(short), Some(long)) => format!("`{short}`, `{}`", format!("{long} {value}").trim()),
        (Some(name), None) | (None, Some(name)) => format!("`{}`", format!("{name} {value}").trim()),
        (None, None) => format!("`{value}`"),
    }
}

/// The meaning of an option, and its default, which its help has at the end: `[default: 10s]`.
fn told(arg: &Arg) -> (String, Option<String>) {
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let own = arg.get_default_values().first().map(|value| format!("`{}`", value.to_string_lossy()));
    match help.rsplit_once(" [default: ") {
        Some((meaning, default)) => {
            let default = default.trim_end_matches(['.', ']']);
            let is_value = !default.contains([' ', '\'']);
            (meaning.to_owned(), Some(if is_value { format!("`{default}`") } else { default.to_owned() }))
        }
        None => (help, own.filter(|_| arg.get_action().takes_values())),
    }
}
