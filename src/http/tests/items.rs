//! One item without a state: what the rankings in memory say of it.

use super::*;

#[test]
fn an_item_that_is_listed_is_as_its_ranking_says() {
    let server = server(0);
    assert_eq!(server.json("/items/default/a").0, 503, "there is no ranking yet");
    server.publish(snapshot("default", "last_1m", 120_000, true));
    server.publish(snapshot("default", "last_1m", 130_000, false));
    let (status, headers, body) = server.get("/items/default/b?window=1m");
    let said: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, headers["cache-control"].as_str()), (200, "public, max-age=1, stale-if-error=60"));
    assert_eq!(
        (&said["item_id"], &said["window"], &said["listed"]),
        (&"b".into(), &"last_1m".into(), &true.into())
    );
    assert_eq!([&said["count"], &said["lower"], &said["upper"]], [24, 20, 24]);
    assert_eq!(
        (&said["window_end"], &said["final"], &said["total"]),
        (&130_000.into(), &false.into(), &100.into())
    );
    // c has at most as much as b has at least, and ranks first where they are equal; a fourth has at most as much as c.
    assert_eq!(said["rank"], serde_json::json!({"best": 2, "worst": 3}));
    assert!((0.0..30.0).contains(&said["snapshot_age_seconds"].as_f64().unwrap()), "{said}");
    assert_eq!(server.json("/items/default/b?final=true").1["window_end"], 120_000);
}

#[test]
fn an_item_that_is_not_listed_has_at_most_what_the_ranking_leaves() {
    let server = server(0);
    server.publish(snapshot("default", "last_1m", 120_000, true));
    let said = server.json("/items/default/x").1;
    assert_eq!((&said["listed"], &said["lower"], &said["upper"]), (&false.into(), &0.into(), &20.into()));
    let all = Snapshot { k: 100, error_floor: 0, ..snapshot("default", "last_1m", 130_000, true) };
    server.publish(all);
    let said = server.json("/items/default/x").1;
    assert_eq!((&said["upper"], &said["exact"], &said["rank"]), (&0.into(), &true.into(), &Value::Null));
}

#[test]
fn a_group_is_asked_for_by_its_dimensions_and_an_unknown_one_is_told_those_that_there_are() {
    let server = server(0);
    server.publish(snapshot("videos", "last_1m", 120_000, true));
    for (region, total) in [("IN", 7), ("a=b,c", 9)] {
        let group = GroupKey::from_values([("region", region)]);
        server.publish(Snapshot { group, total, ..snapshot("videos", "last_1m", 120_000, true) });
    }
    let (status, said) = server.json("/items/videos/a?region=a%3Db%2Cc");
    assert_eq!((status, &said["total"], &said["group"]["region"]), (200, &9.into(), &"a=b,c".into()));
    let (status, said) = server.json("/items/videos/a?region=US");
    assert_eq!((status, &said["groups"]), (404, &serde_json::json!([{"region": "a=b,c"}, {"region": "IN"}])));
}

#[test]
fn what_only_a_state_knows_says_so() {
    let server = server(0);
    server.publish(snapshot("default", "last_1m", 120_000, true));
    let (no_window, no_past) = ("has no window", "has no past of window \"last_1m\" here");
    for (path, told) in [
        ("/items/default/a?window=3h", no_window),
        ("/items/default/a?step=1m", no_past),
        ("/items/default/a?from=0&to=9", no_window),
        ("/series/default", no_past),
    ] {
        let (status, said) = server.json(path);
        let error = said["error"].as_str().unwrap();
        let says = error.contains(told) && error.contains("need --state");
        assert!(status == 404 && says, "{path}: {status} {said}");
    }
}
