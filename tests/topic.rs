//! What happens to a topic while the real program reads it from the real broker: transactions, partitions that are
//! added, and its end. No event that is in time is lost for it, and no record is taken for another one.

#![allow(clippy::unwrap_used)] // a step that fails is a failed test

mod common;

use common::events::{Event, START, every_10_ms, now};
use common::program::{Crest, parse_finals, path};
use common::recount::{Recount, assert_begins_with};
use common::rules::Rules;
use common::servers::Kafka;
use common::web::Web;
use common::{eventually, new_folder};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const SECOND: i64 = 1000;

/// A job on a topic.
struct Job {
    crest: Crest,
    web: Web,
    dir: PathBuf,
}

impl Job {
    fn start(topic: &str, rules: &Rules, options: &[&str]) -> Job {
        Job::resume(topic, rules, options, new_folder(topic))
    }

    fn resume(topic: &str, rules: &Rules, options: &[&str], dir: PathBuf) -> Job {
        let (source, config) = (Kafka::shared().url(topic), rules.write(&dir));
        let job = ["--config", path(&config), "--source", &source];
        let ends = ["--snapshots", "-", "--http", "127.0.0.1:0"];
        let mut crest = Crest::spawn(job.iter().chain(&ends).chain(options));
        Job { web: Web::of(&mut crest), crest, dir }
    }

    fn status(&self, field: &str) -> u64 {
        self.web.json("/status")[field].as_u64().unwrap()
    }

    fn finals(&self) -> Vec<Value> {
        parse_finals(&self.crest.stdout())
    }

    /// The partitions that wait for the end of a transaction, and since when.
    fn waiting(&self) -> Value {
        self.web.json("/status")["open_transactions"].clone()
    }

