//! A producer of events of the present, beside a running job.

use super::events::Event;
use super::servers::Kafka;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Sends events of the present, as a producer does that outlives an outage: each arrives, once and in order.
pub struct Sender {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Vec<Event>>>,
}

impl Sender {
    /// Begins to send to all partitions of a topic in turn.
    pub fn start(kafka: &Kafka, topic: &'static str, partitions: usize) -> Sender {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", kafka.address())
            .set("enable.idempotence", "true")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "200")
            .set("linger.ms", "5")
            .create()
            .unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let theirs = over.clone();
        let thread = std::thread::spawn(move || {
            let mut logs = vec![Vec::new(); partitions];
            for number in 0.. {
                if theirs.load(Ordering::Acquire) {
                    break;
                }
                let partition = number % partitions;
                send(&producer, topic, partition, number, &mut logs[partition]);
                std::thread::sleep(Duration::from_millis(2));
            }
            producer.flush(Duration::from_secs(60)).unwrap();
            logs
        });
        Sender { over, thread }
    }

    /// Stops. All that was sent, by partition.
    pub fn finish(self) -> Vec<Vec<Event>> {
        self.over.store(true, Ordering::Release);
        self.thread.join().unwrap()
    }
}

fn send(producer: &BaseProducer, topic: &str, partition: usize, number: usize, log: &mut Vec<Event>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    // Some item always leads, and up to half a second of disorder.
    let event = Event::new(&format!("item-{}", (number * number) % 23), now - (number as i64 % 7) * 80);
    let payload = event.json();
    let record = BaseRecord::<(), str>::to(topic).partition(partition as i32).payload(&payload);
    producer
        .send(record.timestamp(now))
        .map_err(|(error, _)| error)
        .expect("a place in the producer's queue");
    producer.poll(Duration::ZERO);
    log.push(event);
}
