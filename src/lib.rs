//! The program `crest`: arguments, settings, launching the job, the HTTP API and the page. It computes nothing:
//! `crest-dataflows` does.
//!
//! [`args`] and [`file`] are what was typed, [`settings`] what will run; [`cluster`] joins the processes,
//! [`launch`] runs the workers, [`backfill`] over the past, [`audit`] judges what they found, [`http`] shows it; an
//! `account` says what became of the input, a `summary` writes it to a file, `progress` says how far it is read; [`serve`] shows rankings without a job, from
//! its state or by a [`mirror`] of Redis; [`produce`] loads a topic, [`inspect`] looks at a state, `listing` at an archive,
//! `top` at a ranking and `item` at one item of a running job, `rescue` at an embedded log, `trial` at a source that nobody has
//! configured yet, and `doctor` at all that a configuration names. `generate` writes what helps to type a command. `text` makes what comes from outside fit for a terminal.

mod account;
pub mod args;
pub mod audit;
pub mod backfill;
pub mod cluster;
mod doctor;
mod failure;
mod figures;
pub mod file;
mod generate;
pub mod http;
pub mod inspect;
mod item;
pub mod launch;
mod listing;
mod log;
pub mod mirror;
mod nearest;
pub mod produce;
mod progress;
mod replay;
mod rescue;
pub mod serve;
pub mod settings;
mod summary;
pub mod telemetry;
mod text;
mod top;
mod trial;

pub use failure::Failure;

use args::{Command, Typed};
use failure::{print, seen};
use launch::Stop;
use settings::Settings;
use std::ffi::OsString;

/// Does what the command line says.
///
/// # Errors
/// What prevented it. Some failures of a running job end the process from where they are found.
pub fn run(line: impl IntoIterator<Item = OsString>) -> Result<(), Failure> {
    let typed = match Typed::parse_from_args(line) {
        Ok(typed) => typed,
        // Help and the version were asked for.
        Err(said) if !said.use_stderr() => return seen(said.print()),
        Err(error) => return Err(Failure::Usage(args::one_line(&error))),
    };
    // These have nothing to log that they do not print, and their screen is not to be written across.
    let quiet = matches!(
        typed.command,
        Some(Command::Completions(_) | Command::Doctor(_) | Command::Item(_) | Command::Man(_))
            | Some(Command::Top(_) | Command::Try(_))
    );
    if !quiet {
        log::start();
    }
    launch::descriptors::raise();
    match typed.command {
        None => {
            let stop = Stop::of_service()?;
            launch::run(Settings::load_job(&typed.run)?, &stop)
        }
        Some(Command::Archive(archive)) => listing::run(&archive),
        Some(Command::Audit(audit)) => audit::run(&audit),
        Some(Command::Backfill(backfill)) => backfill::run(&backfill),
        Some(Command::Completions(completions)) => generate::completions(&completions),
        Some(Command::Config(run)) => print(&Settings::load(&run)?.to_toml().map_err(Failure::of)?),
        Some(Command::Doctor(doctor)) => doctor::run(&doctor),
        Some(Command::Item(item)) => item::run(&item),
        Some(Command::Log(command)) => rescue::run(&command),
        Some(Command::Man(man)) => generate::man(&man),
        Some(Command::Produce(produce)) => produce::run(&produce),
        Some(Command::Serve(serve)) => {
            Stop::of_service()?;
            serve::run(&serve)
        }
        Some(Command::State(state)) => inspect::run(&state),
        Some(Command::Top(top)) => top::run(&top),
        Some(Command::Try(trial)) => trial::run(&trial),
    }
}
