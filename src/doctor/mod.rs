//! `crest doctor`: checks a configuration against the real world before it runs.
//!
//! It takes the arguments of the job, and looks at what the job would meet: its [`state`], its [`source`] and a [`sample`] of it,
//! the [`receivers`] of its rankings, the [`clock`], the [`limits`] of this machine, and the [`ports`]. Each check asks by the
//! code that the job runs on. Nothing is consumed, committed or claimed, and what is written to find out whether it can be is
//! removed. What a check has found is a [`finding`].

mod clock;
mod finding;
mod limits;
mod memory;
mod ports;
mod receivers;
mod sample;
mod source;
mod state;

use crate::args::DoctorArgs;
use crate::failure::Failure;
use crate::launch::{self, Stop};
use crate::settings::Settings;
use finding::{Finding, Report};

/// Checks all, and prints what it finds.
///
/// # Errors
/// Something has to be mended.
pub fn run(args: &DoctorArgs) -> Result<(), Failure> {
    launch::end_on_panic();
    let stop = Stop::of_task()?;
    let mut report = Report::new(args.json);
    match Settings::load_job(&args.run) {
        Ok(settings) => examine(&settings, args, &stop, &mut report)?,
        Err(error) => {
            let fix = "correct it; crest config prints what is in effect, and crest --help what there is";
            report.add(Finding::fix("configuration", error, fix))?;
        }
    }
    report.finish()
}

/// The checks, in the order in which one needs what another has found.
fn examine(settings: &Settings, args: &DoctorArgs, stop: &Stop, report: &mut Report) -> Result<(), Failure> {
    report.add(configuration(settings, args))?;
    let (findings, resume) = state::check(settings);
    report.add_all(findings)?;
    let (finding, readable) = source::check(settings, resume.as_ref());
    report.add(finding)?;
    let mut times = clock::Times::default();
    if let Some(readable) = &readable {
        let (findings, newest) = sample::check(settings, readable, args.sample as usize, stop);
        report.add_all(findings)?;
        times.newest = newest;
    }
    let first = settings.shape.process == 0;
    if first {
        let (findings, clocks) = receivers::check(settings);
        report.add_all(findings)?;
        times.servers = clocks;
    }
    report.add_all(clock::check(&times, settings.spec.time.max_future_skew))?;
    report.add_all(limits::check(settings, readable.as_ref().map(|readable| readable.partitions)))?;
    report.add_all(ports::check(settings))
}

/// That it makes sense, which is known by now.
fn configuration(settings: &Settings, args: &DoctorArgs) -> Finding {
    let boards: Vec<&str> = settings.spec.boards.iter().map(|board| &*board.name).collect();
    let plural = if boards.len() == 1 { "" } else { "s" };
    let from = args.run.config.as_ref().map(|path| format!("{}: ", path.display())).unwrap_or_default();
    let (count, names) = (boards.len(), boards.join(", "));
    Finding::ok("configuration", format!("{from}{count} board{plural} ({names})"))
}
