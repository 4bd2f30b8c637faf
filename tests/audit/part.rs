//! Audits of a part of one topic, and of several, on a real Kafka.

use super::*;
use crate::common::servers::Kafka;
use crate::common::trial::Trial;

#[test]
fn a_part_of_a_topic_is_audited_between_times_and_between_offsets() {
    audits_a_part("audited");
}

#[test]
fn a_part_of_several_topics_is_audited_between_times_and_between_offsets() {
    audits_a_part("audited-one,audited-two");
}

fn audits_a_part(topics: &'static str) {
    let mut rules = rules();
    (rules.pane, rules.out_of_orderness, rules.max_future_skew) = (SECOND, 2 * SECOND, Some(60 * SECOND));
    rules.boards[0].windows = vec![
        Window { name: "last_10s", size: 10 * SECOND, slide: SECOND },
        Window { name: "minutes", size: 60 * SECOND, slide: 60 * SECOND },
    ];
    let traffic = Traffic {
        events: 60_000,
        items: 20_000,
        disorder: 3 * SECOND,
        regions: vec!["IN", "US"],
        ..Traffic::default()
    };
    let logs: Vec<Vec<Event>> = traffic.logs(2);
    let mut trial = Trial::new(topics, &rules, "\n[sketch]\nrows = 32\nrows_kept = 200\nseed = 5\n", logs);
    trial.send_rest();
    let mut job = trial.start((2, 1), &[]);
    trial.finish(&mut job);
    let (config, topic) = (trial.dir.join("crest.toml"), Kafka::shared().url(trial.topic));
    let audit = |state: &str, more: &[&str]| {
        let what = ["audit", "--config", path(&config), "--source", &topic, "--state", state, "--json"];
        let mut audit = Crest::spawn([&what, more].concat());
        assert!(audit.wait(PATIENCE).success(), "{}", audit.describe());
        let report: Value = serde_json::from_str(&audit.stdout()[0]).unwrap();
        assert_eq!((&report["violations"], &report["not_judged"]), (&json!(0), &json!(0)), "{report}");
        report
    };
    let (from, to) = ((START + 30 * SECOND).to_string(), (START + 150 * SECOND).to_string());
    let state = trial.dir.join("state");
    let times = audit(path(&state), &["--from", &from, "--to", &to]);
    assert!(times["judged"].as_str().unwrap().starts_with("the state "), "{times}");
    // 111 ends of one window and one of the other lie in the range; the whole and two regions.
    assert_eq!(times["rankings"], 3 * (111 + 1), "{times}");
    let doubt = &times["boards"][0]["windows"][0]["groups"][0];
    assert!(doubt["error_max"].as_f64().unwrap() > 0.0, "{doubt}");
    let at = |offset: u32| {
        trial.partitions().iter().map(|p| format!("{p}={offset}")).collect::<Vec<_>>().join(",")
    };
    let offsets = audit(path(&state), &["--from", &at(5000), "--to", &at(25_000)]);
    assert!(offsets["rankings"].as_u64().unwrap() > 0, "{offsets}");
    let sketched = audit("off", &["--from", &from, "--to", &to, "-w", "2"]);
    // Single items and what rises are asked of a state only.
    let judged = ["items", "rises"].map(|name| [&times, &sketched].map(|report| &report["boards"][0][name]));
    assert!(judged.iter().all(|[state, none]| state.as_u64().unwrap() > 20 && **none == 0), "{judged:?}");
    let windows = |report: &Value| report["boards"][0]["windows"].clone();
    assert_eq!((&sketched["judged"], windows(&sketched)), (&json!("the sketch engine"), windows(&times)));
}
