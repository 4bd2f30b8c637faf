//! A sample of the source: its newest records, or the first ones of files, are parsed and counted by the job itself, with its
//! boards, as `crest try` counts what it has guessed.

use super::finding::Finding;
use super::source::{Readable, untraced};
use crate::account::{Account, BoardAccount, TOLERATED};
use crate::failure::Failure;
use crate::launch::Stop;
use crate::launch::state::time;
use crate::settings::Settings;
use crate::trial::count::{Counted, count};
use crate::trial::decode::TrialRegistry;
use crate::trial::sample::{Asked, Sample};
use crest_connectors::endpoint::SourceUrl;
use crest_connectors::source::BrokerTime;
use crest_connectors::{OnGap, Start, Until, open_source};
use crest_dataflows::match_counts::Role;
use crest_formats::refusal::Refusal;
use crest_state::fields::JobFields;
use std::sync::Arc;

const CHECK: &str = "sample";
const YEAR_MS: i64 = 365 * 86_400_000;

/// The findings, and the newest time stamp of a broker, in milliseconds since 1970.
pub fn check(
    settings: &Settings,
    readable: &Readable,
    records: usize,
    stop: &Stop,
) -> (Vec<Finding>, Option<i64>) {
    match settings.source.url {
        SourceUrl::Stdin | SourceUrl::Demo(_) | SourceUrl::States(_) => return (Vec::new(), None),
        // One that the job is going to make.
        SourceUrl::Log(_) if readable.log.is_none() => return (Vec::new(), None),
        _ if readable.partitions == 0 => return (Vec::new(), None),
        _ => {}
    }
    let looked = read(settings, readable, records).and_then(|sample| {
        let newest = newest(&sample);
        if sample.records == 0 {
            return Ok((vec![Finding::ok(CHECK, "there is no record yet to be parsed")], newest));
        }
        let counted = counted(settings, sample, stop)?;
        let mut findings = judge(&counted.account);
        findings.extend(of_long_ago(&counted, newest));
        Ok((findings, newest))
    });
    looked.unwrap_or_else(|failure| {
        let fix = "see that this user may read it, and crest try on the same source for what is in it";
        (vec![Finding::fix(CHECK, failure, fix)], None)
    })
}

/// Reads as many records as there are to be; of a log the newest of each partition.
fn read(settings: &Settings, readable: &Readable, records: usize) -> Result<Sample, Failure> {
    let url = &settings.source.url;
    let fields = JobFields::new(&settings.spec).map_err(Failure::of)?;
    let headers = fields.plan.headers();
    let mut options = untraced(settings, None, readable.log.clone());
    if url.is_log() {
        let each = i64::try_from(records.div_ceil(readable.partitions)).unwrap_or(i64::MAX);
        let newest = readable.kept.iter().map(|(partition, kept)| {
            // Offsets of a log may have gaps, where transactions ended or records were compacted.
            (*partition, kept.high.saturating_sub(each).max(kept.low))
        });
        options.start = Some(Start::Offsets(newest.collect()));
        (options.until, options.on_gap) = (Some(Until::Now), OnGap::Skip);
    }
    let mut source = open_source(url, &options).and_then(|source| source.open(0, 1)).map_err(Failure::of)?;
    let asked = Asked { records, headers: &headers, waits: false };
    Sample::read(&mut *source, &asked).map_err(Failure::of)
}

fn newest(sample: &Sample) -> Option<i64> {
    sample.all().filter_map(|record| record.time.map(BrokerTime::ms)).max()
}

/// What the job makes of the sample. It runs alone, whichever cluster it is to be of.
fn counted(settings: &Settings, sample: Sample, stop: &Stop) -> Result<Counted, Failure> {
    let mut alone = settings.clone();
    (alone.shape.workers, alone.shape.processes, alone.shape.process) = (1, 1, 0);
    alone.shape.addresses.truncate(1);
    let registry = if alone.spec.format.wants_registry() { TrialRegistry::of(&alone)? } else { None };
    let registry = registry.map(|registry| registry.registry());
    count(alone, Arc::new(sample), registry, 1, stop)
}

/// That events are years older than the broker's stamps: their times may be in another unit, or the past may be what is counted.
fn of_long_ago(counted: &Counted, stamped: Option<i64>) -> Option<Finding> {
    let newest = counted.rankings.iter().map(|ranking| ranking.window_end).max()?;
    let years = stamped?.saturating_sub(newest) / YEAR_MS;
    let found = format!(
        "all events are from before {}, {years} years before their broker's time stamp; unless the past is replayed, their times \
         are in another unit",
        time(newest)
    );
    (years > 0).then(|| Finding::ok(CHECK, found))
}

fn judge(account: &Account) -> Vec<Finding> {
    let refused: u64 = account.refused.iter().map(|(_, count)| count).sum();
    let is_bad = account.counted_nothing() || refused > account.records / TOLERATED;
    let headline = account.headline();
    let mut findings = vec![if is_bad {
        let of_future = account.refused.iter().filter(|(reason, _)| *reason == Refusal::Future);
        let of_future: u64 = of_future.map(|(_, count)| count).sum();
        let fix = if of_future > refused / 2 {
            "look at the clocks of the senders, and at the time zone of their times; or raise max_future_skew"
        } else {
            "correct source.format, [schema] or the boards; crest try on the same source guesses them"
        };
        Finding::fix(CHECK, headline, fix)
    } else {
        Finding::ok(CHECK, headline)
    }];
    findings.extend(account.boards.iter().flat_map(of_first_elements));
    // Where nothing could be parsed, no board is to blame.
    for board in account.boards.iter().filter(|board| board.is_amiss() && account.events > 0) {
        findings.push(if board.unseen().next().is_some() {
            Finding::fix("board", board.line(), "correct the field's name, unless such events are rare")
        } else {
            // Its filter names fields that are there, with values that may come.
            Finding::ok("board", format!("{} of the sample", board.line()))
        });
    }
    for board in account.boards.iter().filter(|board| board.is_lacking() && !board.is_amiss()) {
        findings.push(Finding::fix("board", board.line(), usable(board)));
    }
    findings
}

/// What to do where a board cannot count much of what it takes.
fn usable(board: &BoardAccount) -> &'static str {
    match board.lacking().into_iter().max_by_key(|(count, _)| *count) {
        Some((_, "weight")) => {
            "name a weight that is a whole number from 1 on; schema.weight_scale = 100 takes hundredths"
        }
        Some((_, "item")) => {
            "name an item that is a text, a number or a boolean, and not an object, an array or null"
        }
        _ => "name a field to count that is a text, a number or a boolean, or filter the events that lack it",
    }
}

/// That of arrays, a board counts the first elements alone, which may be what is wanted.
fn of_first_elements(board: &BoardAccount) -> impl Iterator<Item = Finding> + '_ {
    let counted = board.fields.iter().filter(|field| matches!(field.role, Role::Item | Role::Weight));
    counted.filter_map(|field| {
        let (array, _) = field.name.rsplit_once("[*]")?;
        let (board, role, name) = (&board.name, field.role.key(), &field.name);
        let found = format!(
            "board {board} counts the first element alone of {role} = {name}; each = \"{array}[*]\" counts all"
        );
        Some(Finding::ok("board", found))
    })
}
