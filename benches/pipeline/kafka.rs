//! A local broker to rankings, beside consumers that throw the messages away.

use crate::figures::note;
use crate::measure::{Table, run, speed_up};
use crate::program;
use crate::servers::{Servers, free_port};
use crate::traffic;
use crest_connectors::source::Progress;
use crest_connectors::{SourceOptions, open_source};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PARTITIONS: i32 = 4;
const WORKERS: [usize; 2] = [1, 2];

pub fn measure(servers: &Servers, dir: &Path, events: usize, rounds: usize) {
    let url = servers.url("bench");
    let mut produce = Command::new(env!("CARGO_BIN_EXE_crest"));
    produce.args(["produce", "--to", &url, "--partitions", "4"]);
    produce.args((0..4).map(|partition| traffic::part(dir, partition)));
    let loaded = run(&mut produce, |_| false);
    println!("crest produce: {:.0} events/s\n", events as f64 / loaded.wall);
    let programs = program::all();
    let mut names = ["bare consumer, batches", "bare consumer, rdkafka's poll"].map(str::to_owned).to_vec();
    names.extend(
        programs.iter().flat_map(|program| WORKERS.map(|w| format!("{}, {w} worker(s)", program.name))),
    );
    let mut table = Table::new(events, &names);
    for round in 0..rounds {
        for (row, verb) in ["drain", "poll"].into_iter().enumerate() {
            let mut bare = Command::new(std::env::current_exe().unwrap());
            table.add(row, run(bare.args([verb, &url, &events.to_string()]), |_| false));
        }
        let runs = programs.iter().flat_map(|program| WORKERS.map(|workers| (program, workers)));
        let mut runs: Vec<_> = (2..).zip(runs).collect();
        // Each program is the first one in every other round.
        if round % 2 == 1 {
            runs.reverse();
        }
        for (row, (program, workers)) in runs {
            let (http, workers) = (format!("127.0.0.1:{}", free_port()), workers.to_string());
            let mut crest = program.command();
            crest.args(["--source", &url, "--start", "earliest", "--http", &http, "-w", &workers]);
            crest.env("CREST_LOG", "warn").env("CREST_STATE", "off");
            table.add(row, run(&mut crest, |_| counted(&http) >= events));
        }
    }
    table.print("Kafka to rankings");
    let worker = table.median(2, |cost| cost.workers_cpu) * 1e9 / events as f64;
    note("Kafka, 92 bytes, one worker", worker, "ns of the worker's CPU an event", "130 ns");
    note("Kafka, one worker", speed_up(&table, 0, 2), "of a bare batch consumer's events/s", "0.95");
    note("Kafka, two workers", speed_up(&table, 0, 3), "of a bare batch consumer's events/s", "0.95");
    note("Kafka, two workers against one", speed_up(&table, 2, 3), "times the events/s", "1.9");
}

/// The events that a job has read, by its metrics.
fn counted(http: &str) -> usize {
    let Ok(mut answer) = ureq::get(format!("http://{http}/metrics")).call() else { return 0 };
    let text = answer.body_mut().read_to_string().unwrap_or_default();
    let lines = text.lines().filter(|line| line.starts_with("crest_records_total"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as usize
}

/// A consumer that uses the same batches as the job, and does nothing with them.
pub fn drain(url: &str, events: usize) {
    let factory = open_source(&url.parse().unwrap(), &SourceOptions::default()).unwrap();
    let mut source = factory.open(0, 1).unwrap();
    let mut read = 0;
    while read < events {
        let mut any = false;
        for slot in 0..source.partitions().len() {
            let progress = source.read(slot, 4096, &mut |record| {
                read += 1;
                std::hint::black_box(record.payload);
            });
            any |= matches!(progress.unwrap(), Progress::Read(_));
        }
        if !any {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A consumer as rdkafka's users write it.
pub fn poll(url: &str, events: usize) {
    let (address, topic) = url.strip_prefix("kafka://").unwrap().split_once('/').unwrap();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address).set("group.id", "bench").set("fetch.queue.backoff.ms", "10");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    (0..PARTITIONS).for_each(|p| list.add_partition_offset(topic, p, Offset::Beginning).unwrap());
    consumer.assign(&list).unwrap();
    for _ in 0..events {
        let message = consumer.poll(Duration::from_secs(30)).unwrap().unwrap();
        std::hint::black_box(message.payload());
    }
}
