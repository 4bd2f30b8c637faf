//! Warns once of a live job whose configuration does not fit its events: a board that took none of the first records or could
//! not count many of them, or a field that none of them had.

use crate::account::Account;
use crate::failure::Failure;
use crest_dataflows::job::Job;
use std::time::Duration;

/// Among so many records there should be something for everybody.
const ENOUGH: u64 = 10_000;
/// Between two looks at how many there are.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Looks on a thread of its own, until enough was read.
///
/// # Errors
/// The operating system has no thread to give.
pub fn warn(job: &Job) -> Result<(), Failure> {
    let (spec, view) = (job.spec.clone(), job.view.clone());
    let watch = move || {
        while !view.stopping() {
            let account = Account::of(&spec, &view);
            if account.records >= ENOUGH {
                return say(&account);
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    };
    let thread = std::thread::Builder::new().name("unmatched".into()).spawn(watch).map(drop);
    thread.map_err(Failure::thread("looks for what matches nothing"))
}

fn say(account: &Account) {
    if account.counted_nothing() {
        tracing::warn!("{}", account.headline());
    }
    for board in account.boards.iter().filter(|board| board.is_amiss() || board.is_lacking()) {
        tracing::warn!("of the first {} records, {}", account.records, board.line());
    }
}
