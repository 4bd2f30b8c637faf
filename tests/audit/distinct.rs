//! Counts of different users, which an audit judges as well: their bounds, and their estimates.

use super::beside::examples_of;
use super::*;

/// A case of users, sketched or exact.
fn case(engine: &'static str) -> Case {
    let traffic = Traffic {
        events: 60_000,
        items: 3_000,
        regions: vec!["IN", "US"],
        disorder: 7_000,
        ..Traffic::default()
    };
    let rules = Rules {
        boards: vec![Board { engine, distinct: Some("user"), ..rules().boards.remove(0) }],
        ..Rules::default()
    };
    let user = |(at, event): (usize, Event)| {
        let user = (at * at) % 7_919;
        event.with("user", &format!("user-{user}"))
    };
    let logs = traffic.logs(3).into_iter().map(|log| log.into_iter().enumerate().map(user).collect());
    let case = Case::of(rules, &logs.collect::<Vec<_>>());
    let (report, _) = case.report(0, &["--state", &case.state()]);
    assert_eq!(report["violations"], 0, "{report}");
    assert!(report["boards"][0]["items"].as_u64().unwrap() > 300, "{report}");
    case
}

/// Each example is of this item, and says what is true.
fn all_are_of(case: &Case, examples: &[Value], item: &str) {
    for example in examples {
        assert_eq!((&example["item"], &example["group"]), (&json!(item), &json!({})), "{example}");
        let (window, end) = (example["window"].as_str().unwrap(), example["window_end"].as_i64().unwrap());
        let truth = case.recount.counts("default", window, end);
        if !example["true"].as_str().unwrap().starts_with("rank") {
            assert_eq!(example["true"], truth[item].to_string(), "{example}");
        }
    }
}

#[test]
fn users_that_a_stored_pane_invented_are_found() {
    let case = case("sketch");
    let mut damaged = String::new();
    let (report, told) = case.damaged(|_, group, mut rows| {
        if group.is_empty() {
            damaged = rows.invent_values(40);
        }
    });
    all_are_of(&case, &examples_of(&report, "bounds"), &damaged);
    assert!(told.contains(" violations; the first: wrong ") && told.contains(&damaged), "{told}");
}

#[test]
fn a_user_that_an_exact_pane_forgot_is_found() {
    let case = case("exact");
    let mut damaged = String::new();
    let (report, _) = case.damaged(|_, group, mut rows| {
        if group.is_empty() {
            damaged = rows.forget_a_value();
        }
    });
    all_are_of(&case, &examples_of(&report, "item"), &damaged);
    all_are_of(&case, &examples_of(&report, "bounds"), &damaged);
}

#[test]
fn forged_counts_of_users_are_found_and_named() {
    let case = case("sketch");
    let estimated = |line: &Value| {
        let items = line["items"].as_array().unwrap();
        items.iter().position(|item| !item["estimate"].is_null() && item["estimate"]["standard_error"] != 0)
    };
    let place = case.finals.iter().position(|line| estimated(line).is_some()).unwrap();
    let line = &case.finals[place];
    let row = estimated(line).unwrap();
    let only = |found, kind| only(&found, kind, 1, line).remove(0);

    // An estimate that is within its bounds, and far beyond its error.
    let wrong = case.forged(|lines| {
        let upper = lines[place]["items"][row]["upper"].as_u64().unwrap();
        lines[place]["items"][row]["upper"] = json!(upper + 1_000_000);
        lines[place]["items"][row]["count"] = json!(upper + 1_000_000);
    });
    assert_eq!(only(wrong, "estimate")["item"], line["items"][row]["item_id"]);

    let wrong = case.forged(|lines| {
        let item = &mut lines[place]["items"][row];
        item["lower"] = json!(0);
        item["upper"] = json!(1);
        item["count"] = json!(1);
    });
    assert_eq!(only(wrong, "bounds")["item"], line["items"][row]["item_id"]);

    // The total is of all panes, so that a user who comes back in another one is counted in it again.
    let least = case.truth(line).values().sum::<u64>() - 1;
    let wrong = case.forged(|lines| lines[place]["total"] = json!(least));
    assert!(only(wrong, "total")["true"].as_str().unwrap().parse::<u64>().unwrap() > least);
}
