//! The records of all inputs, brought together by event time, so that files of one time range lie in the topic as
//! they happened: one file after the other would make the events of all but the first late.

use super::key::{Keyed, Keys};
use crate::failure::Failure;
use crest_connectors::Compression;
use crest_connectors::source::{Progress, Source};
use crest_formats::decode::Decode;
use crest_formats::refusal::Refusal;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

/// Records of one input that are held.
const RECORDS_HELD: usize = 512;
/// Standard input that has nothing just now is asked again after this.
const PAUSE: Duration = Duration::from_millis(2);

/// A record of an input.
pub struct Record {
    /// Its number, from 1.
    pub offset: i64,
    /// As they are in the input; empty where they are too many to be held.
    pub bytes: Vec<u8>,
    /// What it is to be keyed by, or why it is not sent.
    pub key: Result<Option<String>, Refusal>,
    /// Its event time; that of the record before where it has none that the job would take.
    time: i64,
}

struct Input {
    source: Box<dyn Source>,
    name: String,
    /// Where the records are not JSON. It knows the columns of CSV, so that it needs no header.
    decoder: Option<Box<dyn Decode>>,
    records: VecDeque<Record>,
    time: i64,
}

/// All inputs, merged.
pub struct Inputs {
    inputs: Vec<Input>,
    keys: Keys,
    /// The next record's time, and the place of its input.
    heads: BinaryHeap<Reverse<(i64, usize)>>,
}

impl Inputs {
    /// Merges sources that hold one partition each, by the times that `keys` reads.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn new(sources: Vec<Box<dyn Source>>, keys: Keys) -> Result<Self, Failure> {
        let input = |source: Box<dyn Source>| {
            let (name, decoder) = (source.name(0), keys.decoder().map_err(Failure::of)?);
            Ok(Input { source, name, decoder, records: VecDeque::new(), time: i64::MIN })
        };
        let inputs = sources.into_iter().map(input).collect::<Result<Vec<_>, Failure>>()?;
        let mut merged = Inputs { inputs, keys, heads: BinaryHeap::new() };
        (0..merged.inputs.len()).try_for_each(|place| merged.line_up(place))?;
        Ok(merged)
    }

    /// Whether any input is compressed, so that its size says nothing of how much there is to read.
    pub fn are_packed(&self) -> bool {
        let mut forms = self.inputs.iter().filter_map(|input| input.source.form(0));
        forms.any(|(_, compression)| compression != Compression::None)
    }

    /// The earliest record that is not taken yet, with its input's name; `None` at the end of all.
    ///
    /// # Errors
    /// An input cannot be read (any further).
    pub fn next(&mut self) -> Result<Option<(&str, Record)>, Failure> {
        let Some(Reverse((_, place))) = self.heads.pop() else { return Ok(None) };
        let record = self.inputs[place].records.pop_front();
        self.line_up(place)?;
        Ok(record.map(|record| (self.inputs[place].name.as_str(), record)))
    }

    /// Puts an input in its place among the others, unless it has ended.
    fn line_up(&mut self, place: usize) -> Result<(), Failure> {
        let input = &mut self.inputs[place];
        if input.records.is_empty() {
            input.fill(&mut self.keys)?;
        }
        self.heads.extend(input.records.front().map(|record| Reverse((record.time, place))));
        Ok(())
    }
}

impl Input {
    /// Waits for records, or for the end.
    fn fill(&mut self, keys: &mut Keys) -> Result<(), Failure> {
        while self.records.is_empty() {
            let (records, time, decoder) = (&mut self.records, &mut self.time, &mut self.decoder);
            let progress = self.source.read(0, RECORDS_HELD, &mut |record| {
                let Keyed { key, time: found } = keys.read(record.payload, decoder.as_deref_mut());
                *time = found.unwrap_or(*time);
                let bytes = record.payload.bytes().unwrap_or_default().to_vec();
                records.push_back(Record { offset: record.offset, bytes, key, time: *time });
            });
            match progress.map_err(Failure::of)? {
                Progress::Read(_) => {}
                Progress::Ended => break,
                Progress::Waiting | Progress::AtEnd(_) => std::thread::sleep(PAUSE),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_connectors::endpoint::SourceUrl;
    use crest_connectors::{SourceOptions, open_source};
    use crest_state::spec::JobSpec;

    #[test]
    fn files_are_merged_by_event_time_and_keep_their_own_order() {
        let dir = tempfile::tempdir().unwrap();
        let event = |name: &str, seconds: i64| {
            format!("{{\"item_id\":\"{name}\",\"timestamp\":{}}}\n", 1_711_670_400 + seconds)
        };
        let files = [
            event("a0", 0) + "broken\n" + &event("a9", 9) + &event("a3", 3),
            String::new(),
            event("b1", 1) + &event("b5", 5) + &event("b12", 12),
        ];
        let sources = files.iter().enumerate().map(|(index, text)| {
            let path = dir.path().join(format!("{index}.ndjson"));
            std::fs::write(&path, text).unwrap();
            let url = SourceUrl::Files(path.display().to_string());
            open_source(&url, &SourceOptions::default()).unwrap().open(0, 1).unwrap()
        });
        let mut inputs = Inputs::new(sources.collect(), Keys::new(&JobSpec::default()).unwrap()).unwrap();
        let mut order = Vec::new();
        while let Some((_, record)) = inputs.next().unwrap() {
            order.push(record.key.map_or("broken".to_owned(), Option::unwrap));
        }
        assert_eq!(order, ["a0", "broken", "b1", "b5", "a9", "a3", "b12"]);
        assert!(!inputs.are_packed());
    }
}
