//! Checks before an event is written to the log whether the job will count it, with the job's own parser and boards.
//!
//! It cannot know whether the event will be late, since the watermark of the event's partition decides that.

use crate::route::Router;
use crest_formats::parser::Parser;
use crest_formats::plan::FieldId;
use crest_formats::refusal::Refusal;
use crest_state::check::SpecError;
use crest_state::fields::JobFields;
use crest_state::spec::JobSpec;

/// A record whose events the job will count, unless they are late or no board takes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The item of the first board that counts an event, or else what would be the first board's; empty where neither exists.
    pub item: String,
    /// For each event, of which there may be none, its time, in milliseconds since 1970 UTC, and whether a board takes it.
    pub events: Vec<(i64, bool)>,
}

/// The first event of a record that the job would refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub reason: Refusal,
    /// Which element of the record it is, from 0; `None` where it is the record itself.
    pub element: Option<usize>,
    /// The JSON text of that element.
    pub text: Option<String>,
}

/// Checks one record after another.
#[derive(Debug)]
pub struct Validator {
    parser: Parser,
    router: Router,
    /// The first board's item.
    item: Option<FieldId>,
    takes_arrays: bool,
    max_future_skew: i64,
    checked: Checked,
}

impl Validator {
    /// A validator that applies the rules of a job.
    ///
    /// # Errors
    /// The spec names fields that make no sense.
    pub fn new(spec: &JobSpec) -> Result<Self, SpecError> {
        let fields = JobFields::new(spec)?;
        Ok(Validator {
            router: Router::new(spec, &fields.boards),
            item: fields.boards.first().map(|board| board.item),
            takes_arrays: fields.plan.takes_arrays(),
            parser: Parser::new(fields.plan),
            max_future_skew: spec.time.max_future_skew.as_millis() as i64,
            checked: Checked::default(),
        })
    }

    /// Whether a record may be an array, whose elements are events.
    pub fn takes_arrays(&self) -> bool {
        self.takes_arrays
    }

    /// Checks a record that arrives at `now`, in milliseconds since 1970 UTC.
    ///
    /// # Errors
    /// The first of its events that the job would refuse.
    pub fn check(&mut self, payload: &[u8], now: i64) -> Result<&Checked, Refused> {
        let checked = &mut self.checked;
        checked.item.clear();
        checked.events.clear();
        let whole = |reason| Refused { reason, element: None, text: None };
        if payload.len() > crest_connectors::source::MAX_RECORD_BYTES {
            return Err(whole(Refusal::TooLong));
        }
        let mut events = self.parser.read(payload, &()).map_err(whole)?;
        let mut other = None;
        while let Some(event) = events.next() {
            let text = || event.element.map(|_| event.text().to_owned());
            let refused = |reason| Refused { reason, element: event.element, text: text() };
            let time = event.time.ok_or(Refusal::Timestamp).map_err(refused)?;
            let item = self.router.select(&event).map_err(refused)?;
            if time > now + self.max_future_skew {
                return Err(refused(Refusal::Future));
            }
            match item {
                Some(item) if checked.item.is_empty() => checked.item.push_str(self.router.first_id(item)),
                Some(_) => {}
                None => {
                    other = other.or_else(|| Some(event.field(self.item?).text()?.to_owned()));
                }
            }
            checked.events.push((time, item.is_some()));
        }
        if checked.item.is_empty() {
            checked.item = other.unwrap_or_default();
        }
        Ok(checked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_state::spec::BoardSpec;
    use std::collections::BTreeMap;

    const NOW: i64 = 1_711_670_400_000;

    fn validator() -> Validator {
        let filter = |kind: &str| BTreeMap::from([("event_type".to_owned(), vec![kind.to_owned()].into())]);
        let videos = BoardSpec {
            name: "videos".into(),
            filter: filter("video_view"),
            item: Some("video_id".into()),
            ..BoardSpec::default()
        };
        let sales = BoardSpec { name: "sales".into(), filter: filter("sale"), ..BoardSpec::default() };
        Validator::new(&JobSpec { boards: vec![videos, sales], ..JobSpec::default() }).unwrap()
    }

    fn check(json: &str) -> Result<String, Refusal> {
        validator()
            .check(json.as_bytes(), NOW)
            .map(|checked| checked.item.clone())
            .map_err(|refused| refused.reason)
    }

    #[test]
    fn the_item_is_that_of_the_board_which_counts_the_event() {
        let both = |kind: &str| {
            format!(r#"{{"event":"{kind}","video_id":"v","item_id":"p","timestamp":{}}}"#, NOW / 1000)
        };
        assert_eq!(check(&both("video_view")), Ok("v".into()));
        assert_eq!(check(&both("sale")), Ok("p".into()));
        assert_eq!(check(&both("other")), Ok("v".into()), "no board counts it, and it is well formed");
        assert_eq!(check(&format!(r#"{{"event":"other","timestamp":{NOW}}}"#)), Ok(String::new()));
    }

    #[test]
    fn a_check_says_whether_a_board_takes_the_event() {
        let mut validator = validator();
        let mut matched = |kind: &str| {
            let event =
                format!(r#"{{"event":"{kind}","video_id":"v","item_id":"p","timestamp":{}}}"#, NOW - 7);
            let checked = validator.check(event.as_bytes(), NOW).unwrap();
            assert_eq!(checked.events[0].0, NOW - 7);
            checked.events[0].1
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
