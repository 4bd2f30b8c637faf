//! Which rankings are called stale.

use super::*;

#[test]
fn an_old_ranking_says_that_it_is_stale_and_is_served() {
    let server = server(0);
    let old =
        Snapshot { computed_at: wall_clock_ms() - 60_000, ..snapshot("default", "last_1m", 120_000, true) };
    server.publish(old);
    let (status, body) = server.json("/top-k");
    assert_eq!((status, &body["stale"]), (200, &true.into()));
    assert!(body["snapshot_age_seconds"].as_f64().unwrap() >= 60.0);
    assert!(server.json("/top-k?final=true").1.get("stale").is_none());

    // The worker is well and has read all there is: nothing happened since.
    server.view.note(WorkerStatus::default());
    assert!(server.json("/top-k").1.get("stale").is_none());
    let mut status = WorkerStatus::default();
    status.counts.source.disconnected = true;
    server.view.note(status);
    assert_eq!(server.json("/top-k").1["stale"], true);
}

#[test]
fn a_ranking_in_which_nothing_changes_is_not_stale_while_others_are_made() {
    let server = server(0);
    let mut status = WorkerStatus::default();
    status.counts.source.lag = 7;
    server.view.note(status);
    let old = wall_clock_ms() - 60_000;
    let group = GroupKey::from_values([("region", "IN")]);
    let quiet = Snapshot { computed_at: old, group, ..snapshot("videos", "last_1m", 120_000, false) };
    server.publish(quiet);
    server.publish(Snapshot { computed_at: old, ..snapshot("videos", "last_1m", 120_000, false) });
    let question = "/top-k?board=videos&window=last_1m&region=IN";
    assert_eq!(server.json(question).1["stale"], true, "nothing came for a minute, and events wait");
    server.publish(snapshot("videos", "last_1m", 120_000, false));
    let (status, body) = server.json(question);
    assert_eq!((status, body.get("stale")), (200, None), "others came, and this one would have with them");
}
