//! Finds the item of a record, which is its key in Kafka, and its time: by the job's own format, parser and boards.
//!
//! The key is the item of the first event that a board takes, as the first such board ranks it. Weights and times are not
//! looked at: a time may be one that the topic has yet to give, as `record:timestamp` is.

use crest_connectors::source::Payload;
use crest_dataflows::route::Router;
use crest_formats::decode::{Decode, FormatError, FormatSpec, Undecoded};
use crest_formats::parser::Parser;
use crest_formats::refusal::Refusal;
use crest_state::check::SpecError;
use crest_state::fields::JobFields;
use crest_state::spec::JobSpec;

/// Reads the keys and the times of records.
pub struct Keys {
    parser: Parser,
    router: Router,
    format: FormatSpec,
    /// The members of a record that are read; `None` for all.
    members: Option<Vec<String>>,
    /// A record of another format, as JSON text.
    json: Vec<u8>,
}

/// What a record has for a topic.
#[derive(Debug, PartialEq, Eq)]
pub struct Keyed {
    /// Its key; `None` where no board takes any event of it and it names no item, or it has no event.
    pub key: Result<Option<String>, Refusal>,
    /// The time of its first event that has one, in milliseconds since 1970 UTC.
    pub time: Option<i64>,
}

impl Keys {
    /// Finds keys where the boards of a job find items.
    ///
    /// # Errors
    /// The spec names fields that make no sense.
    pub fn new(spec: &JobSpec) -> Result<Self, SpecError> {
        let fields = JobFields::new(spec)?;
        Ok(Keys {
            router: Router::new(spec, &fields.boards),
            members: fields.plan.members(),
            parser: Parser::new(fields.plan).untyped(spec.format.untyped()),
            format: spec.format.clone(),
            json: Vec::new(),
        })
    }

    /// A decoder for the records of one input; `None` where they are JSON.
    ///
    /// # Errors
    /// The format cannot be read.
    pub fn decoder(&self) -> Result<Option<Box<dyn Decode>>, FormatError> {
        let mut decoder = self.format.decoder(None)?;
        if let (Some(decoder), Some(members)) = (&mut decoder, &self.members) {
            decoder.only(members);
        }
        Ok(decoder)
    }

