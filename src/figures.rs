//! What a process counts and measures: its figures, by name. `/metrics` writes them as text, and OTLP sends them: there is one
//! list of them.

use std::fmt::{self, Display};

/// A figure's name, its help, and its value of a thing.
pub type Family<T, N> = (&'static str, &'static str, fn(&T) -> N);

/// The figures so far, in the order in which they are shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures(Vec<Figure>);

/// A figure, of one thing or of several. Counters are since the process's start.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Without the `crest_` before it. What ends in `_total` is a counter, and the rest are gauges.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub help: &'static str,
    /// Its values; there may be none yet.
    pub samples: Vec<Sample>,
}

/// A value, and of what it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Names and values that tell it apart from the figure's others.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: Value,
}

/// A whole number or a real one; all samples of a figure are of one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A count.
    Whole(u64),
    /// A measure.
    Real(f64),
}

impl Figures {
    /// All of them.
    pub fn all(&self) -> &[Figure] {
        &self.0
    }

    /// Begins a figure, whose samples follow.
    pub fn family(&mut self, name: &'static str, help: &'static str) {
        self.0.push(Figure { name, help, samples: Vec::new() });
    }

    /// A value of the figure that was begun last.
    pub fn sample(&mut self, labels: &[(&'static str, &dyn Display)], value: impl Into<Value>) {
        let labels = labels.iter().map(|(name, text)| (*name, text.to_string())).collect();
        if let Some(figure) = self.0.last_mut() {
            figure.samples.push(Sample { labels, value: value.into() });
        }
    }

    /// Figures that several things have, each told apart by a label.
    pub fn table<T, N: Into<Value>>(
        &mut self,
        families: &[Family<T, N>],
        label: &'static str,
        things: &[(impl Display, &T)],
    ) {
        for (name, help, value) in families {
            self.family(name, help);
            things.iter().for_each(|(thing, of)| self.sample(&[(label, thing)], value(of)));
        }
    }

    /// A figure with one value.
    pub fn one(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        value: impl Into<Value>,
    ) {
        let labels: Vec<(&str, &dyn Display)> =
            labels.iter().map(|(name, text)| (*name, text as &dyn Display)).collect();
        self.family(name, help);
        self.sample(&labels, value);
    }
}

impl Figure {
    /// Whether it only grows, until the process ends.
    pub fn is_counter(&self) -> bool {
        self.name.ends_with("_total")
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Whole(value) => value.fmt(f),
            Value::Real(value) => value.fmt(f),
        }
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Value::Whole(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Value::Whole(value as u64)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Whole(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Real(value)
    }
}
