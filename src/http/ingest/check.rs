//! From the bytes of a body to a batch for the log: all of its events are good, or none is taken.

use super::split::{Events, Unreadable};
use crate::http::answer::Refused;
use axum::http::StatusCode;
use crest_connectors::append::Batch;
use crest_dataflows::validate::{Checked, Refused as Unfit, Validator};
use crest_formats::record_fields;
use crest_formats::refusal::Refusal;
use crest_state::fields::looked_for;
use crest_state::spec::JobSpec;
use serde_json::json;
use std::borrow::Cow;

/// Fields of an event that a message names.
const FIELDS_NAMED: usize = 12;

/// One event is wrong, so that nothing of its request is taken.
fn wrong(index: usize, event: &[u8], refused: Unfit, spec: &JobSpec) -> Refused {
    let Unfit { reason, element, text } = refused;
    let status = match reason {
        Refusal::Malformed | Refusal::InvalidUtf8 => StatusCode::BAD_REQUEST,
        Refusal::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let looked_for = looked_for(spec, reason);
    let field = (!looked_for.is_empty()).then(|| looked_for.join(" or "));
    let which = match element {
        Some(element) => format!("event {index}, element {element}"),
        None => format!("event {index}"),
    };
    let what = match &field {
        Some(field) => {
            let has =
                record_fields::paths(text.as_deref().map_or(event, str::as_bytes), FIELDS_NAMED).join(", ");
            format!("{which}: {field} {}; the event has: {has}", reason.requirement())
        }
        None => format!("{which} {}", reason.requirement()),
    };
    let mut body = json!({ "error": what, "index": index, "field": field, "reason": reason.name() });
    if let Some(element) = element {
        body["element"] = element.into();
    }
    Refused { status, body }
}

/// Events of a batch that will not be counted, though nothing is wrong with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uncounted {
    /// Events of panes that the job has passed, as far as that is known.
    pub late: usize,
    /// Events that no board's filter takes, and records without an event.
    pub unmatched: usize,
}

/// The times by which a body is judged, in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The clock of this machine.
    pub now: i64,
    /// What is earlier is late; `i64::MIN` where that is not known.
    pub passed: i64,
}

/// The events of a body as a batch.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn batch(
    body: &[u8],
    most: usize,
    validator: &mut Validator,
    spec: &JobSpec,
    times: Times,
) -> Result<(Batch, Uncounted), Refused> {
    // The keys are a part of the payloads.
    let mut batch = Batch::with_capacity(body.len() + body.len() / 4);
    let mut uncounted = Uncounted::default();
    for (index, event) in Events::of(body, validator.takes_arrays()).enumerate() {
        let event = event.map_err(|Unreadable { index, reason }| Refused {
            status: StatusCode::BAD_REQUEST,
            body: json!({ "error": format!("event {index}: {reason}"), "index": index, "reason": "malformed" }),
        })?;
        if index >= most {
            let error = format!("more than {most} events in one request");
            return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, error));
        }
        let event = one_line(event);
        let checked = validator.check(&event, times.now);
        let Checked { item, events } = checked.map_err(|refused| wrong(index, &event, refused, spec))?;
        uncounted.unmatched += usize::from(events.is_empty());
        for (time, matched) in events {
            match matched {
                false => uncounted.unmatched += 1,
                true => uncounted.late += usize::from(*time < times.passed),
            }
        }
        batch.push(item.as_bytes(), &event);
    }
    Ok((batch, uncounted))
}

