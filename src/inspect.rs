//! `crest state`: what a job's state holds, and with `--verify` whether all of it is whole. It only reads, and may
//! run beside the job; but for `--drop-board`, which removes what is stored of a board.

use crate::args::StateArgs;
use crate::failure::{Failure, print};
use crate::launch::state::{cannot_open, time};
use crate::settings::StateSettings;
use crate::text::{json_line, shown};
use crest_connectors::state::StateStore;
use crest_host::clock::wall_clock_ms;
use crest_state::drop_board::{self, DropError, DroppedBoard};
use crest_state::inspect::{Inspection, Range, StateReport, Verified};
use indicatif::HumanBytes;
use serde::Serialize;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// Ranges of time, and objects, that are shown one by one; `--json` has all.
const SHOWN: usize = 20;

/// Prints what the state holds.
///
/// # Errors
/// There is none, it cannot be read, or something of it is damaged or missing.
pub fn run(args: &StateArgs) -> Result<(), Failure> {
    let Some(StateSettings { url, options, .. }) = StateSettings::load(args)? else {
        return Err(Failure::Usage("no state to look at: give --state, CREST_STATE or [state] url".into()));
    };
    if let Some(board) = &args.drop_board {
        let store = StateStore::open(&url, &options).map_err(cannot_open)?;
        return drop_board(&store, board);
    }
    let store = StateStore::open_to_read(&url, &options).map_err(cannot_open)?;
    let inspection = Inspection::open(store).map_err(Failure::of)?;
    let report = inspection.report();
    if !args.json {
        print(&Listing(&report))?;
    }
    let verification = args.verify.then(|| Verification::of(&inspection, args.json)).transpose()?;
    if args.json {
        let whole = Json { report, verified: verification.as_ref() };
        print(&json_line(&serde_json::to_string(&whole).map_err(Failure::of)?))?;
    }
    verification.map_or(Ok(()), |verification| verification.result())
}

/// Removes what the state has of a board, and says what that came to.
fn drop_board(store: &StateStore, board: &str) -> Result<(), Failure> {
    let dropped = drop_board::drop_board(store, board, wall_clock_ms().unsigned_abs());
    let DroppedBoard { objects, before, after } = dropped.map_err(|error| match error {
        DropError::InUse { .. } | DropError::Runs { .. } => Failure::Usage(error.to_string()),
        error => Failure::of(error),
    })?;
    print(&match objects {
        0 => format!("no object of {} has the board {}\n", store.url(), shown(board)),
        _ => format!(
            "dropped     {} from {objects} objects, which had {} and have {}\n",
            shown(board),
            HumanBytes(before),
            HumanBytes(after)
        ),
    })
}

/// What `--verify` found.
#[derive(Serialize)]
struct Verification {
    objects: u64,
    bytes: u64,
    faults: Vec<String>,
}

impl Verification {
    /// Reads all objects; each fault is told, unless it will be in the JSON.
    fn of(inspection: &Inspection, json: bool) -> Result<Verification, Failure> {
        let mut faults = Vec::new();
        let verified = inspection.verify(|fault| faults.push(fault.to_string()));
        if !json {
            print(&faults.iter().map(|fault| format!("{}\n", shown(fault))).collect::<String>())?;
        }
        let Verified { objects, bytes } = verified.map_err(Failure::of)?;
        if !json {
            print(&format!("verified    {objects} objects are whole, {}\n", HumanBytes(bytes)))?;
        }
        Ok(Verification { objects, bytes, faults })
    }

    fn result(&self) -> Result<(), Failure> {
        match self.faults.len() as u64 {
            0 => Ok(()),
            faults => Err(Failure::Failed(format!(
                "damaged or missing: {faults} of the {} objects that the manifest names",
                self.objects + faults
            ))),
        }
    }
}

/// All in one object.
#[derive(Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    report: StateReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<&'a Verification>,
}

/// The report for people.
struct Listing<'a>(&'a StateReport);

impl Display for Listing<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let report = self.0;
        let up_to = |ms: Option<i64>| ms.map_or("nothing yet".into(), |ms| format!("up to {}", time(ms)));
        let pane = humantime::format_duration(Duration::from_millis(report.pane_ms));
        writeln!(f, "state       {}, epoch {}", shown(&report.url), report.epoch)?;
        writeln!(f, "counts      {} in panes of {pane}", shown(&report.source))?;
        writeln!(f, "boards      {}", shown(&report.boards.join(", ")))?;
        for (board, since) in &report.since_ms {
            writeln!(f, "since       {}: counted from {} on", shown(board), time(*since))?;
        }
        writeln!(f, "durable     {}", up_to(report.durable_ms))?;
        writeln!(f, "published   {}", up_to(report.published_ms))?;
        let ended = match (report.ended, report.finished) {
            (false, _) => "no",
            (true, false) => "yes, the log was counted to its end; not all of it is published",
            (true, true) => "yes, the log was counted to its end",
        };
        writeln!(f, "ended       {ended}")?;
        for at in report.partitions.values() {
            let name = shown(&at.name);
            writeln!(f, "partition   {name}, replay from offset {}, next {}", at.replay, at.next)?;
        }
        let run = |range: &Range| format!("{} to {}", time(range.from_ms), time(range.to_ms));
        writeln!(f, "counted     {} runs without a gap", report.counted.len())?;
        some(f, report.counted.iter().map(run))?;
        for level in &report.levels {
            let from = level.kept_from_ms.map_or(String::new(), |ms| format!(", none before {}", time(ms)));
            writeln!(f, "{:11} {}, {}{from}", level.level, level.blocks, HumanBytes(level.bytes))?;
            some(f, level.held.iter().map(run))?;
        }
        for backfill in &report.backfills {
            writeln!(f, "backfill    {}, counted up to {}", run(&backfill.range), time(backfill.durable_ms))?;
        }
        writeln!(f, "objects     {}, {}", report.objects, HumanBytes(report.bytes))?;
        let whose = if report.unnamed.is_empty() { "" } else { ", of a commit under way or a killed run" };
        writeln!(f, "unnamed     {}{whose}", report.unnamed.len())?;
        some(f, report.unnamed.iter().map(|name| shown(name)))
    }
}

/// The first lines, and how many there are more.
fn some(f: &mut Formatter<'_>, lines: impl ExactSizeIterator<Item = impl Display>) -> fmt::Result {
    let more = lines.len().saturating_sub(SHOWN);
    for line in lines.take(SHOWN) {
        writeln!(f, "            {line}")?;
    }
    if more > 0 {
        writeln!(f, "            and {more} more")?;
    }
    Ok(())
}
