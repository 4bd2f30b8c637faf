//! A real Apache Kafka broker and a real Redis, started by the scripts that people use. A server ends when its
//! value is dropped, or, at the latest, with the test process: the scripts watch that process, however it ends.

use super::events::Event;
use super::{eventually, free_port, new_folder, root};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

const LOOPBACK: &str = "127.0.0.1";

/// One server process with a port and a folder.
struct Server {
    name: &'static str,
    host: &'static str,
    port: u16,
    dir: PathBuf,
    options: Vec<String>,
}

impl Server {
    fn start(name: &'static str, host: &'static str, options: &[String]) -> Self {
        let mut tries = 5;
        loop {
            let (dir, options) = (new_folder(name), options.to_vec());
            let server = Server { name, host, port: free_port(), dir, options };
            let output = server.try_launch();
            tries -= 1;
            if output.status.success() {
                return server;
            }
            // Another test process may have been given the same port and was faster.
            let in_use = String::from_utf8_lossy(&output.stderr).contains(" in use");
            assert!(in_use && tries > 0, "{}", describe(&output));
        }
    }

    fn try_launch(&self) -> Output {
        let port = self.port.to_string();
        let owner = std::process::id().to_string();
        let place = ["--host", self.host, "--port", &port, "--owner", &owner];
        self.script("start").args(place).args(&self.options).output().unwrap()
    }

    fn launch(&self) {
        let output = self.try_launch();
        assert!(output.status.success(), "{}", describe(&output));
    }

    fn end(&self, how: &str) {
        let output = self.script(how).output().unwrap();
        assert!(output.status.success(), "{}", describe(&output));
    }

    fn process(&self) -> u32 {
        let text = std::fs::read_to_string(self.dir.join(format!("{}.pid", self.name))).unwrap();
        text.split_whitespace().next().unwrap().parse().unwrap()
    }

