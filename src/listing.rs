//! `crest archive`: what an archive holds, as a listing of its store tells it.

use crate::args::ArchiveArgs;
use crate::failure::{Failure, print};
use crate::launch::state::time;
use crate::settings::ArchiveSettings;
use crate::text::{json_line, shown};
use crest_connectors::archive::{Archive, PartitionReport};
use indicatif::HumanBytes;
use serde_json::json;
use std::fmt::{self, Display, Formatter};

/// Gaps of a partition that are shown one by one; `--json` has all.
const SHOWN: usize = 20;

/// Prints what the archive holds.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn run(args: &ArchiveArgs) -> Result<(), Failure> {
    let Some(ArchiveSettings { url, options, .. }) = ArchiveSettings::load(args)? else {
        return Err(Failure::Usage(
            "no archive to look at: give its URL, or a --config with [archive] url".into(),
        ));
    };
    let archive = Archive::open(&url, &options).map_err(Failure::of)?;
    let partitions = archive.report();
    if args.json {
        let whole = json!({"url": archive.url(), "source": archive.meta().source, "log": archive.meta().log,
            "partitions": partitions});
        return print(&json_line(&whole.to_string()));
    }
    print(&Listing { archive: &archive, partitions: &partitions })
}

/// The report for people.
struct Listing<'a> {
    archive: &'a Archive,
    partitions: &'a [PartitionReport],
}

impl Display for Listing<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "archive     {} of {}", shown(self.archive.url()), shown(&self.archive.meta().source))?;
        for kept in self.partitions {
            let times = match (kept.oldest_ms, kept.newest_ms) {
                (Some(oldest), Some(newest)) => format!(", stamped {} to {}", time(oldest), time(newest)),
                _ => String::new(),
            };
            let (name, bytes) = (shown(&kept.partition), HumanBytes(kept.bytes));
            if kept.blocks == 0 {
                writeln!(f, "partition   {name}, nothing yet, from offset {} on", kept.from)?;
                continue;
            }
            writeln!(f, "partition   {name}, offsets {} to {}{times}", kept.from, kept.to - 1)?;
            writeln!(f, "            {} records in {} blocks, {bytes}", kept.records, kept.blocks)?;
            for gap in kept.gaps.iter().take(SHOWN) {
                writeln!(f, "            lacks offsets {} to {}", gap.start, gap.end - 1)?;
            }
            if kept.gaps.len() > SHOWN {
                writeln!(f, "            and {} more gaps", kept.gaps.len() - SHOWN)?;
            }
        }
        let bytes = HumanBytes(self.partitions.iter().map(|kept| kept.bytes).sum());
        writeln!(f, "in all      {} partitions, {bytes}", self.partitions.len())
    }
}