    /// Waits until the second is final that begins so many ms after the start.
    fn wait_for_second(&mut self, from: i64) {
        let mark = format!(r#""window_start":{},"#, START + from);
        let look = |crest: &Crest| crest.stdout().iter().any(|line| line.contains(&mark)).then_some(());
        self.crest.until(&format!("the second at {from}"), look);
    }

    fn stop(mut self) -> Vec<Value> {
        self.crest.sigterm();
        assert!(self.crest.wait(Duration::from_secs(20)).success(), "{}", self.crest.describe());
        let _ = std::fs::remove_dir_all(&self.dir);
        self.finals()
    }
}

#[test]
fn what_waits_for_a_commit_is_not_late_and_what_is_aborted_holds_nothing_back() {
    let (kafka, topic, rules) = (Kafka::shared(), "transactions", Rules::of_seconds(SECOND));
    kafka.create_topic(topic, 2);
    // Longer than a broker may keep back how far the partition goes by now.
    let idle = Duration::from_millis(1500);
    let sender = kafka.transactions("patient", Duration::from_secs(60));
    let mut job = Job::start(topic, &rules, &["--idle-timeout", "1500ms", "-w", "2"]);
    let mut logs = [Vec::new(), Vec::new()];
    let told_of_one = |job: &Job| {
        eventually("it is told that a transaction is open", || job.waiting() != json!({}));
    };
    // Each time the plain partition is far ahead of the one whose events are not committed.
    for from in [0, 100_000, 200_000] {
        let events = every_10_ms(from, from + 5000);
        sender.begin(topic, 1, &events[..200]);
        // The broker may be slow to say that more is there, and what nobody knows of holds nothing back.
        told_of_one(&job);
        let so_far = job.finals().len();
        kafka.load(topic, std::slice::from_ref(&events));
        let plain = logs.iter().map(Vec::len).sum::<usize>() + events.len();
        eventually("the plain partition is read", || job.status("records") == plain as u64);
        std::thread::sleep(idle * 2);
        assert_eq!(job.finals().len(), so_far, "closed before the commit");
        assert_eq!(job.status("lag_records"), 200, "what waits is not read yet");
        let waiting = job.waiting();
        let since = waiting[format!("{topic}/1")].as_i64().unwrap_or(0);
        assert!((now() - 60_000..now()).contains(&since), "{waiting}");
        sender.send(topic, 1, &events[200..]);
        sender.commit();
        logs.iter_mut().for_each(|log| log.extend(events.clone()));
        // The last record of the partition is the commit's, and it is idle behind that.
        job.wait_for_second(from + 6000);
        assert_eq!(job.waiting(), json!({}));
    }
    assert_eq!((job.web.refused("late"), job.status("lag_records")), (0, 0));

    // Nothing comes of this one, once it is said so; and nobody says so of the next but the broker.
    sender.begin(topic, 1, &every_10_ms(300_000, 301_000));
    let plain = [every_10_ms(300_000, 302_000), vec![]];
    kafka.load(topic, &plain);
    sender.abort();
    job.wait_for_second(303_000);
    let abandoned = kafka.transactions("abandoned", Duration::from_secs(20));
    abandoned.begin(topic, 1, &every_10_ms(400_000, 401_000));
    told_of_one(&job);
    let so_far = job.finals().len();
    kafka.load(topic, &[every_10_ms(400_000, 402_000), vec![]]);
    eventually("the plain partition is read", || job.status("records") == 3400);
    std::thread::sleep(idle * 2);
    assert_eq!(job.finals().len(), so_far, "closed before the transaction's end");
    job.wait_for_second(403_000);
    logs[0].extend([every_10_ms(300_000, 302_000), every_10_ms(400_000, 402_000)].concat());
    assert_eq!(job.web.refused("late"), 0);
    assert_begins_with(&job.stop(), &Recount::new(&rules, &logs).finals());
}

/// Sends an event each 20 ms to the partitions that there are, as time goes on, for so long.
fn send_for(topic: &str, partitions: &[u32], span: Duration, sent: &mut [Vec<Event>]) {
    let end = Instant::now() + span;
    while Instant::now() < end {
        let mut logs = vec![Vec::new(); sent.len()];
        for partition in partitions {
            logs[*partition as usize].push(Event::new(&format!("item-{}", now() / 20 % 7), now()));
        }
        Kafka::shared().load(topic, &logs);
        sent.iter_mut().zip(logs).for_each(|(sent, log)| sent.extend(log));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_partition_that_is_added_loses_nothing_whether_the_job_runs_or_not() {
    let (kafka, topic, rules) = (Kafka::shared(), "growing", Rules::of_seconds(4 * SECOND));
    kafka.create_topic(topic, 1);
    let mut sent = [Vec::new(), Vec::new(), Vec::new()];
    let total = |sent: &[Vec<Event>]| sent.iter().map(Vec::len).sum::<usize>() as u64;
    let dir = new_folder(topic);
    let state = dir.join("state");
    let options = ["--state", path(&state), "-w", "2"];
    let mut job = Job::resume(topic, &rules, &options, dir.clone());
    send_for(topic, &[0], Duration::from_secs(7), &mut sent);
    let first = |crest: &Crest| (crest.stdout().len() > 1).then_some(());
    job.crest.until("some seconds", first);
    kafka.grow_topic(topic, 2);
    // What is of a second that is long closed cannot be counted, and is not the sender's fault.
    let old = Event { sent: Some(now()), ..Event::new("old", sent[0][0].time - 10 * SECOND) };
    kafka.load(topic, &[vec![], vec![old]]);
    send_for(topic, &[0, 1], Duration::from_secs(6), &mut sent);
    eventually("all is read", || job.status("records") == total(&sent) + 1);
    assert_eq!((job.web.refused("late"), job.web.refused("before_partition")), (0, 1));
    job.crest.kill();
    // The last line may be cut off.
    let mut lines = job.crest.stdout();
    lines.retain(|line| serde_json::from_str::<Value>(line).is_ok());
    let mut finals = parse_finals(&lines);

    kafka.grow_topic(topic, 3);
    send_for(topic, &[0, 1, 2], Duration::from_secs(1), &mut sent);
    let mut job = Job::resume(topic, &rules, &options, dir);
    send_for(topic, &[0, 1, 2], Duration::from_secs(5), &mut sent);
    let end = sent.iter().flatten().map(|event| event.time).max().unwrap();
    let last = format!(r#""window_start":{},"#, end / SECOND * SECOND);
    let look = |crest: &Crest| crest.stdout().iter().any(|line| line.contains(&last)).then_some(());
    job.crest.until("the last second", look);
    assert_eq!((job.web.refused("late"), job.web.refused("before_partition")), (0, 0));
    finals.extend(job.stop());
    finals.sort_by_key(|snapshot| snapshot["window_end"].as_i64());
    finals.dedup();
    assert_begins_with(&finals, &Recount::new(&rules, &sent).finals());
}

/// A topic that was read up to its end, and then deleted.
struct Renewed {
    topic: &'static str,
    /// Records of the one that is made in its place; none where none is.
    records: Option<i64>,
    options: &'static [&'static str],
}

#[test]
fn a_topic_that_is_deleted_or_made_anew_ends_its_job() {
    let kafka = Kafka::shared();
    let cases = [
        Renewed { topic: "anew-longer", records: Some(80), options: &[] },
        Renewed { topic: "anew-as-long", records: Some(50), options: &[] },
        Renewed { topic: "anew-shorter", records: Some(30), options: &[] },
        Renewed { topic: "anew-empty", records: Some(0), options: &["--on-gap", "skip"] },
        Renewed { topic: "anew-skipped", records: Some(80), options: &["--on-gap", "skip"] },
        Renewed { topic: "anew-state", records: Some(80), options: &["--state"] },
        Renewed { topic: "deleted", records: None, options: &[] },
    ];
    let start = |case: &Renewed| {
        kafka.create_topic(case.topic, 2);
        kafka.load(case.topic, &[every_10_ms(0, 500), vec![]]);
        let dir = new_folder(case.topic);
        let state = dir.join("state");
        let mut options = case.options.to_vec();
        if options == ["--state"] {
            options.push(path(&state));
        }
        Job::resume(case.topic, &Rules::of_seconds(SECOND), &options, dir.clone())
    };
    let jobs: Vec<Job> = cases.iter().map(start).collect();
    for job in &jobs {
        eventually("the topic is read", || job.status("records") == 50);
    }
    for (case, job) in cases.iter().zip(&jobs) {
        // The job does not see the new topic before all is in it, as where it was cut off from the broker.
        job.crest.signal("STOP");
        kafka.delete_topic(case.topic);
        if let Some(records) = case.records {
            kafka.create_topic(case.topic, 2);
            // Other items, at the same offsets and behind them.
            let log =
                (0..records).map(|n| Event::new("of-the-new-one", START + 100_000 + n * 1000)).collect();
            kafka.load(case.topic, &[log, vec![]]);
        }
        job.crest.signal("CONT");
    }
    for (case, mut job) in cases.iter().zip(jobs) {
        let status = job.crest.wait(Duration::from_secs(60));
        let told = job.crest.describe();
        assert!(!status.success(), "{told}");
        assert!(!job.crest.stdout().iter().any(|line| line.contains("of-the-new-one")), "{told}");
        match case.records {
            Some(_) => assert!(told.contains(" was deleted and made anew"), "{told}"),
            None => assert!(told.contains("the brokers have no topic"), "{told}"),
        }
        let _ = std::fs::remove_dir_all(&job.dir);
    }
}