    fn script(&self, command: &str) -> Command {
        let mut script = Command::new(root().join("scripts").join(self.name));
        script.arg(command).arg("--dir").arg(&self.dir);
        script
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.script("kill").output();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn describe(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// A Kafka broker.
pub struct Kafka(Server);

impl Kafka {
    /// The broker that all tests of this process share. Topics need different names.
    pub fn shared() -> &'static Kafka {
        static SHARED: OnceLock<Kafka> = OnceLock::new();
        SHARED.get_or_init(|| Kafka::start(4))
    }

    /// A broker that may be stopped. Topics that are made by their first use have so many partitions.
    pub fn start(partitions: u32) -> Kafka {
        Kafka::start_at(LOOPBACK, partitions)
    }

    /// The same at another address of this machine.
    pub fn start_at(host: &'static str, partitions: u32) -> Kafka {
        Kafka(Server::start("kafka", host, &["--partitions".into(), partitions.to_string()]))
    }

    /// A broker that guards itself: by TLS (`--tls`), with a user and a password (`--sasl`), or by both.
    pub fn guarded(switches: &[&str]) -> Kafka {
        let options: Vec<String> = switches.iter().copied().map(String::from).collect();
        Kafka(Server::start("kafka", LOOPBACK, &options))
    }

    /// What a client needs to reach one that guards itself: the librdkafka properties.
    pub fn properties(&self) -> HashMap<String, String> {
        let Ok(text) = std::fs::read_to_string(self.0.dir.join("client.toml")) else { return HashMap::new() };
        let mut file: HashMap<String, HashMap<String, HashMap<String, String>>> =
            toml::from_str(&text).unwrap();
        file.remove("source").unwrap().remove("kafka").unwrap()
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("{}:{}", self.0.host, self.0.port)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// A topic's URL, as `--source` takes it.
    pub fn url(&self, topic: &str) -> String {
        format!("kafka://{}/{topic}", self.address())
    }

    /// Where its data and its log are.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// SIGTERM.
    pub fn stop(&self) {
        self.0.end("stop");
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.0.end("kill");
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.0.process()
    }

    /// On the same port, with the same data.
    pub fn start_again(&self) {
        self.0.launch();
    }

    /// Makes a topic and waits until all its partitions can be written and read.
    pub fn create_topic(&self, topic: &str, partitions: u32) {
        self.create_topic_with(topic, partitions, &[]);
    }

    /// … with these settings.
    pub fn create_topic_with(&self, topic: &str, partitions: u32, settings: &[(&str, &str)]) {
        let admin = self.admin();
        let new = NewTopic::new(topic, partitions as i32, TopicReplication::Fixed(1));
        let new = settings.iter().fold(new, |new, (name, value)| new.set(name, value));
        let made = wait(admin.create_topics(&[new], &AdminOptions::new())).unwrap();
        assert_eq!(made, [Ok(topic.to_owned())]);
        self.wait_for_leaders(topic, partitions);
    }

    /// Gives a topic more partitions, so that it has so many, and waits until they can be written and read.
    pub fn grow_topic(&self, topic: &str, partitions: u32) {
        let grown = NewPartitions::new(topic, partitions as usize);
        let made = wait(self.admin().create_partitions(&[grown], &AdminOptions::new())).unwrap();
        assert_eq!(made, [Ok(topic.to_owned())]);
        self.wait_for_leaders(topic, partitions);
    }

    /// Deletes a topic and waits until the broker tells of it no more.
    pub fn delete_topic(&self, topic: &str) {
        let admin = self.admin();
        let deleted = wait(admin.delete_topics(&[topic], &AdminOptions::new())).unwrap();
        assert_eq!(deleted, [Ok(topic.to_owned())]);
        eventually("a topic is deleted", || {
            let metadata = admin.inner().fetch_metadata(None, Duration::from_secs(10)).unwrap();
            metadata.topics().iter().all(|known| known.name() != topic)
        });
    }

    fn wait_for_leaders(&self, topic: &str, partitions: u32) {
        let admin = self.admin();
        eventually("a new topic's partitions have leaders", || {
            let metadata = admin.inner().fetch_metadata(Some(topic), Duration::from_secs(10)).unwrap();
            let led = |topic: &rdkafka::metadata::MetadataTopic| {
                topic.partitions().iter().filter(|partition| partition.leader() >= 0).count()
            };
            metadata.topics().iter().map(led).sum::<usize>() == partitions as usize
        });
    }

    /// Lets the broker forget the records of a partition before an offset, as its retention does.
    pub fn forget(&self, topic: &str, partition: i32, before: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(before)).unwrap();
        let forgotten = wait(self.admin().delete_records(&list, &AdminOptions::new())).unwrap();
        assert!(forgotten.elements().iter().all(|element| element.error().is_ok()), "{forgotten:?}");
    }

    /// Writes records in their order, and waits until the broker has them all.
    pub fn produce<'a>(&self, topic: &str, records: impl IntoIterator<Item = Produced<'a>>) {
        let producer: BaseProducer<Deliveries> = self
            .client()
            .set("enable.idempotence", "true")
            .create_with_context(Deliveries::default())
            .unwrap();
        for Produced { partition, timestamp, payload } in records {
            let mut record =
                BaseRecord::<(), [u8]>::to(topic).partition(partition as i32).payload(payload.as_ref());
            record.timestamp = timestamp;
            while let Err((error, refused)) = producer.send(record) {
                let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
                assert_eq!(error, full, "producing to {topic}");
                producer.poll(Duration::from_millis(10));
                record = refused;
            }
        }
        producer.flush(Duration::from_secs(60)).unwrap();
        assert_eq!(*producer.context().failed.lock().unwrap(), None, "producing to {topic}");
    }

    /// Writes each log's events to the partition of its index.
    pub fn load(&self, topic: &str, logs: &[Vec<Event>]) {
        let records = (0..).zip(logs).flat_map(|(partition, log)| {
            log.iter().map(move |event| Produced {
                partition,
                timestamp: Some(event.sent.unwrap_or(event.time)),
                payload: event.json().into_bytes().into(),
            })
        });
        self.produce(topic, records);
    }

    /// A producer of transactions, which the broker aborts when one is open for so long.
    pub fn transactions(&self, id: &str, timeout: Duration) -> Transactions {
        let producer: BaseProducer = self
            .client()
            .set("transactional.id", id)
            .set("transaction.timeout.ms", timeout.as_millis().to_string())
            .create()
            .unwrap();
        producer.init_transactions(Duration::from_secs(60)).unwrap();
        Transactions(producer)
    }

    /// The consumer groups that it knows.
    pub fn groups(&self) -> Vec<String> {
        let consumer: BaseConsumer = self.client().create().unwrap();
        let groups = consumer.fetch_group_list(None, Duration::from_secs(60)).unwrap();
        groups.groups().iter().map(|group| group.name().to_owned()).collect()
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().unwrap()
    }

    /// How clients reach it.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address());
        for (key, value) in self.properties() {
            config.set(key, value);
        }
        config
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Writes events in transactions, one at a time.
pub struct Transactions(BaseProducer);

impl Transactions {
    /// Begins a transaction and writes these events, which the broker has when this returns.
    pub fn begin(&self, topic: &str, partition: u32, events: &[Event]) {
        self.0.begin_transaction().unwrap();
        self.send(topic, partition, events);
    }

    /// Sends more of the open transaction.
    pub fn send(&self, topic: &str, partition: u32, events: &[Event]) {
        for event in events {
            let payload = event.json();
            let record = BaseRecord::<(), _>::to(topic).partition(partition as i32).payload(&payload);
            self.0.send(record.timestamp(event.time)).map_err(|(error, _)| error).unwrap();
        }
        self.0.flush(Duration::from_secs(60)).unwrap();
    }

    /// Lets readers have what the open transaction wrote.
    pub fn commit(&self) {
        self.0.commit_transaction(Duration::from_secs(60)).unwrap();
    }

    /// Lets nobody have it.
    pub fn abort(&self) {
        self.0.abort_transaction(Duration::from_secs(60)).unwrap();
    }
}

/// A record for [`Kafka::produce`].
pub struct Produced<'a> {
    pub partition: u32,
    /// The broker's time stamp, in ms since 1970; now, where there is none.
    pub timestamp: Option<i64>,
    pub payload: std::borrow::Cow<'a, [u8]>,
}

/// Remembers the first record that did not come to the broker.
#[derive(Default)]
struct Deliveries {
    failed: Mutex<Option<KafkaError>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        if let Err((error, _)) = result {
            self.failed.lock().unwrap().get_or_insert_with(|| error.clone());
        }
    }
}

