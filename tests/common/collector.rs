//! A collector of OTLP: a server of its own on this machine, which decodes what it is sent with the types of OpenTelemetry, and
//! keeps it.

use super::http_receiver::{Request, listen};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message;
use std::collections::BTreeMap;
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
        let (sent, answers) = (Arc::<Mutex<Sent>>::default(), Arc::new(Mutex::new(answers)));
        let (theirs, told) = (sent.clone(), answers.clone());
        let port = listen(move |request| {
            keep(request, &mut theirs.lock().unwrap());
            let answers = *told.lock().unwrap();
            Some(answer(answers))
        });
        Collector { port, sent, answers }
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

fn keep(request: Request, sent: &mut Sent) {
    let Request { target, headers, body } = request;
    assert_eq!(headers["content-type"], "application/x-protobuf");
    match &*target {
        "/v1/metrics" => {
            sent.metrics.push((headers, ExportMetricsServiceRequest::decode(&body[..]).unwrap()))
        }
        "/v1/traces" => sent.traces.push(ExportTraceServiceRequest::decode(&body[..]).unwrap()),
        other => panic!("nothing is sent to {other}"),
    }
}

fn answer(answers: Answers) -> String {
    let status = match answers {
        Answers::Well => 200,
        Answers::With(status) => status,
        // Until the test ends.
        Answers::Never => loop {
            std::thread::sleep(Duration::from_secs(3600));
        },
    };
    format!("HTTP/1.1 {status} so\r\nContent-Length: 0\r\n\r\n")
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
