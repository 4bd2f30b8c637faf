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
fn the_status_lists_what_a_job_consists_of() {
    let server = server(0);
    assert_eq!(server.json("/status").1["state"], Value::Null);
    let partition = |watermark, lag| PartitionStatus { watermark, lag, ..PartitionStatus::default() };
    let partitions = [
        ("t/0", partition(Some(9000), 0)),
        ("t/1", partition(None, 7)),
        ("t/2", partition(Some(1000), 7)),
        ("t/3", partition(Some(2000), 0)),
    ];
    let partitions = partitions.map(|(name, status)| (name.to_owned(), status)).into();
    server.view.note(WorkerStatus { partitions, ..WorkerStatus::default() });
    Monitor::update(&*server.view, &mut |counts: &mut StateCounts| {
        counts.durable = 8000;
        counts.commits = 2;
        counts.waiting = Some(Waiting { since: 12_345, reason: "the disk is full".into() });
    });
    let (_, body) = server.json("/status");
    assert_eq!(body["partitions_total"], 4);
    let found: Vec<(String, Value, u64)> = (body["partitions"].as_array().unwrap().iter())
        .map(|one| {
            (
                one["name"].as_str().unwrap().into(),
                one["watermark"].clone(),
                one["lag_records"].as_u64().unwrap(),
            )
        })
        .collect();
    // What is unread counts first, then the time; one without a time is behind all others.
    let expected =
        [("t/1", Value::Null, 7), ("t/2", 1000.into(), 7), ("t/3", 2000.into(), 0), ("t/0", 9000.into(), 0)];
    assert_eq!(found, expected.map(|(name, at, lag)| (name.to_owned(), at, lag)));
    let state = serde_json::json!({
        "durable": 8000, "commits": 2, "bytes": 0, "last_commit": null,
        "failing_since": 12_345, "failure": "the disk is full"
    });
    assert_eq!(body["state"], state);
}

#[test]
fn the_status_says_when_records_and_events_last_came() {
    let server = server(0);
    let (_, body) = server.json("/status");
    assert_eq!((&body["last_record"], &body["last_event"]), (&Value::Null, &Value::Null));
    let before = crest_host::clock::wall_clock_ms();
    let mut status = WorkerStatus::default();
    status.counts.records = 5;
    server.view.note(status);
    let last = |name: &str| server.json("/status").1[name].as_i64();
    let deadline = Instant::now() + Duration::from_secs(60);
    while last("last_record").is_none() {
        assert!(Instant::now() < deadline, "a record that was read is not noticed");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(last("last_record") >= Some(before));
    assert_eq!(last("last_event"), None, "of the records none was counted");
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
