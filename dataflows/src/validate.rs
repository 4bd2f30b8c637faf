//! Checks before an event is written to the log whether the job will count it, with the job's own parser and boards.
//!
//! It cannot know whether the event will be late, since the watermark of the event's partition decides that.

use crate::route::Router;
use crest_formats::parser::{Event, Parser, Value};
use crest_formats::refusal::Refusal;
use crest_state::spec::JobSpec;

/// An event that the job will count, unless it is late or no board takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked<'a> {
    /// The item of the first board that counts the event, or else the schema's item; empty where neither exists.
    pub item: &'a str,
    /// Its event time, in milliseconds since 1970 UTC.
    pub time: i64,
    /// Whether a board takes it.
    pub matched: bool,
}

/// Checks one event after another.
#[derive(Debug)]
pub struct Validator {
    parser: Parser,
    router: Router,
    max_future_skew: i64,
}

impl Validator {
    /// A validator that applies the rules of a job.
    pub fn new(spec: &JobSpec) -> Self {
        let parser = Parser::new(&spec.schema, spec.fields());
        let router = Router::new(spec, &parser);
        Validator { parser, router, max_future_skew: spec.time.max_future_skew.as_millis() as i64 }
    }

    /// Checks an event that arrives at `now`, in milliseconds since 1970 UTC.
    ///
    /// # Errors
    /// The reason for which the job would refuse the event.
    pub fn check<'a>(&'a mut self, payload: &'a [u8], now: i64) -> Result<Checked<'a>, Refusal> {
        if payload.len() > crest_connectors::source::MAX_RECORD_BYTES {
            return Err(Refusal::TooLong);
        }
        let event = self.parser.parse(payload)?;
        let item = self.router.select(&event)?;
        if event.time > now + self.max_future_skew {
            return Err(Refusal::Future);
        }
        let matched = item.is_some();
        let item = item.unwrap_or_else(|| schema_item(&event));
        Ok(Checked { item, time: event.time, matched })
    }
}

fn schema_item<'a>(event: &Event<'a>) -> &'a str {
    match event.item() {
        Value::Text(item) => item,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_state::spec::BoardSpec;
    use std::collections::BTreeMap;

    const NOW: i64 = 1_711_670_400_000;

    fn validator() -> Validator {
        let videos = BoardSpec {
            name: "videos".into(),
            filter: BTreeMap::from([("event_type".to_owned(), vec!["video_view".to_owned()])]),
            item: Some("video_id".into()),
            ..BoardSpec::default()
        };
        let sales = BoardSpec {
            name: "sales".into(),
            filter: BTreeMap::from([("event_type".to_owned(), vec!["sale".to_owned()])]),
            ..BoardSpec::default()
        };
        Validator::new(&JobSpec { boards: vec![videos, sales], ..JobSpec::default() })
    }

    fn check(json: &str) -> Result<String, Refusal> {
        validator().check(json.as_bytes(), NOW).map(|checked| checked.item.to_owned())
    }

    #[test]
    fn the_item_is_that_of_the_board_which_counts_the_event() {
        let both = |kind: &str| {
            format!(r#"{{"event":"{kind}","video_id":"v","item_id":"p","timestamp":{}}}"#, NOW / 1000)
        };
        assert_eq!(check(&both("video_view")), Ok("v".into()));
        assert_eq!(check(&both("sale")), Ok("p".into()));
        assert_eq!(check(&both("other")), Ok("p".into()), "no board counts it, and it is well formed");
        assert_eq!(check(&format!(r#"{{"event":"other","timestamp":{NOW}}}"#)), Ok(String::new()));
    }

    #[test]
    fn a_check_says_whether_a_board_takes_the_event() {
        let mut validator = validator();
        let mut matched = |kind: &str| {
            let event =
                format!(r#"{{"event":"{kind}","video_id":"v","item_id":"p","timestamp":{}}}"#, NOW - 7);
            let checked = validator.check(event.as_bytes(), NOW).unwrap();
            assert_eq!(checked.time, NOW - 7);
            checked.matched
        };
        assert_eq!([matched("sale"), matched("other"), matched("video_view")], [true, false, true]);
    }

    #[test]
    fn what_the_job_would_refuse_is_refused() {
        assert_eq!(check(r#"{"event":"sale","timestamp":1711670400}"#), Err(Refusal::Item));
        assert_eq!(check(r#"{"event":"sale","item_id":"a"}"#), Err(Refusal::Timestamp));
        assert_eq!(check(r#"{"item_id":"a""#), Err(Refusal::Malformed));
        let at = |ms: i64| check(&format!(r#"{{"event":"sale","item_id":"a","timestamp":{ms}}}"#));
        assert_eq!(at(NOW + 60_000), Ok("a".into()));
        assert_eq!(at(NOW + 60_001), Err(Refusal::Future));
        let long = format!(r#"{{"event":"sale","item_id":"{}","timestamp":{NOW}}}"#, "x".repeat(1025));
        assert_eq!(check(&long), Err(Refusal::ItemTooLong));
        let huge = format!(r#"{{"x":"{}"}}"#, "x".repeat(1 << 20));
        assert_eq!(check(&huge), Err(Refusal::TooLong));
    }
}
