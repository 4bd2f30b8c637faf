//! A producer of events at a steady rate, which knows how many it sent for each second of event time.

use crate::servers::Servers;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub const TOPIC: &str = "failover";

/// Events by the second in which they happened, in seconds since 1970.
pub type Sent = BTreeMap<i64, u64>;

/// A producer.
pub struct Sender {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Sent>,
}

impl Sender {
    pub fn start(servers: &Servers, rate: usize) -> Sender {
        // It makes the topic.
        let mut produce = Command::new(env!("CARGO_BIN_EXE_crest"));
        produce
            .args(["produce", "--to", &servers.url(TOPIC), "--partitions", "4"])
            .stdin(std::process::Stdio::null());
        assert!(produce.status().unwrap().success());
        let address = format!("127.0.0.1:{}", servers.kafka_port);
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", address).set("linger.ms", "5").set("enable.idempotence", "true");
        let producer: BaseProducer = config.create().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let theirs = over.clone();
        Sender { over, thread: std::thread::spawn(move || send(&producer, rate, &theirs)) }
    }

    /// Ends it; what was sent.
    pub fn stop(self) -> Sent {
        self.over.store(true, Ordering::Release);
        self.thread.join().unwrap()
    }
}

fn send(producer: &BaseProducer, rate: usize, over: &AtomicBool) -> Sent {
    let (mut sent, mut count, began) = (Sent::new(), 0, Instant::now());
    while !over.load(Ordering::Acquire) {
        let due = (began.elapsed().as_secs_f64() * rate as f64) as usize;
        while count < due {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
            let event = format!(r#"{{"item_id":"item:{}","timestamp":{now}}}"#, count % 97);
            let record =
                BaseRecord::<(), [u8]>::to(TOPIC).partition((count % 4) as i32).payload(event.as_bytes());
            if producer.send(record).is_err() {
                producer.poll(Duration::from_millis(1));
                continue;
            }
            *sent.entry(now / 1000).or_default() += 1;
            count += 1;
        }
        producer.poll(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(5));
    }
    producer.flush(Duration::from_secs(10)).unwrap();
    sent
}
