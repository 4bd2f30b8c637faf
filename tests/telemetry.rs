//! Telemetry, as a collector gets it that is decoded by OpenTelemetry's own types: metrics are those of `/metrics`, spans are in
//! order and within their parents, and a collector that takes nothing changes nothing but what is counted and told.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::collector::{Answers, Collector, attributes};
use common::events::{Event, every_10_ms, write_files};
use common::program::{Crest, parse_finals, path};
use common::rules::{Board, Rules, Window};
use common::servers::Kafka;
use common::web::Web;
use common::{eventually, free_port, new_folder};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::ChildStdin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PATIENCE: Duration = Duration::from_secs(60);
const SECOND: i64 = 1000;

/// What goes up and down by itself within a second.
const RESTLESS: [&str; 2] = ["crest_worker_silence_seconds", "crest_snapshot_age_seconds"];

/// Names, kinds and values of samples, by name and labels as `/metrics` writes them.
type Samples = BTreeMap<String, (&'static str, f64)>;

/// Windows of ten seconds that slide by a pane of one.
fn rules(boards: &[&'static str]) -> Rules {
    let windows = vec![Window { name: "tens", size: 10 * SECOND, slide: SECOND }];
    let board = |name: &&'static str| Board { name, windows: windows.clone(), ..Board::default() };
    Rules {
        pane: SECOND,
        out_of_orderness: SECOND,
        boards: boards.iter().map(board).collect(),
        ..Rules::default()
    }
}

/// A job that reads its standard input, which ends when the pipe is dropped.
fn start(config: &Path, otlp: &str, more: &str) -> (Crest, ChildStdin, Web) {
    let text = format!("[telemetry]\notlp = \"{otlp}\"\n{more}");
    let all = std::fs::read_to_string(config).unwrap() + "\n" + &text;
    let whole = config.with_file_name(format!("{}.toml", free_port()));
    std::fs::write(&whole, all).unwrap();
    let (mut crest, input) =
        Crest::spawn_open(["--config", path(&whole), "--source", "-", "--http", "127.0.0.1:0"]);
    let web = Web::of(&mut crest);
    (crest, input, web)
}

fn write(input: &mut ChildStdin, events: &[Event]) {
    let lines: String = events.iter().map(|event| event.json() + "\n").collect();
    input.write_all(lines.as_bytes()).unwrap();
}

fn read_all(web: &Web, events: usize) {
    eventually("all is read", || web.metric("crest_records_total", "") as usize == events);
}

/// What an export has of metrics, by their names and labels as Prometheus writes them.
fn samples(sent: &ExportMetricsServiceRequest) -> Samples {
    let mut found = Samples::new();
    let of = &sent.resource_metrics[0].scope_metrics[0];
    for metric in &of.metrics {
        assert!(!metric.description.is_empty(), "{metric:?}");
        let (kind, points) = match metric.data.as_ref().unwrap() {
            Data::Sum(sum) => {
                assert!(sum.is_monotonic && sum.aggregation_temporality == 2, "cumulative: {metric:?}");
                ("counter", &sum.data_points)
            }
            Data::Gauge(gauge) => ("gauge", &gauge.data_points),
            other => panic!("nothing else is sent: {other:?}"),
        };
        for point in points {
            let value = match point.value.unwrap() {
                Number::AsInt(value) => value as f64,
                Number::AsDouble(value) => value,
            };
            // In the order of the message, which is that of the page.
            let labels: Vec<String> = point
                .attributes
                .iter()
                .map(|one| {
                    let [(name, text)] =
                        &attributes(std::slice::from_ref(one)).into_iter().collect::<Vec<_>>()[..]
                    else {
                        panic!("an attribute is one")
                    };
                    format!("{name}=\"{text}\"")
                })
                .collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let before = found.insert(format!("{}{labels}", metric.name), (kind, value));
            assert_eq!(before, None, "{} has a point twice", metric.name);
        }
    }
    found
}

/// What `/metrics` says.
fn page(web: &Web) -> Samples {
    let (status, text) = web.get("/metrics");
    assert_eq!(status, 200, "{text}");
    let (mut found, mut kind) = (Samples::new(), "");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            kind = if rest.ends_with(" counter") { "counter" } else { "gauge" };
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').unwrap();
            found.insert(name.to_owned(), (kind, value.parse().unwrap()));
        }
    }
    found
}

