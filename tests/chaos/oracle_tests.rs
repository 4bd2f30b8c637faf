//! The oracle of chaos is shown what it must not let pass.

use super::common::events::{Event, START, every_10_ms};
use super::common::recount::Recount;
use super::common::rules::Rules;
use super::faults::Fault;
use super::oracle::Oracle;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::time::Duration;

/// What the job would publish of these events, as it writes it.
fn published(rules: &Rules, events: &[Event]) -> Vec<String> {
    let finals = Recount::new(rules, &[events.to_vec()]).finals();
    let text = |snapshot: &serde_json::Value| {
        snapshot.to_string().replacen("\"watermark\"", "\"computed_at\":7,\"watermark\"", 1)
    };
    finals.iter().filter(|snapshot| snapshot["window_end"].as_i64() <= Some(START + 4000)).map(text).collect()
}

/// What the oracle says of these lines; `Ok` with how many it judged.
fn judged(change: impl Fn(&mut Vec<String>)) -> Result<u64, String> {
    let (rules, events) = (Rules::of_seconds(1000), every_10_ms(0, 5010));
    let (log, logged) = channel();
    let (publish, lines) = channel();
    let mut all = published(&rules, &events);
    change(&mut all);
    events.into_iter().for_each(|event| log.send((0, event)).unwrap());
    all.into_iter().for_each(|line| publish.send(line).unwrap());
    let mut oracle = Oracle::new(&rules, &[], 1, logged, lines);
    oracle.is_over = true;
    let settled = catch_unwind(AssertUnwindSafe(|| {
        oracle.settle(START + 4000, Duration::from_millis(50));
        oracle.judged
    }));
    settled.map_err(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_default())
}

#[test]
fn the_oracle_sees_what_is_lost_doubled_altered_or_made_up() {
    assert_eq!(judged(|_| ()), Ok(4));
    assert_eq!(judged(|lines| lines.push(lines[1].clone())), Ok(4), "the same again is no fault");
    let says = |what: &str, change: &dyn Fn(&mut Vec<String>)| {
        let said = judged(change).expect_err(what);
        assert!(said.contains(what), "{what}: {said}");
    };
    says("STALLED", &|lines| drop(lines.remove(2)));
    // The first row has ten times as much, or more.
    let altered = |line: &String| {
        let (head, rows) = line.split_at(line.find("\"items\":").unwrap());
        head.to_owned() + &rows.replacen("\"count\":", "\"count\":1", 1)
    };
    says("two contents", &|lines| lines.push(altered(&lines[1])));
    says("item-", &|lines| lines[1] = altered(&lines[1]));
    says("total", &|lines| lines[1] = lines[1].replacen("\"total\":", "\"total\":1", 1));
    says("should not be there", &|lines| {
        lines.push(lines[1].replacen("\"group\":{}", "\"group\":{\"region\":\"IN\"}", 1));
    });
}

#[test]
fn the_script_knows_the_faults_that_there_are() {
    let mut script = std::process::Command::new(super::common::root().join("scripts/chaos"));
    let refused = script.args(["--fault", "earthquake"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let names = Fault::ALL.map(|(name, _)| name).join(" ");
    let message = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(message, format!("scripts/chaos: --fault earthquake: no fault; there are {names}\n"));
    let help = std::process::Command::new(super::common::root().join("scripts/chaos")).arg("--help").output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    for (name, _) in Fault::ALL {
        assert!(help.contains(name), "{name} is not in:\n{help}");
    }
}