    /// Reads a record, by the decoder of its input.
    pub fn read(&mut self, payload: Payload<'_>, decoder: Option<&mut (dyn Decode + 'static)>) -> Keyed {
        let refused = |reason| Keyed { key: Err(reason), time: None };
        // Files have no tombstones.
        let Some(mut text) = payload.bytes() else { return refused(Refusal::TooLong) };
        if let Some(decoder) = decoder {
            self.json.clear();
            match decoder.decode(text, &mut self.json) {
                Ok(()) => text = &self.json,
                Err(Undecoded::Refused(reason)) => return refused(reason),
                // Files hold no records whose schemas are in a registry.
                Err(Undecoded::Waiting) => return refused(Refusal::Schema),
            }
        }
        let mut events = match self.parser.read(text, &()) {
            Ok(events) => events,
            Err(reason) => return refused(reason),
        };
        let (mut key, mut other, mut refusal, mut time) = (None, None, None, None);
        while let Some(event) = events.next() {
            time = time.or(event.time);
            match self.router.item(&event) {
                Ok(Some(item)) if key.is_none() => key = Some(item.to_owned()),
                Ok(Some(_)) => {}
                Ok(None) => other = other.or_else(|| self.router.item_if_taken(&event).map(str::to_owned)),
                Err(reason) => refusal = refusal.or(Some(reason)),
            }
        }
        let key = match (key, refusal) {
            (None, Some(reason)) => Err(reason),
            (key, _) => Ok(key.or(other)),
        };
        Keyed { key, time }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_dataflows::selector::MAX_ITEM_BYTES;
    use crest_formats::decode::CsvSpec;
    use crest_formats::normalize::Rule;
    use crest_formats::schema::SchemaSpec;
    use crest_state::spec::BoardSpec;

    fn reader(schema: SchemaSpec, boards: Vec<BoardSpec>) -> Keys {
        Keys::new(&JobSpec { schema, boards, ..JobSpec::default() }).unwrap()
    }

    fn key(keys: &mut Keys, record: &[u8]) -> Result<Option<String>, Refusal> {
        keys.read(Payload::Bytes(record), None).key
    }

    fn some(text: &str) -> Result<Option<String>, Refusal> {
        Ok(Some(text.to_owned()))
    }

    #[test]
    fn the_item_is_under_the_first_name_that_has_something_usable() {
        let item = vec!["item_id".into(), "id".into()];
        let mut keys = reader(SchemaSpec { item, ..SchemaSpec::default() }, vec![BoardSpec::default()]);
        for (record, expected) in [
            (r#"{"item_id":"a"}"#, some("a")),
            (r#"{"id":"b","x":{"item_id":"no"},"y":["item_id",1.5e3]}"#, some("b")),
            (r#"{"id":"b","item_id":"a"}"#, some("a")),
            (r#"{"id":"b","item_id":null}"#, some("b")),
            (r#"{"item_id":"a","item_id":"last"}"#, some("last")),
            (r#"{"item_id":-17.50}"#, some("-17.50")),
            ("{\"\\u0069tem_id\":\"\\u00e9\\n\"} \r", some("é\n")),
            (r#"{"item_id":""}"#, Err(Refusal::Item)),
            (r#"{"item_id":{},"id":"b"}"#, some("b")),
            (r#"{"item_id":true}"#, some("true")),
            (r#"{"item_id":[1,{"a":2}]}"#, Err(Refusal::Item)),
            ("{}", Err(Refusal::Item)),
            ("[]", Err(Refusal::Malformed)),
            (r#"{"item_id":"a"} x"#, Err(Refusal::Malformed)),
            (r#"{"item_id":"a""#, Err(Refusal::Malformed)),
            ("", Err(Refusal::Malformed)),
        ] {
            assert_eq!(key(&mut keys, record.as_bytes()), expected, "{record}");
        }
        assert_eq!(key(&mut keys, b"{\"item_id\":\"a\",\"x\":\"\xff\"}"), Err(Refusal::InvalidUtf8));
        let long = format!("{{\"item_id\":\"{}\"}}", "x".repeat(MAX_ITEM_BYTES + 1));
        assert_eq!(key(&mut keys, long.as_bytes()), Err(Refusal::ItemTooLong));
        assert_eq!(keys.read(Payload::TooLong, None).key, Err(Refusal::TooLong));
    }

    #[test]
    fn the_first_item_of_a_record_of_several_events_is_its_key() {
        let schema = SchemaSpec {
            each: Some("lines".into()),
            item: vec!["sku".into()],
            timestamp: vec!["$.at".into()],
            ..SchemaSpec::default()
        };
        let mut keys = reader(schema, vec![BoardSpec::default()]);
        let orders = br#"{"at":1711670400,"lines":[{},{"sku":"a"},{"sku":"b"}]}"#;
        let Keyed { key: first, time } = keys.read(Payload::Bytes(orders), None);
        assert_eq!((first, time), (some("a"), Some(1_711_670_400_000)));
        assert_eq!(key(&mut keys, br#"{"lines":[{},{}]}"#), Err(Refusal::Item));
        assert_eq!(
            key(&mut keys, br#"{"lines":[]}"#),
            Ok(None),
            "it has no event, and nothing is wrong with it"
        );
    }

    #[test]
    fn the_item_is_that_of_the_board_which_takes_the_event() {
        let board = |name: &str, kind: &str, item: &str| BoardSpec {
            name: name.into(),
            filter: [("event_type".to_owned(), vec![kind.to_owned()].into())].into(),
            item: Some(item.into()),
            normalize: vec![Rule::Lowercase],
            ..BoardSpec::default()
        };
        let skips = BoardSpec {
            on_missing_item: serde_json::from_str("\"skip\"").unwrap(),
            ..board("skips", "like", "v")
        };
        let boards = vec![board("videos", "view", "v"), board("sales", "sale", "p"), skips];
        let mut keys = reader(SchemaSpec { weight: vec!["n".into()], ..SchemaSpec::default() }, boards);
        for (record, expected) in [
            (r#"{"event":"view","v":"V","p":"P"}"#, some("v")),
            (r#"{"event":"sale","v":"V","p":"P"}"#, some("p")),
            (r#"{"event":"other","v":"V","p":"P"}"#, some("v")),
            (r#"{"event":"other","p":"P"}"#, Ok(None)),
            (r#"{"event":"sale","v":"V"}"#, Err(Refusal::Item)),
            (r#"{"event":"like","p":"P"}"#, Ok(None)),
        ] {
            assert_eq!(key(&mut keys, record.as_bytes()), expected, "{record}");
        }
    }

    #[test]
    fn what_an_earlier_record_has_left_is_no_key() {
        let lines =
            BoardSpec { each: Some("lines".into()), item: Some("sku".into()), ..BoardSpec::default() };
        let whole = BoardSpec {
            name: "whole".into(),
            filter: [("event_type".to_owned(), vec!["sale".to_owned()].into())].into(),
            ..BoardSpec::default()
        };
        let mut keys = reader(SchemaSpec::default(), vec![lines, whole]);
        let order = br#"{"event":"x","lines":[{"sku":"a"},{"sku":"a long one at the end of a long order"}]}"#;
        assert_eq!(key(&mut keys, order), some("a"));
        assert_eq!(key(&mut keys, br#"{"event":"x"}"#), Ok(None));
    }

    #[test]
    fn rows_of_csv_are_read_by_the_names_of_their_columns() {
        let columns = Some(vec!["item_id".to_owned(), "timestamp".to_owned()]);
        let format = FormatSpec::Csv(CsvSpec { columns, header: false, ..CsvSpec::default() });
        let mut keys = Keys::new(&JobSpec { format, ..JobSpec::default() }).unwrap();
        let mut decoder = keys.decoder().unwrap();
        let mut read = |row: &[u8]| keys.read(Payload::Bytes(row), decoder.as_deref_mut());
        let row = read(b"\"tv, 42\",1711670400");
        assert_eq!(row, Keyed { key: some("tv, 42"), time: Some(1_711_670_400_000) });
        assert_eq!(read(b"only one").key, Err(Refusal::Malformed));
    }
}
