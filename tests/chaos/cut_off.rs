//! A job with its state in a bucket is cut off from it, and from Kafka as well, in a network of its own. Who stands by for it
//! takes over; the one that is cut off publishes nothing more, and ends once the network is whole again.

use super::common::events::{Event, Traffic};
use super::common::program::{Crest, path};
use super::common::recount::{Recount, assert_same};
use super::common::rules::Rules;
use super::common::servers::Kafka;
use super::common::trial::Published;
use super::common::{new_folder, skip};
use super::namespaces;
use super::net::{End, Net};
use super::s3_server::S3Server;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SECOND: i64 = 1000;
const TOPIC: &str = "cut-off";
const PATIENCE: Duration = Duration::from_secs(600);
/// The last event of each partition is so far after all others, in ms, that it closes all their windows.
const CLOSING: i64 = 20 * SECOND;

/// The logs of two partitions, in four parts; and when the last event is.
fn parts() -> (Vec<Vec<Vec<Event>>>, i64) {
    let traffic =
        Traffic { events: 20_000, items: 300, span: 60 * SECOND, disorder: 3 * SECOND, ..Traffic::default() };
    let mut logs = traffic.logs(2);
    let close = logs.iter().flatten().map(|event| event.time).max().unwrap() + CLOSING;
    let quarter = |part: usize| -> Vec<Vec<Event>> {
        logs.iter().map(|log| log[log.len() * part / 4..log.len() * (part + 1) / 4].to_vec()).collect()
    };
    let mut parts: Vec<_> = (0..4).map(quarter).collect();
    parts[3].iter_mut().for_each(|log| log.push(Event::new("closing", close)));
    logs.clear();
    (parts, close)
}

/// The parts that are there while the network fails.
struct Place {
    net: Net,
    kafka: Kafka,
    bucket: S3Server,
    dir: PathBuf,
}

impl Place {
    fn new() -> Place {
        let net = Net::new(2);
        let (kafka, bucket) = (Kafka::start_at(net.hub(), 2), S3Server::start_at(net.hub()));
        Place { net, kafka, bucket, dir: new_folder("cut-off") }
    }

    /// Starts a process in its own namespace.
    fn start(&self, process: usize, config: &Path, topic: &str, more: &[&str]) -> Crest {
        let source = self.kafka.url(topic);
        let job =
            ["--config", path(config), "--source", &source, "--idle-timeout", "10m", "--snapshots", "-"];
        let namespace = ["ip", "netns", "exec", &format!("crest-{process}")].map(str::to_owned);
        Crest::spawn_by(&namespace, [&job[..], &["--http", "off"], more].concat())
    }

    /// Lets nothing pass between the first process and these servers.
    fn cut(&self, servers: &[End]) {
        for server in servers {
            self.net.lose(End::Process(0), *server, 1.0);
            self.net.lose(*server, End::Process(0), 1.0);
        }
    }
}

#[test]
fn a_job_that_is_cut_off_is_followed_and_publishes_nothing_more() {
    const TEST: &str = "cut_off::a_job_that_is_cut_off_is_followed_and_publishes_nothing_more";
    if !namespaces::inside() {
        return match namespaces::lacking() {
            None => namespaces::run_inside(TEST),
            Some(why) => skip(TEST, &why),
        };
    }
    let mut place = Place::new();
    let (kafka, bucket) =
        (End::Server("kafka", place.kafka.port()), End::Server("bucket", place.bucket.port()));
    for (number, cut) in [vec![bucket], vec![bucket, kafka]].into_iter().enumerate() {
        follow(&mut place, &format!("{TOPIC}-{number}"), &cut);
    }
    std::fs::remove_dir_all(&place.dir).unwrap();
}

fn follow(place: &mut Place, topic: &str, cut: &[End]) {
    let (rules, (parts, close)) = (Rules::live_sliding(), parts());
    place.kafka.create_topic(topic, 2);
    let config = rules.write(&place.dir);
    let options: String =
        place.bucket.options().iter().map(|(key, value)| format!("{key} = \"{value}\"\n")).collect();
    let text = std::fs::read_to_string(&config).unwrap();
    let state = format!("\n[state]\nurl = \"{}\"\n[state.options]\n{options}", place.bucket.url(topic));
    std::fs::write(&config, text + &state).unwrap();
    let go_on = |crest: &mut Crest, part: usize| {
        let before = crest.stdout().len();
        place.kafka.load(topic, &parts[part]);
        crest.until("some windows", |crest| (crest.stdout().len() >= before + 8).then_some(()));
    };

    let mut first = place.start(0, &config, topic, &[]);
    first.until_logged("crest ");
    let mut second = place.start(1, &config, topic, &["--standby"]);
    second.until_logged("standing by for the job");
    go_on(&mut first, 0);

    place.cut(cut);
    place.kafka.load(topic, &parts[1]);
    second.until_logged("taking over: nothing was heard");
    let published = first.stdout().len();
    go_on(&mut second, 2);
    assert!(first.running(), "it waits for what it is cut off from");
    place.net.heal();
    let status = first.wait(PATIENCE);
    assert!(!status.success(), "{status}: {}", first.describe());
    assert_eq!(first.stdout().len(), published, "it published after it was taken over: {}", first.describe());

    place.kafka.load(topic, &parts[3]);
    let logs: Vec<Vec<Event>> =
        (0..2).map(|partition| parts.iter().flat_map(|part| part[partition].clone()).collect()).collect();
    let passed = (close - rules.out_of_orderness).div_euclid(SECOND) * SECOND;
    let mut expected = Recount::new(&rules, &logs).finals();
    expected.retain(|snapshot| snapshot["window_end"].as_i64().unwrap() <= passed);
    let last = &expected.last().unwrap()["window_end"];
    let mark = format!("\"window_end\":{last}");
    second.until("the last window", |crest| {
        crest.stdout().iter().any(|line| line.contains(&mark)).then_some(())
    });
    second.sigterm();
    assert!(second.wait(PATIENCE).success(), "{}", second.describe());
    let mut all = Published::default();
    all.take(&first.stdout());
    all.take(&second.stdout());
    let finals: Vec<Value> = all.finals();
    assert_same(&finals, &expected);
}
