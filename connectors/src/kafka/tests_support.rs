//! A small Kafka within the test's own process: librdkafka's mock cluster, filled by a plain producer.

use rdkafka::ClientConfig;
use rdkafka::message::ToBytes;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use std::time::Duration;

pub(crate) const TOPIC: &str = "events";

/// One broker with one topic.
pub(crate) struct Cluster {
    mock: MockCluster<'static, DefaultProducerContext>,
    servers: String,
}

impl Cluster {
    /// Starts it, with so many partitions in [`TOPIC`].
    pub(crate) fn start(partitions: i32) -> Self {
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic(TOPIC, partitions, 1).unwrap();
        let servers = mock.bootstrap_servers();
        Cluster { mock, servers }
    }

    /// `host:port`.
    pub(crate) fn servers(&self) -> &str {
        &self.servers
    }

    /// The URL of the topic as a source.
    pub(crate) fn url(&self) -> String {
        format!("kafka://{}/{TOPIC}", self.servers)
    }

    /// Breaks all connections and takes no new ones.
    pub(crate) fn down(&self) {
        self.mock.broker_down(-1).unwrap();
    }

    /// Takes connections again.
    pub(crate) fn up(&self) {
        self.mock.broker_up(-1).unwrap();
    }

    /// Each answer takes so long.
    pub(crate) fn slow_down(&self, round_trip: Duration) {
        self.mock.broker_round_trip_time(-1, round_trip).unwrap();
    }

    /// The cluster itself.
    pub(crate) fn mock(&self) -> &MockCluster<'static, DefaultProducerContext> {
        &self.mock
    }

    /// Appends messages to a partition and waits until they are there.
    pub(crate) fn produce(&self, partition: i32, payloads: impl IntoIterator<Item = Vec<u8>>) {
        let producer = self.producer();
        for payload in payloads {
            producer.send(BaseRecord::<(), _>::to(TOPIC).partition(partition).payload(&payload)).unwrap();
        }
        producer.flush(Duration::from_secs(30)).unwrap();
    }

    /// Appends a message without a payload.
    pub(crate) fn produce_tombstone(&self, partition: i32) {
        self.send(BaseRecord::<_, ()>::to(TOPIC).partition(partition).key("key"));
    }

    /// Appends a message and waits until it is there.
    pub(crate) fn send<K: ToBytes + ?Sized, P: ToBytes + ?Sized>(&self, record: BaseRecord<'_, K, P>) {
        let producer = self.producer();
        assert!(producer.send(record).is_ok());
        producer.flush(Duration::from_secs(30)).unwrap();
    }

    fn producer(&self) -> BaseProducer {
        ClientConfig::new().set("bootstrap.servers", &self.servers).create().unwrap()
    }
}
