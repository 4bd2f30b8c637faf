//! The exact recount against a case small enough to be worked out by hand.

mod common;

use common::events::Event;
use common::recount::{Recount, assert_same, judge};
use common::rules::{Board, Rules, Window};
use serde_json::{Value, json};

fn item(rank: u32, id: &str, count: u64, change: Option<i64>) -> Value {
    json!({"rank": rank, "item_id": id, "count": count, "lower": count, "upper": count, "exact": true, "change": change})
}

fn snapshot(group: Value, end: i64, total: u64, items: &[Value]) -> Value {
    let other = total - items.iter().filter_map(|item| item["count"].as_u64()).sum::<u64>();
    json!({
        "other": { "count": other, "lower": other, "upper": other, "exact": true },
        "board": "default", "window": "last_20s", "group": group, "window_start": end - 20_000, "window_end": end,
        "watermark": end, "final": true, "total": total, "error": 0, "error_floor": 0, "guaranteed": items.len(),
        "items": items,
    })
}

fn rules() -> Rules {
    let window = Window { name: "last_20s", size: 20_000, slide: 10_000 };
    Rules {
        boards: vec![Board { by: vec!["region"], k: 2, windows: vec![window], ..Board::default() }],
        ..Rules::default()
    }
}

#[test]
fn a_small_stream_is_counted_as_by_hand() {
    let logs = [
        vec![
            Event::new("a", 1_003_000),
            Event::new("b", 1_012_000).with("region", "IN"),
            // The watermark is still at 1,000 s: 1,012 less 5 is 1,007, and panes have ten seconds.
            Event::new("b", 1_009_999).with("region", "IN"),
            Event::new("c", 1_025_000).weighing(3),
            // Now it is at 1,020 s, and this is late.
            Event::new("a", 1_019_999),
        ],
        // What is late in one partition is not so in another.
        vec![Event::new("a", 1_031_000), Event::new("a", 1_022_000)],
    ];
    let recount = Recount::new(&rules(), &logs);
    assert_eq!((recount.counted, recount.late), (6, 1));
    let whole = || json!({});
    let india = || json!({"region": "IN"});
    assert_same(
        &recount.finals(),
        &[
            // Ties rank by item id, descending.
            snapshot(whole(), 1_010_000, 2, &[item(1, "b", 1, None), item(2, "a", 1, None)]),
            snapshot(india(), 1_010_000, 1, &[item(1, "b", 1, None)]),
            snapshot(whole(), 1_020_000, 3, &[item(1, "b", 2, Some(0)), item(2, "a", 1, Some(0))]),
            snapshot(india(), 1_020_000, 2, &[item(1, "b", 2, Some(0))]),
            snapshot(whole(), 1_030_000, 5, &[item(1, "c", 3, None), item(2, "b", 1, Some(-1))]),
            snapshot(india(), 1_030_000, 1, &[item(1, "b", 1, Some(0))]),
            snapshot(whole(), 1_040_000, 5, &[item(1, "c", 3, Some(0)), item(2, "a", 2, None)]),
        ],
    );
}

#[test]
fn an_event_too_far_ahead_moves_nothing() {
    let mut ahead = Event::new("a", 9_000_000);
    ahead.sent = Some(1_000_000);
    let log = vec![Event::new("a", 1_000_000), ahead, Event::new("a", 1_001_000)];
    let recount = Recount::new(&Rules { max_future_skew: Some(60_000), ..rules() }, &[log]);
    assert_eq!((recount.counted, recount.late, recount.future), (2, 0, 1));
}

#[test]
fn an_event_ahead_of_its_stamp_counts_and_makes_nobody_late() {
    let mut ahead = Event::new("a", 1_059_000);
    ahead.sent = Some(1_000_000);
    let log = vec![Event::new("a", 1_000_000), ahead, Event::new("a", 1_001_000)];
    let recount = Recount::new(&Rules { max_future_skew: Some(60_000), ..rules() }, &[log]);
    assert_eq!((recount.counted, recount.late, recount.future), (3, 0, 0));
}

#[test]
#[should_panic(expected = "a was counted 2 times, not 3 to 3")]
fn a_false_bound_is_found() {
    let recount = Recount::new(&rules(), &[vec![Event::new("a", 1_000_000), Event::new("a", 1_000_001)]]);
    let truth = recount.counts("default", "last_20s", 1_010_000);
    let mut claimed = recount.finals().remove(0);
    assert_eq!(judge(&claimed, &truth, 2), 1);
    claimed["items"] = json!([item(1, "a", 3, None)]);
    judge(&claimed, &truth, 2);
}
