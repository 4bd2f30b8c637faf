//! The rounds of one shape, in each of which everything is measured once, in alternating order.

use crate::costs::{Costs, Row};
use crate::duckdb;
use crate::input::Input;
use crate::measure;
use crate::script;
use crate::shape::Shape;
use std::process::Command;

/// What is measured in each round.
#[derive(Clone, Copy)]
enum Subject {
    Crest,
    Script,
    /// Crest over the flat twins.
    Twins,
    DuckDb,
}

pub fn measure(shape: &'static Shape, input: &Input, rounds: usize, has_duckdb: bool) -> Row {
    let mut subjects = vec![Subject::Crest, Subject::Script];
    subjects.extend(input.twins.is_some().then_some(Subject::Twins));
    subjects.extend(has_duckdb.then_some(Subject::DuckDb));
    let mut costs = Costs::default();
    for _ in 0..rounds {
        for &subject in &subjects {
            let cost = subject.seconds(shape, input) * 1e9 / input.count as f64;
            costs.of(subject).push(cost);
        }
        subjects.reverse();
    }
    Row { shape, bytes: input.bytes() as f64 / input.count as f64, costs }
}

impl Subject {
    /// The processor time that it takes.
    fn seconds(self, shape: &Shape, input: &Input) -> f64 {
        let run = |mut command: Command| measure::run(&mut command, |_| false).cpu;
        match self {
            Subject::Crest => run(input.events.job()),
            Subject::Script => run(script::command(shape, &input.events.file)),
            Subject::Twins => input.twins.as_ref().map_or(0.0, |twins| run(twins.job())),
            Subject::DuckDb => duckdb::run(shape.layout, input),
        }
    }
}

impl Costs {
    fn of(&mut self, subject: Subject) -> &mut Vec<f64> {
        match subject {
            Subject::Crest => &mut self.crest,
            Subject::Script => &mut self.script,
            Subject::Twins => &mut self.twins,
            Subject::DuckDb => &mut self.duckdb,
        }
    }
}
