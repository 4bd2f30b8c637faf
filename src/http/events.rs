//! `POST /events`: the answer to a request with events, once the log has them or it is known why not.

use super::answer::{busy, json_answer};
use super::api::{Api, Shared};
use super::ingest::{Taken, Uncounted};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use crest_connectors::append::AppendError;
use serde::Serialize;
use serde_json::json;

/// The answer to a request that was taken; its fields' order is a part of the contract.
#[derive(Serialize)]
struct Accepted {
    message: &'static str,
    accepted: usize,
    #[serde(skip_serializing_if = "is_zero")]
    late: usize,
    #[serde(skip_serializing_if = "is_zero")]
    unmatched: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Takes the events of a request.
pub async fn events(State(api): Shared, request: Request) -> Response {
    let Some(ingest) = &api.ingest else { return no_ingest(&api) };
    let passed = if api.live() { ingest.passed(&api.view, &api.spec.time) } else { i64::MIN };
    match ingest.take(request, passed).await {
        Ok(Some(taken)) => answer(taken),
        Ok(None) => busy("too much is being read already"),
        Err(refused) => refused.into_response(),
    }
}

fn no_ingest(api: &Api) -> Response {
    let why = match &api.source {
        Some(source) => {
            format!("this server takes no events: its job reads {source}, and --ingest names no topic")
        }
        None => "this server takes no events: --ingest names no topic".to_owned(),
    };
    json_answer(StatusCode::NOT_FOUND, json!({ "error": why }))
}

fn answer(Taken { kept, uncounted: Uncounted { late, unmatched } }: Taken) -> Response {
    match kept {
        Ok(accepted) => json_answer(
            StatusCode::ACCEPTED,
            Accepted { message: "Event queued for processing", accepted, late, unmatched },
        ),
        Err(AppendError::Refused { index, reason }) => json_answer(
            StatusCode::PAYLOAD_TOO_LARGE,
            json!({ "error": format!("event {index}: {reason}"), "index": index, "reason": "too_long" }),
        ),
        Err(AppendError::Partly { kept, of, reason }) => {
            let error = format!(
                "it is not known whether all was kept: {kept} of {of} events are known to be: {reason}"
            );
            // Who sent the events again would count some of them twice, so nobody is told to.
            json_answer(StatusCode::SERVICE_UNAVAILABLE, json!({ "error": error }))
        }
        Err(error) => busy(&error.to_string()),
    }
}
