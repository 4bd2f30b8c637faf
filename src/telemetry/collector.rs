//! The collector: one POST for each export. What it does not take is counted and let go: metrics come again with the next
//! export, and of traces there are only samples.

use super::counts::{Signal, Tally};
use super::options::Options;
use crest_connectors::http_agent::{Patience, agent};
use crest_connectors::outage::Outage;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use std::sync::Arc;
use std::time::{Duration, Instant};
use ureq::Agent;

/// For the collector to take what is sent.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// What is read of an answer.
const MAX_ANSWER_BYTES: u64 = 64 << 10;
/// Less time than this is no time for a request.
const LEAST_TIME: Duration = Duration::from_millis(10);

/// Where telemetry goes.
pub struct Collector {
    agent: Agent,
    options: Options,
    tally: Arc<Tally>,
    /// Of metrics and of traces: a collector may take one and not the other.
    outages: [Outage; 2],
}

impl Collector {
    /// The collector of these options, which is not asked anything yet.
    pub fn new(options: &Options, tally: Arc<Tally>) -> Self {
        let agent = agent(Patience::Call(PATIENCE));
        Collector { agent, options: options.clone(), tally, outages: <[Outage; 2]>::default() }
    }

    /// Sends a message with so many points or spans.
    pub fn send(&mut self, signal: Signal, body: &[u8], items: u64, deadline: Instant) {
        match self.post(signal, body, deadline) {
            Ok(rejected) => {
                self.tally.change(signal, |counts| {
                    counts.exports += 1;
                    counts.dropped += rejected;
                    counts.disconnected = false;
                });
                if let Some(outage) = self.outages[signal as usize].end() {
                    let after = humantime::format_duration(Duration::from_secs(outage.as_secs()));
                    tracing::info!("telemetry: {} takes {signal} again, after {after}", self.options.url);
                }
            }
            Err(reason) => {
                self.tally.change(signal, |counts| {
                    counts.failures += 1;
                    counts.dropped += items;
                    counts.disconnected = true;
                });
                if self.outages[signal as usize].begin(reason.clone()) {
                    let url = &self.options.url;
                    tracing::warn!(
                        "telemetry: {url} takes no {signal}: {reason}; the job goes on, and what is not taken is let go"
                    );
                }
            }
        }
    }

    /// Counts what was let go before it was sent.
    pub fn dropped(&self, signal: Signal, items: u64) {
        if items > 0 {
            self.tally.change(signal, |counts| counts.dropped += items);
        }
    }

    /// How many points or spans the collector has rejected of those that it took.
    fn post(&self, signal: Signal, body: &[u8], deadline: Instant) -> Result<u64, String> {
        let time = deadline.saturating_duration_since(Instant::now());
        if time < LEAST_TIME {
            return Err("there was no time left for it".to_owned());
        }
        let url = format!("{}/v1/{signal}", self.options.url);
        let request = self.agent.post(url).header("content-type", "application/x-protobuf");
        let request = self
            .options
            .headers
            .iter()
            .fold(request, |request, header| request.header(&header.name, &header.value));
        let request = request.config().timeout_global(Some(time)).build();
        // What the library says may name the whole URL, which may have a path that is a secret.
        let mut answer = request.send(body).map_err(|error| match error {
            ureq::Error::BadUri(_) => "its URL cannot be used".to_owned(),
            error => format!("no answer: {error}"),
        })?;
        let status = answer.status().as_u16();
        let says = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec();
        match status {
            200..=299 => Ok(rejected(&says.unwrap_or_default())),
            300..=399 => Err(format!("it answers with status {status}, and redirects are not followed")),
            _ => Err(format!("it answers with status {status}")),
        }
    }
}

/// What an answer says was rejected. That of metrics has its number in the same place as that of traces.
fn rejected(answer: &[u8]) -> u64 {
    let answer = ExportTraceServiceResponse::decode(answer).ok();
    let partial = answer.and_then(|answer| answer.partial_success);
    partial.and_then(|partial| partial.rejected_spans.try_into().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::metrics::v1::{
        ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
    };

    #[test]
    fn what_is_rejected_of_metrics_is_read_as_that_of_traces_and_nothing_is_made_of_other_answers() {
        let partial = ExportMetricsPartialSuccess { rejected_data_points: 3, error_message: "no".into() };
        let answer = ExportMetricsServiceResponse { partial_success: Some(partial) };
        assert_eq!(rejected(&answer.encode_to_vec()), 3);
        assert_eq!(rejected(&ExportMetricsServiceResponse::default().encode_to_vec()), 0);
        assert_eq!(rejected(b"{\"partialSuccess\": {}}"), 0);
    }
}
