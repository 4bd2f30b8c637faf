//! The Nexmark example, smaller than a person runs it: its answers are right, and it would notice if they were not.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

#[path = "../examples/nexmark/main.rs"]
#[allow(dead_code)] // but for its arguments, which nobody types here
mod nexmark;

use crest_state::spec::Engine;
use nexmark::auctions::{Auctions, Bid};
use nexmark::naive::Recount;
use nexmark::{Args, compare, job, judge};

#[test]
fn both_engines_find_the_hot_items() {
    compare(&Args { events: 60_000, rate: 3_000 }).unwrap();
}

#[test]
fn more_auctions_than_a_sketch_holds_exactly() {
    compare(&Args { events: 300_000, rate: 50_000 }).unwrap();
    let auctions = Auctions::generate(300_000, 50_000);
    let run = job::run(Engine::Sketch, &auctions.partitions, 1).unwrap();
    assert!(run.rankings.iter().any(|ranking| !judge::is_certain(ranking)), "too few to tell");
}

#[test]
fn a_bid_too_many_or_too_few_is_noticed() {
    let mut auctions = Auctions::generate(20_000, 2_000);
    let bids = auctions.bids.len();
    for engine in [Engine::Exact, Engine::Sketch] {
        let run = job::run(engine, &auctions.partitions, 2).unwrap();
        judge::judge(engine, &run.rankings, &Recount::of(&auctions.bids)).unwrap();
        judge::judge(engine, &run.rankings, &Recount::of(&auctions.bids[1..])).unwrap_err();
        let Bid { time, auction } = auctions.bids[bids / 2];
        auctions.bids.push(Bid { time, auction });
        judge::judge(engine, &run.rankings, &Recount::of(&auctions.bids)).unwrap_err();
        auctions.bids.pop();
        // A window that no ranking was published of.
        auctions.bids.push(Bid { time: time + 3_600_000, auction });
        judge::judge(engine, &run.rankings, &Recount::of(&auctions.bids)).unwrap_err();
        auctions.bids.pop();
    }
}
