//! What the sink tells of one ranking after the other, and of the first ones after a restart.

use super::*;
use crate::outbox::{Courier, Delivery, Link, Outbox};
use crate::outbox_sink::OutboxSink;
use crate::selection::Selection;
use crate::snapshot::tests_support::{item, snapshot};
use crate::snapshot::{Item, SnapshotSink};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Keeps what it is handed.
struct Kept(Arc<Mutex<Vec<Message>>>);

impl Courier for Kept {
    fn deliver(&mut self, messages: &[Arc<Message>], _: &Link<'_>) -> Delivery {
        self.0.lock().extend(messages.iter().map(|message| (**message).clone()));
        Delivery { done: messages.len(), ..Delivery::default() }
    }
}

/// A sink that watches the top 2 of a window, and what it told.
struct Told {
    sink: OutboxSink<Changes>,
    messages: Arc<Mutex<Vec<Message>>>,
}

fn told() -> Told {
    let messages = Arc::<Mutex<Vec<Message>>>::default();
    let outbox = Outbox::start("test:", &["videos".into()], Kept(messages.clone())).unwrap();
    let names = |name: &str| BTreeSet::from([name.to_owned()]);
    let selection =
        Selection { boards: names("videos"), windows: names("w"), groups: BTreeMap::new(), whole: true };
    let watch = Watch { name: "top two".into(), selection, k: 2, certain: false };
    Told { sink: OutboxSink::new(Changes::new(watch), outbox), messages }
}

impl Told {
    fn messages(&self) -> Vec<Message> {
        self.sink.flush(Instant::now() + Duration::from_secs(30)).unwrap();
        std::mem::take(&mut *self.messages.lock())
    }
}

fn of(group: &str, end: i64, ids: &[&str]) -> Arc<Snapshot> {
    let items: Vec<Item> =
        ids.iter().zip(1..).map(|(id, rank)| item(rank, id, 50 - u64::from(rank), 0)).collect();
    let group = if group.is_empty() { GroupKey::WHOLE } else { GroupKey::from_values([("r", group)]) };
    Arc::new(Snapshot { group, items, ..snapshot("videos", "w", end, true) })
}

#[test]
fn a_ranking_with_changes_is_one_message_and_one_without_is_none() {
    let told = told();
    for (group, end, ids) in [
        ("", 10, &["a", "b", "c"][..]),
        ("IN", 10, &["a"]),
        ("", 20, &["a", "b", "d"]),
        ("IN", 20, &["c", "a"]),
        ("", 30, &["b", "a"]),
    ] {
        told.sink.publish(&of(group, end, ids));
    }
    told.sink.publish(&Arc::new(Snapshot { is_final: false, ..(*of("", 40, &["z"])).clone() }));
    told.sink.publish(&Arc::new(Snapshot { window: "other".into(), ..(*of("", 40, &["z"])).clone() }));
    let messages = told.messages();
    let ids: Vec<&str> = messages.iter().map(|message| message.id.as_str()).collect();
    assert_eq!(ids, ["top two@10", "top two/r=IN@10", "top two/r=IN@20", "top two@30"]);
    assert_eq!(messages[1].key, "videos/w/r=IN");
    let event: serde_json::Value = serde_json::from_slice(&messages[3].body).unwrap();
    assert_eq!(
        event,
        serde_json::json!({
            "id": "top two@30", "watch": "top two", "board": "videos", "window": "w", "group": {},
            "window_start": -9970, "window_end": 30, "k": 2, "certain": false,
            "changes": [
                {"change": "overtook", "item_id": "b", "rank": 1, "was": 2, "count": 49, "lower": 0, "upper": 49, "over": ["a"]}
            ]
        })
    );
    let text = String::from_utf8(messages[3].body.clone()).unwrap();
    assert!(text.starts_with("{\"id\":\"top two@30\",\"watch\""), "{text}");
}

#[test]
fn a_run_that_goes_on_tells_the_same_under_the_same_ids() {
    let rankings =
        [of("", 10, &["a", "b"]), of("", 20, &["b", "c"]), of("", 30, &["c", "b"]), of("", 40, &[])];
    let whole = told();
    rankings.iter().for_each(|ranking| whole.sink.publish(ranking));
    let whole = whole.messages();
    assert_eq!(whole.len(), 4);
    for published in 1..4 {
        let resumed = told();
        resumed.sink.pass_over(&rankings[published - 1]);
        rankings[published..].iter().for_each(|ranking| resumed.sink.publish(ranking));
        assert_eq!(resumed.messages(), whole[published..], "{published} were published");
    }
}

#[test]
fn who_is_in_a_window_that_is_left_out_as_empty_has_left() {
    let told = told();
    told.sink.publish(&of("IN", 10, &["a"]));
    told.sink.pass_over(&of("IN", 20, &[]));
    told.sink.pass_over(&of("IN", 30, &[]));
    told.sink.publish(&of("IN", 40, &["a"]));
    let ids: Vec<String> = told.messages().into_iter().map(|message| message.id).collect();
    assert_eq!(ids, ["top two/r=IN@10", "top two/r=IN@20", "top two/r=IN@40"]);
}
