//! How the job is doing, and what its boards hold.

use super::*;

#[test]
fn the_status_says_how_the_job_is_doing() {
    let server = server(0);
    let mut status = WorkerStatus { newest: Some(5000), ..WorkerStatus::default() };
    status.counts.events = 12;
    status.counts.refused[8] = 3;
    status.counts.refused[0] = 2;
    server.view.note(status);
    let (code, body) = server.json("/status");
    assert_eq!(code, 200);
    assert_eq!((&body["events"], &body["late"], &body["refused"]), (&12.into(), &3.into(), &2.into()));
    assert_eq!((&body["refused_by_reason"]["malformed"], &body["watermark"]), (&2.into(), &5000.into()));
    assert_eq!((&body["ingest"], &body["past"]), (&false.into(), &Value::Null));
}

#[test]
fn a_board_is_told_with_its_groups_the_largest_first() {
    let server = server(0);
    for (region, total) in [("IN", 7), ("US", 9), ("DE", 7)] {
        let group = GroupKey::from_values([("region", region)]);
        server.publish(Snapshot { group, total, ..snapshot("videos", "last_1m", 120_000, true) });
    }
    server.publish(snapshot("videos", "last_1m", 120_000, true));
    let (_, body) = server.json("/boards/videos");
    assert_eq!(body["groups"], serde_json::json!([{"region": "US"}, {"region": "DE"}, {"region": "IN"}]));
    assert_eq!((&body["groups_total"], &body["by"][0]), (&3.into(), &"region".into()));
    assert_eq!(server.json("/boards/none").0, 404);
}
