//! A snapshot for tests that care for a few of its fields only.

use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::{Item, Snapshot};

/// A final ranking of the whole board `videos` at 60 s, of the run of epoch 5; one item has its whole total.
pub fn snapshot(total: u64) -> Snapshot {
    let item = Item {
        rank: 1,
        item_id: "a".into(),
        count: total,
        lower: total,
        upper: total,
        exact: true,
        estimate: None,
        change: None,
    };
    Snapshot {
        board: "videos".into(),
        window: "last_1m".into(),
        group: GroupKey::WHOLE,
        window_start: 0,
        window_end: 60_000,
        computed_at: 60_001,
        watermark: 60_000,
        is_final: true,
        total,
        error: 0,
        error_floor: 0,
        guaranteed: 1,
        partial: false,
        since: None,
        missing: Vec::new(),
        distinct: None,
        retracts: false,
        items: vec![item],
        k: 10,
        rising: None,
        unit: None,
        lacking: 0,
        removed: 0,
        epoch: 5,
        bucket: false,
        counters: false,
    }
}