/// A Redis server. It forgets its data when it ends.
pub struct Redis(Server);

impl Redis {
    /// A new one.
    pub fn start() -> Redis {
        Redis::start_at(LOOPBACK)
    }

    /// The same at another address of this machine.
    pub fn start_at(host: &'static str) -> Redis {
        Redis(Server::start("redis", host, &[]))
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// As `--snapshots` takes it.
    pub fn url(&self) -> String {
        format!("redis://{}:{}/0", self.0.host, self.0.port)
    }

    /// SIGTERM.
    pub fn stop(&self) {
        self.0.end("stop");
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.0.end("kill");
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.0.process()
    }

    /// On the same port, with nothing in it.
    pub fn start_again(&self) {
        self.0.launch();
    }

    /// A connection of an ordinary client.
    pub fn connect(&self) -> redis::Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    /// A ranking as `ZREVRANGE key 0 -1 WITHSCORES` gives it; empty where there is none.
    pub fn ranking(&self, key: &str) -> Vec<(String, u64)> {
        let rows: Vec<(String, u64)> = redis::cmd("ZREVRANGE")
            .arg(key)
            .arg(0)
            .arg(-1)
            .arg("WITHSCORES")
            .query(&mut self.connect())
            .unwrap();
        rows
    }

    /// The hash beside a ranking; empty where there is none.
    pub fn meta(&self, key: &str) -> HashMap<String, String> {
        redis::cmd("HGETALL").arg(format!("{{{key}}}:meta")).query(&mut self.connect()).unwrap()
    }
}
