//! A broker that speaks TLS and wants a password: the program as it is built by default reads it, writes it, and says why it is
//! not let in.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::events::{Traffic, write_files};
use common::new_folder;
use common::program::{Crest, path};
use common::servers::Kafka;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A configuration with these properties for what is read, and for what is written.
fn configured(dir: &Path, name: &str, properties: &HashMap<String, String>) -> PathBuf {
    let table: String = properties.iter().map(|(key, value)| format!("{key:?} = {value:?}\n")).collect();
    let window =
        "[[board]]\nname = \"default\"\nwindows = [ { name = \"minute\", size = \"1m\", slide = \"1m\" } ]\n";
    let file = dir.join(name);
    let text = format!("[source.kafka]\n{table}[snapshots.kafka]\n{table}{window}");
    std::fs::write(&file, text).unwrap();
    file
}

/// The first record of a topic, read by a client of its own.
fn first_record(kafka: &Kafka, topic: &str) -> serde_json::Value {
    let mut config: ClientConfig = kafka.client();
    let consumer: BaseConsumer =
        config.set("group.id", "test").set("auto.offset.reset", "earliest").create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < deadline, "nothing came to {topic}");
        if let Some(record) = consumer.poll(Duration::from_millis(200)) {
            return serde_json::from_slice(record.unwrap().payload().unwrap()).unwrap();
        }
    }
}

#[test]
fn a_job_reads_and_writes_a_broker_with_tls_and_scram() {
    let kafka = Kafka::guarded(&["--tls", "--sasl"]);
    let dir = new_folder("guarded");
    let config = configured(&dir, "crest.toml", &kafka.properties());
    let traffic = Traffic { events: 3_000, items: 40, span: 5 * 60_000, ..Traffic::default() };
    let files = write_files(&dir, &traffic.logs(1));
    let file = files.strip_prefix("file:").unwrap();
    let config = path(&config);

    let file = glob::glob(file).unwrap().next().unwrap().unwrap();
    let mut load = Crest::spawn(["produce", "--to", &kafka.url("events"), "--config", config, path(&file)]);
    assert!(load.wait(Duration::from_secs(60)).success(), "{}", load.describe());
    kafka.create_topic("rankings", 1);
    let (source, rankings) = (kafka.url("events"), kafka.url("rankings"));
    let job = ["--config", config, "--source", &source, "--http", "off", "--snapshots"];
    let mut job = Crest::spawn(job.iter().chain(&[rankings.as_str()]));
    let published = first_record(&kafka, "rankings");
    job.sigterm();
    assert!(job.wait(Duration::from_secs(20)).success(), "{}", job.describe());

    // The same window of the same events from the file.
    let from_file =
        Crest::spawn(["--config", config, "--source", &files, "--snapshots", "-"].map(String::from));
    let expected = from_file.finals().into_iter().find(|one| one["window_end"] == published["window_end"]);
    let expected = expected.expect("the window of the files");
    assert_eq!((&published["items"], &published["total"]), (&expected["items"], &expected["total"]));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn who_is_not_let_in_is_told_why() {
    let kafka = Kafka::guarded(&["--tls", "--sasl"]);
    kafka.create_topic("events", 1);
    let (dir, right) = (new_folder("not-let-in"), kafka.properties());
    let with = |name: &str, change: &dyn Fn(&mut HashMap<String, String>)| {
        let mut properties = right.clone();
        change(&mut properties);
        configured(&dir, name, &properties)
    };
    let said = |config: &Path, by: &[String]| {
        let (config, source) = (path(config).to_owned(), kafka.url("events"));
        let arguments = ["--config", &config, "--source", &source, "--http", "off"].map(String::from);
        match by {
            [] => Crest::spawn(arguments),
            by => Crest::spawn_by(by, arguments),
        }
    };
    let wrong = with("password.toml", &|properties| {
        properties.insert("sasl.password".into(), "not the one".into());
    });
    let source = kafka.url("events");
    let doctor = |config: &Path| {
        let mut crest =
            Crest::spawn(["doctor", "--config", path(config), "--source", &source, "--http", "off"]);
        assert!(!crest.wait(Duration::from_secs(60)).success(), "{}", crest.describe());
        crest.stdout().join("\n")
    };
    let found = doctor(&wrong);
    assert!(found.contains("; correct sasl.mechanism") && !found.contains("not the one"), "{found}");
    let failure = said(&wrong, &[]).failure();
    assert!(failure.to_lowercase().contains("authentication"), "{failure}");
    assert!(!failure.contains("not the one"), "{failure}");

    let unknown = with("authority.toml", &|properties| drop(properties.remove("ssl.ca.location")));
    let found = doctor(&unknown);
    assert!(found.contains("; name the authority"), "{found}");
    let failure = said(&unknown, &[]).failure();
    assert!(failure.contains("certificate verify failed"), "{failure}");
    // An authority that the system trusts need not be named.
    let trusted = format!("SSL_CERT_FILE={}", right["ssl.ca.location"]);
    let mut job = said(&unknown, &["env".to_owned(), trusted]);
    job.until_logged("workers=1");
    job.sigterm();
    assert!(job.wait(Duration::from_secs(20)).success(), "{}", job.describe());

    let plain = with("plain.toml", &HashMap::clear);
    let failure = said(&plain, &[]).failure();
    assert!(failure.contains("no answer from"), "{failure}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn tls_alone_and_a_password_alone_will_do() {
    for switch in ["--tls", "--sasl"] {
        let kafka = Kafka::guarded(&[switch]);
        kafka.create_topic("events", 1);
        let dir = new_folder("guarded");
        let config = configured(&dir, "crest.toml", &kafka.properties());
        let (config, source) = (path(&config), kafka.url("events"));
        let mut job = Crest::spawn(["--config", config, "--source", &source, "--http", "off"]);
        job.until_logged("workers=1");
        job.sigterm();
        assert!(job.wait(Duration::from_secs(20)).success(), "{switch}: {}", job.describe());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