#[test]
fn the_metrics_that_are_sent_are_those_of_the_page() {
    let (collector, dir) = (Collector::start(Answers::Well), new_folder("otlp"));
    let config = rules(&["default"]).write(&dir);
    let more = "interval = \"100ms\"\nservice_name = \"shop\"\nattributes = { \"deployment.environment.name\" = \"test\" }\n\
                headers = { authorization = \"Bearer hidden\" }\n";
    let (mut crest, mut input, web) = start(&config, &collector.url(), more);
    let events = every_10_ms(0, 60 * SECOND);
    write(&mut input, &events);
    read_all(&web, events.len());
    eventually("all finals are published", || {
        web.metric("crest_snapshots_total", "kind=\"final\"") as usize == crest.stdout().len()
            && crest.stdout().len() > 40
    });

    let first = page(&web);
    let sent = collector.sent().metrics.len();
    eventually("two more exports", || collector.sent().metrics.len() >= sent + 2);
    let (headers, export) = collector.sent().metrics.remove(sent + 1);
    let second = page(&web);
    let found = samples(&export);
    let names = |samples: &Samples| {
        samples.iter().map(|(name, (kind, _))| (name.clone(), *kind)).collect::<BTreeSet<_>>()
    };
    assert_eq!(names(&found), names(&first));
    assert_eq!(names(&found), names(&second));
    assert!(
        found.len() > 50 && found["crest_records_total{worker=\"0\"}"] == ("counter", events.len() as f64)
    );
    let restless = |name: &str| RESTLESS.iter().any(|restless| name.starts_with(restless));
    for (name, (_, value)) in found.iter().filter(|(name, _)| !restless(name)) {
        let (before, after) = (first[name].1, second[name].1);
        // What is a time grows meanwhile, or falls. What is a count of events stands.
        let (least, most) = (before.min(after), before.max(after));
        assert!((least..=most).contains(value), "{name}: {value}, and on the page {before} and {after}");
    }

    assert_eq!(headers["authorization"], "Bearer hidden");
    let sender = attributes(&export.resource_metrics[0].resource.as_ref().unwrap().attributes);
    let expected = [
        ("deployment.environment.name", "test"),
        ("service.instance.id", "0"),
        ("service.name", "shop"),
        ("service.version", env!("CARGO_PKG_VERSION")),
    ];
    assert_eq!(sender, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_eq!(web.metric("crest_telemetry_failures_total", ""), 0.0);
    assert_eq!(web.metric("crest_telemetry_dropped_total", ""), 0.0);
    drop(input);
    assert!(crest.wait(PATIENCE).success(), "{}", crest.describe());
    assert!(!crest.stderr().join("\n").contains("hidden"), "{}", crest.describe());
    std::fs::remove_dir_all(dir).unwrap();
}

/// Runs a job over a file to its end, whose interval is longer than the run; what it printed.
fn run_over(config: &Path, section: &str, source: &str, collector: &Collector, more: &[&str]) -> Vec<String> {
    let whole = config.with_file_name(format!("{}.toml", free_port()));
    let text = std::fs::read_to_string(config).unwrap();
    std::fs::write(&whole, format!("{text}\n[telemetry]\ninterval = \"1h\"\n{section}")).unwrap();
    let url = collector.url();
    let arguments = ["--config", path(&whole), "--source", source, "--otlp", &url];
    Crest::spawn([&arguments, more].concat()).lines()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

/// The spans that were sent, by their traces.
fn traces(collector: &Collector) -> Vec<Vec<Span>> {
    let mut found: BTreeMap<Vec<u8>, Vec<Span>> = BTreeMap::new();
    for sent in collector.sent().traces {
        for span in sent.resource_spans.into_iter().flat_map(|of| of.scope_spans).flat_map(|of| of.spans) {
            assert!(span.trace_id.len() == 16 && span.trace_id.iter().any(|byte| *byte != 0), "{span:?}");
            assert!(span.span_id.len() == 8 && span.span_id.iter().any(|byte| *byte != 0), "{span:?}");
            found.entry(span.trace_id.clone()).or_default().push(span);
        }
    }
    found.into_values().collect()
}

/// Fails unless these are the spans of one pane: stages one after another, in a whole that begins and ends with them.
fn assert_stages(spans: &[Span], stages: &[&str]) {
    let (roots, children): (Vec<&Span>, Vec<&Span>) = spans.iter().partition(|s| s.parent_span_id.is_empty());
    let [root] = roots[..] else { panic!("one has no parent: {spans:#?}") };
    assert_eq!(root.name, "pane");
    assert_eq!(children.iter().map(|span| span.name.as_str()).collect::<Vec<_>>(), stages);
    assert_eq!(spans.iter().map(|span| &span.span_id).collect::<BTreeSet<_>>().len(), spans.len());
    for child in &children {
        assert_eq!(child.parent_span_id, root.span_id);
        assert!(child.start_time_unix_nano <= child.end_time_unix_nano, "{spans:#?}");
    }
    for pair in children.windows(2) {
        assert!(pair[0].end_time_unix_nano <= pair[1].start_time_unix_nano, "{spans:#?}");
    }
    assert_eq!(root.start_time_unix_nano, children[0].start_time_unix_nano);
    assert_eq!(root.end_time_unix_nano, children[children.len() - 1].end_time_unix_nano);
    assert!(
        spans.iter().all(|span| span.status.as_ref().is_none_or(|status| status.code == 0)),
        "{spans:#?}"
    );
}

#[test]
fn the_way_of_panes_is_sent_at_the_end_as_the_last_metrics_are() {
    let (collector, dir) = (Collector::start(Answers::Well), new_folder("otlp"));
    let events = every_10_ms(0, 60 * SECOND);
    let source = write_files(&dir, std::slice::from_ref(&events));
    let state = dir.join("state");
    let began = now();
    let config = rules(&["first", "second"]).write(&dir);
    let lines = run_over(&config, "", &source, &collector, &["--state", path(&state)]);
    let ended = now();

    let sent = collector.sent();
    let last = samples(&sent.metrics.last().unwrap().1);
    let records: f64 =
        last.iter().filter(|(name, _)| name.starts_with("crest_records_total{")).map(|(_, (_, n))| n).sum();
    assert_eq!(records as usize, events.len());
    let finals = |board: &str| last[&format!("crest_snapshots_total{{board=\"{board}\",kind=\"final\"}}")].1;
    assert_eq!((finals("first") + finals("second")) as usize, lines.len());

    let ends: BTreeSet<String> =
        parse_finals(&lines).iter().map(|snapshot| snapshot["window_end"].to_string()).collect();
    let (traces, mut boards) = (traces(&collector), BTreeSet::new());
    for spans in &traces {
        assert_stages(spans, &["merge", "commit", "rank", "deliver"]);
        let root = &spans[0];
        assert!(began <= root.start_time_unix_nano && root.end_time_unix_nano <= ended, "{root:?}");
        let said = attributes(&root.attributes);
        assert_eq!(said["crest.groups"], "1");
        let [from, to] =
            ["start", "end"].map(|end| said[&format!("crest.pane.{end}_ms")].parse::<i64>().unwrap());
        assert!(to - from == SECOND && ends.contains(&to.to_string()), "{said:?} and {ends:?}");
        boards.insert(said["crest.board"].clone());
    }
    assert_eq!(boards, ["first", "second"].map(str::to_owned).into());

    let (collector, of_one) = (Collector::start(Answers::Well), new_folder("otlp"));
    let config = rules(&["first"]).write(&of_one);
    run_over(&config, "", &source, &collector, &[]);
    let spans = self::traces(&collector);
    assert!(!spans.is_empty());
    spans.iter().for_each(|spans| assert_stages(spans, &["merge", "rank", "deliver"]));

    let collector = Collector::start(Answers::Well);
    run_over(&config, "traces = false\n", &source, &collector, &[]);
    let sent = collector.sent();
    assert!(sent.traces.is_empty() && sent.metrics.len() == 1, "only metrics, once");
    [dir, of_one].iter().for_each(|dir| std::fs::remove_dir_all(dir).unwrap());
}

/// What a job over these events prints while its collector takes nothing, and its log. `fails` waits for what must be counted
/// meanwhile; the second half of the events is sent after it.
fn published_despite(otlp: &str, events: &[Event], fails: impl Fn(&Web)) -> (String, Vec<String>) {
    let dir = new_folder("otlp");
    let (mut crest, mut input, web) = start(&rules(&["default"]).write(&dir), otlp, "interval = \"100ms\"\n");
    let (half, rest) = events.split_at(events.len() / 2);
    write(&mut input, half);
    crest.until("rankings of the first half", |crest| (crest.stdout().len() > 15).then_some(()));
    fails(&web);
    write(&mut input, rest);
    read_all(&web, events.len());
    crest.until("rankings of the second half", |crest| (crest.stdout().len() > 45).then_some(()));
    drop(input);
    assert!(crest.wait(PATIENCE).success(), "{}", crest.describe());
    std::fs::remove_dir_all(dir).unwrap();
    let log = crest.stderr();
    (crest.final_text(), log)
}

fn told(log: &[String], what: &str) -> usize {
    log.iter().filter(|line| line.contains(what)).count()
}

fn failures(web: &Web, signal: &str) -> f64 {
    web.metric("crest_telemetry_failures_total", &format!("signal=\"{signal}\""))
}

fn dropped(web: &Web, signal: &str) -> f64 {
    web.metric("crest_telemetry_dropped_total", &format!("signal=\"{signal}\""))
}

#[test]
fn a_collector_that_takes_nothing_changes_no_ranking_and_is_told_once() {
    let events = every_10_ms(0, 60 * SECOND);
    let (expected, log) = published_despite("off", &events, |web| {
        assert!(!web.get("/metrics").1.contains("crest_telemetry"), "nothing is sent, and nothing counted");
    });
    assert_eq!(told(&log, "telemetry:"), 0, "{log:#?}");

    let refusing = Collector::start(Answers::With(503));
    let (text, log) = published_despite(&refusing.url(), &events, |web| {
        eventually("refusals are counted", || {
            failures(web, "metrics") > 3.0 && failures(web, "traces") > 0.0
        });
        assert!(
            dropped(web, "metrics") > 150.0 && dropped(web, "traces") >= 4.0,
            "{}",
            web.get("/metrics").1
        );
        assert_eq!(web.metric("crest_telemetry_disconnected", ""), 2.0);
        assert_eq!(web.metric("crest_telemetry_exports_total", ""), 0.0);
        refusing.answers(Answers::Well);
        eventually("it takes metrics", || {
            web.metric("crest_telemetry_disconnected", "signal=\"metrics\"") == 0.0
        });
    });
    assert_eq!(text, expected);
    assert_eq!(told(&log, "takes no metrics: it answers with status 503; the job goes on"), 1, "{log:#?}");
    assert_eq!(told(&log, "takes metrics again"), 1, "{log:#?}");

    let nobody = format!("http://127.0.0.1:{}", free_port());
    let (text, log) = published_despite(&nobody, &events, |web| {
        eventually("what is not sent is counted", || failures(web, "metrics") > 3.0);
    });
    assert_eq!(text, expected);
    assert_eq!(told(&log, "takes no metrics: no answer"), 1, "{log:#?}");
}

#[test]
fn a_collector_that_never_answers_holds_nothing_up() {
    let events = every_10_ms(0, 60 * SECOND);
    let (expected, _) = published_despite("off", &events, |_| {});
    let silent = Collector::start(Answers::Never);
    let (text, _) = published_despite(&silent.url(), &events, |_| {
        eventually("it is asked", || !silent.sent().metrics.is_empty());
    });
    assert_eq!(text, expected, "though the request was under way");

    let silent = Collector::start(Answers::Never);
    let (text, log) = published_despite(&silent.url(), &events, |web| {
        eventually("the request is given up", || failures(web, "metrics") > 0.0);
        assert!(dropped(web, "metrics") > 50.0, "{}", web.get("/metrics").1);
    });
    assert_eq!(text, expected);
    assert_eq!(told(&log, "takes no metrics: no answer"), 1, "{log:#?}");
}

/// Nothing is sent before, in an interval of an hour.
#[test]
fn what_a_job_had_counted_when_it_failed_is_sent() {
    let (kafka, topic, collector) = (Kafka::shared(), "telemetry-fails", Collector::start(Answers::Well));
    let (dir, events) = (new_folder(topic), every_10_ms(0, 5 * SECOND));
    let config = dir.join("crest.toml");
    std::fs::write(&config, format!("[telemetry]\notlp = {:?}\ninterval = \"1h\"\n", collector.url()))
        .unwrap();
    kafka.create_topic(topic, 1);
    kafka.load(topic, std::slice::from_ref(&events));
    let source = kafka.url(topic);
    let job = ["--config", path(&config), "--source", &source, "--state", "off", "--start", "earliest"];
    let (mut crest, web) = Web::of_new(job);
    read_all(&web, events.len());
    assert!(collector.sent().metrics.is_empty());
    kafka.delete_topic(topic);
    assert_eq!(crest.wait(PATIENCE).code(), Some(1), "{}", crest.describe());
    let [(_, last)] = &collector.sent().metrics[..] else { panic!("{}", crest.describe()) };
    assert_eq!(samples(last)["crest_records_total{worker=\"0\"}"], ("counter", events.len() as f64));
    std::fs::remove_dir_all(&dir).unwrap();
}
