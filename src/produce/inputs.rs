//! The lines of all inputs, brought together by event time, so that files of one time range lie in the topic as
//! they happened: one file after the other would make the events of all but the first late.

use super::key::Keys;
use crest_connectors::source::{Progress, Source, SourceError};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

/// Lines of one input that are held.
const LINES_HELD: usize = 512;
/// Standard input that has nothing just now is asked again after this.
const PAUSE: Duration = Duration::from_millis(2);

/// A line of an input.
pub struct Line {
    /// Its number, from 1.
    pub number: i64,
    /// `None` where it is too long to be held.
    pub bytes: Option<Vec<u8>>,
    /// Its event time; that of the line before where it has none that the job would take.
    time: i64,
}

struct Input {
    source: Box<dyn Source>,
    name: String,
    lines: VecDeque<Line>,
    time: i64,
}

/// All inputs, merged.
pub struct Inputs {
    inputs: Vec<Input>,
    keys: Keys,
    /// The next line's time, and the place of its input.
    heads: BinaryHeap<Reverse<(i64, usize)>>,
}

impl Inputs {
    /// Merges sources that hold one partition each, by the times that `keys` reads.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn new(sources: Vec<Box<dyn Source>>, keys: Keys) -> Result<Self, SourceError> {
        let input = |source: Box<dyn Source>| {
            let name = source.name(0);
            Input { source, name, lines: VecDeque::new(), time: i64::MIN }
        };
        let inputs = sources.into_iter().map(input).collect::<Vec<_>>();
        let mut merged = Inputs { inputs, keys, heads: BinaryHeap::new() };
        (0..merged.inputs.len()).try_for_each(|place| merged.line_up(place))?;
        Ok(merged)
    }

    /// The earliest line that is not taken yet, with its input's name; `None` at the end of all.
    ///
    /// # Errors
    /// An input cannot be read (any further).
    pub fn next(&mut self) -> Result<Option<(&str, Line)>, SourceError> {
        let Some(Reverse((_, place))) = self.heads.pop() else { return Ok(None) };
        let line = self.inputs[place].lines.pop_front();
        self.line_up(place)?;
        Ok(line.map(|line| (self.inputs[place].name.as_str(), line)))
    }

    /// Puts an input in its place among the others, unless it has ended.
    fn line_up(&mut self, place: usize) -> Result<(), SourceError> {
        let input = &mut self.inputs[place];
        if input.lines.is_empty() {
            input.fill(&mut self.keys)?;
        }
        self.heads.extend(input.lines.front().map(|line| Reverse((line.time, place))));
        Ok(())
    }
}

impl Input {
    /// Waits for lines, or for the end.
    fn fill(&mut self, keys: &mut Keys) -> Result<(), SourceError> {
        while self.lines.is_empty() {
            let (lines, time) = (&mut self.lines, &mut self.time);
            let progress = self.source.read(0, LINES_HELD, &mut |record| {
                if let Some(found) = record.payload.bytes().and_then(|payload| keys.read(payload).time) {
                    *time = found;
                }
                let bytes = record.payload.bytes().map(<[u8]>::to_vec);
                lines.push_back(Line { number: record.offset, bytes, time: *time });
            })?;
            match progress {
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
    use crest_formats::schema::SchemaSpec;

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
        let mut inputs = Inputs::new(sources.collect(), Keys::new(&SchemaSpec::default()).unwrap()).unwrap();
        let mut order = Vec::new();
        while let Some((_, line)) = inputs.next().unwrap() {
            let text = String::from_utf8(line.bytes.unwrap()).unwrap();
            order.push(text.split('"').nth(3).unwrap_or("broken").to_owned());
        }
        assert_eq!(order, ["a0", "broken", "b1", "b5", "a9", "a3", "b12"]);
    }
}
