//! A collector of OTLP: a server of its own on this machine, which decodes what it is sent with the types of OpenTelemetry, and
//! keeps it.

use super::free_port;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// It takes what it is sent.
    Well,
    /// With this status.
    With(u16),
    /// Not at all.
    Never,
}

/// What it was sent, and has taken or not.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// The requests with metrics, in order, each with its headers by their names in small letters.
    pub metrics: Vec<(BTreeMap<String, String>, ExportMetricsServiceRequest)>,
    /// Those with traces.
    pub traces: Vec<ExportTraceServiceRequest>,
}

/// A collector, for as long as the test's process lives.
pub struct Collector {
    port: u16,
    sent: Arc<Mutex<Sent>>,
    answers: Arc<Mutex<Answers>>,
}

impl Collector {
    /// Listens on a port of its own.
    pub fn start(answers: Answers) -> Collector {
        let collector =
            Collector { port: free_port(), sent: Arc::default(), answers: Arc::new(Mutex::new(answers)) };
        let listener = TcpListener::bind(("127.0.0.1", collector.port)).unwrap();
        let (sent, answers) = (collector.sent.clone(), collector.answers.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (sent, answers) = (sent.clone(), answers.clone());
                std::thread::spawn(move || while serve(&stream, &sent, &answers).is_some() {});
            }
        });
        collector
    }

    /// What `--otlp` is given.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Answers differently from now on.
    pub fn answers(&self, answers: Answers) {
        *self.answers.lock().unwrap() = answers;
    }

    /// All that it was sent so far.
    pub fn sent(&self) -> Sent {
        self.sent.lock().unwrap().clone()
    }
}

/// Takes one message. `None` once the connection is over.
fn serve(mut stream: &TcpStream, sent: &Mutex<Sent>, answers: &Mutex<Answers>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let mut sent = sent.lock().unwrap();
    match line.split(' ').nth(1)? {
        "/v1/metrics" => {
            sent.metrics.push((headers, ExportMetricsServiceRequest::decode(&body[..]).unwrap()))
        }
        "/v1/traces" => sent.traces.push(ExportTraceServiceRequest::decode(&body[..]).unwrap()),
        other => panic!("nothing is sent to {other}"),
    }
    drop(sent);
    let answers = *answers.lock().unwrap();
    let status = match answers {
        Answers::Well => 200,
        Answers::With(status) => status,
        // Until the test ends.
        Answers::Never => loop {
            std::thread::sleep(Duration::from_secs(3600));
        },
    };
    stream.write_all(format!("HTTP/1.1 {status} so\r\nContent-Length: 0\r\n\r\n").as_bytes()).ok()
}

/// Attributes as texts, by their names.
pub fn attributes(all: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &AnyValue| match value.value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => panic!("nothing else is sent: {other:?}"),
    };
    all.iter().map(|one| (one.key.clone(), text(one.value.as_ref().unwrap()))).collect()
}
