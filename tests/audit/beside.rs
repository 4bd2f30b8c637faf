//! Single items and what rises, which an audit of a state judges beside rankings.

use super::*;

/// Those of a kind, where there are others.
pub fn examples_of(report: &Value, kind: &str) -> Vec<Value> {
    let examples = report["examples"].as_array().unwrap();
    let found: Vec<Value> = examples.iter().filter(|example| example["kind"] == kind).cloned().collect();
    assert!(!found.is_empty(), "no {kind} in {report}");
    found
}

/// What no ranking lists is looked at beside them.
#[test]
fn damage_to_what_no_ranking_lists_is_found_in_single_items() {
    let case = Case::new(60_000);
    let (clean, _) = case.report(0, &["--state", &case.state()]);
    let judged = |name: &str| clean["boards"][0][name].as_u64().unwrap();
    assert!(judged("items") > 300 && judged("rises") > 10, "{clean}");
    let (report, told) = case.damaged(|_, group, mut rows| {
        if group.is_empty() {
            rows.lessen_all_beyond(3 * K, 1);
        }
    });
    for example in report["examples"].as_array().unwrap() {
        assert!(example["kind"] == "item" || example["kind"] == "rise", "{example}");
        let (window, end) = (example["window"].as_str().unwrap(), example["window_end"].as_i64().unwrap());
        let truth = case.recount.counts("default", window, end);
        let count = truth[example["item"].as_str().unwrap()];
        if example["kind"] == "item" && !example["true"].as_str().unwrap().starts_with("rank") {
            assert_eq!(example["true"], count.to_string(), "{example}");
        }
    }
    examples_of(&report, "item");
    assert!(told.contains("wrong item: default "), "{told}");
}

/// An item that a stored pane has too much of seems to rise where it does not.
#[test]
fn damage_that_makes_an_item_rise_is_found_in_what_rises() {
    let case = Case::new(60_000);
    let mut damaged = String::new();
    let (report, _) = case.damaged(|_, group, mut rows| {
        if group.is_empty() {
            damaged = rows.raise_the_least(60);
        }
    });
    let rises = examples_of(&report, "rise");
    assert!(rises.iter().all(|example| example["item"] == damaged), "{report}");
    for example in &rises {
        assert!(example["claimed"].as_str().unwrap().ends_with(" against previous"), "{example}");
        let (window, end) = (example["window"].as_str().unwrap(), example["window_end"].as_i64().unwrap());
        let now = case.recount.counts("default", window, end).get(&damaged).copied().unwrap_or(0);
        assert!(example["true"].as_str().unwrap().ends_with(&format!(" to {now}")), "{example}");
    }
}
