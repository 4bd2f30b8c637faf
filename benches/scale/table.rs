//! The table: a row for each traffic and way of shipping.

use crate::aggregator::Cost;
use crate::figures::note;
use crate::shares::{Shares, Shipping};
use crate::traffic::{Keyed, Traffic};
use std::time::Duration;

pub fn head() {
    println!(
        "{:<38} {:>6} {:<11} | {:>6} {:>8} {:>8} {:>9} | {:>9} {:>8} {:>7} {:>8} | {:>8} {:>8} {:>9} {:>9} | {:>10} {:>10}",
        "partitions x events of a pane, ids",
        "boards",
        "a share is",
        "shares",
        "MB",
        "join ms",
        "encode ms",
        "decode ms",
        "merge ms",
        "rank ms",
        "all ms",
        "close ms",
        "last ms",
        "commit ms",
        "stored KB",
        "refresh MB",
        "refresh ms"
    );
}

pub fn row(traffic: &Traffic, boards: usize, shipping: Shipping, shares: &Shares, cost: &Cost) {
    let keyed = match traffic.keyed {
        Keyed::ByItem => "by item",
        Keyed::ByOthers => "by others",
    };
    let of = match shipping {
        Shipping::Partition => "a partition",
        Shipping::Worker => "a worker",
        Shipping::Process => "a process",
    };
    let ids = traffic.items / 1_000_000;
    let what = format!("{} x {}, {ids}M {keyed}", traffic.partitions, traffic.events);
    if shipping == Shipping::Worker {
        let what = format!("aggregating {what}, {boards} board(s)");
        note(&what, ms(cost.all()), "ms of CPU a pane", "10,000 ms: the pane");
    }
    println!(
        "{what:<38} {boards:>6} {of:<11} | {:>6} {:>8.2} {:>8.1} {:>9.2} | {:>9.1} {:>8.1} {:>7.1} {:>8.1} | {:>8.0} {:>8.0} {:>9.1} {:>9.0} | {:>10.2} {:>10.1}",
        boards * shares.unions.len(),
        cost.bytes as f64 / 1e6,
        ms(shares.join),
        ms(cost.encode),
        ms(cost.decode),
        ms(cost.merge),
        ms(cost.windows),
        ms(cost.all()),
        ms(cost.close),
        ms(cost.last),
        ms(cost.commit),
        cost.stored as f64 / 1e3,
        cost.refresh_bytes as f64 / 1e6,
        ms(cost.refresh),
    );
}

pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
