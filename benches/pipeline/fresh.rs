//! How long an event takes from being sent to Kafka until Redis shows it, at a steady rate.

use crate::figures::note;
use crate::program::{self, Program};
use crate::servers::Servers;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PROBE: Duration = Duration::from_millis(47);
const KEY: &str = "topk:last_5m";

pub fn measure(servers: &Servers, rate: usize, seconds: usize, rounds: usize) {
    let programs = program::all();
    for round in 0..if programs.len() > 1 { rounds } else { 1 } {
        for program in &programs {
            let topic = format!("fresh-{}-{round}", program.name);
            one(servers, program, &topic, (rate, seconds));
        }
    }
}

fn one(servers: &Servers, program: &Program, topic: &str, (rate, seconds): (usize, usize)) {
    let redis = format!("redis://127.0.0.1:{}/0", servers.redis_port);
    redis::cmd("FLUSHALL")
        .exec(&mut redis::Client::open(&*redis).unwrap().get_connection().unwrap())
        .unwrap();
    create(servers.kafka_port, topic);
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&config, "[schema]\nweight = \"weight\"\n").unwrap();
    let mut crest = program.command();
    crest.arg("--config").arg(config.path()).args(["--source", &servers.url(topic), "--start", "earliest"]);
    crest.args(["--snapshots", &redis, "--http", "off", "--window", "last_5m=5m/10s"]);
    crest.env("CREST_LOG", "warn").env("CREST_STATE", "off");
    let mut job = crest.stdin(Stdio::null()).spawn().unwrap();
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = {
        let (stop, sent, port, topic) = (stop.clone(), sent.clone(), servers.kafka_port, topic.to_owned());
        std::thread::spawn(move || produce((port, &topic), rate, &stop, &sent))
    };
    let mut ages = watch((servers.kafka_port, topic), &redis, Duration::from_secs(seconds as u64));
    stop.store(true, Ordering::Relaxed);
    load.join().unwrap();
    let _ = job.kill();
    let _ = job.wait();
    ages.sort();
    let at = |part: f64| ages[((ages.len() - 1) as f64 * part) as usize].as_millis();
    let budget = "1050 ms: refresh and 50 ms";
    note(&format!("{}, sent to Kafka until in Redis, p99", program.name), at(0.99) as f64, "ms", budget);
    println!(
        "{}, Kafka to Redis at {:.0} events/s (refresh 1 s), {} probes: p50 {} ms, p99 {} ms, most {} ms",
        program.name,
        sent.load(Ordering::Relaxed) as f64 / (seconds + 5) as f64,
        ages.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
}

fn producer(port: u16) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", format!("127.0.0.1:{port}")).set("linger.ms", "2").create().unwrap()
}

fn create(port: u16, topic: &str) {
    let mut config = ClientConfig::new();
    let admin: AdminClient<_> =
        config.set("bootstrap.servers", format!("127.0.0.1:{port}")).create().unwrap();
    let topic = NewTopic::new(topic, 4, TopicReplication::Fixed(1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(admin.create_topics(&[topic], &AdminOptions::new())).unwrap();
}

/// A steady load, in lots of 10 ms.
fn produce((port, topic): (u16, &str), rate: usize, stop: &AtomicBool, sent: &AtomicUsize) {
    let producer = producer(port);
    let started = Instant::now();
    let mut count = 0usize;
    while !stop.load(Ordering::Relaxed) {
        let due = (started.elapsed().as_secs_f64() * rate as f64) as usize;
        while count < due {
            let item = (count.wrapping_mul(2_654_435_761) >> 7) % 50_000;
            let event = format!(r#"{{"item_id":"item:{item}","weight":1,"timestamp":{}}}"#, now_ms());
            if producer
                .send(
                    BaseRecord::<(), [u8]>::to(topic).partition((count % 4) as i32).payload(event.as_bytes()),
                )
                .is_err()
            {
                producer.poll(Duration::from_millis(1));
                continue;
            }
            count += 1;
        }
        sent.store(count, Ordering::Relaxed);
        producer.poll(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = producer.flush(Duration::from_secs(5));
}

/// Sends heavy events of one item, one after the other, and waits for the score of each.
fn watch((port, topic): (u16, &str), redis: &str, seconds: Duration) -> Vec<Duration> {
    let producer = producer(port);
    let mut redis = redis::Client::open(redis).unwrap().get_connection().unwrap();
    let mut score = || {
        redis::cmd("ZSCORE").arg(KEY).arg("probe").query::<Option<f64>>(&mut redis).unwrap().unwrap_or(0.0)
    };
    let mut open: std::collections::VecDeque<(f64, Instant)> = Default::default();
    let (mut total, mut ages, started) = (0.0, Vec::new(), Instant::now());
    let warm_up = Duration::from_secs(5);
    let mut next = started;
    while started.elapsed() < seconds + warm_up {
        if Instant::now() >= next {
            next += PROBE;
            total += 100_000.0;
            let event = format!(r#"{{"item_id":"probe","weight":100000,"timestamp":{}}}"#, now_ms());
            producer.send(BaseRecord::<(), [u8]>::to(topic).partition(0).payload(event.as_bytes())).unwrap();
            open.push_back((total, Instant::now()));
        }
        producer.poll(Duration::ZERO);
        let seen = score();
        while open.front().is_some_and(|(wanted, _)| seen >= *wanted) {
            let (_, sent) = open.pop_front().unwrap();
            if started.elapsed() > warm_up {
                ages.push(sent.elapsed());
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    ages
}
