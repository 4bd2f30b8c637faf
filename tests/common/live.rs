//! A live job whose one window holds all that a test sends, of whatever years.

use super::eventually;
use super::program::Crest;
use super::web::Web;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// One window of a hundred years in place of the configured ones: it is of 1970 to 2069, and so holds what the whole input
/// does. Nothing in it is late: a pane of a day stays open for two more days of event time, and no partition is ever idle.
const ONE_WINDOW: [&str; 16] = [
    "--window",
    "all=36525d/36525d",
    "--pane",
    "1d",
    "--out-of-orderness",
    "1d",
    "--allowed-lateness",
    "1d",
    "--idle-timeout",
    "1d",
    "--refresh",
    "200ms",
    "--engine",
    "exact",
    "-k",
    "1000",
];
/// How long the ranking may take to show what was counted.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running job with an API.
pub struct Live {
    crest: Crest,
    pub web: Web,
}

impl Live {
    /// Starts a job.
    pub fn start(arguments: &[&str]) -> Live {
        let mut crest = Crest::spawn([&ONE_WINDOW, arguments, &["--http", "127.0.0.1:0"]].concat());
        let web = Web::of(&mut crest);
        Live { crest, web }
    }

    /// Waits until the job has read exactly so many records and its one board, `default`, says this of them, in the form of
    /// `want.json`; the last that it said, where it says otherwise.
    pub fn until(&self, records: usize, want: &Value) -> Value {
        eventually("all records are read", || self.web.json("/status")["records"] == records);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.says();
            if said == *want || Instant::now() > deadline {
                assert_eq!(self.web.json("/status")["records"], records, "{}", self.crest.describe());
                return said;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn says(&self) -> Value {
        let (status, body) = self.web.get("/top-k/default?window=all&k=1000");
        let mut boards = json!({});
        let ranking: Value = serde_json::from_str(&body).unwrap();
        if status == 200 && ranking["total"] != 0 {
            let items = ranking["items"].as_array().unwrap();
            let items: Vec<Value> =
                items.iter().map(|item| json!([item["item_id"], item["count"]])).collect();
            boards = json!({ "default": { "total": ranking["total"], "items": items } });
        }
        let refused = self.web.json("/status")["refused_by_reason"].clone();
        let refused: BTreeMap<String, u64> = serde_json::from_value(refused).unwrap();
        let refused: BTreeMap<_, _> = refused.into_iter().filter(|(_, count)| *count > 0).collect();
        json!({ "boards": boards, "refused": refused })
    }
}
