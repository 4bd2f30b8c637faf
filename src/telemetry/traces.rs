//! The way of panes as traces of OTLP: one trace a pane, with a span `pane` from its close to published, and under it one for
//! each stage: `merge`, `commit` where there is a state, `rank` and `deliver`.

use super::messages::{Anchor, number, scope, text};
use super::panes::Followed;
use crest_dataflows::passage::Passage;
use crest_state::pane::PaneWidth;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use std::time::Duration;

/// The most spans of one pane.
pub const SPANS_OF_PANE: u64 = 5;
/// So many are sent at once, without waiting for the interval.
const MANY: usize = 2048;

/// Spans that are not sent yet.
pub struct Traces {
    resource: Resource,
    /// The names of the boards, by their places.
    boards: Vec<String>,
    width: PaneWidth,
    spans: Vec<Span>,
}

impl Traces {
    /// Of this sender, whose boards are called so and whose panes are so wide.
    pub fn new(resource: Resource, boards: Vec<String>, pane: Duration) -> Self {
        Traces { resource, boards, width: PaneWidth::new(pane), spans: Vec::new() }
    }

    /// Whether so many spans wait that they are to be sent.
    pub fn is_full(&self) -> bool {
        self.spans.len() >= MANY
    }

    /// Adds the trace of a pane.
    pub fn add(&mut self, pane: &Followed) {
        let Followed { passage, end, failure } = pane;
        let Passage { merge, commit, rank, .. } = *passage;
        let status =
            failure.map(|reason| Status { code: StatusCode::Error.into(), message: reason.to_owned() });
        let (trace, whole, anchor) = (random::<16>(), random::<8>(), Anchor::now());
        let span = |name: &str, (from, to), id: Vec<u8>, parent: Vec<u8>| Span {
            trace_id: trace.clone(),
            span_id: id,
            parent_span_id: parent,
            name: name.to_owned(),
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: anchor.nanos(from),
            end_time_unix_nano: anchor.nanos(to),
            ..Span::default()
        };
        let mut root = span("pane", (merge.0, *end), whole.clone(), Vec::new());
        (root.attributes, root.status) = (self.attributes(passage), status.clone());
        let stage = |name: &str, times| span(name, times, random::<8>(), whole.clone());
        let mut deliver = stage("deliver", (rank.1, *end));
        deliver.status = status;
        self.spans.extend([root, stage("merge", merge)]);
        self.spans.extend(commit.map(|times| stage("commit", times)));
        self.spans.extend([stage("rank", rank), deliver]);
    }

    fn attributes(&self, passage: &Passage) -> Vec<KeyValue> {
        let board = self.boards.get(passage.board as usize).map_or("", String::as_str);
        vec![
            text("crest.board", board),
            number("crest.pane.start_ms", self.width.start(passage.pane)),
            number("crest.pane.end_ms", self.width.start(passage.pane + 1)),
            number("crest.groups", i64::try_from(passage.groups).unwrap_or(i64::MAX)),
        ]
    }

    /// A message with what waits, and how many spans it has; `None` where nothing does.
    pub fn encode(&mut self) -> Option<(Vec<u8>, u64)> {
        let spans = std::mem::take(&mut self.spans);
        let count = spans.len() as u64;
        let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans, ..ScopeSpans::default() }];
        let resource = Some(self.resource.clone());
        let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
        (count > 0).then(|| (ExportTraceServiceRequest { resource_spans }.encode_to_vec(), count))
    }
}

/// The id of a trace or a span. Ids need only differ: where the system draws nothing, they are of the clock.
fn random<const BYTES: usize>() -> Vec<u8> {
    let mut id = [0; BYTES];
    if getrandom::fill(&mut id).is_err() {
        let clock = Anchor::now().nanos(std::time::Instant::now()).to_be_bytes();
        id.iter_mut().zip(clock.iter().rev()).for_each(|(byte, of)| *byte = *of);
    }
    id.to_vec()
}