/// A log keeps an event a line. In JSON a line end is only ever space between its parts.
fn one_line(event: &[u8]) -> Cow<'_, [u8]> {
    match memchr::memchr2(b'\n', b'\r', event) {
        None => Cow::Borrowed(event),
        Some(_) => Cow::Owned(
            event.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_formats::schema::SchemaSpec;
    use crest_state::spec::BoardSpec;
    use serde_json::Value;

    const NOW: i64 = 1_711_670_400_000;

    fn judged(spec: &JobSpec, passed: i64, body: &str) -> Result<(Batch, Uncounted), Refused> {
        batch(body.as_bytes(), 3, &mut Validator::new(spec).unwrap(), spec, Times { now: NOW, passed })
    }

    fn of(body: &str) -> Result<Batch, Refused> {
        judged(&spec(), i64::MIN, body).map(|(batch, _)| batch)
    }

    fn spec() -> JobSpec {
        let schema =
            SchemaSpec { weight: vec!["weight".into()], weight_default: Some(1), ..SchemaSpec::default() };
        JobSpec { schema, ..JobSpec::default() }
    }

    fn refused(body: &str) -> (u16, Value) {
        let Refused { status, body } = of(body).unwrap_err();
        (status.as_u16(), body)
    }

    #[test]
    fn all_events_of_a_body_are_keyed_by_their_items() {
        let batch =
            of("[{\"item_id\":\"a\",\n\"timestamp\":1711670400},{\"timestamp\":1711670400,\"item_id\":7}]")
                .unwrap();
        let events: Vec<(&[u8], &[u8])> = batch.iter().collect();
        assert_eq!(
            events,
            [
                (&b"a"[..], &b"{\"item_id\":\"a\", \"timestamp\":1711670400}"[..]),
                (b"7", b"{\"timestamp\":1711670400,\"item_id\":7}"),
            ]
        );
        assert!(of("[]").unwrap().is_empty());
    }

    #[test]
    fn one_bad_event_is_named_and_nothing_is_taken() {
        let good = r#"{"item_id":"a","timestamp":1711670400}"#;
        let (status, body) = refused(&format!(r#"[{good},{{"item_id":"b"}}]"#));
        assert_eq!(
            (status, &body["index"], &body["field"], &body["reason"]),
            (422, &1.into(), &"timestamp".into(), &"timestamp".into())
        );
        assert!(body["error"].as_str().unwrap().starts_with("event 1: timestamp must be"), "{body}");
        let (status, body) = refused(&format!("{good}\n{good}\n{{\"item_id\":}}"));
        assert_eq!((status, &body["index"], &body["reason"]), (400, &2.into(), &"malformed".into()));
        assert_eq!(refused(r#"{"timestamp":1711670400}"#).1["field"], "item_id");
        assert_eq!(refused(r#"{"item_id":"a","timestamp":1711680400}"#).1["reason"], "future");
        assert_eq!(refused(r#"{"item_id":"a","timestamp":1711670400,"weight":0}"#).1["field"], "weight");
        assert_eq!(
            refused(&[good; 4].join("\n")),
            (413, json!({"error": "more than 3 events in one request"}))
        );
    }

    #[test]
    fn what_will_not_be_counted_is_told_apart_from_what_is_wrong() {
        let filter = [("event_type".to_owned(), vec!["view".to_owned()].into())].into();
        let boards = vec![BoardSpec { filter, ..BoardSpec::default() }];
        let spec = JobSpec { boards, ..spec() };
        let event =
            |kind: &str, time: i64| format!(r#"{{"item_id":"a","event_type":"{kind}","timestamp":{time}}}"#);
        let events = [event("view", NOW - 1), event("view", NOW), event("other", NOW - 1)].join("\n");
        let uncounted = |passed| judged(&spec, passed, &events).unwrap().1;
        assert_eq!(uncounted(NOW), Uncounted { late: 1, unmatched: 1 });
        assert_eq!(uncounted(i64::MIN), Uncounted { late: 0, unmatched: 1 });
        assert_eq!(uncounted(i64::MAX), Uncounted { late: 2, unmatched: 1 });
    }

    #[test]
    fn a_record_that_is_an_array_is_one_event_of_the_body() {
        let mut spec = spec();
        spec.schema.each = Some("$[*]".into());
        let array = |items: &[&str]| {
            let events: Vec<_> =
                items.iter().map(|item| json!({"item_id": item, "timestamp": NOW})).collect();
            json!(events).to_string()
        };
        let body = [array(&["a", "b"]), array(&[]), array(&["c"])].join("\n");
        let (batch, uncounted) = judged(&spec, i64::MIN, &body).unwrap();
        assert_eq!(batch.iter().map(|(key, _)| key).collect::<Vec<_>>(), [&b"a"[..], b"", b"c"]);
        assert_eq!(uncounted, Uncounted { late: 0, unmatched: 1 }, "the array without elements");
        let refused = judged(&spec, i64::MIN, &array(&["a", ""])).unwrap_err();
        assert_eq!((&refused.body["index"], &refused.body["element"]), (&json!(0), &json!(1)));
    }

    #[test]
    fn a_weight_that_is_named_must_be_there() {
        let mut spec = spec();
        spec.schema.weight_default = None;
        let refused = judged(&spec, i64::MIN, r#"{"item_id":"a","timestamp":1711670400}"#).unwrap_err();
        assert_eq!((refused.status.as_u16(), &refused.body["field"]), (422, &"weight".into()));
    }

    #[test]
    fn the_item_is_named_as_the_boards_name_it() {
        let board = |item: Option<&str>| BoardSpec { item: item.map(Into::into), ..BoardSpec::default() };
        let named =
            |boards| looked_for(&JobSpec { boards, ..JobSpec::default() }, Refusal::Item).join(" or ");
        assert_eq!(named(vec![board(Some("video_id"))]), "video_id");
        assert_eq!(
            named(vec![board(Some("video_id")), board(None), board(Some("video_id"))]),
            "video_id or item_id"
        );
    }
}
